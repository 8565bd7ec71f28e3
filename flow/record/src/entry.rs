//! One entry: committed to, sealed, and opened again.

use chancery_crypto::{Context, DataKey, Random, sealed_under, sha256};
use chancery_evidence::{Hex, commit};
use chancery_model::{CorrelationId, OrgId};
use chancery_store::{Keyring, KeyringError, StoreError};
use serde_json::Value;
use zeroize::Zeroizing;

/// Bytes of salt before the payload in what is sealed.
const SALT_BYTES: usize = 32;

/// An entry ready to be appended: all but its place in the chain.
///
/// Committing and sealing happen here, in the request's own task; the committer only links.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) org: OrgId,
    pub(crate) kind: &'static str,
    pub(crate) correlation: Option<CorrelationId>,
    /// Canonical JSON object of opaque identifiers.
    pub(crate) refs: String,
    pub(crate) commitment: [u8; 32],
    pub(crate) payload: Vec<u8>,
}

/// What an entry says, before it is sealed.
pub(crate) struct Words<'a> {
    pub(crate) org: OrgId,
    pub(crate) kind: &'static str,
    pub(crate) correlation: Option<CorrelationId>,
    /// As [`refs`] writes them.
    pub(crate) refs: String,
    /// Canonical JSON.
    pub(crate) payload: &'a str,
}

impl Words<'_> {
    /// Commits to the payload and seals it under `key`.
    pub(crate) fn prepare(self, key: &DataKey, random: &dyn Random) -> Prepared {
        let salt: [u8; SALT_BYTES] = random.bytes();
        let payload = self.payload.as_bytes();
        let commitment = commit(&salt, payload);
        let mut plain = Vec::with_capacity(SALT_BYTES + payload.len());
        plain.extend_from_slice(&salt);
        plain.extend_from_slice(payload);
        let row = place(&commitment, self.kind, &self.refs);
        let sealed = chancery_crypto::seal(key, &context(self.org, &row), &plain, random);
        Prepared {
            org: self.org,
            kind: self.kind,
            correlation: self.correlation,
            refs: self.refs,
            commitment,
            payload: sealed,
        }
    }
}

/// References as a canonical JSON object. Names are ours and values are identifiers: neither holds
/// anything that JSON escapes.
pub(crate) fn refs(pairs: &[(&'static str, String)]) -> String {
    let mut pairs: Vec<_> = pairs.iter().collect();
    pairs.sort_unstable_by_key(|(name, _)| *name);
    let members: Vec<String> = pairs.iter().map(|(name, value)| format!(r#""{name}":"{value}""#)).collect();
    format!("{{{}}}", members.join(","))
}

/// An entry's payload with the salt that commits to it.
#[derive(Debug)]
pub struct OpenedPayload {
    /// The salt of the commitment.
    pub salt: [u8; 32],
    /// The payload.
    pub payload: Value,
}

/// A sealed payload with what it is bound to: all of its leaf that is known before its place in the
/// chain.
#[derive(Clone, Copy)]
pub(crate) struct Sealed<'a> {
    pub(crate) commitment: &'a [u8; 32],
    pub(crate) kind: &'a str,
    pub(crate) refs: &'a str,
    pub(crate) payload: &'a [u8],
}

/// Opens a sealed payload. `None` when its key was destroyed.
///
/// # Errors
/// When the envelope does not open, or what it holds is not what the commitment says.
pub(crate) async fn open_payload(
    keyring: &Keyring,
    org: OrgId,
    entry: Sealed<'_>,
) -> Result<Option<OpenedPayload>, KeyringError> {
    let key = match keyring.key_by_id(org, sealed_under(entry.payload)?).await {
        Ok(key) => key,
        Err(KeyringError::Shredded) => return Ok(None),
        Err(error) => return Err(error),
    };
    let (salt, payload) = unseal(&key, org, entry)?;
    let payload = serde_json::from_slice(&payload).map_err(|_| not_committed_to())?;
    Ok(Some(OpenedPayload { salt, payload }))
}

/// Opens a sealed payload with its key and holds it to its commitment: the salt, and the payload's
/// text.
///
/// # Errors
/// When the envelope does not open, or what it holds is not what the commitment says.
pub(crate) fn unseal(
    key: &DataKey,
    org: OrgId,
    entry: Sealed<'_>,
) -> Result<([u8; SALT_BYTES], Zeroizing<Vec<u8>>), KeyringError> {
    let row = place(entry.commitment, entry.kind, entry.refs);
    let mut plain = chancery_crypto::open(key, &context(org, &row), entry.payload)?;
    let (salt, payload) = plain.split_first_chunk::<SALT_BYTES>().ok_or_else(not_committed_to)?;
    if commit(salt, payload) != *entry.commitment {
        return Err(not_committed_to());
    }
    let salt = *salt;
    plain.drain(..SALT_BYTES);
    Ok((salt, plain))
}

fn not_committed_to() -> KeyringError {
    StoreError::corrupt("entries", "payload is not what was committed to").into()
}

/// The row's name: its commitment, type and references, which are fixed before the entry has a place
/// in the chain. A payload copied into an entry of another type, or about something else, does not
/// open there.
fn place(commitment: &[u8; 32], kind: &str, refs: &str) -> String {
    let bound = [&b"chancery/entry/v1"[..], commitment, kind.as_bytes(), b"\0", refs.as_bytes()].concat();
    Hex(sha256(&[&bound])).to_string()
}

fn context(org: OrgId, row: &str) -> Context<'_> {
    Context { org: Some(org), table: "entries", column: "payload", row, purpose: "record" }
}
