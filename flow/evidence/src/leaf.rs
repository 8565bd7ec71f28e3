//! One entry of the record, as it is hashed: leaf, commitment, chain.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chancery_crypto::sha256;
use chancery_model::{OrgId, Timestamp, ijson};
use serde::Deserialize;
use serde_json::Value;

use crate::{Hash, Hex, merkle};

/// What the first entry of an organization has for a previous hash.
pub const GENESIS: Hash = [0; 32];

/// About as many bytes as a leaf has beside its references.
const LEAF_BYTES: usize = 256;

const COMMIT_LABEL: &[u8] = b"chancery/commit/v1";

/// What of an entry is public for good: who, when, what kind, opaque ids, and a commitment to the
/// rest. It stays provable after the payload and its salt have been destroyed.
#[derive(Clone, Copy, Debug)]
pub struct Leaf<'a> {
    /// The organization whose record it is.
    pub org: OrgId,
    /// Its place in the record, from 1.
    pub seq: u64,
    /// When it was appended, never before the entry ahead of it.
    pub time: Timestamp,
    /// What happened, such as `intent.allowed`.
    pub kind: &'a str,
    /// The canonical text (RFC 8785) of an object of opaque ids, each a string.
    pub refs: &'a str,
    /// See [`commit`].
    pub commitment: Hash,
}

impl Leaf<'_> {
    /// The leaf's text: the canonical JSON (RFC 8785) of
    /// `{"v":1,"org","seq","time","type","refs","commitment"}`. Written by hand because a full
    /// verification makes one for every entry; a test holds it to [`ijson::canonical`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::with_capacity(LEAF_BYTES + self.refs.len());
        let written = write!(
            text,
            r#"{{"commitment":"{}","org":"{}","refs":{},"seq":{},"time":"{}","type":"#,
            Hex(self.commitment),
            self.org,
            self.refs,
            self.seq,
            self.time,
        );
        debug_assert!(written.is_ok(), "a string takes what is written");
        let plain = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
        if self.kind.bytes().all(plain) {
            text.extend(["\"", self.kind, "\""]);
        } else {
            text.push_str(&Value::from(self.kind).to_string());
        }
        text.push_str(r#","v":1}"#);
        text.into_bytes()
    }

    /// The hash of the leaf in the Merkle tree (RFC 6962 §2.1).
    #[must_use]
    pub fn hash(&self) -> Hash {
        merkle::leaf_hash(&self.to_bytes())
    }
}

/// Text that is not a leaf in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Not I-JSON.
    #[error("the leaf is not i-json: {0}")]
    Syntax(#[from] ijson::IJsonError),
    /// Not the members of a leaf.
    #[error("the leaf has not the members of a leaf: {0}")]
    Shape(String),
    /// The right members in another text than the canonical one.
    #[error("the leaf is not in its canonical form")]
    Form,
}

/// A leaf read from its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedLeaf {
    /// See [`Leaf::org`].
    pub org: OrgId,
    /// See [`Leaf::seq`].
    pub seq: u64,
    /// See [`Leaf::time`].
    pub time: Timestamp,
    /// See [`Leaf::kind`].
    pub kind: String,
    /// See [`Leaf::refs`].
    pub refs: BTreeMap<String, String>,
    /// See [`Leaf::commitment`].
    pub commitment: Hash,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    org: OrgId,
    seq: u64,
    time: Timestamp,
    r#type: String,
    refs: BTreeMap<String, String>,
    commitment: Hex<32>,
    #[serde(rename = "v")]
    _version: u8,
}

impl OwnedLeaf {
    /// Reads a leaf. Only the text that [`Leaf::to_bytes`] would write is taken.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, LeafError> {
        let members: Members = serde_json::from_value(ijson::parse(text.as_bytes())?)
            .map_err(|error| LeafError::Shape(error.to_string()))?;
        let refs = ijson::canonical(&members.refs)?;
        let leaf = Leaf {
            org: members.org,
            seq: members.seq,
            time: members.time,
            kind: &members.r#type,
            refs: &refs,
            commitment: members.commitment.0,
        };
        if members.seq == 0 || leaf.to_bytes() != text.as_bytes() {
            return Err(LeafError::Form);
        }
        Ok(Self {
            org: members.org,
            seq: members.seq,
            time: members.time,
            kind: members.r#type,
            refs: members.refs,
            commitment: members.commitment.0,
        })
    }
}

/// Binds a leaf to its payload without telling anything about it: SHA-256 of a label, 32 random
/// bytes and the canonical payload. Without the salt, short payloads can't be guessed from it.
#[must_use]
pub fn commit(salt: &[u8; 32], payload: &[u8]) -> Hash {
    sha256(&[COMMIT_LABEL, salt, payload])
}

/// The link of the chain: SHA-256 of the previous entry's hash ([`GENESIS`] before the first) and
/// this entry's leaf hash.
#[must_use]
pub fn entry_hash(prev: &Hash, leaf: &Hash) -> Hash {
    sha256(&[&[*prev, *leaf].concat()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn leaf<'a>(kind: &'a str, refs: &'a str) -> Leaf<'a> {
        Leaf {
            org: "0190a5f2-7c3b-7d4e-8f00-0123456789ab".parse().unwrap(),
            seq: 7,
            time: Timestamp::from_micros(1_800_000_000_000_001),
            kind,
            refs,
            commitment: [0xab; 32],
        }
    }

    #[test]
    fn the_hand_written_text_is_the_canonical_one() {
        let refs =
            json!({"intent": "i\u{1f600}", "a\"b": "\u{1f}\u{8}\u{7f}", "\u{fb33}": "", "\u{1f600}": "z"});
        let refs_text = ijson::canonical(&refs).unwrap();
        for kind in ["intent.allowed", "odd \"\\\n\u{1}\u{7f}é"] {
            let leaf = leaf(kind, &refs_text);
            let canonical = ijson::canonical(&json!({
                "v": 1, "org": leaf.org, "seq": 7, "time": "2027-01-15T08:00:00.000001Z", "type": kind,
                "refs": refs, "commitment": "ab".repeat(32),
            }))
            .unwrap();
            assert_eq!(String::from_utf8(leaf.to_bytes()).unwrap(), canonical);
            assert_eq!(OwnedLeaf::parse(&canonical).unwrap().kind, kind);
        }
    }

    #[test]
    fn only_the_canonical_text_is_a_leaf() {
        let text = String::from_utf8(leaf("intent.allowed", r#"{"intent":"x"}"#).to_bytes()).unwrap();
        assert!(OwnedLeaf::parse(&text).is_ok());
        for (from, to) in [
            ("{\"comm", "{ \"comm"),
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1", "\"v\":1,\"w\":1"),
            ("\"seq\":7", "\"seq\":7.0"),
            ("\"seq\":7", "\"seq\":0"),
            ("\"seq\":7", "\"seq\":-1"),
            ("000001Z", "0000010Z"),
            ("000001Z", "000001+00:00"),
            ("0190a5f2", "0190A5F2"),
            ("abab", "ABAB"),
            ("\"x\"", "1"),
            ("\"x\"", "\"\\u0078\""),
        ] {
            let wrong = text.replacen(from, to, 1);
            assert_ne!(wrong, text);
            assert!(OwnedLeaf::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
