//! The action catalogue of an organization.

use chancery_crypto::sha256;
use chancery_decide::ActionDefinition;
use chancery_evidence::Hex;
use chancery_model::{ActionName, Timestamp, ijson};
use chancery_store::{Change, Read, Scoped, StoreError, Write};
use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::{PolicyError, state};

/// An action in the catalogue, or one that was retired.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionRecord {
    /// What it is.
    pub definition: ActionDefinition,
    /// When it was first defined.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it left the catalogue.
    pub retired_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    definition: String,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    retired_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for ActionRecord {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            definition: state::definition(&row.definition)?,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            retired_at: row.retired_at.map(Into::into),
        })
    }
}

/// The organization's actions by name, those after `after`; retired ones too.
///
/// # Errors
/// When the store does not answer.
pub async fn list(
    scoped: &mut Scoped<Read>,
    after: Option<&ActionName>,
    limit: u16,
) -> Result<Vec<ActionRecord>, StoreError> {
    let org = scoped.org();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT definition, created_at, updated_at, retired_at FROM actions
         WHERE org_id = $1 AND name > $2 ORDER BY name LIMIT $3",
    )
    .bind(org.as_uuid())
    .bind(after.map_or("", ActionName::as_str))
    .bind(i64::from(limit))
    .fetch_all(scoped.connection())
    .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// One action, retired or not.
///
/// # Errors
/// When the store does not answer.
pub async fn read(scoped: &mut Scoped<Read>, name: &ActionName) -> Result<Option<ActionRecord>, StoreError> {
    let org = scoped.org();
    let row: Option<Row> = sqlx::query_as(
        "SELECT definition, created_at, updated_at, retired_at FROM actions WHERE org_id = $1 AND name = $2",
    )
    .bind(org.as_uuid())
    .bind(name.as_str())
    .fetch_optional(scoped.connection())
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// Every action in the catalogue, by name.
///
/// # Errors
/// When the store does not answer.
pub async fn in_catalogue<M>(scoped: &mut Scoped<M>) -> Result<Vec<ActionDefinition>, StoreError> {
    let org = scoped.org();
    state::definitions(scoped.connection(), org).await
}

/// Defines an action, or defines it anew; a retired one comes back.
///
/// # Errors
/// [`PolicyError::Catalogue`] when the definition breaks a rule, [`PolicyError::Breaks`] when a policy
/// in force does, [`PolicyError::Unchanged`] when it is defined like that already.
pub async fn put(
    scoped: &mut Scoped<Write>,
    definition: ActionDefinition,
    now: Timestamp,
) -> Result<(ActionRecord, Change), PolicyError> {
    let org = scoped.org();
    let connection = scoped.connection();
    let known = state::definitions(connection, org).await?;
    if known.contains(&definition) {
        return Err(PolicyError::Unchanged);
    }
    let sources = state::in_force(connection, org).await?;
    state::check(state::with(known, definition.clone()), sources).await?;
    let text = canonical(&definition)?;
    let created_at: OffsetDateTime = write(connection, org.as_uuid(), &definition.name, &text, now).await?;
    let payload = json!({
        "name": definition.name,
        "effect": definition.effect,
        "base_risk": definition.base_risk,
        "content_hash": Hex(content_hash(&text)),
    });
    let record =
        ActionRecord { definition, created_at: created_at.into(), updated_at: now, retired_at: None };
    Ok((record, state::nameless("action.defined", payload)))
}

/// Takes an action out of the catalogue: it is unknown from here on, and so refused.
///
/// # Errors
/// [`PolicyError::Missing`] when it is not in it, [`PolicyError::Breaks`] when a policy in force names
/// it.
pub async fn retire(
    scoped: &mut Scoped<Write>,
    name: &ActionName,
    now: Timestamp,
) -> Result<Change, PolicyError> {
    let org = scoped.org();
    let connection = scoped.connection();
    let known = state::definitions(connection, org).await?;
    if known.iter().all(|definition| definition.name != *name) {
        return Err(PolicyError::Missing("action"));
    }
    let sources = state::in_force(connection, org).await?;
    state::check(state::without(known, name), sources).await?;
    sqlx::query("UPDATE actions SET retired_at = $3, updated_at = $3 WHERE org_id = $1 AND name = $2")
        .bind(org.as_uuid())
        .bind(name.as_str())
        .bind(now.to_offset())
        .execute(connection)
        .await?;
    Ok(state::nameless("action.retired", json!({ "name": name })))
}

/// Writes a definition that was checked; gives when the action was first defined.
pub(crate) async fn write(
    connection: &mut PgConnection,
    org: uuid::Uuid,
    name: &ActionName,
    text: &str,
    now: Timestamp,
) -> Result<OffsetDateTime, StoreError> {
    Ok(sqlx::query_scalar(
        "INSERT INTO actions (org_id, name, definition, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (org_id, name)
         DO UPDATE SET definition = excluded.definition, updated_at = excluded.updated_at, retired_at = NULL
         RETURNING created_at",
    )
    .bind(org)
    .bind(name.as_str())
    .bind(text)
    .bind(now.to_offset())
    .fetch_one(connection)
    .await?)
}

pub(crate) fn canonical(definition: &ActionDefinition) -> Result<String, StoreError> {
    ijson::canonical(definition).map_err(|error| StoreError::corrupt("actions", error))
}

pub(crate) fn content_hash(text: &str) -> [u8; 32] {
    sha256(&[text.as_bytes()])
}
