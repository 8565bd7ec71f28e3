//! Envelopes: sealing bytes so that they open only with their key, and only in their place.
//!
//! ```text
//! ver u8=1 ‖ suite u16 ‖ salt 32 ‖ kek_id 16 ‖ kek_ver u32 ‖ dek_id 16 ‖ wrapped length u16=0
//!   ‖ commitment 32 ‖ nonce 12 ‖ ciphertext ‖ tag 16                                (all big-endian)
//! ```
//! After the AWS Encryption SDK v2: HKDF of key and salt gives a key for this envelope alone (info
//! `suite ‖ "DERIVEKEY"`, AES-256-GCM) and a commitment to the sealing key (`suite ‖ "COMMITKEY"`),
//! compared before anything is decrypted, so that no envelope opens under two keys. A key for each
//! envelope also keeps far from GCM's limit of 2³² messages. Suite 1 derives with SHA-512; suite 2,
//! which all is sealed with, with SHA-256 (ADR 0016).
//!
//! The associated data is all that stands before the nonce, followed by the [`Context`].
//!
//! No data key travels in an envelope: it lives wrapped in a table of its own, where destroying it
//! shreds all it sealed, and where rotating the KEK rewraps one row for each organization. So the
//! wrapped part is empty; `kek_id` and `kek_ver` are zero except where a KEK itself sealed.

use std::fmt;

use aws_lc_rs::aead::{Aad, Nonce};
use chancery_model::OrgId;
use secrecy::{ExposeSecret, SecretBox};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::certain::certain;
use crate::hash::equal;
use crate::suite::{COMMITMENT_BYTES, EnvelopeKeys, Suite};
use crate::{KekError, Random};

const VERSION: u8 = 1;
const NONE_WRAPPED: [u8; 2] = 0u16.to_be_bytes();

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// What stands before the nonce.
const BOUND_BYTES: usize = 1 + 2 + 32 + 16 + 4 + 16 + 2 + COMMITMENT_BYTES;
const PREFIX_BYTES: usize = BOUND_BYTES + NONCE_BYTES;

/// Where a sealed value lives and what it is for. Rebuilt from the row whenever it is opened and
/// never stored, so that an envelope moved to another row, column or organization does not open.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The organization that owns the row; `None` for a row of the installation.
    pub org: Option<OrgId>,
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's key, as text.
    pub row: &'a str,
    /// What the value is, such as `signing-key` or `wrap`.
    pub purpose: &'static str,
}

impl Context<'_> {
    /// Appends the fields in the order of their names; name and value each follow their length
    /// (u64 big-endian), so that no two contexts have the same bytes.
    fn append_to(&self, out: &mut Vec<u8>) {
        let mut pair = |name: &str, value: &[u8]| {
            for part in [name.as_bytes(), value] {
                out.extend_from_slice(&(part.len() as u64).to_be_bytes());
                out.extend_from_slice(part);
            }
        };
        pair("column", self.column.as_bytes());
        if let Some(org) = self.org {
            pair("org", org.as_uuid().as_bytes());
        }
        pair("purpose", self.purpose.as_bytes());
        pair("row", self.row.as_bytes());
        pair("table", self.table.as_bytes());
    }

    /// More than the text of any usual context takes, so that it is appended without growing.
    const fn size_hint(&self) -> usize {
        128 + self.column.len() + self.purpose.len() + self.row.len() + self.table.len()
    }
}

/// A secret key that seals data. It can't be copied, and is wiped when dropped.
pub struct DataKey {
    id: Uuid,
    secret: Secret,
}

/// 32 secret bytes, on the heap so that moving them leaves no copy behind.
pub(crate) type Secret = SecretBox<[u8; 32]>;

impl DataKey {
    /// A new key with the identifier its row will have.
    #[must_use]
    pub fn generate(id: Uuid, random: &dyn Random) -> Self {
        Self { id, secret: SecretBox::init_with_mut(|bytes: &mut [u8; 32]| random.fill(bytes)) }
    }

    /// The key's identifier: it stands in the header of everything the key seals.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Seals this key. The plaintext is `id ‖ secret`: a wrapped key can't pose as another.
    pub(crate) fn wrap(&self, by: Sealer<'_>, context: &Context<'_>, random: &dyn Random) -> Vec<u8> {
        let mut plaintext = Zeroizing::new(Vec::with_capacity(48));
        plaintext.extend_from_slice(self.id.as_bytes());
        plaintext.extend_from_slice(self.secret.expose_secret());
        by.seal(context, &plaintext, random)
    }

    pub(crate) fn unwrap(
        id: Uuid,
        by: Sealer<'_>,
        context: &Context<'_>,
        bytes: &[u8],
    ) -> Result<Self, OpenError> {
        let plaintext = by.open(context, bytes)?;
        let (named, secret) = plaintext.split_first_chunk::<16>().ok_or(OpenError::Malformed)?;
        let secret: &[u8; 32] = secret.try_into().map_err(|_| OpenError::Malformed)?;
        if named != id.as_bytes() {
            return Err(OpenError::WrongKey { sealed_under: Uuid::from_bytes(*named) });
        }
        Ok(Self {
            id,
            secret: SecretBox::init_with_mut(|bytes: &mut [u8; 32]| bytes.copy_from_slice(secret)),
        })
    }

    fn sealer(&self) -> Sealer<'_> {
        let names = Names { kek_id: Uuid::nil(), kek_version: 0, data_key_id: self.id };
        Sealer { names, secret: &self.secret }
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a sealed value did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The bytes are not an envelope of a version and suite we read.
    #[error("not a sealed envelope of a known version")]
    Malformed,
    /// The header names another key than the one given.
    #[error("sealed under key `{sealed_under}`, not under the one given")]
    WrongKey {
        /// The key that the envelope names.
        sealed_under: Uuid,
    },
    /// The key is not the one the envelope commits to, whatever the header says.
    #[error("the key is not the one that sealed this")]
    Commitment,
    /// Changed bytes, or another place than the one it was sealed for.
    #[error("the sealed value was altered, or does not belong here")]
    Altered,
    /// It opened, but what it holds is not of the expected type.
    #[error("the sealed value is not a `{expected}`")]
    Content {
        /// The type that was expected.
        expected: &'static str,
    },
    /// The key file holds no KEK of this version, even after reading it again.
    #[error(
        "wrapped under KEK version {version}, which the key file does not hold: restore the key file from its backup"
    )]
    UnknownKek {
        /// The version that the envelope names.
        version: u32,
    },
    /// The key file could not be read.
    #[error(transparent)]
    Kek(#[from] KekError),
}

/// Seals `plaintext` under `key`, bound to `context`.
///
/// # Panics
/// When the machine has no memory or randomness left, or the plaintext is longer than 64 GiB.
#[must_use]
pub fn seal(key: &DataKey, context: &Context<'_>, plaintext: &[u8], random: &dyn Random) -> Vec<u8> {
    key.sealer().seal(context, plaintext, random)
}

/// Opens what [`seal`] made of the same key and context. The plaintext is wiped when dropped.
///
/// # Errors
/// When the envelope is malformed or altered, or the key or any field of the context differs.
pub fn open(key: &DataKey, context: &Context<'_>, envelope: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    key.sealer().open(context, envelope)
}

/// The data key that an envelope names. Trust it to find the key, not to be true.
///
/// # Errors
/// When the bytes are not an envelope.
pub fn sealed_under(envelope: &[u8]) -> Result<Uuid, OpenError> {
    Ok(Envelope::parse(envelope)?.names.data_key_id)
}

/// The version of the KEK that an envelope of [`crate::Custody::wrap`] names; 0 for a key that another
/// data key wraps. Trust it to find the KEK, not to be true.
///
/// # Errors
/// When the bytes are not an envelope.
pub fn kek_version(envelope: &[u8]) -> Result<u32, OpenError> {
    Ok(Envelope::parse(envelope)?.names.kek_version)
}

/// Wraps `child` under `parent`, such as a subject's key under its organization's.
#[must_use]
pub fn wrap_under(parent: &DataKey, context: &Context<'_>, child: &DataKey, random: &dyn Random) -> Vec<u8> {
    child.wrap(parent.sealer(), context, random)
}

/// Unwraps the key `child_id` that [`wrap_under`] wrapped.
///
/// # Errors
/// As [`open`]; also when the bytes hold another key than `child_id`.
pub fn unwrap_under(
    parent: &DataKey,
    context: &Context<'_>,
    child_id: Uuid,
    bytes: &[u8],
) -> Result<DataKey, OpenError> {
    DataKey::unwrap(child_id, parent.sealer(), context, bytes)
}

/// Which keys the header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) kek_id: Uuid,
    pub(crate) kek_version: u32,
    pub(crate) data_key_id: Uuid,
}

/// A key that seals, with the names it goes by.
#[derive(Clone, Copy)]
pub(crate) struct Sealer<'a> {
    pub(crate) names: Names,
    pub(crate) secret: &'a Secret,
}

impl Sealer<'_> {
    fn seal(&self, context: &Context<'_>, plaintext: &[u8], random: &dyn Random) -> Vec<u8> {
        self.seal_with(Suite::Sha256, context, plaintext, random)
    }

    fn seal_with(
        &self,
        suite: Suite,
        context: &Context<'_>,
        plaintext: &[u8],
        random: &dyn Random,
    ) -> Vec<u8> {
        let salt: [u8; 32] = random.bytes();
        let keys = EnvelopeKeys::derive(suite, self.secret, &salt);
        let mut envelope = Vec::with_capacity(PREFIX_BYTES + plaintext.len() + TAG_BYTES);
        envelope.push(VERSION);
        envelope.extend_from_slice(&suite.number());
        envelope.extend_from_slice(&salt);
        envelope.extend_from_slice(self.names.kek_id.as_bytes());
        envelope.extend_from_slice(&self.names.kek_version.to_be_bytes());
        envelope.extend_from_slice(self.names.data_key_id.as_bytes());
        envelope.extend_from_slice(&NONE_WRAPPED);
        envelope.extend_from_slice(&*keys.commitment);
        let bound = associated_data(&envelope, context);
        let nonce: [u8; NONCE_BYTES] = random.bytes();
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(plaintext);
        let (_, body) = envelope.split_at_mut(PREFIX_BYTES);
        let sealed = keys.cipher.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&bound),
            body,
        );
        envelope.extend_from_slice(certain(sealed, "GCM takes any 64 GiB").as_ref());
        envelope
    }

    fn open(&self, context: &Context<'_>, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let envelope = Envelope::parse(bytes)?;
        if envelope.names != self.names {
            return Err(OpenError::WrongKey { sealed_under: envelope.names.data_key_id });
        }
        let keys = EnvelopeKeys::derive(envelope.suite, self.secret, envelope.salt);
        if !equal(&*keys.commitment, envelope.commitment) {
            return Err(OpenError::Commitment);
        }
        let mut plaintext = Zeroizing::new(vec![0; envelope.ciphertext.len()]);
        keys.cipher
            .open_separate_gather(
                Nonce::assume_unique_for_key(*envelope.nonce),
                Aad::from(associated_data(envelope.bound, context)),
                envelope.ciphertext,
                envelope.tag,
                &mut plaintext,
            )
            .map_err(|_| OpenError::Altered)?;
        Ok(plaintext)
    }
}

fn associated_data(bound: &[u8], context: &Context<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(bound.len() + context.size_hint());
    out.extend_from_slice(bound);
    context.append_to(&mut out);
    out
}

/// An envelope taken apart; nothing in it is authenticated yet.
pub(crate) struct Envelope<'a> {
    suite: Suite,
    pub(crate) names: Names,
    bound: &'a [u8],
    salt: &'a [u8; 32],
    commitment: &'a [u8; COMMITMENT_BYTES],
    nonce: &'a [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_BYTES],
}

impl<'a> Envelope<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, OpenError> {
        Self::take_apart(bytes).ok_or(OpenError::Malformed)
    }

    fn take_apart(bytes: &'a [u8]) -> Option<Self> {
        let (bound, rest) = bytes.split_at_checked(BOUND_BYTES)?;
        let (&version, header) = bound.split_first()?;
        let (suite, header) = header.split_first_chunk::<2>()?;
        let (salt, header) = header.split_first_chunk::<32>()?;
        let (kek_id, header) = header.split_first_chunk::<16>()?;
        let (kek_version, header) = header.split_first_chunk::<4>()?;
        let (data_key_id, header) = header.split_first_chunk::<16>()?;
        let (&wrapped, header) = header.split_first_chunk::<2>()?;
        let commitment = header.try_into().ok()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
        if (version, wrapped) != (VERSION, NONE_WRAPPED) {
            return None;
        }
        let suite = Suite::of(*suite)?;
        let names = Names {
            kek_id: Uuid::from_bytes(*kek_id),
            kek_version: u32::from_be_bytes(*kek_version),
            data_key_id: Uuid::from_bytes(*data_key_id),
        };
        Some(Self { suite, names, bound, salt, commitment, nonce, ciphertext, tag })
    }
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
