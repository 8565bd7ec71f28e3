//! Every function of this crate, with the seeds of the fuzz targets and with what proptest makes of them
//! and of nothing. `PROPTEST_CASES` sets how much.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::fs;
use std::path::Path;

use chancery_property::{TARGETS, api_key, bundle, envelope, intent, number, token, url};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// The inputs in `fuzz/seeds` of a target.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("`{}`: {error}", folder.display()));
    let mut seeds: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "`{name}` has no seed");
    seeds
}

/// Noise, or a seed with parts of it replaced by noise.
fn input(name: &str) -> impl Strategy<Value = Vec<u8>> {
    let noise = vec(any::<u8>(), 0..400);
    let splices = vec((any::<Index>(), 0..4_usize, vec(any::<u8>(), 0..4)), 0..4);
    let near = (select(seeds(name)), splices).prop_map(|(mut bytes, splices)| {
        for (at, removed, put) in splices {
            let at = at.index(bytes.len() + 1);
            let end = bytes.len().min(at + removed);
            let _ = bytes.splice(at..end, put).count();
        }
        bytes
    });
    prop_oneof![noise, near]
}

#[test]
fn the_seeds_of_every_target_hold() {
    for (name, target) in TARGETS {
        seeds(name).iter().for_each(|seed| target(seed));
    }
}

#[test]
fn every_target_is_fuzzed_too() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "`{name}` is no fuzz target");
    }
}

proptest! {
    #[test]
    fn api_keys_have_one_text(input in input("api_key")) {
        api_key(&input);
    }

    #[test]
    fn tokens_have_one_text(input in input("token")) {
        token(&input);
    }

    #[test]
    fn intents_have_one_canonical_form(input in input("intent")) {
        intent(&input);
    }

    #[test]
    fn numbers_are_worth_what_their_digits_say(input in input("number")) {
        number(&input);
    }

    #[test]
    fn bundles_that_verify_show_what_was_recorded(input in input("bundle")) {
        bundle(&input);
    }

    #[test]
    fn urls_are_read_as_they_are_written(input in input("url")) {
        url(&input);
    }

    #[test]
    fn envelopes_open_as_they_were_sealed_or_not_at_all(input in input("envelope")) {
        envelope(&input);
    }
}
