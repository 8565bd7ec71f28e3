//! Bundles made from seeds: the good are accepted, the mutants refused, the liars caught.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::collections::BTreeSet;

use chancery_evidence::sample::{
    Flaw, MUTATIONS, REWRITES, SampleKeys, flawed, flip_byte, mutate, rewrite, sample,
};
use chancery_evidence::{Trust, verify};
use chancery_model::ijson;

#[test]
fn samples_are_accepted_and_reported_as_they_are() {
    let keys = SampleKeys::generate();
    let trust = Trust::parse(&keys.trust()).unwrap();
    let (mut effects, mut signed, mut used, mut shredded) = (BTreeSet::new(), 0, 0, 0);
    let (mut released, mut denied_again, mut ended, mut outcomes) = (0, 0, BTreeSet::new(), BTreeSet::new());
    for seed in 0..150 {
        let sample = sample(seed, &keys);
        let report =
            verify(&sample.bytes(), &trust).unwrap_or_else(|findings| panic!("seed {seed}: {findings:?}"));
        assert_eq!(report.entries, sample.bundle.entries.len());
        assert_eq!(report.org, sample.bundle.organization.id);
        let _ = effects.insert(report.effect);
        signed += usize::from(report.token.as_ref().is_some_and(|token| token.signature_verified));
        used += usize::from(report.token.as_ref().is_some_and(|token| token.used.is_some()));
        shredded += usize::from(report.intent.is_none());
        let of_kind = |kind: &str| sample.bundle.entries.iter().find(|entry| entry.leaf.contains(kind));
        let use_entry = of_kind("\"type\":\"token.used\"").map(|entry| entry.seq);
        assert_eq!(report.token.and_then(|token| token.used), use_entry, "seed {seed}");
        let release = of_kind("\"type\":\"intent.released\"").map(|entry| entry.seq);
        assert_eq!(report.released, release, "seed {seed}");
        assert!(release.is_none() || !report.agreed.is_empty(), "seed {seed}");
        released += usize::from(release.is_some());
        denied_again += report.denied_again.len();
        ended.extend(report.ended.map(|entry| entry.kind));
        outcomes.extend(report.closed.and_then(|closed| closed.result).map(|result| result.outcome));
        let without: Vec<_> = report.without_payload.iter().map(|entry| entry.seq).collect();
        let bare = sample.bundle.entries.iter().filter(|entry| entry.payload.is_none());
        assert_eq!(without, bare.map(|entry| entry.seq).collect::<Vec<_>>(), "seed {seed}");
    }
    assert_eq!((effects.len(), ended.len(), outcomes.len()), (3, 3, 3));
    assert!(released > 15 && denied_again > 5, "{released} {denied_again}");
    assert!(signed > 5 && used > 5 && shredded > 3, "{signed} {used} {shredded}");
}

#[test]
fn every_mutation_is_refused_and_every_rewrite_is_not() {
    let keys = SampleKeys::generate();
    let trust = Trust::parse(&keys.trust()).unwrap();
    let (mut mutated, mut rewritten) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..36 {
        let sample = sample(seed, &keys);
        for name in MUTATIONS {
            let Some(mutant) = mutate(name, seed, &sample, &keys) else { continue };
            assert!(verify(&mutant, &trust).is_err(), "seed {seed}: `{name}` was accepted");
            let _ = mutated.insert(*name);
        }
        for name in REWRITES {
            let Some(rewritten_bytes) = rewrite(name, &sample) else { continue };
            if let Err(findings) = verify(&rewritten_bytes, &trust) {
                panic!("seed {seed}: `{name}` was refused: {findings:?}");
            }
            let _ = rewritten.insert(*name);
        }
    }
    assert_eq!(mutated.len(), MUTATIONS.len(), "a mutation was never tried");
    assert_eq!(rewritten.len(), REWRITES.len(), "a rewrite was never tried");
}

/// The leaf tells of the use, whoever keeps its payload back.
#[test]
fn a_use_can_not_be_hidden_by_taking_its_payload() {
    let keys = SampleKeys::generate();
    let trust = Trust::parse(&keys.trust()).unwrap();
    let mut hidden = 0;
    for seed in 0..120 {
        let sample = sample(seed, &keys);
        let Some(without) = rewrite("use-shredded", &sample) else { continue };
        let [whole, less] = [sample.bytes(), without].map(|bytes| verify(&bytes, &trust).unwrap());
        let seq = whole.token.as_ref().unwrap().used.unwrap();
        assert_eq!(less.token, whole.token, "seed {seed}");
        assert!(less.without_payload.iter().any(|entry| (entry.seq, &*entry.kind) == (seq, "token.used")));
        let text = less.to_string();
        assert!(
            text.contains(&format!(", used (entry {seq})")) && text.contains(&format!(" {seq} token.used")),
            "{text}"
        );
        hidden += 1;
    }
    assert!(hidden > 5, "{hidden}");
}

#[test]
fn a_record_that_lies_is_refused_under_good_signatures() {
    let keys = SampleKeys::generate();
    let trust = Trust::parse(&keys.trust()).unwrap();
    for flaw in Flaw::ALL {
        for seed in 0..6 {
            let findings = verify(&flawed(seed, &keys, flaw).bytes(), &trust).expect_err("accepted");
            assert!(findings.iter().any(|finding| finding.code == flaw.code()), "{flaw:?}: {findings:?}");
        }
    }
}

#[test]
fn a_flipped_bit_is_refused_unless_it_says_the_same() {
    let keys = SampleKeys::generate();
    let trust = Trust::parse(&keys.trust()).unwrap();
    for seed in 0..300 {
        let bytes = sample(seed % 20, &keys).bytes();
        let flipped = flip_byte(seed, &bytes);
        let same = ijson::parse(&flipped).is_ok_and(|value| Ok(value) == ijson::parse(&bytes));
        assert_eq!(verify(&flipped, &trust).is_ok(), same, "seed {seed}");
    }
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let keys = SampleKeys::generate();
    let trust = Trust::parse(&keys.trust()).unwrap();
    let bytes = sample(2, &keys).bytes();
    for length in (0..bytes.len()).step_by(97) {
        assert!(verify(&bytes[..length], &trust).is_err());
    }
}

#[test]
fn trust_is_whole_lines_of_keys() {
    let keys = SampleKeys::generate();
    let line = keys.trusted.vkey().to_string();
    assert_eq!(
        Trust::parse(&format!("# a\n\n  {line}  \n{}\n", keys.stranger.vkey())).unwrap().keys().len(),
        2
    );
    for wrong in ["", "# nothing\n", "x", &line[1..], &line.to_uppercase(), &format!("{line}=")] {
        assert!(Trust::parse(wrong).is_err(), "{wrong}");
    }
}
