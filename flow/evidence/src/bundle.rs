//! The evidence bundle: one JSON file about one intent.

use chancery_crypto::sha256;
use chancery_model::{OrgId, ijson};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Finding, Hash, Hex};

/// What [`Bundle::format`] says.
pub const FORMAT: &str = "chancery-evidence/v1";

const INTENT_LABEL: &[u8] = b"chancery/intent/v1";

/// The entry types that a bundle knows the payload of.
pub mod kind {
    /// An intent was allowed.
    pub const ALLOWED: &str = "intent.allowed";
    /// An intent waits for people.
    pub const ESCALATED: &str = "intent.escalated";
    /// An intent was refused.
    pub const DENIED: &str = "intent.denied";
    /// An escalated intent was decided on again and allowed, after people agreed.
    pub const RELEASED: &str = "intent.released";
    /// An escalated intent was decided on again and refused, although people agreed.
    pub const RELEASE_DENIED: &str = "intent.release_denied";
    /// What an intent asked for was done, or failed.
    pub const CLOSED: &str = "intent.closed";
    /// A token was redeemed.
    pub const TOKEN_USED: &str = "token.used";
    /// A key that signs tokens was made.
    pub const KEY_CREATED: &str = "signing_key.created";
    /// A person agreed.
    pub const GRANTED: &str = "approval.granted";
    /// A person refused.
    pub const REJECTED: &str = "approval.rejected";
    /// A person took their answer back.
    pub const WITHDRAWN: &str = "approval.withdrawn";
    /// Whoever asked took the intent back.
    pub const CANCELLED: &str = "approval.cancelled";
    /// Nobody else answered in time.
    pub const EXPIRED: &str = "approval.expired";
    /// The organization was made.
    pub const ORG_CREATED: &str = "organization.created";

    /// What people answered to an escalated intent.
    pub const ANSWERS: [&str; 3] = [GRANTED, REJECTED, WITHDRAWN];
    /// What ends the asking without an approval.
    pub const REFUSALS: [&str; 3] = [REJECTED, CANCELLED, EXPIRED];

    /// Whether an entry of this type tells of the asking of people.
    #[must_use]
    pub fn is_approval(kind: &str) -> bool {
        ANSWERS.contains(&kind) || REFUSALS.contains(&kind)
    }
}

/// The file, its members in the order they are written. `docs/evidence.md` is the specification.
///
/// Everything above `entries` is a view of the payloads in `entries`, for readers; the verifier
/// compares the two, so that nothing unproven is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// [`FORMAT`].
    pub format: String,
    /// Whose record.
    pub organization: Organization,
    /// The opening payload's `intent`; null when that was shredded, like all up to `result`.
    pub intent: Option<Value>,
    /// The opening payload's `principal`.
    pub principal: Option<Value>,
    /// The opening payload's `decision`.
    pub decision: Option<Value>,
    /// What people answered, and how the asking ended without an approval, in its order.
    pub approvals: Vec<Approval>,
    /// The `decision` of the `intent.released` payload: what was decided again, after people agreed.
    pub released: Option<Value>,
    /// The `execution` of the payload that allowed the intent: through which connector we call.
    pub execution: Option<Value>,
    /// The token, if one was minted with the decision that allowed the intent.
    pub token: Option<Token>,
    /// How the call ended, if there is an `intent.closed` payload.
    pub result: Option<CallResult>,
    /// The entries that prove all this, by rising sequence number.
    pub entries: Vec<Entry>,
    /// The signed note of a checkpoint that covers all entries.
    pub checkpoint: String,
    /// The public keys (JWK, RFC 7517) that verify the token, each published by a
    /// `signing_key.created` entry of the bundle.
    pub keys: Vec<Value>,
}

/// The organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// Its id.
    pub id: OrgId,
    /// The name it was created under; only with the `organization.created` entry that proves it.
    pub slug: Option<String>,
}

/// An `approval.…` entry that has its payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Its place in the record.
    pub seq: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub payload: Value,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallResult {
    /// `succeeded`, `failed` or `outcome_unknown`.
    pub outcome: String,
    /// The SHA-256 of what came back, in hexadecimal, if anything did.
    pub result_digest: Option<String>,
}

impl CallResult {
    /// What an `intent.closed` payload says; `None` when it states no outcome.
    #[must_use]
    pub fn of(closed: &Value) -> Option<Self> {
        let text = |name| closed.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self { outcome: text("outcome")?, result_digest: text("result_digest") })
    }
}

/// The ways in which a call ends.
pub(crate) const OUTCOMES: [&str; 3] = ["succeeded", "failed", "outcome_unknown"];

/// A token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The `token` of the payload that allowed the intent: the claims with `nonce_hash` for `nonce`, see
    /// [`crate::public_claims`].
    pub claims: Value,
    /// The token itself. Whoever holds it can use it, so an exporter gives it only once the token
    /// has been used or has expired.
    pub jws: Option<Jws>,
}

/// A token's three parts (RFC 7515 §7.2.2, flattened), each the base64url text of the compact form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jws {
    /// The header.
    pub protected: String,
    /// The claims.
    pub payload: String,
    /// The signature over `protected . payload`.
    pub signature: String,
}

impl Jws {
    /// Takes a compact token apart; `None` when it has not three parts.
    #[must_use]
    pub fn from_compact(token: &str) -> Option<Self> {
        let mut parts = token.split('.').map(str::to_owned);
        let jws = Self { protected: parts.next()?, payload: parts.next()?, signature: parts.next()? };
        parts.next().is_none().then_some(jws)
    }
}

/// One entry of the record with its proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its place in the record, from 1.
    pub seq: u64,
    /// The leaf's canonical text.
    pub leaf: String,
    /// The entry hash of the entry before, zeros before the first.
    pub prev_hash: Hex<32>,
    /// See [`crate::entry_hash`].
    pub entry_hash: Hex<32>,
    /// What the leaf commits to; null when it was shredded.
    pub payload: Option<Value>,
    /// The commitment's salt; null when it was shredded.
    pub salt: Option<Hex<32>>,
    /// The proof that the leaf is under the checkpoint's root, from the leaf upwards.
    pub inclusion_proof: Vec<Hex<32>>,
}

impl Bundle {
    /// Reads a bundle, with every member present, each in its only spelling.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Finding> {
        let value = ijson::parse(bytes).map_err(|error| Finding::new("not-i-json", error.message))?;
        let refuse = |message: String| Finding::new("not-a-bundle", message);
        let bundle = Self::deserialize(&value).map_err(|error| refuse(error.to_string()))?;
        if bundle.format != FORMAT {
            return Err(refuse(format!("the format is not `{FORMAT}`")));
        }
        // Serde takes more than one spelling (arrays for objects, absent for null, other UUIDs).
        if serde_json::to_value(&bundle).ok().as_ref() != Some(&value) {
            return Err(refuse("a member is missing or not in its only spelling".to_owned()));
        }
        Ok(bundle)
    }
}

/// The hash of an intent's canonical form `{"v":1,"action","resource":{"id","type"},"arguments"}`:
/// SHA-256 of a label and its canonical JSON.
///
/// # Errors
/// When the value can't be written as canonical JSON.
pub fn intent_hash(canonical: &Value) -> Result<Hash, ijson::IJsonError> {
    Ok(sha256(&[INTENT_LABEL, ijson::canonical(canonical)?.as_bytes()]))
}
