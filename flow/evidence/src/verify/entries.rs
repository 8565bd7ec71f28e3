//! The checkpoint, and each entry under it.

use std::collections::BTreeMap;

use chancery_model::ijson;
use serde_json::Value;

use crate::leaf::{GENESIS, OwnedLeaf, commit, entry_hash};
use crate::note::{self, Checkpoint, NoteError, origin};
use crate::{Bundle, Entry, Finding, Hash, Hex, Trust, merkle};

/// An entry as its leaf and payload say.
pub(super) struct Read<'a> {
    pub(super) seq: u64,
    pub(super) kind: String,
    pub(super) refs: BTreeMap<String, String>,
    pub(super) payload: Option<&'a Value>,
}

impl Read<'_> {
    /// What the leaf refers to under a name.
    pub(super) fn refers_to(&self, name: &str) -> Option<&str> {
        self.refs.get(name).map(String::as_str)
    }
}

/// The checkpoint, signed by a trusted key that speaks for this organization's record.
pub(super) fn checkpoint(bundle: &Bundle, trust: &Trust) -> Result<Checkpoint, Finding> {
    let refuse = |error: NoteError| {
        let code = match &error {
            NoteError::Note(_) | NoteError::Checkpoint(_) => "checkpoint-form",
            NoteError::Unsigned => "checkpoint-untrusted",
            NoteError::Signature(_) => "checkpoint-signature",
        };
        Finding::new(code, error.to_string())
    };
    let (text, signers) = note::open(&bundle.checkpoint, trust.keys()).map_err(refuse)?;
    let checkpoint: Checkpoint = text.parse().map_err(refuse)?;
    if signers.iter().any(|key| origin(key.name(), bundle.organization.id) == checkpoint.origin) {
        Ok(checkpoint)
    } else {
        Err(Finding::new("checkpoint-origin", "the checkpoint is not of this organization's record"))
    }
}

/// Checks each entry; what can't be read is left out of the answer.
pub(super) fn check<'a>(
    bundle: &'a Bundle,
    checkpoint: Option<&Checkpoint>,
    findings: &mut Vec<Finding>,
) -> Vec<Read<'a>> {
    let mut read = Vec::new();
    let mut before: Option<&Entry> = None;
    for entry in &bundle.entries {
        let refuse = |(code, message): (&'static str, String)| {
            Finding::new(code, format!("entry {}: {message}", entry.seq))
        };
        if let Some(wrong) = out_of_chain(entry, before) {
            findings.push(refuse(wrong));
        }
        before = Some(entry);
        match OwnedLeaf::parse(&entry.leaf) {
            Err(error) => findings.push(refuse(("leaf-form", error.to_string()))),
            Ok(leaf) => {
                findings.extend(out_of_leaf(bundle, entry, &leaf).map(refuse));
                let payload = entry.payload.as_ref();
                read.push(Read { seq: entry.seq, kind: leaf.kind, refs: leaf.refs, payload });
            }
        }
        let hash = merkle::leaf_hash(entry.leaf.as_bytes());
        if entry_hash(&entry.prev_hash.0, &hash) != entry.entry_hash.0 {
            findings.push(refuse((
                "entry-hash",
                "its hash is not that of its leaf and the one before".to_owned(),
            )));
        }
        if checkpoint.is_some_and(|checkpoint| !is_included(entry, &hash, checkpoint)) {
            findings
                .push(refuse(("inclusion", "the proof does not lead to the checkpoint's root".to_owned())));
        }
    }
    read
}

/// Its place after the entry before it in the bundle.
fn out_of_chain(entry: &Entry, before: Option<&Entry>) -> Option<(&'static str, String)> {
    let prev_hash = match before {
        Some(before) if before.seq >= entry.seq => {
            return Some(("entry-order", "it stands after one with the same or a later number".to_owned()));
        }
        Some(before) if before.seq + 1 == entry.seq => before.entry_hash,
        _ if entry.seq == 1 => Hex(GENESIS),
        _ => return None,
    };
    (prev_hash != entry.prev_hash).then(|| ("chain", "it does not link to the entry before it".to_owned()))
}

/// What the leaf says against what stands beside it.
fn out_of_leaf<'a>(
    bundle: &'a Bundle,
    entry: &'a Entry,
    leaf: &'a OwnedLeaf,
) -> impl Iterator<Item = (&'static str, String)> + use<'a> {
    let org = (leaf.org != bundle.organization.id)
        .then(|| ("leaf-organization", "the leaf is of another organization".to_owned()));
    let seq =
        (leaf.seq != entry.seq).then(|| ("leaf-seq", format!("the leaf says it is entry {}", leaf.seq)));
    let payload = match (&entry.payload, &entry.salt) {
        (None, None) => None,
        (Some(payload @ Value::Object(_)), Some(salt)) => ijson::canonical(payload)
            .map_or(true, |text| commit(&salt.0, text.as_bytes()) != leaf.commitment)
            .then(|| ("commitment", "the leaf does not commit to this payload".to_owned())),
        _ => Some(("payload-form", "expected an object and its salt, or null for both".to_owned())),
    };
    org.into_iter().chain(seq).chain(payload)
}

fn is_included(entry: &Entry, leaf: &Hash, checkpoint: &Checkpoint) -> bool {
    let proof: Vec<Hash> = entry.inclusion_proof.iter().map(|hash| hash.0).collect();
    let index = entry.seq.checked_sub(1);
    index
        .is_some_and(|index| merkle::verify_inclusion(index, checkpoint.size, leaf, &proof, &checkpoint.root))
}
