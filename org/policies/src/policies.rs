//! Policies and their versions. A version never changes; which one is in force does, and going back
//! is putting an older one in force.

use chancery_crypto::{Random, sha256};
use chancery_decide::PolicySource;
use chancery_evidence::Hex;
use chancery_model::{DisplayName, PolicyId, PrincipalId, Timestamp};
use chancery_store::{Change, Epoch, Read, Scoped, StoreError, Write};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{PolicyError, state};

/// Who writes, and when.
#[derive(Clone, Copy)]
pub struct Authorship<'a> {
    /// The member or agent.
    pub by: PrincipalId,
    /// The moment.
    pub at: Timestamp,
    /// For a new policy's id.
    pub random: &'a dyn Random,
}

/// A policy, over all its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRecord {
    /// Its id.
    pub id: PolicyId,
    /// Its name, unique in the organization.
    pub name: DisplayName,
    /// The version in force.
    pub active_version: Option<u32>,
    /// The newest version.
    pub latest_version: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One version of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRecord {
    /// Its number, from 1.
    pub version: u32,
    /// The SHA-256 of its text.
    pub content_hash: [u8; 32],
    /// Who wrote it.
    pub created_by: PrincipalId,
    /// When.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct PolicyRow {
    id: Uuid,
    name: String,
    active_version: Option<i32>,
    latest_version: i32,
    created_at: OffsetDateTime,
}

impl TryFrom<PolicyRow> for PolicyRecord {
    type Error = StoreError;
    fn try_from(row: PolicyRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: PolicyId::from_uuid(row.id),
            name: row.name.parse().map_err(|error| StoreError::corrupt("policies", error))?,
            active_version: row.active_version.map(version).transpose()?,
            latest_version: version(row.latest_version)?,
            created_at: row.created_at.into(),
        })
    }
}

#[derive(sqlx::FromRow)]
struct VersionRow {
    version: i32,
    content_hash: Vec<u8>,
    created_by: Uuid,
    created_at: OffsetDateTime,
}

impl TryFrom<VersionRow> for VersionRecord {
    type Error = StoreError;
    fn try_from(row: VersionRow) -> Result<Self, StoreError> {
        Ok(Self {
            version: version(row.version)?,
            content_hash: hash(row.content_hash)?,
            created_by: PrincipalId::from_uuid(row.created_by),
            created_at: row.created_at.into(),
        })
    }
}

fn version(stored: i32) -> Result<u32, StoreError> {
    u32::try_from(stored).map_err(|error| StoreError::corrupt("policies", error))
}

fn hash(stored: Vec<u8>) -> Result<[u8; 32], StoreError> {
    stored.try_into().map_err(|_| StoreError::corrupt("policy_versions", "a content hash is 32 bytes"))
}

/// The organization's policies, newest first, those made before `before`.
///
/// # Errors
/// When the store does not answer.
pub async fn list(
    scoped: &mut Scoped<Read>,
    before: Option<PolicyId>,
    limit: u16,
) -> Result<Vec<PolicyRecord>, StoreError> {
    let org = scoped.org();
    let rows: Vec<PolicyRow> = sqlx::query_as(
        "SELECT p.id, p.name, p.active_version, p.created_at,
                (SELECT max(v.version) FROM policy_versions v
                 WHERE v.org_id = p.org_id AND v.policy_id = p.id) AS latest_version
         FROM policies p WHERE p.org_id = $1 AND ($2::uuid IS NULL OR p.id < $2)
         ORDER BY p.id DESC LIMIT $3",
    )
    .bind(org.as_uuid())
    .bind(before.map(PolicyId::as_uuid))
    .bind(i64::from(limit))
    .fetch_all(scoped.connection())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// One policy with its newest 100 versions, newest first.
///
/// # Errors
/// When the store does not answer.
pub async fn read(
    scoped: &mut Scoped<Read>,
    id: PolicyId,
) -> Result<Option<(PolicyRecord, Vec<VersionRecord>)>, StoreError> {
    let Some(policy) = find(scoped, id).await? else { return Ok(None) };
    let org = scoped.org();
    let rows: Vec<VersionRow> = sqlx::query_as(
        "SELECT version, content_hash, created_by, created_at FROM policy_versions
         WHERE org_id = $1 AND policy_id = $2 ORDER BY version DESC LIMIT 100",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .fetch_all(scoped.connection())
    .await?;
    let versions = rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
    Ok(Some((policy, versions)))
}

/// The text of one version.
///
/// # Errors
/// When the store does not answer.
pub async fn text<M>(
    scoped: &mut Scoped<M>,
    id: PolicyId,
    version: u32,
) -> Result<Option<String>, StoreError> {
    let org = scoped.org();
    Ok(sqlx::query_scalar(
        "SELECT text FROM policy_versions WHERE org_id = $1 AND policy_id = $2 AND version = $3",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .bind(i64::from(version))
    .fetch_optional(scoped.connection())
    .await?)
}

/// Makes a policy with its first version, which is not in force yet.
///
/// # Errors
/// [`PolicyError::Problems`] with lines and columns, [`PolicyError::NameTaken`].
pub async fn create(
    scoped: &mut Scoped<Write>,
    name: DisplayName,
    text: &str,
    author: Authorship<'_>,
) -> Result<(PolicyRecord, Change), PolicyError> {
    let org = scoped.org();
    let definitions = state::definitions(scoped.connection(), org).await?;
    state::check_text(definitions, text.to_owned()).await?;
    let policy = insert(scoped, name, text, None, author).await?;
    let change = change("policy.created", &policy, json!({"version": 1, "content_hash": hex_hash(text)}));
    Ok((policy, change))
}

/// Adds a version, which is not in force yet.
///
/// # Errors
/// [`PolicyError::Problems`] with lines and columns, [`PolicyError::Unchanged`] when the newest version
/// has this text, [`PolicyError::Missing`].
pub async fn new_version(
    scoped: &mut Scoped<Write>,
    id: PolicyId,
    text: &str,
    author: Authorship<'_>,
) -> Result<(PolicyRecord, Change), PolicyError> {
    let org = scoped.org();
    let mut policy = lock(scoped, id).await?;
    if self::text(scoped, id, policy.latest_version).await?.as_deref() == Some(text) {
        return Err(PolicyError::Unchanged);
    }
    let definitions = state::definitions(scoped.connection(), org).await?;
    state::check_text(definitions, text.to_owned()).await?;
    policy.latest_version += 1;
    insert_version(scoped, id, policy.latest_version, text, author).await?;
    let facts = json!({"version": policy.latest_version, "content_hash": hex_hash(text)});
    let change = change("policy.version_added", &policy, facts);
    Ok((policy, change))
}

/// Puts a version in force, in the place of the one that is.
///
/// # Errors
/// [`PolicyError::Problems`] when it does not hold against today's catalogue,
/// [`PolicyError::Compile`] when it can't be in force beside the others, [`PolicyError::Unchanged`]
/// when it is in force, [`PolicyError::Missing`].
pub async fn activate(
    scoped: &mut Scoped<Write>,
    id: PolicyId,
    version: u32,
) -> Result<(PolicyRecord, Change), PolicyError> {
    let org = scoped.org();
    let mut policy = lock(scoped, id).await?;
    if policy.active_version == Some(version) {
        return Err(PolicyError::Unchanged);
    }
    let text = text(scoped, id, version).await?.ok_or(PolicyError::Missing("policy version"))?;
    let content_hash = hex_hash(&text);
    let mut sources = state::in_force(scoped.connection(), org).await?;
    sources.retain(|source| source.id != id.to_string());
    let name = policy.name.to_string();
    sources.push(PolicySource { id: id.to_string(), version, name, text: text.into() });
    let definitions = state::definitions(scoped.connection(), org).await?;
    state::check(definitions, sources).await.map_err(state::own_problems(policy.name.as_str()))?;
    set_active(scoped, id, Some(version)).await?;
    let previous = policy.active_version.replace(version);
    let facts = json!({"version": version, "previous": previous, "content_hash": content_hash});
    let change = change("policy.activated", &policy, facts);
    Ok((policy, change))
}

/// Takes a policy out of force; its versions stay.
///
/// # Errors
/// [`PolicyError::Unchanged`] when none of its versions is in force, [`PolicyError::Missing`].
pub async fn withdraw(
    scoped: &mut Scoped<Write>,
    id: PolicyId,
) -> Result<(PolicyRecord, Change), PolicyError> {
    let mut policy = lock(scoped, id).await?;
    let version = policy.active_version.take().ok_or(PolicyError::Unchanged)?;
    set_active(scoped, id, None).await?;
    let text = text(scoped, id, version).await?.ok_or(PolicyError::Missing("policy version"))?;
    let facts = json!({"version": version, "content_hash": hex_hash(&text)});
    let change = change("policy.withdrawn", &policy, facts);
    Ok((policy, change))
}

pub(crate) async fn insert(
    scoped: &mut Scoped<Write>,
    name: DisplayName,
    text: &str,
    active_version: Option<u32>,
    author: Authorship<'_>,
) -> Result<PolicyRecord, PolicyError> {
    let org = scoped.org();
    let id = PolicyId::new(author.at, author.random.bytes());
    sqlx::query(
        "INSERT INTO policies (org_id, id, name, active_version, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .bind(name.as_str())
    .bind(active_version.map(i64::from))
    .bind(author.at.to_offset())
    .execute(scoped.connection())
    .await?;
    insert_version(scoped, id, 1, text, author).await?;
    Ok(PolicyRecord { id, name, active_version, latest_version: 1, created_at: author.at })
}

pub(crate) async fn insert_version(
    scoped: &mut Scoped<Write>,
    id: PolicyId,
    version: u32,
    text: &str,
    author: Authorship<'_>,
) -> Result<(), StoreError> {
    let org = scoped.org();
    sqlx::query(
        "INSERT INTO policy_versions (org_id, policy_id, version, text, content_hash, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .bind(i64::from(version))
    .bind(text)
    .bind(sha256(&[text.as_bytes()]).as_slice())
    .bind(author.by.as_uuid())
    .bind(author.at.to_offset())
    .execute(scoped.connection())
    .await?;
    Ok(())
}

pub(crate) async fn set_active(
    scoped: &mut Scoped<Write>,
    id: PolicyId,
    version: Option<u32>,
) -> Result<(), StoreError> {
    let org = scoped.org();
    sqlx::query("UPDATE policies SET active_version = $3 WHERE org_id = $1 AND id = $2")
        .bind(org.as_uuid())
        .bind(id.as_uuid())
        .bind(version.map(i64::from))
        .execute(scoped.connection())
        .await?;
    Ok(())
}

async fn find<M>(scoped: &mut Scoped<M>, id: PolicyId) -> Result<Option<PolicyRecord>, StoreError> {
    let org = scoped.org();
    let row: Option<PolicyRow> = sqlx::query_as(
        "SELECT p.id, p.name, p.active_version, p.created_at,
                (SELECT max(v.version) FROM policy_versions v
                 WHERE v.org_id = p.org_id AND v.policy_id = p.id) AS latest_version
         FROM policies p WHERE p.org_id = $1 AND p.id = $2",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .fetch_optional(scoped.connection())
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// The policy, locked first: the number of its newest version is read after earlier writers are done.
async fn lock(scoped: &mut Scoped<Write>, id: PolicyId) -> Result<PolicyRecord, PolicyError> {
    let org = scoped.org();
    sqlx::query("SELECT FROM policies WHERE org_id = $1 AND id = $2 FOR UPDATE")
        .bind(org.as_uuid())
        .bind(id.as_uuid())
        .execute(scoped.connection())
        .await?;
    find(scoped, id).await?.ok_or(PolicyError::Missing("policy"))
}

/// The SHA-256 of a text, as the record writes it.
pub(crate) fn hex_hash(text: &str) -> Hex<32> {
    Hex(sha256(&[text.as_bytes()]))
}

fn change(kind: &'static str, policy: &PolicyRecord, facts: Value) -> Change {
    let mut payload = json!({"id": policy.id, "name": policy.name});
    if let (Value::Object(payload), Value::Object(facts)) = (&mut payload, facts) {
        payload.extend(facts);
    }
    Change::new(kind, Epoch::Bump, ("policy", policy.id.to_string()), payload)
}
