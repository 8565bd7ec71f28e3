//! The signing keys of an organization: made, published, rotated, retired.
//!
//! One key of each algorithm is *active* and signs. The one that will follow it is *next*: it is
//! published and signs nothing yet. Rotation makes it active and the one before *previous*: that
//! verifies what it signed and signs no more. *Retired* keys verify nothing and have no private half
//! left.
//!
//! Verifiers may keep a key set for [`KEY_SET_SECONDS`], so the next key is published for at least
//! [`PUBLISHED_SECONDS`] before it signs. Two keys sign at once: an organization's first of an
//! algorithm, before which there is nothing to go on with, and one that replaces a key that may be in
//! other hands. A verifier that meets an unknown `kid` fetches the set again (RFC 7517 §4.5).

mod change;
mod due;
mod vouched;

use chancery_crypto::{Algorithm, Context, DataKey};
use chancery_model::{OrgId, SigningKeyId, Slug, Timestamp};
use chancery_store::{Keyring, Read, Scoped, StoreError};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Lifetime;
use crate::verify::CLOCK_SKEW_SECONDS;

pub use change::{Retirement, activate_next, activate_waiting, create_first, publish_next, retire, rotate};
pub use due::{Due, due};
pub(crate) use vouched::{Row as SealedRow, Vouched, open, published};

/// How long a verifier may keep a key set, in seconds: what the set is served with.
pub const KEY_SET_SECONDS: i64 = 60;
/// How long a change may take from reading the clock to being committed, in seconds, with room to
/// spare: what others see of it they see later than its time says.
const SETTLING_SECONDS: i64 = 60;
/// How long a key is published before it signs, in seconds: until no verifier that follows the rules
/// has a set without it.
pub const PUBLISHED_SECONDS: i64 = KEY_SET_SECONDS + SETTLING_SECONDS;
/// How long a key verifies after another took its place, in seconds: until no token that it signed
/// can be good.
pub const VERIFIES_SECONDS: i64 = Lifetime::LONGEST.as_seconds() + SETTLING_SECONDS + CLOCK_SKEW_SECONDS;

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Published; will sign.
    Next,
    /// Signs and verifies.
    Active,
    /// Verifies.
    Previous,
    /// Does neither.
    Retired,
}

impl KeyState {
    /// The word in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Previous => "previous",
            Self::Retired => "retired",
        }
    }
}

/// A signing key without its private half.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningKeyRecord {
    /// Its id.
    pub id: SigningKeyId,
    /// The name tokens and the key set use: the organization's slug and a part of the id.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Where it stands.
    pub state: KeyState,
    /// The how manieth of its algorithm, from 1.
    pub generation: i64,
    /// The public key (RFC 7517), with its `kid`.
    pub jwk: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When another took its place.
    pub superseded_at: Option<Timestamp>,
    /// When it stopped verifying.
    pub retired_at: Option<Timestamp>,
}

impl SigningKeyRecord {
    /// From when on a next key may sign; `None` for any other.
    #[must_use]
    pub fn activates_at(&self) -> Option<Timestamp> {
        (self.state == KeyState::Next).then(|| self.created_at.plus_seconds(PUBLISHED_SECONDS))
    }
}

/// Why a key can't be made, rotated or retired.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// Another writer was first: begin the whole mutation again, it will find that one's key.
    #[error("another key became active at the same time")]
    Lost,
    /// There is no key to rotate, activate or retire.
    #[error("no such signing key")]
    Missing,
    /// The next key is published, and not for long enough to sign.
    #[error("the next key is published and signs from {until} on")]
    Waiting {
        /// From when on it can be activated.
        until: Timestamp,
    },
    /// Only a previous key is retired.
    #[error("the key is {}, not previous", .0.as_str())]
    NotPrevious(KeyState),
    /// Tokens that the key signed may still be good.
    #[error("tokens signed by the key may be good until {until}")]
    InUse {
        /// From when on it can be retired.
        until: Timestamp,
    },
    /// The store did not do it.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for SigningKeyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken { constraint } if constraint.starts_with("signing_keys_") => Self::Lost,
            other => Self::Store(other),
        }
    }
}

impl From<sqlx::Error> for SigningKeyError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

/// What making a key needs besides the key: whose it is, and what seals it.
#[derive(Clone, Copy, Debug)]
pub struct Forge<'a> {
    /// The organization's short name, for the `kid`.
    pub slug: &'a Slug,
    /// The organization's key. Fetched before the transaction: a transaction that waits for a
    /// second connection can starve the pool.
    pub org_key: &'a DataKey,
    /// Gives time and randomness.
    pub keyring: &'a Keyring,
}

const COLUMNS: &str = "id, kid, algorithm, state, generation, public_jwk, created_at, activated_at, \
                       superseded_at, retired_at";

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    kid: String,
    algorithm: String,
    state: String,
    generation: i64,
    public_jwk: String,
    created_at: OffsetDateTime,
    activated_at: Option<OffsetDateTime>,
    superseded_at: Option<OffsetDateTime>,
    retired_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for SigningKeyRecord {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |reason| StoreError::corrupt("signing_keys", reason);
        let state = match row.state.as_str() {
            "next" => KeyState::Next,
            "active" => KeyState::Active,
            "previous" => KeyState::Previous,
            "retired" => KeyState::Retired,
            _ => return Err(corrupt("unknown state")),
        };
        Ok(Self {
            id: SigningKeyId::from_uuid(row.id),
            kid: row.kid,
            algorithm: row.algorithm.parse().map_err(|_| corrupt("unknown algorithm"))?,
            state,
            generation: row.generation,
            jwk: serde_json::from_str(&row.public_jwk).map_err(|_| corrupt("the public key is not JSON"))?,
            created_at: row.created_at.into(),
            activated_at: row.activated_at.map(Into::into),
            superseded_at: row.superseded_at.map(Into::into),
            retired_at: row.retired_at.map(Into::into),
        })
    }
}

/// Every key of the organization, newest first. There are few: one a rotation.
///
/// # Errors
/// When the store does not answer.
pub async fn list(scoped: &mut Scoped<Read>) -> Result<Vec<SigningKeyRecord>, StoreError> {
    let org = scoped.org();
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM signing_keys WHERE org_id = $1 ORDER BY id DESC LIMIT 1000"
    )))
    .bind(org.as_uuid())
    .fetch_all(scoped.connection())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Where a private key lives; see [`Context`].
const fn context(org: OrgId, row: &str) -> Context<'_> {
    Context { org: Some(org), table: "signing_keys", column: "sealed", row, purpose: "sign" }
}

/// The organization's slug and the random end of the id: unique, and a person sees whose it is.
fn kid(slug: &Slug, id: SigningKeyId) -> String {
    format!("{slug}.{}", end_of(id))
}

/// The part of a key's id that its name ends in.
fn end_of(id: SigningKeyId) -> String {
    let id = id.as_uuid().simple().to_string();
    id.split_at(20).1.to_owned()
}
