//! A record in memory.

use std::collections::BTreeMap;

use chancery_model::{OrgId, Timestamp, ijson};
use serde_json::{Value, json};

use super::START_MICROS;
use super::dice::Dice;
use crate::bundle::kind;
use crate::merkle::inclusion_proof;
use crate::{Checkpoint, Entry, Frontier, GENESIS, Hash, Hex, Leaf, commit, entry_hash, origin};

#[derive(Debug)]
struct Kept {
    kind: String,
    leaf: String,
    payload: Value,
    salt: [u8; 32],
    prev_hash: Hash,
    entry_hash: Hash,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) org: OrgId,
    kept: Vec<Kept>,
    frontier: Frontier,
    nodes: BTreeMap<(u8, u64), Hash>,
}

impl Record {
    pub(super) fn new(org: OrgId) -> Self {
        Self { org, kept: Vec::new(), frontier: Frontier::new(), nodes: BTreeMap::new() }
    }

    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Appends an entry and gives its sequence number.
    pub(super) fn append(&mut self, dice: &mut Dice, kind: &str, refs: &Value, payload: Value) -> u64 {
        let seq = self.size() + 1;
        let salt = dice.bytes();
        let refs = ijson::canonical(refs).unwrap();
        let leaf = Leaf {
            org: self.org,
            seq,
            time: Timestamp::from_micros(START_MICROS).plus_seconds(i64::try_from(seq).unwrap()),
            kind,
            refs: &refs,
            commitment: commit(&salt, ijson::canonical(&payload).unwrap().as_bytes()),
        };
        let prev_hash = self.kept.last().map_or(GENESIS, |last| last.entry_hash);
        let hash = leaf.hash();
        self.nodes.insert((0, seq - 1), hash);
        self.frontier.append(hash, &mut |level, index, hash| {
            self.nodes.insert((level, index), hash);
        });
        self.kept.push(Kept {
            kind: kind.to_owned(),
            leaf: String::from_utf8(leaf.to_bytes()).unwrap(),
            payload,
            salt,
            prev_hash,
            entry_hash: entry_hash(&prev_hash, &hash),
        });
        seq
    }

    pub(super) fn kind(&self, seq: u64) -> &str {
        &self.kept[usize::try_from(seq - 1).unwrap()].kind
    }

    /// The first entry of a type.
    pub(super) fn find(&self, wanted: impl Fn(u64, &str) -> bool) -> Option<u64> {
        (1..=self.size()).find(|seq| wanted(*seq, self.kind(*seq)))
    }

    pub(super) fn entry(&self, seq: u64) -> Entry {
        let kept = &self.kept[usize::try_from(seq - 1).unwrap()];
        let proof = inclusion_proof(seq - 1, self.size(), &self.nodes).unwrap();
        Entry {
            seq,
            leaf: kept.leaf.clone(),
            prev_hash: Hex(kept.prev_hash),
            entry_hash: Hex(kept.entry_hash),
            payload: Some(kept.payload.clone()),
            salt: Some(Hex(kept.salt)),
            inclusion_proof: proof.into_iter().map(Hex).collect(),
        }
    }

    pub(super) fn checkpoint(&self, name: &str) -> Checkpoint {
        Checkpoint { origin: origin(name, self.org), size: self.size(), root: self.frontier.root() }
    }
}

/// What an entry's leaf refers to.
pub(super) fn refs(kind: &str, payload: &Value) -> Value {
    match kind {
        kind::ALLOWED | kind::ESCALATED | kind::DENIED => decided(&payload["intent"]["id"], payload),
        kind::RELEASED | kind::RELEASE_DENIED => decided(&payload["intent_id"], payload),
        kind::TOKEN_USED => json!({"intent": payload["intent_id"], "token": payload["jti"]}),
        kind::GRANTED | kind::REJECTED | kind::WITHDRAWN => {
            json!({"intent": payload["intent_id"], "member": payload["approver"]["id"]})
        }
        kind::CANCELLED | kind::EXPIRED | kind::CLOSED => json!({"intent": payload["intent_id"]}),
        _ => json!({"about": "x"}),
    }
}

fn decided(intent: &Value, payload: &Value) -> Value {
    let mut refs = json!({"intent": intent, "principal": payload["principal"]["id"]});
    if payload["token"].is_object() {
        refs["token"] = payload["token"]["jti"].clone();
    }
    refs
}
