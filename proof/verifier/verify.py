#!/usr/bin/env python3
"""Verifies Chancery evidence bundles as docs/evidence.md says, and from that document alone.

    verify.py BUNDLE --trust KEYS          says what is wrong; exits 0 when nothing is
    verify.py --batch DIR --trust KEYS     one line for each file of a folder: its name, then `ok` and what
                                           the report says, or `refused` and why

Needs Python 3.9 or newer and the package `cryptography`. The numbers in the comments are the
sections of the document.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import re
import sys
import unicodedata

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

FORMAT = "chancery-evidence/v1"
LARGEST = 2**53
DEEPEST = 32
OPENING = {"intent.allowed": "allow", "intent.escalated": "escalate", "intent.denied": "deny"}
ANSWERS = ("approval.granted", "approval.rejected", "approval.withdrawn")
REFUSALS = ("approval.rejected", "approval.cancelled", "approval.expired")
APPROVALS = (*ANSWERS, "approval.cancelled", "approval.expired")
AGAIN = ("intent.released", "intent.release_denied")
DECISIONS = (*OPENING, *AGAIN)
EFFECTS = {"intent.allowed": ("allow",), "intent.escalated": ("escalate",), "intent.denied": ("deny",),
           "intent.released": ("allow",), "intent.release_denied": ("escalate", "deny")}
# What leaves refer to, and where their payloads say the same.
REFERS = {**dict.fromkeys(ANSWERS, ("intent", "member")), **dict.fromkeys(AGAIN, ("intent", "principal")),
          **dict.fromkeys(("approval.cancelled", "approval.expired", "intent.closed"), ("intent",)),
          "token.used": ("intent", "token")}
STATED = {**dict.fromkeys(OPENING, {"intent": ("intent", "id"), "principal": ("principal", "id"), "token": ("token", "jti")}),
          **dict.fromkeys(AGAIN, {"principal": ("principal", "id"), "token": ("token", "jti")}),
          **dict.fromkeys(ANSWERS, {"member": ("approver", "id")})}
ROLES = {"admin": ("admin",), "approver": ("approver", "admin")}
OUTCOMES = ("succeeded", "failed", "outcome_unknown")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HASH = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.\d{6}Z", re.ASCII)
# Unicode's White_Space, and nothing that Python adds to it.
WHITE_SPACE = set(map(chr, [*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B),
                            0x2028, 0x2029, 0x202F, 0x205F, 0x3000]))


class Refused(Exception):
    """What is wrong, as a code and a sentence."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def unbase64(text, alphabet=b"+/", padded=True):
    """The bytes of the one right spelling, or ValueError (1)."""
    data = text.encode("ascii")
    filled = data if padded else data + b"=" * (-len(data) % 4)
    decoded = base64.b64decode(filled, altchars=alphabet, validate=True)
    again = base64.b64encode(decoded, altchars=alphabet)
    if (again if padded else again.rstrip(b"=")) != data:
        raise ValueError("not the one spelling")
    return decoded


def unbase64url(text):
    return unbase64(text, b"-_", padded=False)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- JSON (2) ---------------------------------------------------------------------------------


NUMBER = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")


def read_number(literal):
    """What its digits say, exactly: an int, or a float that stands for the decimal."""
    sign, whole, fraction, exponent = NUMBER.fullmatch(literal).groups("")
    digits = whole + fraction
    significant = digits.strip("0")
    if not significant:
        return 0
    power = int(exponent or "0") - len(fraction) + len(digits) - len(digits.rstrip("0"))
    if power < 0:
        if power < -4 or len(significant) > 15:
            raise ValueError("a decimal outside of the domain")
        return float(literal)
    if len(significant) + power > 16 or int(significant) * 10**power > LARGEST:
        raise ValueError("an integer beyond 2^53")
    return int(f"{sign}{significant}") * 10**power


def read_constant(name):
    raise ValueError(f"{name} is not JSON")


def read_object(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name stands twice")
    return members


def check_text(text):
    if "\0" in text:
        raise ValueError("U+0000")
    text.encode("utf-8")  # refuses lone surrogates


def check_value(value, depth=0):
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, (list, dict)):
        if depth == DEEPEST:
            raise ValueError("nested too deep")
        for name in value if isinstance(value, dict) else ():
            check_text(name)
        for item in value.values() if isinstance(value, dict) else value:
            check_value(item, depth + 1)


def read_json(data):
    """I-JSON from bytes, or ValueError (2.1)."""
    try:
        value = json.loads(data.decode("utf-8"), parse_int=read_number, parse_float=read_number,
                           parse_constant=read_constant, object_pairs_hook=read_object)
        check_value(value)
    except RecursionError:
        raise ValueError("nested too deep") from None
    return value


ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def canonical_string(text):
    return '"' + "".join(ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text) + '"'


def canonical(value):
    """The canonical text of a value (2.2)."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return canonical_string(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(f"{canonical_string(name)}:{canonical(value[name])}" for name in names) + "}"


def equal(a, b):
    return canonical(a) == canonical(b)


def member_of(value, *names):
    """A member of a member, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text_of(value, *names):
    """The same, if it is a string, or None."""
    member = member_of(value, *names)
    return member if isinstance(member, str) else None


# --- Checkpoint and trust (3.3, 3.4) ----------------------------------------------------------


def is_key_name(name):
    return bool(name) and not any(
        c == "+" or c in WHITE_SPACE or unicodedata.category(c) == "Cc" for c in name)


class VerifierKey:
    def __init__(self, line):
        self.name, key_id, key = line.split("+", 2)
        raw = unbase64(key)
        if not is_key_name(self.name) or len(raw) != 33 or raw[0] != 1:
            raise ValueError("not an Ed25519 verifier key")
        self.id = sha256(self.name.encode(), b"\n", raw)[:4]
        if self.id.hex() != key_id:
            raise ValueError("the key id is not that of the name and key")
        self.key = ed25519.Ed25519PublicKey.from_public_bytes(raw[1:])

    def verifies(self, message, signature):
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def read_trust(text):
    lines = (line.strip() for line in text.split("\n"))
    keys = [VerifierKey(line) for line in lines if line and not line.startswith("#")]
    if not keys:
        raise ValueError("no key")
    return keys


def trusted(given):
    """Keys, given as one or in a file."""
    try:
        return read_trust(given)
    except ValueError:
        pass
    try:
        return read_trust(pathlib.Path(given).read_text(encoding="utf-8"))
    except OSError:
        raise ValueError("neither a verifier key nor a file of them") from None


def read_signature_line(line):
    match = re.fullmatch("\u2014 ([^ ]*) ([^ ]*)", line)
    if match is None or not is_key_name(match[1]):
        raise ValueError("a signature line is malformed")
    signature = unbase64(match[2])
    if len(signature) < 5:
        raise ValueError("a signature is empty")
    return match[1], signature[:4], signature[4:]


def split_note(note):
    if any(c < " " and c != "\n" for c in note):
        raise ValueError("a control character")
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise ValueError("not text, an empty line and signatures")
    lines = lines[:-1].split("\n")
    if len(lines) > 64:
        raise ValueError("too many signatures")
    return text + "\n", [read_signature_line(line) for line in lines]


def read_checkpoint(text):
    match = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]*)\n([^\n]+)\n", text)
    if match is None or len(match[2]) > 16 or int(match[2]) > LARGEST:
        raise ValueError("not an origin, a size and a root")
    root = unbase64(match[3])
    if len(root) != 32:
        raise ValueError("the root is not 32 bytes")
    return match[1], int(match[2]), root


def check_checkpoint(bundle, trust):
    """The size and root that a trusted key signed for this organization."""
    try:
        text, signatures = split_note(bundle["checkpoint"])
    except ValueError as error:
        raise Refused("checkpoint-form", error) from None
    signers = []
    for name, key_id, signature in signatures:
        for key in trust:
            if (key.name, key.id) == (name, key_id):
                if not key.verifies(text.encode(), signature):
                    raise Refused("checkpoint-signature", "a trusted key's signature does not verify")
                signers.append(name)
                break
    if not signers:
        raise Refused("checkpoint-untrusted", "no trusted key signed it")
    try:
        origin, size, root = read_checkpoint(text)
    except ValueError as error:
        raise Refused("checkpoint-form", error) from None
    if origin not in [f"{name}/{bundle['organization']['id']}" for name in signers]:
        raise Refused("checkpoint-origin", "it is of another record")
    return size, root


# --- The bundle's shape (4) -------------------------------------------------------------------


def is_string(value):
    return isinstance(value, str)


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_hash(value):
    return is_string(value) and HASH.fullmatch(value) is not None


def is_uuid(value):
    return is_string(value) and UUID.fullmatch(value) is not None


def is_anything(_):
    return True


def nullable(check):
    return lambda value: value is None or check(value)


def array(check):
    return lambda value: isinstance(value, list) and all(map(check, value))


def exactly(**members):
    """An object with these members, each as its check says, and no others."""
    return lambda value: (isinstance(value, dict) and value.keys() == members.keys()
                          and all(check(value[name]) for name, check in members.items()))


IS_ENTRY = exactly(seq=is_whole, leaf=is_string, prev_hash=is_hash, entry_hash=is_hash,
                   payload=is_anything, salt=nullable(is_hash), inclusion_proof=array(is_hash))
IS_JWS = exactly(protected=is_string, payload=is_string, signature=is_string)
IS_APPROVAL = exactly(seq=is_whole, type=is_string, payload=is_anything)
IS_RESULT = exactly(outcome=is_string, result_digest=nullable(is_string))
IS_BUNDLE = exactly(
    format=lambda value: value == FORMAT,
    organization=exactly(id=is_uuid, slug=nullable(is_string)),
    intent=is_anything, principal=is_anything, decision=is_anything,
    approvals=array(IS_APPROVAL),
    released=is_anything, execution=is_anything,
    token=nullable(exactly(claims=is_anything, jws=nullable(IS_JWS))),
    result=nullable(IS_RESULT),
    entries=array(IS_ENTRY),
    checkpoint=is_string,
    keys=array(is_anything),
)


# --- Entries (3.1, 3.2) -----------------------------------------------------------------------


def is_time(value):
    match = TIME.fullmatch(value) if is_string(value) else None
    if match is None:
        return False
    year, month, day, hour, minute, second = map(int, match.groups())
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return (year >= 1970 and 1 <= month <= 12 and 1 <= day <= days[month - 1]
            and hour < 24 and minute < 60 and second < 60)


IS_LEAF = exactly(
    v=lambda value: is_whole(value) and value == 1,
    org=is_uuid,
    seq=lambda value: is_whole(value) and value > 0,
    time=is_time,
    type=is_string,
    refs=lambda value: isinstance(value, dict) and all(map(is_string, value.values())),
    commitment=is_hash,
)


def read_leaf(text):
    try:
        leaf = read_json(text.encode())
    except ValueError:
        return None
    return leaf if IS_LEAF(leaf) and canonical(leaf) == text else None


def is_included(index, size, leaf_hash, proof, root):
    if not 0 <= index < size:
        return False
    node, last, result = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            return False
        if node % 2 == 1 or node == last:
            result = sha256(b"\x01", sibling, result)
            while node % 2 == 0 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            result = sha256(b"\x01", result, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and result == root


def check_entry(entry, leaf, before, org, checkpoint):
    """Yields the codes of what is wrong."""
    if before is not None and before["seq"] >= entry["seq"]:
        yield "entry-order"
    elif before is not None and before["seq"] + 1 == entry["seq"]:
        if before["entry_hash"] != entry["prev_hash"]:
            yield "chain"
    elif entry["seq"] == 1 and entry["prev_hash"] != "00" * 32:
        yield "chain"
    if leaf is None:
        yield "leaf-form"
    else:
        if leaf["org"] != org:
            yield "leaf-organization"
        if leaf["seq"] != entry["seq"]:
            yield "leaf-seq"
        payload, salt = entry["payload"], entry["salt"]
        if isinstance(payload, dict) and salt is not None:
            commitment = sha256(b"chancery/commit/v1", bytes.fromhex(salt), canonical(payload).encode())
            if commitment.hex() != leaf["commitment"]:
                yield "commitment"
        elif payload is not None or salt is not None:
            yield "payload-form"
    leaf_hash = sha256(b"\x00", entry["leaf"].encode())
    if sha256(bytes.fromhex(entry["prev_hash"]), leaf_hash).hex() != entry["entry_hash"]:
        yield "entry-hash"
    proof = [bytes.fromhex(sibling) for sibling in entry["inclusion_proof"]]
    if checkpoint is not None and not is_included(entry["seq"] - 1, checkpoint[0], leaf_hash, proof, checkpoint[1]):
        yield "inclusion"


# --- Keys and tokens (3.5) --------------------------------------------------------------------

THUMBPRINT = {"RS256": ("e", "kty", "n"), "ES256": ("crv", "kty", "x", "y"), "EdDSA": ("crv", "kty", "x")}
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


class PublicKey:
    """A key from its JWK, or ValueError."""

    def __init__(self, jwk):
        if not isinstance(jwk, dict) or any(name in jwk for name in PRIVATE):
            raise ValueError("not a public key")
        kind = (text_of(jwk, "kty"), text_of(jwk, "crv"))
        if kind[0] == "RSA":
            self.algorithm, modulus = "RS256", self.part(jwk, "n")
            bits = int.from_bytes(modulus, "big").bit_length()
            if self.part(jwk, "e") != b"\x01\x00\x01" or modulus[:1] in (b"", b"\0") or not 2048 <= bits <= 8192:
                raise ValueError("not an RSA key of 2048 to 8192 bits")
            self.key = rsa.RSAPublicNumbers(65537, int.from_bytes(modulus, "big")).public_key()
        elif kind == ("EC", "P-256"):
            self.algorithm = "ES256"
            point = b"\x04" + self.part(jwk, "x", 32) + self.part(jwk, "y", 32)
            self.key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        elif kind == ("OKP", "Ed25519"):
            self.algorithm = "EdDSA"
            self.key = ed25519.Ed25519PublicKey.from_public_bytes(self.part(jwk, "x", 32))
        else:
            raise ValueError("a key of another kind")
        stated = {"alg": self.algorithm, "use": "sig", "key_ops": ["verify"]}
        if any(name in jwk and not equal(jwk[name], value) for name, value in stated.items()):
            raise ValueError("a key for another use")
        self.thumbprint = sha256(canonical({name: jwk[name] for name in THUMBPRINT[self.algorithm]}).encode())

    @staticmethod
    def part(jwk, name, length=None):
        data = unbase64url(text_of(jwk, name) or "*")
        if length not in (None, len(data)):
            raise ValueError(f"{name} has the wrong length")
        return data

    def verifies(self, message, signature):
        try:
            if self.algorithm == "RS256":
                self.key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            elif self.algorithm == "EdDSA":
                self.key.verify(signature, message)
            elif len(signature) != 64:
                return False
            else:
                r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
                self.key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def public_claims(claims):
    nonce = text_of(claims, "nonce")
    if nonce is None or "nonce_hash" in claims:
        return None
    public = {name: value for name, value in claims.items() if name != "nonce"}
    return {**public, "nonce_hash": sha256(nonce.encode()).hex()}


def is_signed(jws, claims, keys):
    try:
        header = read_json(unbase64url(jws["protected"]))
        signed = read_json(unbase64url(jws["payload"]))
        signature = unbase64url(jws["signature"])
    except ValueError:
        return False
    if not isinstance(header, dict) or not isinstance(signed, dict):
        return False
    if not header.keys() <= {"alg", "kid", "typ"} or not all(map(is_string, header.values())):
        return False
    key = keys.get(header.get("kid"))
    public = public_claims(signed)
    return (key is not None and header.get("alg") == key.algorithm
            and public is not None and equal(public, claims)
            and key.verifies(f"{jws['protected']}.{jws['payload']}".encode(), signature))


# --- Sections (5) -----------------------------------------------------------------------------

IS_CANONICAL_FORM = exactly(
    v=lambda value: is_whole(value) and value == 1,
    action=is_string,
    resource=exactly(type=is_string, id=is_string),
    arguments=lambda value: isinstance(value, dict),
)


class Story:
    """What happened to the intent, as leaves tell it; payloads may be missing."""

    def __init__(self, read, codes):
        self.read = read  # pairs of a leaf and the payload beside it
        self.codes = codes
        openings = self.of(*OPENING)
        self.is_one = len(openings) == 1
        if not self.is_one:
            codes.append("opening")
            return
        self.opening, self.payload = openings[0]
        self.released, self.used, self.closed = map(self.once, ("intent.released", "token.used", "intent.closed"))
        # The entry that lets it happen: its token or call rests on it.
        self.allowing = openings[0] if self.opening["type"] == "intent.allowed" else self.released
        self.token = self.allowing[0]["refs"].get("token") if self.allowing else None
        self.require(all(self.is_of(leaf) for leaf, _ in read) and "intent" in self.opening["refs"], "refs")
        self.require(all(self.tells_of(leaf, payload) for leaf, payload in read), "refs")
        asked, again = self.of(*APPROVALS), self.of(*AGAIN)
        self.require(self.opening["type"] == "intent.escalated" or not asked + again, "escalation")
        self.require(
            all(leaf["seq"] > self.opening["seq"] for leaf, _ in asked + again)
            and (not self.released or all(leaf["seq"] < self.released[0]["seq"] for leaf, _ in asked))
            and all(entry[0]["seq"] > self.allowing[0]["seq"]
                    for entry in (self.used, self.closed) if entry and self.allowing),
            "order")
        self.require(not self.released or not self.of(*REFUSALS), "ended")

    def require(self, holds, code):
        if not holds:
            self.codes.append(code)

    def of(self, *types):
        return [(leaf, payload) for leaf, payload in self.read if leaf["type"] in types]

    def once(self, kind):
        """The only entry of a type, if there is one."""
        found = self.of(kind)
        self.require(len(found) <= 1, "once")
        return found[0] if found else None

    def is_of(self, leaf):
        refs, must = leaf["refs"], REFERS.get(leaf["type"], ())
        right = {"intent": self.opening["refs"].get("intent"), "token": self.token}
        if "principal" in must:
            right["principal"] = self.opening["refs"].get("principal")
        return (all(name in refs for name in must)
                and all(refs[name] == value for name, value in right.items() if name in refs))

    @staticmethod
    def tells_of(leaf, payload):
        stated = STATED.get(leaf["type"], {})
        return payload is None or all(leaf["refs"].get(name) == text_of(payload, *path)
                                      for name, path in stated.items())

    def agreed(self):
        """The answers that stand: the last of each person, where that is that they agree."""
        last = {leaf["refs"].get("member"): leaf["seq"] for leaf, _ in self.of(*ANSWERS)}
        return [(leaf, payload) for leaf, payload in self.of("approval.granted")
                if last[leaf["refs"].get("member")] == leaf["seq"]]


def is_enough(agreed, decision):
    """Whether these people are all that the decision requires."""
    requirements = member_of(decision, "requirements")
    if not isinstance(requirements, list) or not requirements:
        return False
    for requirement in requirements:
        needed, roles = member_of(requirement, "approvals"), ROLES.get(text_of(requirement, "role"))
        if roles is None or not is_whole(needed) or needed < 1:
            return False
        fit = [payload for _, payload in agreed if payload is None or text_of(payload, "approver", "role") in roles]
        if len(fit) < needed:
            return False
    return True


class Sections:
    """What the bundle tells its reader, against the payloads that prove it."""

    def __init__(self, bundle, read):
        self.bundle = bundle
        self.codes = []
        self.read = read

    def require(self, holds, code):
        if not holds:
            self.codes.append(code)

    def opened(self, *types):
        return [(leaf, payload) for leaf, payload in self.read if leaf["type"] in types and isinstance(payload, dict)]

    def payloads(self, *types):
        return [payload for _, payload in self.opened(*types)]

    def check(self):
        slug = self.bundle["organization"]["slug"]
        if slug is not None:
            created = self.payloads("organization.created")
            self.require(any(text_of(payload, "slug") == slug for payload in created), "slug")
        keys = self.check_keys()
        story = self.story = Story(self.read, self.codes)
        if not story.is_one:
            return
        payload = story.payload
        if not isinstance(payload, dict):
            silent = all(self.bundle[name] is None for name in (
                "intent", "principal", "decision", "released", "execution", "token", "result"))
            self.require(silent and not self.bundle["approvals"], "shredded")
            return
        intent = self.check_intent(payload)
        decision = self.bundle["decision"]
        self.require(decision is not None and "decision" in payload and equal(decision, payload["decision"]), "decision")
        for leaf, decided in self.opened(*DECISIONS):
            self.require(text_of(decided, "decision", "effect") in EFFECTS[leaf["type"]], "effect")
        self.check_approvals(intent)
        self.check_again(payload, intent)
        # What the entry that lets it happen says, and no other that decides does.
        allowing = story.allowing[1] if story.allowing else None
        for name in ("token", "execution"):
            others = [decided for leaf, decided in self.opened(*DECISIONS)
                      if not story.allowing or leaf is not story.allowing[0]]
            self.require(all(decided.get(name) is None for decided in others), name)
        self.check_execution(member_of(allowing, "execution"), allowing)
        self.check_token(payload, member_of(allowing, "token"), keys)
        self.check_uses(intent)
        self.check_result(intent)

    def check_approvals(self, intent):
        recorded = [{"seq": leaf["seq"], "type": leaf["type"], "payload": payload}
                    for leaf, payload in self.opened(*APPROVALS)]
        self.require(equal(self.bundle["approvals"], recorded), "approvals")
        self.require(all(self.names(item["payload"], intent) for item in recorded), "approvals")

    def check_again(self, opening, intent):
        for payload in self.payloads(*AGAIN):
            seq = payload.get("escalated_seq")
            self.require(
                self.names(payload, intent) and is_whole(seq) and seq == self.story.opening["seq"]
                and "principal" in payload and "principal" in opening
                and equal(payload["principal"], opening["principal"]),
                "released")
        released, shown = self.story.released, self.bundle["released"]
        payload = released[1] if released else None
        if isinstance(payload, dict):
            self.require(shown is not None and "decision" in payload and equal(shown, payload["decision"]), "released")
        else:
            self.require(shown is None, "released")
        if released:
            self.require(is_enough(self.story.agreed(), opening.get("decision")), "requirements")

    def check_execution(self, execution, allowing):
        connector = text_of(execution, "connector")
        if execution is not None:
            self.require(connector is not None and member_of(allowing, "token") is None, "execution")
        self.require(equal(self.bundle["execution"], execution), "execution")
        if self.story.closed is None:
            return
        if allowing is not None:
            is_open = connector is not None
        else:
            is_open = self.story.allowing is not None and self.story.token is None
        said = member_of(self.story.closed[1], "connector")
        self.require(is_open and (said is None or connector is None or said == connector), "execution")

    def check_result(self, intent):
        closed = self.payloads("intent.closed")
        for payload in closed:
            self.require(self.names(payload, intent) and text_of(payload, "outcome") in OUTCOMES, "result")
        outcome = text_of(closed[0], "outcome") if closed else None
        recorded = None
        if outcome is not None:
            recorded = {"outcome": outcome, "result_digest": text_of(closed[0], "result_digest")}
        self.require(equal(self.bundle["result"], recorded), "result")

    def check_keys(self):
        keys = {}
        for jwk in self.bundle["keys"]:
            kid = text_of(jwk, "kid")
            try:
                key = PublicKey(jwk)
            except ValueError:
                key = None
            if kid is None or key is None:
                self.codes.append("key-form")
                continue
            proven = any(
                "jwk" in payload and equal(payload["jwk"], jwk) and text_of(payload, "kid") == kid
                and text_of(payload, "algorithm") == key.algorithm
                and text_of(payload, "thumbprint") == base64url(key.thumbprint)
                for payload in self.payloads("signing_key.created"))
            self.require(proven, "key-unproven")
            self.require(kid not in keys, "key-form")
            keys.setdefault(kid, key)
        return keys

    def check_intent(self, payload):
        """The intent's id and hash, or None."""
        for name in ("intent", "principal"):
            section = self.bundle[name]
            same = isinstance(section, dict) and name in payload and equal(section, payload[name])
            self.require(same, name)
        intent = payload.get("intent")
        parts = [text_of(intent, name) for name in ("id", "correlation_id", "hash")]
        form = intent.get("canonical") if isinstance(intent, dict) else None
        if None in parts or not IS_CANONICAL_FORM(form):
            self.codes.append("intent-form")
            return None
        right = sha256(b"chancery/intent/v1", canonical(form).encode()).hex()
        self.require(right == parts[2], "intent-hash")
        return parts[0], parts[2]

    @staticmethod
    def names(payload, intent):
        return intent is not None and intent == (text_of(payload, "intent_id"), text_of(payload, "intent_hash"))

    def check_token(self, opening, recorded, keys):
        token = self.bundle["token"]
        if token is None:
            self.require(recorded is None, "token")
            return
        claims = token["claims"]
        self.require(recorded is not None and equal(recorded, claims), "token")
        intent = opening.get("intent")
        bound = [text_of(claims, "intent_id"), text_of(claims, "intent_hash"), text_of(claims, "jti")]
        self.require(
            None not in bound
            and bound[:2] == [text_of(intent, "id"), text_of(intent, "hash")]
            and text_of(claims, "org") == self.bundle["organization"]["id"],
            "token-binding")
        if token["jws"] is not None:
            self.require(is_signed(token["jws"], claims, keys), "token-signature")

    def check_uses(self, intent):
        token = self.bundle["token"]
        for payload in self.payloads("token.used"):
            audience, jti = text_of(payload, "audience"), text_of(payload, "jti")
            fits = (self.names(payload, intent) and jti is not None and jti == self.story.token
                    and audience is not None
                    and (token is None or audience == member_of(token["claims"], "aud")))
            self.require(fits, "token-use")


class Report:
    """What an accepted bundle proves, beside its sections."""

    def __init__(self, story):
        seqs = lambda *types: [leaf["seq"] for leaf, _ in story.of(*types)]
        self.token = story.token
        self.used = story.used[0]["seq"] if story.used else None
        self.released = story.released[0]["seq"] if story.released else None
        self.denied_again = seqs("intent.release_denied")
        self.agreed = [(leaf["seq"], leaf["refs"]["member"], text_of(payload, "approver", "role"))
                       for leaf, payload in story.agreed()]
        self.ended = next(((leaf["seq"], leaf["type"]) for leaf, _ in story.of(*REFUSALS)), None)
        self.closed = (story.closed[0]["seq"], text_of(story.closed[1], "outcome")) if story.closed else None
        self.without_payload = [(leaf["seq"], leaf["type"]) for leaf, payload in story.read if payload is None]


def verify(data, trust):
    """The codes of what is wrong with a bundle; none when it is accepted, and then a report."""
    try:
        bundle = read_json(data)
    except ValueError:
        return ["not-i-json"], None
    if not IS_BUNDLE(bundle):
        return ["not-a-bundle"], None
    codes, checkpoint, before, read = [], None, None, []
    try:
        checkpoint = check_checkpoint(bundle, trust)
    except Refused as refused:
        codes.append(refused.code)
    for entry in bundle["entries"]:
        leaf = read_leaf(entry["leaf"])
        codes.extend(check_entry(entry, leaf, before, bundle["organization"]["id"], checkpoint))
        if leaf is not None:
            read.append(({**leaf, "seq": entry["seq"]}, entry["payload"]))
        before = entry
    sections = Sections(bundle, read)
    sections.check()
    codes.extend(sections.codes)
    return codes, None if codes else Report(sections.story)


def line(report):
    """A report as `--batch` prints it."""
    def some(items):
        return ",".join(":".join("?" if part is None else str(part) for part in item) for item in items) or "-"
    return " ".join(["ok", report.token or "-", str(report.used or "-"), str(report.released or "-"),
                     some([seq] for seq in report.denied_again), some(report.agreed),
                     some([report.ended] if report.ended else []), some([report.closed] if report.closed else []),
                     some(report.without_payload)])


def main():
    parser = argparse.ArgumentParser(description="Verify Chancery evidence bundles.")
    parser.add_argument("bundle", nargs="?", type=pathlib.Path)
    parser.add_argument("--trust", required=True, metavar="KEYS", help="a verifier key, or a file of them")
    parser.add_argument("--batch", type=pathlib.Path)
    arguments = parser.parse_args()
    if (arguments.bundle is None) == (arguments.batch is None):
        parser.error("expected a bundle or --batch")
    try:
        trust = trusted(arguments.trust)
    except ValueError as error:
        parser.error(f"{arguments.trust}: {error}")
    if arguments.batch is not None:
        for path in sorted(arguments.batch.iterdir()):
            codes, report = verify(path.read_bytes(), trust)
            print(path.name, line(report) if report else "refused " + ",".join(sorted(set(codes))))
        return 0
    codes, report = verify(arguments.bundle.read_bytes(), trust)
    if report is None:
        print("\n".join(codes))
        return 1
    print("ok")
    for seq, member, role in report.agreed:
        print(f"entry {seq}: {member} agreed, as {role or 'whom was withheld or shredded'}")
    if report.ended is not None:
        print(f"entry {report.ended[0]}: {report.ended[1]}")
    for seq in report.denied_again:
        print(f"entry {seq}: decided again and not allowed")
    if report.released is not None:
        print(f"entry {report.released}: decided again and released")
    if report.closed is not None:
        print(f"entry {report.closed[0]}: the call ended, {report.closed[1] or 'how was withheld or shredded'}")
    if report.token is not None:
        print(f"token {report.token}:", f"used, entry {report.used}" if report.used else "no use in the bundle")
    for seq, kind in report.without_payload:
        print(f"entry {seq}, {kind}: its payload was withheld or shredded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
