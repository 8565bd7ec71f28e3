//! API keys: make, list, rotate, revoke.

use chancery_model::{
    Audience, DisplayName, Environment, KeyId, MemberId, Permission, Principal, Role, Timestamp,
};
use chancery_store::{Change, Epoch, Keyring, Scoped, StoreError, Write};
use secrecy::SecretString;
use serde_json::json;

use crate::format::{KeyPrefix, SecretHash, mint};
use crate::key_rows::lock;
pub use crate::key_rows::{list, read};
pub use crate::new_key::{Creator, MAX_AUDIENCES};
use crate::new_key::{texts, words};
use crate::{Note, scopes};

/// The longest time an old key works beside the new one, in seconds: seven days.
pub const MAX_OVERLAP_SECONDS: u32 = 7 * 24 * 3_600;

/// An API key, without its secret: nobody can read that again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id, readable in its text.
    pub id: KeyId,
    /// Who acts with it.
    pub holder: Principal,
    /// Its name.
    pub name: DisplayName,
    /// What it acts on.
    pub environment: Environment,
    /// What it may do at most, sorted.
    pub scopes: Vec<Permission>,
    /// The audiences whose tokens it may redeem, sorted; none means no tokens.
    pub audiences: Vec<Audience>,
    /// On whose rights it rests.
    pub created_by: MemberId,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// The key it took over from.
    pub rotated_from: Option<KeyId>,
    /// When another key took over from it.
    pub superseded_at: Option<Timestamp>,
    /// When and why it was revoked.
    pub revoked: Option<Revoked>,
    /// When it was last used, to within the time between two flushes.
    pub last_used_at: Option<Timestamp>,
    /// How often it was used.
    pub uses: u64,
}

/// That a key was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Note,
}

/// A key to make.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Who will act with it.
    pub holder: Principal,
    /// Its name.
    pub name: DisplayName,
    /// What it acts on.
    pub environment: Environment,
    /// What it may do at most.
    pub scopes: Vec<Permission>,
    /// The audiences whose tokens it may redeem.
    pub audiences: Vec<Audience>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// A key just made, with its secret.
#[derive(Debug)]
pub struct Issued {
    /// The key.
    pub key: ApiKey,
    /// Its text, to be shown once.
    pub text: SecretString,
}

/// Why a key was not made, rotated or revoked.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// A value is not sensible.
    #[error("{rule}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Its rule, for the caller.
        rule: &'static str,
    },
    /// The key could do more than who makes it.
    #[error("you do not have {}", scopes::named(scopes))]
    ScopeExceedsCreator {
        /// What is too much.
        scopes: Vec<Permission>,
    },
    /// The key could do more than its holder's role.
    #[error("the role `{role}` of the key's holder does not have {}", scopes::named(scopes))]
    ScopeExceedsHolder {
        /// The holder's role.
        role: Role,
        /// What is too much.
        scopes: Vec<Permission>,
    },
    /// A test key was to make a live one.
    #[error("a test key can't make or rotate a live key")]
    EnvironmentExceedsCreator,
    /// The holder is another member, as whom the caller may not act.
    #[error("the keys of another member need `members:manage`")]
    HolderIsAnother,
    /// The key was to redeem tokens of audiences that the caller's does not.
    #[error("your key is for other audiences, and hands on no more than it has")]
    AudienceExceedsCreator,
    /// The key was to live longer than the caller's.
    #[error("your key expires, and makes none that live longer")]
    OutlivesCreator,
    /// The holder is unknown, removed or retired.
    #[error("the holder of the key is not active")]
    HolderNotActive,
    /// The key was revoked, rotated, or has expired.
    #[error("the key was revoked, rotated, or has expired")]
    NotActive,
    /// The key was revoked before.
    #[error("the key is revoked")]
    Revoked,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ApiKeyError {
    /// The stable code of the API.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "validation_error",
            Self::ScopeExceedsCreator { .. }
            | Self::HolderIsAnother
            | Self::AudienceExceedsCreator
            | Self::OutlivesCreator => "scope_exceeds_creator",
            Self::ScopeExceedsHolder { .. } => "scope_exceeds_holder",
            Self::EnvironmentExceedsCreator => "environment_exceeds_creator",
            Self::HolderNotActive => "holder_not_active",
            Self::NotActive => "key_not_active",
            Self::Revoked => "key_revoked",
            Self::Store(_) => "internal",
        }
    }

    /// The field a caller has to correct.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Invalid { field, .. } => Some(field),
            Self::ScopeExceedsCreator { .. } | Self::ScopeExceedsHolder { .. } => Some("scopes"),
            Self::EnvironmentExceedsCreator => Some("environment"),
            Self::HolderNotActive | Self::HolderIsAnother => Some("holder"),
            Self::AudienceExceedsCreator => Some("audiences"),
            Self::OutlivesCreator => Some("expires_at"),
            Self::NotActive | Self::Revoked | Self::Store(_) => None,
        }
    }
}

/// Makes a key.
///
/// # Errors
/// See [`ApiKeyError`].
pub async fn create(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    prefix: &KeyPrefix,
    creator: &Creator<'_>,
    new: NewApiKey,
) -> Result<(Issued, Change), ApiKeyError> {
    let new = new.checked(keyring.clock().now())?;
    creator.require_rights(scoped, new.holder, new.environment, &new.scopes).await?;
    creator.require_bounds(&new.audiences, new.expires_at)?;
    let issued = issue(scoped, keyring, prefix, creator, new, None).await?;
    let change = changed("api_key.created", Epoch::Keep, &issued.key, described(&issued.key));
    Ok((issued, change))
}

async fn issue(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    prefix: &KeyPrefix,
    creator: &Creator<'_>,
    new: NewApiKey,
    rotated_from: Option<KeyId>,
) -> Result<Issued, StoreError> {
    let now = keyring.clock().now();
    let id = KeyId::new(now, keyring.random().bytes());
    let (text, hash) = mint(prefix, new.environment, id, &**keyring.random());
    let key = ApiKey {
        id,
        holder: new.holder,
        name: new.name,
        environment: new.environment,
        scopes: new.scopes,
        audiences: new.audiences,
        created_by: creator.member,
        created_at: now,
        expires_at: new.expires_at,
        rotated_from,
        superseded_at: None,
        revoked: None,
        last_used_at: None,
        uses: 0,
    };
    insert(scoped, &key, &hash, creator.key).await?;
    Ok(Issued { key, text })
}

fn changed(kind: &'static str, epoch: Epoch, key: &ApiKey, payload: serde_json::Value) -> Change {
    let mut change = Change::new(kind, epoch, ("api_key", key.id.to_string()), payload);
    change.refs.push((key.holder.kind(), key.holder.id().to_string()));
    change
}

fn described(key: &ApiKey) -> serde_json::Value {
    json!({
        "name": key.name,
        "environment": key.environment,
        "scopes": key.scopes,
        "audiences": key.audiences,
        "expires_at": key.expires_at,
    })
}

async fn insert(
    scoped: &mut Scoped<Write>,
    key: &ApiKey,
    hash: &SecretHash,
    made_with: Option<KeyId>,
) -> Result<(), StoreError> {
    let org = scoped.org();
    sqlx::query(
        "INSERT INTO api_keys (org_id, id, holder_kind, holder_id, name, environment, scopes, audiences,
             secret_hash, created_by, created_at, expires_at, rotated_from, made_behind)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, ARRAY(
             SELECT created_by FROM api_keys WHERE org_id = $1 AND id = $14
             UNION SELECT unnest(made_behind) FROM api_keys WHERE org_id = $1 AND id = $14))",
    )
    .bind(org.as_uuid())
    .bind(key.id.as_uuid())
    .bind(key.holder.kind())
    .bind(key.holder.id().as_uuid())
    .bind(key.name.as_str())
    .bind(key.environment.as_str())
    .bind(words(&key.scopes))
    .bind(texts(&key.audiences))
    .bind(hash.as_bytes().as_slice())
    .bind(key.created_by.as_uuid())
    .bind(key.created_at.to_offset())
    .bind(key.expires_at.map(Timestamp::to_offset))
    .bind(key.rotated_from.map(KeyId::as_uuid))
    .bind(made_with.map(KeyId::as_uuid))
    .execute(scoped.connection())
    .await?;
    Ok(())
}

/// Replaces a key: a new one with the same rights and the same span of life, within that of the caller's
/// key, while the old one works for `overlap_seconds` more. The caller needs all the rights it would have needed to make the key.
/// `None` when there is no such key.
///
/// # Errors
/// See [`ApiKeyError`].
pub async fn rotate(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    prefix: &KeyPrefix,
    creator: &Creator<'_>,
    (id, overlap_seconds): (KeyId, u32),
) -> Result<Option<(Issued, Change)>, ApiKeyError> {
    if overlap_seconds > MAX_OVERLAP_SECONDS {
        let rule = "keys overlap for at most 604800 seconds";
        return Err(ApiKeyError::Invalid { field: "overlap_seconds", rule });
    }
    let now = keyring.clock().now();
    let Some(old) = lock(scoped, id).await? else { return Ok(None) };
    let expired = old.expires_at.is_some_and(|at| at <= now);
    if expired || old.superseded_at.is_some() || old.revoked.is_some() {
        return Err(ApiKeyError::NotActive);
    }
    creator.require_rights(scoped, old.holder, old.environment, &old.scopes).await?;
    let ends_at = old.expires_at.unwrap_or(Timestamp::from_micros(i64::MAX));
    supersede(scoped, id, now, ends_at.min(now.plus_seconds(overlap_seconds.into()))).await?;
    let new = NewApiKey {
        holder: old.holder,
        name: old.name,
        environment: old.environment,
        scopes: old.scopes,
        audiences: old.audiences,
        expires_at: earlier(old.expires_at.map(|at| moved(at, old.created_at, now)), creator.expires_at),
    };
    creator.require_bounds(&new.audiences, new.expires_at)?;
    let issued = issue(scoped, keyring, prefix, creator, new, Some(id)).await?;
    let mut change = changed("api_key.rotated", Epoch::Bump, &issued.key, described(&issued.key));
    change.refs.push(("rotated_from", id.to_string()));
    Ok(Some((issued, change)))
}

/// `at`, moved by the time between `from` and `to`.
const fn moved(at: Timestamp, from: Timestamp, to: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros().saturating_add(to.as_micros().saturating_sub(from.as_micros())))
}

/// The earlier of two ends; none is the latest.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

async fn supersede(
    scoped: &mut Scoped<Write>,
    id: KeyId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let org = scoped.org();
    sqlx::query("UPDATE api_keys SET superseded_at = $3, expires_at = $4 WHERE org_id = $1 AND id = $2")
        .bind(org.as_uuid())
        .bind(id.as_uuid())
        .bind(now.to_offset())
        .bind(expires_at.to_offset())
        .execute(scoped.connection())
        .await?;
    Ok(())
}

/// Revokes a key, for good. `None` when there is no such key.
///
/// # Errors
/// See [`ApiKeyError`].
pub async fn revoke(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    by: &Creator<'_>,
    (id, reason): (KeyId, Note),
) -> Result<Option<(ApiKey, Change)>, ApiKeyError> {
    let Some(mut key) = lock(scoped, id).await? else { return Ok(None) };
    by.require_charge_of(key.holder)?;
    if key.revoked.is_some() {
        return Err(ApiKeyError::Revoked);
    }
    let now = keyring.clock().now();
    let org = scoped.org();
    sqlx::query("UPDATE api_keys SET revoked_at = $3, revoke_reason = $4 WHERE org_id = $1 AND id = $2")
        .bind(org.as_uuid())
        .bind(id.as_uuid())
        .bind(now.to_offset())
        .bind(reason.as_str())
        .execute(scoped.connection())
        .await
        .map_err(StoreError::from)?;
    let change = changed("api_key.revoked", Epoch::Bump, &key, json!({ "reason": reason }));
    key.revoked = Some(Revoked { at: now, reason });
    Ok(Some((key, change)))
}
