//! The signing keys of an organization: made, rotated, retired, published.
//!
//! One key of each algorithm is *active* and signs. Rotation makes it *previous*: it verifies what it
//! signed and signs no more. *Retired* keys verify nothing and have no private half left.
//!
//! A key is published before it signs: it signs only once its row is committed, and the key set
//! ([`jwks`]) is read from the rows for each request. A verifier that cached an older set sees an
//! unknown `kid` and fetches again (RFC 7517 §4.5; our clients do, once, with a cooldown), so no
//! waiting time between publishing and signing is needed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::{Algorithm, Context, DataKey, PublicKey, SigningKey};
use chancery_model::{OrgId, SigningKeyId, Slug, Timestamp, ijson};
use chancery_store::{Change, Epoch, Keyring, Read, Scoped, StoreError, Write};
use serde_json::{Value, json};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Lifetime;
use crate::verify::CLOCK_SKEW_SECONDS;

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
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
    pub activated_at: Timestamp,
    /// When another took its place.
    pub superseded_at: Option<Timestamp>,
    /// When it stopped verifying.
    pub retired_at: Option<Timestamp>,
}

/// Why a key can't be made, rotated or retired.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// Another writer was first: begin the whole mutation again, it will find that one's key.
    #[error("another key became active at the same time")]
    Lost,
    /// There is no key to rotate or retire.
    #[error("no such signing key")]
    Missing,
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

/// Why a key is retired, and so whether its tokens may finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// In good time: refused while a token that it signed may still be good.
    Orderly,
    /// Its private half may be in other hands: everything it signed stops verifying now.
    Compromised,
}

impl Retirement {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Orderly => "orderly",
            Self::Compromised => "compromised",
        }
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

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    kid: String,
    algorithm: String,
    state: String,
    generation: i64,
    public_jwk: String,
    created_at: OffsetDateTime,
    activated_at: OffsetDateTime,
    superseded_at: Option<OffsetDateTime>,
    retired_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for SigningKeyRecord {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |reason| StoreError::corrupt("signing_keys", reason);
        let state = match row.state.as_str() {
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
            activated_at: row.activated_at.into(),
            superseded_at: row.superseded_at.map(Into::into),
            retired_at: row.retired_at.map(Into::into),
        })
    }
}

/// Makes the organization's first key of an algorithm.
///
/// # Errors
/// [`SigningKeyError::Lost`] when it has one by now.
pub async fn create_first(
    scoped: &mut Scoped<Write>,
    forge: Forge<'_>,
    key: &SigningKey,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    insert(scoped, forge, key, None).await
}

/// Puts a new key in the place of the active one of its algorithm, which becomes previous.
///
/// # Errors
/// [`SigningKeyError::Missing`] when none is active, [`SigningKeyError::Lost`] when another rotation
/// came between.
pub async fn rotate(
    scoped: &mut Scoped<Write>,
    forge: Forge<'_>,
    key: &SigningKey,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    let org = scoped.org();
    let algorithm = key.public().algorithm();
    let active: Option<(String, i64)> = sqlx::query_as(
        "SELECT kid, generation FROM signing_keys WHERE org_id = $1 AND algorithm = $2 AND state = 'active'",
    )
    .bind(org.as_uuid())
    .bind(algorithm.as_str())
    .fetch_optional(scoped.connection())
    .await?;
    let (kid, generation) = active.ok_or(SigningKeyError::Missing)?;
    // Compare and swap: a rotation that was faster has left no active key of this generation.
    let superseded = sqlx::query(
        "UPDATE signing_keys SET state = 'previous', superseded_at = $4
         WHERE org_id = $1 AND algorithm = $2 AND generation = $3 AND state = 'active'",
    )
    .bind(org.as_uuid())
    .bind(algorithm.as_str())
    .bind(generation)
    .bind(forge.keyring.clock().now().to_offset())
    .execute(scoped.connection())
    .await?;
    if superseded.rows_affected() != 1 {
        return Err(SigningKeyError::Lost);
    }
    insert(scoped, forge, key, Some((kid, generation))).await
}

async fn insert(
    scoped: &mut Scoped<Write>,
    forge: Forge<'_>,
    key: &SigningKey,
    previous: Option<(String, i64)>,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    let org = scoped.org();
    let now = forge.keyring.clock().now();
    let random = &**forge.keyring.random();
    let id = SigningKeyId::new(now, random.bytes());
    let kid = kid(forge.slug, id);
    let algorithm = key.public().algorithm();
    let jwk = key.public().to_jwk(&kid);
    let generation = previous.as_ref().map_or(1, |(_, generation)| generation + 1);
    let row = id.to_string();
    let sealed = chancery_crypto::seal(forge.org_key, &context(org, &row), &key.to_pkcs8(), random);
    let public_jwk = ijson::canonical(&jwk).map_err(|error| StoreError::corrupt("signing_keys", error))?;
    sqlx::query(
        "INSERT INTO signing_keys
             (org_id, id, kid, algorithm, state, generation, public_jwk, sealed, created_at, activated_at)
         VALUES ($1, $2, $3, $4, 'active', $5, $6, $7, $8, $8)",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .bind(&kid)
    .bind(algorithm.as_str())
    .bind(generation)
    .bind(public_jwk)
    .bind(sealed)
    .bind(now.to_offset())
    .execute(scoped.connection())
    .await?;
    let mut payload = json!({
        "kid": kid,
        "algorithm": algorithm,
        "thumbprint": BASE64URL.encode(key.public().thumbprint()),
        "jwk": jwk,
    });
    if let (Some((superseded, _)), Some(members)) = (previous, payload.as_object_mut()) {
        members.insert("previous".to_owned(), superseded.into());
    }
    // Bump: a process that knows no key, or the one before, decides again and finds this one.
    let change = Change::new("signing_key.created", Epoch::Bump, ("signing_key", row), payload);
    let record = SigningKeyRecord {
        id,
        kid,
        algorithm,
        state: KeyState::Active,
        generation,
        jwk,
        created_at: now,
        activated_at: now,
        superseded_at: None,
        retired_at: None,
    };
    Ok((record, change))
}

/// Retires a previous key and destroys its private half.
///
/// # Errors
/// See [`SigningKeyError`].
pub async fn retire(
    scoped: &mut Scoped<Write>,
    id: SigningKeyId,
    retirement: Retirement,
    now: Timestamp,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    let org = scoped.org();
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, kid, algorithm, state, generation, public_jwk, created_at, activated_at, superseded_at,
                retired_at
         FROM signing_keys WHERE org_id = $1 AND id = $2 FOR UPDATE",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .fetch_optional(scoped.connection())
    .await?;
    let mut record = SigningKeyRecord::try_from(row.ok_or(SigningKeyError::Missing)?)?;
    let (KeyState::Previous, Some(superseded_at)) = (record.state, record.superseded_at) else {
        return Err(SigningKeyError::NotPrevious(record.state));
    };
    let until = superseded_at.plus_seconds(Lifetime::LONGEST.as_seconds() + CLOCK_SKEW_SECONDS);
    if retirement == Retirement::Orderly && now < until {
        return Err(SigningKeyError::InUse { until });
    }
    sqlx::query(
        "UPDATE signing_keys SET state = 'retired', retired_at = $3, sealed = NULL WHERE org_id = $1 AND id = $2",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .bind(now.to_offset())
    .execute(scoped.connection())
    .await?;
    record.state = KeyState::Retired;
    record.retired_at = Some(now);
    let payload =
        json!({"kid": record.kid, "algorithm": record.algorithm, "retirement": retirement.as_str()});
    let change = Change::new("signing_key.retired", Epoch::Bump, ("signing_key", id.to_string()), payload);
    Ok((record, change))
}

/// Every key of the organization, newest first. There are few: one a rotation.
///
/// # Errors
/// When the store does not answer.
pub async fn list(scoped: &mut Scoped<Read>) -> Result<Vec<SigningKeyRecord>, StoreError> {
    let org = scoped.org();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, kid, algorithm, state, generation, public_jwk, created_at, activated_at, superseded_at,
                retired_at
         FROM signing_keys WHERE org_id = $1 ORDER BY id DESC LIMIT 1000",
    )
    .bind(org.as_uuid())
    .fetch_all(scoped.connection())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The key set that the organization publishes (RFC 7517 §5): its active and previous keys.
///
/// # Errors
/// When the store does not answer.
pub async fn jwks(scoped: &mut Scoped<Read>) -> Result<Value, StoreError> {
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT public_jwk FROM signing_keys WHERE org_id = $1 AND state <> 'retired' ORDER BY id DESC",
    )
    .bind(scoped.org().as_uuid())
    .fetch_all(scoped.connection())
    .await?;
    let keys: Vec<Value> = rows
        .iter()
        .map(|jwk| serde_json::from_str(jwk).map_err(|error| StoreError::corrupt("signing_keys", error)))
        .collect::<Result<_, _>>()?;
    Ok(json!({ "keys": keys }))
}

/// The keys that verify, by their `kid`.
pub(crate) async fn verifying(
    connection: &mut PgConnection,
    org: OrgId,
) -> Result<Vec<(String, PublicKey)>, StoreError> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT kid, algorithm, public_jwk FROM signing_keys WHERE org_id = $1 AND state <> 'retired'",
    )
    .bind(org.as_uuid())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|(kid, algorithm, jwk)| Ok((kid, public_key(&algorithm, &jwk)?))).collect()
}

/// The public key of a row; its algorithm is the row's or the row is corrupt.
pub(crate) fn public_key(algorithm: &str, jwk: &str) -> Result<PublicKey, StoreError> {
    let jwk: Value = serde_json::from_str(jwk).map_err(|error| StoreError::corrupt("signing_keys", error))?;
    let key = PublicKey::from_jwk(&jwk).map_err(|error| StoreError::corrupt("signing_keys", error))?;
    if key.algorithm().as_str() != algorithm {
        return Err(StoreError::corrupt("signing_keys", "the public key is not of the row's algorithm"));
    }
    Ok(key)
}

/// Where a private key lives; see [`Context`].
pub(crate) const fn context(org: OrgId, row: &str) -> Context<'_> {
    Context { org: Some(org), table: "signing_keys", column: "sealed", row, purpose: "sign" }
}

/// The organization's slug and the random end of the id: unique, and a person sees whose it is.
fn kid(slug: &Slug, id: SigningKeyId) -> String {
    let id = id.as_uuid().simple().to_string();
    let (_, end) = id.split_at(20);
    format!("{slug}.{end}")
}
