//! The connectors of an organization.

use chancery_crypto::sha256;
use chancery_evidence::Hex;
use chancery_model::{Audience, ConnectorId, PrincipalId, Timestamp};
use chancery_policies::actions;
use chancery_store::{Change, Epoch, Keyring, Scoped, StoreError, Write};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{ConnectorError, Definition, credential};

/// A system that can be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Connector {
    /// Its id.
    pub id: ConnectorId,
    /// What intents and tokens call it. Unique among those that are not retired.
    pub name: Audience,
    /// Where it is, and how each action becomes a call.
    pub definition: Definition,
    /// Who made it.
    pub created_by: PrincipalId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Since when nothing may be done with it, and why.
    pub paused: Option<Pause>,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
}

/// A connector at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub at: Timestamp,
    /// Why, as whoever paused it said.
    pub reason: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    definition: String,
    created_by: Uuid,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    paused_at: Option<OffsetDateTime>,
    pause_reason: Option<String>,
    retired_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Connector {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let paused = row.paused_at.zip(row.pause_reason);
        Ok(Self {
            id: ConnectorId::from_uuid(row.id),
            name: row.name.parse().map_err(|error| StoreError::corrupt("connectors", error))?,
            definition: stored(&row.definition)?,
            created_by: PrincipalId::from_uuid(row.created_by),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            paused: paused.map(|(at, reason)| Pause { at: at.into(), reason }),
            retired_at: row.retired_at.map(Into::into),
        })
    }
}

/// Reads a definition that was checked when it was written.
pub(crate) fn stored(text: &str) -> Result<Definition, StoreError> {
    let corrupt = |reason: &dyn std::fmt::Display| StoreError::corrupt("connectors", reason);
    let value: Value = serde_json::from_str(text).map_err(|_| corrupt(&"the definition is not JSON"))?;
    Definition::parse(&value).map_err(|error| corrupt(&error.pointer))
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, definition, created_by, created_at, updated_at, paused_at, pause_reason,
                 retired_at FROM connectors WHERE org_id = $1 AND ",
            $rest
        )
    };
}

/// Connectors, newest first, those after `after`; retired ones too.
///
/// # Errors
/// When the store does not answer.
pub async fn list<M>(
    scoped: &mut Scoped<M>,
    after: Option<ConnectorId>,
    limit: u16,
) -> Result<Vec<Connector>, StoreError> {
    let org = scoped.org();
    let rows: Vec<Row> = sqlx::query_as(select!("id < $2 ORDER BY id DESC LIMIT $3"))
        .bind(org.as_uuid())
        .bind(after.map_or(Uuid::max(), ConnectorId::as_uuid))
        .bind(i64::from(limit))
        .fetch_all(scoped.connection())
        .await?;
    rows.into_iter().map(Connector::try_from).collect()
}

/// Connectors that are paused and not retired, by name.
///
/// # Errors
/// When the store does not answer.
pub async fn paused<M>(scoped: &mut Scoped<M>) -> Result<Vec<Connector>, StoreError> {
    let org = scoped.org();
    let rows: Vec<Row> =
        sqlx::query_as(select!("paused_at IS NOT NULL AND retired_at IS NULL ORDER BY name LIMIT 1000"))
            .bind(org.as_uuid())
            .fetch_all(scoped.connection())
            .await?;
    rows.into_iter().map(Connector::try_from).collect()
}

/// The connector with this id; a retired one too.
///
/// # Errors
/// When the store does not answer.
pub async fn read<M>(scoped: &mut Scoped<M>, id: ConnectorId) -> Result<Option<Connector>, StoreError> {
    one(scoped, id, select!("id = $2")).await
}

async fn one<M>(
    scoped: &mut Scoped<M>,
    id: ConnectorId,
    sql: &'static str,
) -> Result<Option<Connector>, StoreError> {
    let org = scoped.org();
    let row: Option<Row> = sqlx::query_as(sql)
        .bind(org.as_uuid())
        .bind(id.as_uuid())
        .fetch_optional(scoped.connection())
        .await?;
    row.map(Connector::try_from).transpose()
}

/// Makes a connector, without a credential.
///
/// # Errors
/// See [`ConnectorError`].
pub async fn create(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    name: Audience,
    definition: &Value,
    created_by: PrincipalId,
) -> Result<(Connector, Change), ConnectorError> {
    let definition = checked(scoped, definition).await?;
    let now = keyring.clock().now();
    let connector = Connector {
        id: ConnectorId::new(now, keyring.random().bytes()),
        name,
        definition,
        created_by,
        created_at: now,
        updated_at: now,
        paused: None,
        retired_at: None,
    };
    let org = scoped.org();
    let text = connector.definition.to_text()?;
    sqlx::query(
        "INSERT INTO connectors (org_id, id, name, kind, definition, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, 'http', $4, $5, $6, $6)",
    )
    .bind(org.as_uuid())
    .bind(connector.id.as_uuid())
    .bind(connector.name.as_str())
    .bind(&text)
    .bind(created_by.as_uuid())
    .bind(now.to_offset())
    .execute(scoped.connection())
    .await?;
    let change = change("connector.created", connector.id, told(&connector, &text));
    Ok((connector, change))
}

/// A definition that holds, and fits the catalogue. Two writers can't each break what the other checked
/// against: every change of either moves the epoch, and the second to commit begins again.
async fn checked(scoped: &mut Scoped<Write>, definition: &Value) -> Result<Definition, ConnectorError> {
    let definition = Definition::parse(definition)?;
    definition.fits(&actions::in_catalogue(scoped).await?)?;
    Ok(definition)
}

/// What an entry says of a connector: all but its templates, which are as long as they like.
fn told(connector: &Connector, text: &str) -> Value {
    json!({
        "name": connector.name,
        "base_url": connector.definition.base_url(),
        "actions": connector.definition.actions().collect::<Vec<_>>(),
        "definition_hash": Hex(sha256(&[text.as_bytes()])),
    })
}

/// Every change of a connector moves the epoch: a right to act on a system, or the way it is called, is
/// another from here on.
pub(crate) fn change(kind: &'static str, id: ConnectorId, payload: Value) -> Change {
    Change::new(kind, Epoch::Bump, ("connector", id.to_string()), payload)
}

/// What to change of a connector; what is absent stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectorPatch<'a> {
    /// Another name.
    pub name: Option<&'a Audience>,
    /// Another definition, whole.
    pub definition: Option<&'a Value>,
}

/// Changes a connector. When its scheme, host or port is another, its credentials are retired: they were
/// given for the host before, and are written anew. `None` when there is no such connector.
///
/// # Errors
/// See [`ConnectorError`].
pub async fn update(
    scoped: &mut Scoped<Write>,
    id: ConnectorId,
    patch: ConnectorPatch<'_>,
    now: Timestamp,
) -> Result<Option<(Connector, Change)>, ConnectorError> {
    let Some(before) = lock(scoped, id).await? else { return Ok(None) };
    let mut connector = before.clone();
    if let Some(name) = patch.name {
        connector.name = name.clone();
    }
    if let Some(definition) = patch.definition {
        connector.definition = checked(scoped, definition).await?;
    }
    if connector == before {
        return Err(ConnectorError::Unchanged);
    }
    connector.updated_at = now;
    store(scoped, &connector).await?;
    let mut payload = told(&connector, &connector.definition.to_text()?);
    if connector.definition.base_url().origin() != before.definition.base_url().origin() {
        let retired = json!(credential::retire_all(scoped, id, now).await?);
        payload.as_object_mut().and_then(|payload| payload.insert("credentials_retired".to_owned(), retired));
    }
    Ok(Some((connector, change("connector.changed", id, payload))))
}

/// Retires a connector, for good, and with it its credentials. `None` when there is no such connector.
///
/// # Errors
/// See [`ConnectorError`].
pub async fn retire(
    scoped: &mut Scoped<Write>,
    id: ConnectorId,
    now: Timestamp,
) -> Result<Option<(Connector, Change)>, ConnectorError> {
    let Some(mut connector) = lock(scoped, id).await? else { return Ok(None) };
    connector.retired_at = Some(now);
    connector.updated_at = now;
    store(scoped, &connector).await?;
    let retired = credential::retire_all(scoped, id, now).await?;
    let payload = json!({ "name": connector.name, "credentials_retired": retired });
    Ok(Some((connector, change("connector.retired", id, payload))))
}

/// Pauses a connector: nothing is asked of it and no token for it is minted or redeemed. `reason` is 1 to
/// 1000 bytes. `None` when there is no such connector.
///
/// # Errors
/// See [`ConnectorError`].
pub async fn pause(
    scoped: &mut Scoped<Write>,
    id: ConnectorId,
    reason: &str,
    now: Timestamp,
) -> Result<Option<(Connector, Change)>, ConnectorError> {
    let Some(mut connector) = lock(scoped, id).await? else { return Ok(None) };
    if connector.paused.is_some() {
        return Err(ConnectorError::Unchanged);
    }
    connector.paused = Some(Pause { at: now, reason: reason.to_owned() });
    store(scoped, &connector).await?;
    let payload = json!({ "name": connector.name, "reason": reason });
    Ok(Some((connector, change("connector.paused", id, payload))))
}

/// Lets a paused connector be used again. `None` when there is no such connector.
///
/// # Errors
/// See [`ConnectorError`].
pub async fn resume(
    scoped: &mut Scoped<Write>,
    id: ConnectorId,
    reason: &str,
) -> Result<Option<(Connector, Change)>, ConnectorError> {
    let Some(mut connector) = lock(scoped, id).await? else { return Ok(None) };
    if connector.paused.take().is_none() {
        return Err(ConnectorError::Unchanged);
    }
    store(scoped, &connector).await?;
    let payload = json!({ "name": connector.name, "reason": reason });
    Ok(Some((connector, change("connector.resumed", id, payload))))
}

pub(crate) async fn lock(
    scoped: &mut Scoped<Write>,
    id: ConnectorId,
) -> Result<Option<Connector>, ConnectorError> {
    match one(scoped, id, select!("id = $2 FOR UPDATE")).await? {
        Some(connector) if connector.retired_at.is_some() => Err(ConnectorError::Retired),
        found => Ok(found),
    }
}

async fn store(scoped: &mut Scoped<Write>, connector: &Connector) -> Result<(), ConnectorError> {
    let org = scoped.org();
    let paused = connector.paused.as_ref();
    sqlx::query(
        "UPDATE connectors SET name = $3, definition = $4, updated_at = $5, paused_at = $6,
             pause_reason = $7, retired_at = $8
         WHERE org_id = $1 AND id = $2",
    )
    .bind(org.as_uuid())
    .bind(connector.id.as_uuid())
    .bind(connector.name.as_str())
    .bind(connector.definition.to_text()?)
    .bind(connector.updated_at.to_offset())
    .bind(paused.map(|pause| pause.at.to_offset()))
    .bind(paused.map(|pause| pause.reason.as_str()))
    .bind(connector.retired_at.map(Timestamp::to_offset))
    .execute(scoped.connection())
    .await?;
    Ok(())
}
