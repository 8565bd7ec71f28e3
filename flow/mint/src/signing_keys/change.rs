//! What changes the keys: each gives the entry that tells of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::{Algorithm, SigningKey};
use chancery_model::{SigningKeyId, Timestamp, ijson};
use chancery_store::{Change, Epoch, Scoped, StoreError, Write};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{
    COLUMNS, Forge, KeyState, Row, SigningKeyError, SigningKeyRecord, VERIFIES_SECONDS, context, kid,
};

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

/// Makes the organization's first key of an algorithm. It signs at once: there is none before it.
///
/// # Errors
/// [`SigningKeyError::Lost`] when it has one by now.
pub async fn create_first(
    scoped: &mut Scoped<Write>,
    forge: Forge<'_>,
    key: &SigningKey,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    insert(scoped, forge, key, Place { state: KeyState::Active, generation: 1, previous: None }).await
}

/// Publishes the key that will follow the active one of its algorithm.
///
/// # Errors
/// [`SigningKeyError::Missing`] when none is active, [`SigningKeyError::Lost`] when another rotation
/// came between or a next key waits already.
pub async fn publish_next(
    scoped: &mut Scoped<Write>,
    forge: Forge<'_>,
    key: &SigningKey,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    let newest = newest(scoped, key.public().algorithm()).await?;
    let place = Place { state: KeyState::Next, generation: newest.last + 1, previous: None };
    insert(scoped, forge, key, place).await
}

/// Puts a new key in the place of the active one of its algorithm at once, before any verifier can
/// know it: for an active key whose private half may be in other hands. A next key waits on.
///
/// # Errors
/// [`SigningKeyError::Missing`] when none is active, [`SigningKeyError::Lost`] when another rotation
/// came between.
pub async fn rotate(
    scoped: &mut Scoped<Write>,
    forge: Forge<'_>,
    key: &SigningKey,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    let algorithm = key.public().algorithm();
    let newest = newest(scoped, algorithm).await?;
    let previous = supersede(scoped, algorithm, newest.active, forge.keyring.clock().now()).await?;
    let place = Place { state: KeyState::Active, generation: newest.last + 1, previous: Some(previous) };
    insert(scoped, forge, key, place).await
}

/// Activates the next key of an algorithm.
///
/// # Errors
/// [`SigningKeyError::Missing`] when none waits, [`SigningKeyError::Waiting`] when it is too early,
/// [`SigningKeyError::Lost`] when another writer was first.
pub async fn activate_next(
    scoped: &mut Scoped<Write>,
    algorithm: Algorithm,
    now: Timestamp,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    let id: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM signing_keys WHERE org_id = $1 AND algorithm = $2 AND state = 'next'",
    )
    .bind(scoped.org().as_uuid())
    .bind(algorithm.as_str())
    .fetch_optional(scoped.connection())
    .await?;
    let id = id.ok_or(SigningKeyError::Missing)?;
    activate_waiting(scoped, SigningKeyId::from_uuid(id), now).await
}

/// Activates the next key of this id: it takes the place of the active one of its algorithm.
///
/// # Errors
/// See [`activate_next`].
pub async fn activate_waiting(
    scoped: &mut Scoped<Write>,
    id: SigningKeyId,
    now: Timestamp,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    let mut record = find(scoped, id).await?;
    let Some(until) = record.activates_at() else { return Err(SigningKeyError::Missing) };
    if now < until {
        return Err(SigningKeyError::Waiting { until });
    }
    let active = newest(scoped, record.algorithm).await?.active;
    let previous = supersede(scoped, record.algorithm, active, now).await?;
    let activated = sqlx::query(
        "UPDATE signing_keys SET state = 'active', activated_at = $3
         WHERE org_id = $1 AND id = $2 AND state = 'next'",
    )
    .bind(scoped.org().as_uuid())
    .bind(id.as_uuid())
    .bind(now.to_offset())
    .execute(scoped.connection())
    .await?;
    if activated.rows_affected() != 1 {
        return Err(SigningKeyError::Lost);
    }
    record.state = KeyState::Active;
    record.activated_at = Some(now);
    let payload = json!({"kid": record.kid, "algorithm": record.algorithm, "previous": previous});
    let change = Change::new("signing_key.activated", Epoch::Bump, ("signing_key", id.to_string()), payload);
    Ok((record, change))
}

/// The keys of an algorithm as a rotation finds them.
struct Newest {
    /// The active one's generation.
    active: i64,
    /// The highest generation.
    last: i64,
}

async fn newest(scoped: &mut Scoped<Write>, algorithm: Algorithm) -> Result<Newest, SigningKeyError> {
    let (active, last): (Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT max(generation) FILTER (WHERE state = 'active'), max(generation)
         FROM signing_keys WHERE org_id = $1 AND algorithm = $2",
    )
    .bind(scoped.org().as_uuid())
    .bind(algorithm.as_str())
    .fetch_one(scoped.connection())
    .await?;
    match (active, last) {
        (Some(active), Some(last)) => Ok(Newest { active, last }),
        _ => Err(SigningKeyError::Missing),
    }
}

/// Compare and swap: a rotation that was faster has left no active key of this generation. Gives the
/// `kid` of the key that is previous now.
async fn supersede(
    scoped: &mut Scoped<Write>,
    algorithm: Algorithm,
    generation: i64,
    now: Timestamp,
) -> Result<String, SigningKeyError> {
    let superseded: Option<String> = sqlx::query_scalar(
        "UPDATE signing_keys SET state = 'previous', superseded_at = $4
         WHERE org_id = $1 AND algorithm = $2 AND generation = $3 AND state = 'active' RETURNING kid",
    )
    .bind(scoped.org().as_uuid())
    .bind(algorithm.as_str())
    .bind(generation)
    .bind(now.to_offset())
    .fetch_optional(scoped.connection())
    .await?;
    superseded.ok_or(SigningKeyError::Lost)
}

/// Where a new key stands.
struct Place {
    state: KeyState,
    generation: i64,
    /// The `kid` of the key whose place it takes.
    previous: Option<String>,
}

async fn insert(
    scoped: &mut Scoped<Write>,
    forge: Forge<'_>,
    key: &SigningKey,
    place: Place,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    let org = scoped.org();
    let now = forge.keyring.clock().now();
    let random = &**forge.keyring.random();
    let id = SigningKeyId::new(now, random.bytes());
    let kid = kid(forge.slug, id);
    let algorithm = key.public().algorithm();
    let jwk = key.public().to_jwk(&kid);
    let row = id.to_string();
    let sealed = chancery_crypto::seal(forge.org_key, &context(org, &row), &key.to_pkcs8(), random);
    let public_jwk = ijson::canonical(&jwk).map_err(|error| StoreError::corrupt("signing_keys", error))?;
    let activated_at = (place.state == KeyState::Active).then_some(now);
    sqlx::query(
        "INSERT INTO signing_keys
             (org_id, id, kid, algorithm, state, generation, public_jwk, sealed, created_at, activated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .bind(&kid)
    .bind(algorithm.as_str())
    .bind(place.state.as_str())
    .bind(place.generation)
    .bind(public_jwk)
    .bind(sealed)
    .bind(now.to_offset())
    .bind(activated_at.map(Timestamp::to_offset))
    .execute(scoped.connection())
    .await?;
    let record = SigningKeyRecord {
        id,
        kid,
        algorithm,
        state: place.state,
        generation: place.generation,
        jwk,
        created_at: now,
        activated_at,
        superseded_at: None,
        retired_at: None,
    };
    // Bump: a process that knows no key, or the one before, decides again and finds this one.
    let payload = created(&record, key, place.previous);
    let change = Change::new("signing_key.created", Epoch::Bump, ("signing_key", row), payload);
    Ok((record, change))
}

/// What the entry of a new key says; evidence proves a key by it (`docs/evidence.md`).
fn created(record: &SigningKeyRecord, key: &SigningKey, previous: Option<String>) -> Value {
    let mut payload = json!({
        "kid": record.kid,
        "algorithm": record.algorithm,
        "thumbprint": BASE64URL.encode(key.public().thumbprint()),
        "jwk": record.jwk,
    });
    if let Some(members) = payload.as_object_mut() {
        members.extend(previous.map(|kid| ("previous".to_owned(), kid.into())));
        members.extend(record.activates_at().map(|at| ("activates_at".to_owned(), json!(at))));
    }
    payload
}

async fn find(scoped: &mut Scoped<Write>, id: SigningKeyId) -> Result<SigningKeyRecord, SigningKeyError> {
    let row: Option<Row> = sqlx::query_as(AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM signing_keys WHERE org_id = $1 AND id = $2 FOR UPDATE"
    )))
    .bind(scoped.org().as_uuid())
    .bind(id.as_uuid())
    .fetch_optional(scoped.connection())
    .await?;
    Ok(SigningKeyRecord::try_from(row.ok_or(SigningKeyError::Missing)?)?)
}

/// Retires a previous key and destroys its private half; also a next one that may be in other hands.
///
/// # Errors
/// See [`SigningKeyError`].
pub async fn retire(
    scoped: &mut Scoped<Write>,
    id: SigningKeyId,
    retirement: Retirement,
    now: Timestamp,
) -> Result<(SigningKeyRecord, Change), SigningKeyError> {
    let mut record = find(scoped, id).await?;
    match (record.state, record.superseded_at) {
        (KeyState::Previous, Some(superseded_at)) => {
            let until = superseded_at.plus_seconds(VERIFIES_SECONDS);
            if retirement == Retirement::Orderly && now < until {
                return Err(SigningKeyError::InUse { until });
            }
        }
        (KeyState::Next, _) if retirement == Retirement::Compromised => {}
        (state, _) => return Err(SigningKeyError::NotPrevious(state)),
    }
    sqlx::query(
        "UPDATE signing_keys SET state = 'retired', retired_at = $3,
             superseded_at = coalesce(superseded_at, $3), sealed = NULL
         WHERE org_id = $1 AND id = $2",
    )
    .bind(scoped.org().as_uuid())
    .bind(id.as_uuid())
    .bind(now.to_offset())
    .execute(scoped.connection())
    .await?;
    record.state = KeyState::Retired;
    record.superseded_at = record.superseded_at.or(Some(now));
    record.retired_at = Some(now);
    let payload =
        json!({"kid": record.kid, "algorithm": record.algorithm, "retirement": retirement.as_str()});
    let change = Change::new("signing_key.retired", Epoch::Bump, ("signing_key", id.to_string()), payload);
    Ok((record, change))
}
