//! `proof/verifier/verify.py`, written from `docs/evidence.md` alone, against the verifier here:
//! finding for finding. And the document's example against the code that made it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chancery_evidence::sample::{
    Flaw, MUTATIONS, REWRITES, Sample, SampleKeys, example, flawed, flip_byte, mutate, rewrite, sample,
};
use chancery_evidence::{Finding, Report, Told, Trust, verify};

/// As many bundles, and mutants of each.
const SEEDS: u64 = 1_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A Python that has `cryptography`: the machine's, or one made for the tests.
fn python() -> PathBuf {
    let has_cryptography = |python: &Path| {
        Command::new(python)
            .args(["-c", "import cryptography"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let system = PathBuf::from("python3");
    if has_cryptography(&system) {
        return system;
    }
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = home.join("bin/python");
    if !has_cryptography(&python) {
        run(Command::new(system).args(["-m", "venv"]).arg(&home));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "cryptography"]));
    }
    python
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("python3 is needed for this test");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The files of one seed: the sample, and what was made of it.
fn files(seed: u64, keys: &SampleKeys) -> Vec<(String, Vec<u8>)> {
    let sample: Sample = sample(seed, keys);
    let turn = usize::try_from(seed).unwrap();
    let bytes = sample.bytes();
    let mut files =
        vec![(format!("{seed}-sample"), bytes.clone()), (format!("{seed}-flip"), flip_byte(seed, &bytes))];
    for name in [MUTATIONS[turn % MUTATIONS.len()], MUTATIONS[(turn * 7 + 3) % MUTATIONS.len()]] {
        files.extend(mutate(name, seed, &sample, keys).map(|bytes| (format!("{seed}-{name}"), bytes)));
    }
    for name in [REWRITES[turn % REWRITES.len()], REWRITES[(turn * 5 + 2) % REWRITES.len()]] {
        files.extend(rewrite(name, &sample).map(|bytes| (format!("{seed}-{name}"), bytes)));
    }
    let flaw = Flaw::ALL[turn % Flaw::ALL.len()];
    files.push((format!("{seed}-{flaw:?}"), flawed(seed, keys, flaw).bytes()));
    files
}

/// A report as the other verifier prints it.
fn line(report: &Report) -> String {
    let some = |items: Vec<String>| if items.is_empty() { "-".to_owned() } else { items.join(",") };
    let number = |seq: Option<u64>| some(seq.iter().map(u64::to_string).collect());
    let told = |entry: &Told| format!("{}:{}", entry.seq, entry.kind);
    let agreed = report
        .agreed
        .iter()
        .map(|it| format!("{}:{}:{}", it.seq, it.member, it.role.as_deref().unwrap_or("?")));
    let closed = report
        .closed
        .iter()
        .map(|it| format!("{}:{}", it.seq, it.result.as_ref().map_or("?", |result| result.outcome.as_str())));
    let token = report.token.as_ref();
    [
        "ok".to_owned(),
        some(token.iter().map(|token| token.id.clone()).collect()),
        number(token.and_then(|token| token.used)),
        number(report.released),
        some(report.denied_again.iter().map(u64::to_string).collect()),
        some(agreed.collect()),
        some(report.ended.iter().map(told).collect()),
        some(closed.collect()),
        some(report.without_payload.iter().map(told).collect()),
    ]
    .join(" ")
}

/// All that is wrong, as the other verifier prints it.
fn refusal(findings: &[Finding]) -> String {
    let codes: BTreeSet<&str> = findings.iter().map(|finding| finding.code).collect();
    format!("refused {}", codes.into_iter().collect::<Vec<_>>().join(","))
}

#[test]
fn a_verifier_written_from_the_document_agrees() {
    let keys = SampleKeys::generate();
    let trust = Trust::parse(&keys.trust()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bundles = folder.path().join("bundles");
    fs::create_dir(&bundles).unwrap();
    fs::write(folder.path().join("trust"), keys.trust()).unwrap();
    let mut ours = BTreeMap::new();
    for (name, bytes) in (0..SEEDS).flat_map(|seed| files(seed, &keys)) {
        let name = format!("{name}.json");
        fs::write(bundles.join(&name), &bytes).unwrap();
        ours.insert(
            name,
            verify(&bytes, &trust).map_or_else(|findings| refusal(&findings), |report| line(&report)),
        );
    }
    let output = run(Command::new(python())
        .arg(root().join("proof/verifier/verify.py"))
        .arg("--trust")
        .arg(folder.path().join("trust"))
        .arg("--batch")
        .arg(&bundles));
    let theirs: BTreeMap<_, _> = output
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, verdict)| (name.to_owned(), verdict.to_owned()))
        .collect();
    let accepted = ours.values().filter(|verdict| verdict.starts_with("ok")).count();
    assert!(accepted > 1_700 && ours.len() - accepted > 2_500, "{accepted} of {}", ours.len());
    assert_eq!(ours.len(), theirs.len());
    let both = ours.iter().map(|(name, verdict)| (name, Some(verdict), theirs.get(name)));
    let different: Vec<_> = both.filter(|(_, ours, theirs)| ours != theirs).collect();
    assert!(different.is_empty(), "name, ours, theirs: {different:?}");
}

#[test]
fn the_document_shows_the_example_as_it_is() {
    let keys = SampleKeys::generate();
    let example = example(&keys);
    verify(&example.bytes(), &Trust::parse(&keys.trust()).unwrap()).unwrap();
    let document = fs::read_to_string(root().join("docs/evidence.md")).unwrap();
    let shown = [keys.trusted.vkey().to_string(), example.steps(), example.pretty()];
    let missing: Vec<_> = shown.into_iter().filter(|shown| !document.contains(shown)).collect();
    assert!(missing.is_empty(), "docs/evidence.md does not show:\n{}", missing.join("\n\n"));
}

#[test]
fn the_document_lists_every_code() {
    let document = fs::read_to_string(root().join("docs/evidence.md")).unwrap();
    let source = root().join("flow/evidence/src");
    let sources = ["bundle.rs", "verify/entries.rs", "verify/story.rs", "verify/sections.rs"];
    let text: String = sources.iter().map(|file| fs::read_to_string(source.join(file)).unwrap()).collect();
    let listed = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: Vec<_> =
        listed.map(|(code, _)| code).filter(|code| text.contains(&format!("\"{code}\""))).collect();
    for code in Flaw::ALL.map(Flaw::code) {
        assert!(listed.contains(&code), "`{code}` is not listed");
    }
    for found in text.split("Finding::new(\"").skip(1).filter_map(|rest| rest.split_once('"')) {
        assert!(listed.contains(&found.0), "`{}` is not listed", found.0);
    }
}
