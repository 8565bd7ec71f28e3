//! Signed notes and checkpoints, as C2SP writes them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::sync::LazyLock;

use chancery_evidence::sample::SampleKeys;
use chancery_evidence::{Checkpoint, NoteError, Trust, VerifierKey, verify};
use proptest::prelude::*;

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: "chancery.example/o".to_owned(), size: 7, root: [5; 32] }
}

static KEYS: LazyLock<SampleKeys> = LazyLock::new(SampleKeys::generate);

fn fixture() -> (&'static SampleKeys, String, Vec<VerifierKey>) {
    let keys = &*KEYS;
    let note = keys.trusted.sign(&checkpoint()).unwrap();
    let trusted = vec![keys.trusted.vkey().clone()];
    (keys, note, trusted)
}

/// The example of the specification (golang.org/x/mod/sumdb/note): an independent signer.
#[test]
fn a_note_by_another_implementation_opens() {
    let key: VerifierKey =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let note = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let keys = [key];
    let (text, signers) = chancery_evidence::note::open(note, &keys).unwrap();
    assert!(text.ends_with("problem is.\n"));
    assert_eq!(signers.len(), 1);
    let changed = note.replace("the answer", "an answer");
    assert_eq!(
        chancery_evidence::note::open(&changed, &keys).unwrap_err(),
        NoteError::Signature("PeterNeumann".to_owned())
    );
}

#[test]
fn a_checkpoint_comes_back() {
    let (_, note, trusted) = fixture();
    assert_eq!(Checkpoint::open(&note, &trusted), Ok(checkpoint()));
    let again: VerifierKey = trusted[0].to_string().parse().unwrap();
    assert_eq!(Checkpoint::open(&note, &[again]), Ok(checkpoint()));
}

#[test]
fn unknown_signatures_are_ignored_and_false_ones_are_not() {
    let (keys, note, trusted) = fixture();
    let stranger = keys.stranger.sign(&checkpoint()).unwrap();
    let line = stranger.rsplit("\n\n").next().unwrap();
    let with_others = note.clone() + &line.repeat(20);
    assert_eq!(Checkpoint::open(&with_others, &trusted), Ok(checkpoint()));
    assert_eq!(Checkpoint::open(&stranger, &trusted), Err(NoteError::Unsigned));
    assert_eq!(Checkpoint::open(&note, &[]), Err(NoteError::Unsigned));
    let too_many = note.clone() + &line.repeat(64);
    assert!(matches!(Checkpoint::open(&too_many, &trusted), Err(NoteError::Note(_))));
    // Its own key's signature over something else, beside a good one.
    let other = keys.trusted.sign(&Checkpoint { size: 8, ..checkpoint() }).unwrap();
    let both = note + other.rsplit("\n\n").next().unwrap();
    assert!(matches!(Checkpoint::open(&both, &trusted), Err(NoteError::Signature(_))));
}

#[test]
fn malformed_notes_are_refused() {
    let (_, note, trusted) = fixture();
    for wrong in [
        String::new(),
        "\n\n".to_owned(),
        note.trim_end().to_owned(),
        note.clone() + "\n",
        note.replace("\n\n", "\n"),
        note.replace('\u{2014}', "-"),
        note.replace('\n', "\r\n"),
        note.replacen("chancery", "chan\tcery", 1),
        note.clone() + "\u{2014} a\u{a0}b AAAAAAAA\n",
        note.clone() + "\u{2014} a+b AAAAAAAA\n",
        note.clone() + "\u{2014} ab AAAA\n",
        note.clone() + "\u{2014} ab AAAAAAA\n",
    ] {
        assert!(matches!(Checkpoint::open(&wrong, &trusted), Err(NoteError::Note(_))), "{wrong:?}");
    }
}

#[test]
fn a_checkpoint_has_one_spelling() {
    let right = checkpoint().to_string();
    assert!(right.parse::<Checkpoint>().is_ok());
    for wrong in [
        right.replace("\n7\n", "\n07\n"),
        right.replace("\n7\n", "\n+7\n"),
        right.replace("\n7\n", "\n-7\n"),
        right.replace("\n7\n", "\n18446744073709551615\n"),
        right.replace("chancery.example/o", ""),
        right.clone() + "extension\n",
        right.trim_end().to_owned(),
        right.replace('=', ""),
    ] {
        assert!(wrong.parse::<Checkpoint>().is_err(), "{wrong:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_on_any_text(text: String, bytes: Vec<u8>) {
        let (keys, note, trusted) = fixture();
        let _ = Checkpoint::open(&text, &trusted);
        let _ = Checkpoint::open(&(note + &text), &trusted);
        let _ = text.parse::<VerifierKey>();
        let _ = chancery_evidence::OwnedLeaf::parse(&text);
        prop_assert!(verify(&bytes, &Trust::parse(&keys.trust()).unwrap()).is_err());
    }
}
