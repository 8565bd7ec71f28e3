#!/usr/bin/env python3
"""What neither the compiler nor clippy checks: layers, licences, budgets, connections, ways out, references.

Each finding has a rule and a subject; `.ci/exceptions.txt` lists those that are meant, with a reason.
Needs Python 3.11 or newer, and nothing else.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "chancery-"

FILE_LINES = 400
HANDLER_LINES = 40
LIB_LINES = 80
MAIN_LINES = 30
CRATE_LINES = 10_000

# Who may depend on a package: folders of members.
ONLY_IN = {
    "axum": ["edge/"],
    "cedar-policy": ["flow/decide"],
    "anyhow": ["edge/server", "proof/"],
    "clap": ["edge/server", "proof/"],
    "hickory-resolver": ["base/egress"],
}
# Nobody depends on these; the second list may not even be somewhere below.
NEVER_DIRECTLY = ["ring", "rand", "reqwest", "openssl", "native-tls", "jsonwebtoken"]
NEVER_AT_ALL = ["reqwest", "openssl", "openssl-sys", "native-tls"]

# A connection in the hand can commit without an entry, whatever the types above it say. What speaks to
# the outside has none; `sqlx::Error` it may turn into an answer. The doctor serves no request, and its
# transactions are read-only.
NO_CONNECTION = ("edge/", ["edge/doctor", "edge/server"])
CONNECTION = re.compile(r"\.(?:appender|worker|outside|connection)\(|\bsqlx::(?!Error\b)\w*")

# What reaches out of the process, and the one crate that may.
REACHES_OUT = re.compile(
    r"\b(?:TcpStream::connect\w*|TcpSocket|UdpSocket|lookup_host|ToSocketAddrs|to_socket_addrs"
    r"|hyper_util::client|hyper::client|hyper_rustls|hickory\w*)\b"
)
WAY_OUT = "base/egress"

findings: list[tuple[str, str, str]] = []


def find(rule: str, subject: str, text: str) -> None:
    findings.append((rule, subject, text))


def metadata() -> dict:
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def layers(meta: dict, members: list[str]) -> None:
    """Dependencies go up the list of members, which stands in the order of the way."""
    by_name = {package["name"]: package for package in meta["packages"]}
    place, folder = {}, {}
    for package in meta["packages"]:
        path = Path(package["manifest_path"]).parent
        if package["id"] in meta["workspace_members"]:
            folder[package["name"]] = path.relative_to(ROOT).as_posix()
            place[package["name"]] = members.index(folder[package["name"]])
    for name, at in folder.items():
        for dependency in by_name[name]["dependencies"]:
            other, kind = dependency["name"], dependency["kind"]
            if other in place and kind != "dev" and place[other] >= place[name]:
                find("layer", f"{name} -> {other}", "points against the order of the members in Cargo.toml")
            if other in ONLY_IN and not any(at.startswith(allowed) for allowed in ONLY_IN[other]):
                find("wrapper", f"{name} -> {other}", f"`{other}` is for {', '.join(ONLY_IN[other])} only")
            if other in NEVER_DIRECTLY:
                find("banned", f"{name} -> {other}", f"`{other}` is used by nobody here")
    for name in NEVER_AT_ALL:
        if name in by_name:
            find("banned", name, "is in the tree")
    for manifest in ROOT.glob("*/*/Cargo.toml"):
        if manifest.parent.relative_to(ROOT).as_posix() not in members:
            find("member", manifest.parent.relative_to(ROOT).as_posix(), "is no member of the workspace")


def licences(meta: dict, allowed: set[str]) -> None:
    for package in meta["packages"]:
        expression = package["license"] or ""
        if not permits(expression, allowed):
            find("licence", package["name"], f"its licence `{expression}` is not allowed by deny.toml")


def permits(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met with what is allowed."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))

    def either() -> bool:
        holds = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            holds = both() or holds
        return holds

    def both() -> bool:
        holds = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            holds = one() and holds
        return holds

    def one() -> bool:
        token = tokens.pop(0) if tokens else ""
        if token == "(":
            holds = either()
            if tokens:
                tokens.pop(0)
            return holds
        if tokens[:1] == ["WITH"]:
            token = f"{token} WITH {tokens[1]}"
            del tokens[:2]
        return token in allowed

    return either() and not tokens


def budgets(members: list[str]) -> None:
    for member in members:
        total = 0
        for path in sorted((ROOT / member).rglob("*.rs")):
            at = path.relative_to(ROOT).as_posix()
            # The files in `tests` are programs of their own.
            if path.stem.endswith("tests") or f"{member}/src/" not in at:
                continue
            code = without_tests(path.read_text().splitlines())
            total += len(code)
            if len(code) > FILE_LINES:
                find("file", at, f"{len(code)} lines without tests, {FILE_LINES} are the most")
            if path.name == "main.rs" and len(code) > MAIN_LINES:
                find("main", at, f"{len(code)} lines, {MAIN_LINES} are the most")
            if path.name == "lib.rs":
                if len(code) > LIB_LINES:
                    find("lib", at, f"{len(code)} lines, {LIB_LINES} are the most")
                if any(re.match(r"\s*(pub\S* )?(const |async )*fn ", line) for line in code):
                    find("lib", at, "has a function: a lib.rs is documentation and re-exports")
            if "/routes/" in at:
                handlers(at, code)
        if total > CRATE_LINES:
            find("crate", member, f"{total} lines, {CRATE_LINES} are the most")


def connections(members: list[str]) -> None:
    folder, excepted = NO_CONNECTION
    for member in members:
        if not member.startswith(folder) or member in excepted:
            continue
        for path in sorted((ROOT / member / "src").rglob("*.rs")):
            at = path.relative_to(ROOT).as_posix()
            if not path.stem.endswith("tests"):
                for taken in sorted(set(CONNECTION.findall("\n".join(without_tests(path.read_text().splitlines()))))):
                    find("connection", f"{at} {taken}", "takes a connection, which could commit without an entry")


def ways_out(members: list[str]) -> None:
    """Nothing but the guarded way out connects or resolves: what goes around it goes anywhere."""
    for member in members:
        if member == WAY_OUT:
            continue
        for path in sorted((ROOT / member / "src").rglob("*.rs")):
            at = path.relative_to(ROOT).as_posix()
            if not path.stem.endswith("tests"):
                code = "\n".join(line for line in without_tests(path.read_text().splitlines()) if not line.lstrip().startswith("//"))
                for taken in sorted(set(REACHES_OUT.findall(code))):
                    find("way out", f"{at} {taken}", f"reaches out of the process beside `{WAY_OUT}`")


def without_tests(lines: list[str]) -> list[str]:
    """The lines before the module of tests at the foot."""
    for number, line in enumerate(lines[:-1]):
        if line == "#[cfg(test)]" and lines[number + 1].startswith(("mod tests {", "mod test {")):
            return lines[:number]
    return lines


def handlers(at: str, lines: list[str]) -> None:
    start, name = None, ""
    for number, line in enumerate(lines):
        if found := re.match(r"(?:pub\S* )?async fn (\w+)", line):
            start, name = number, found.group(1)
        elif line == "}" and start is not None:
            if number - start + 1 > HANDLER_LINES:
                find("handler", f"{at}::{name}", f"{number - start + 1} lines, {HANDLER_LINES} are the most")
            start = None


def references() -> None:
    """What documents name exists: files they link to, and tests as `file.rs::name`."""
    documents = sorted(path for path in tracked("*.md") if not path.name.startswith("CHANGELOG"))
    for document in documents:
        at = document.relative_to(ROOT).as_posix()
        text = re.sub(r"```.*?```", "", document.read_text(), flags=re.S)
        for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text):
            if "://" not in link and not link.startswith("mailto:") and not (document.parent / link).exists():
                find("link", f"{at} -> {link}", "leads nowhere")
        for file, name in re.findall(r"`([\w./-]+\.(?:rs|py))::(\w+)`", text):
            source = ROOT / file
            if not source.is_file() or not re.search(rf"\b(fn|def) {name}\b", source.read_text()):
                find("test", f"{at} -> {file}::{name}", "does not exist")
        for file in re.findall(r"`((?:base|org|flow|edge|proof|policies|docs|fuzz|\.ci)/[\w./-]+)`", text):
            if not (ROOT / file).exists():
                find("path", f"{at} -> {file}", "does not exist")


def tracked(pattern: str) -> list[Path]:
    """The files of the repository, those that are not committed yet included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    listed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [ROOT / line for line in listed.splitlines() if (ROOT / line).is_file()]


def exceptions() -> set[tuple[str, str]]:
    listed = set()
    for number, line in enumerate((ROOT / ".ci/exceptions.txt").read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        rule, _, rest = line.partition(": ")
        subject, found, reason = rest.partition(" # ")
        if not (found and reason.strip()):
            sys.exit(f".ci/exceptions.txt, line {number}: expected `RULE: SUBJECT # REASON`")
        listed.add((rule, subject.strip()))
    return listed


def main() -> None:
    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    allowed = set(tomllib.loads((ROOT / "deny.toml").read_text())["licenses"]["allow"])
    if tomllib.loads((ROOT / "clippy.toml").read_text()).get("too-many-lines-threshold") != 70:
        find("function", "clippy.toml", "functions have at most 70 lines: `too-many-lines-threshold = 70`")
    meta = metadata()
    layers(meta, members)
    licences(meta, allowed)
    budgets(members)
    connections(members)
    ways_out(members)
    references()
    excepted = exceptions()
    seen = {(rule, subject) for rule, subject, _ in findings}
    wrong = [f"{rule}: {subject}: {text}" for rule, subject, text in findings if (rule, subject) not in excepted]
    wrong += [f"exception: {rule}: {subject}: is not needed" for rule, subject in sorted(excepted - seen)]
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        sys.exit(f"{len(wrong)} findings")
    print(f"{len(members)} crates, {len(meta['packages'])} packages: nothing to object to")


if __name__ == "__main__":
    main()
