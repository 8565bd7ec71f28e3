//! Agents: the programs that act, each with a member who answers for it.

use chancery_crypto::DataKey;
use chancery_model::{AgentId, DisplayName, MemberId, Timestamp};
use chancery_people::member;
use chancery_store::{Change, Epoch, Keyring, KeyringError, Scoped, StoreError, Write};
use serde_json::json;
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::{Note, NoteError};

/// A program that acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its name.
    pub name: DisplayName,
    /// What it is for.
    pub description: Note,
    /// Who answers for it. Once the owner is removed, it can't act.
    pub owner: MemberId,
    /// Who created it.
    pub created_by: MemberId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
}

/// An agent to create.
#[derive(Clone, Debug)]
pub struct NewAgent {
    /// Its name.
    pub name: DisplayName,
    /// What it is for.
    pub description: Note,
    /// Who answers for it.
    pub owner: MemberId,
    /// Who creates it.
    pub created_by: MemberId,
}

/// Why an agent was not created or changed.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The owner is no member, or not any more.
    #[error("the owner is not an active member")]
    OwnerNotActive,
    /// The agent was retired, for good.
    #[error("the agent is retired")]
    Retired,
    /// The member owns it already, or it has this name.
    #[error("the agent already has this owner or name")]
    Unchanged,
    /// The agent's key could not be made.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AgentError {
    /// The stable code of the API.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OwnerNotActive => "owner_not_active",
            Self::Retired => "agent_retired",
            Self::Unchanged => "unchanged",
            Self::Keyring(_) | Self::Store(_) => "internal",
        }
    }
}

/// Creates an agent and the key that seals what is about it. `org_key` comes from
/// [`Keyring::org_key`] before the transaction began.
///
/// # Errors
/// See [`AgentError`].
pub async fn create(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    org_key: &DataKey,
    new: NewAgent,
) -> Result<(Agent, Change), AgentError> {
    require_active_owner(scoped, new.owner).await?;
    let now = keyring.clock().now();
    let agent = Agent {
        id: AgentId::new(now, keyring.random().bytes()),
        name: new.name,
        description: new.description,
        owner: new.owner,
        created_by: new.created_by,
        created_at: now,
        retired_at: None,
    };
    insert(scoped, &agent).await?;
    keyring.create_subject_key(scoped, org_key, agent.id.into()).await?;
    let change = Change::new(
        "agent.created",
        Epoch::Keep,
        ("agent", agent.id.to_string()),
        json!({ "name": agent.name, "description": agent.description, "owner": agent.owner }),
    );
    Ok((agent, change))
}

/// That the owner may be removed a moment later is no matter: an agent acts only while its owner is
/// there, and each look-up of its keys asks.
async fn require_active_owner(scoped: &mut Scoped<Write>, owner: MemberId) -> Result<(), AgentError> {
    match member::read(scoped, owner).await? {
        Some(member) if member.is_active() => Ok(()),
        _ => Err(AgentError::OwnerNotActive),
    }
}

async fn insert(scoped: &mut Scoped<Write>, agent: &Agent) -> Result<(), StoreError> {
    let org = scoped.org();
    sqlx::query(
        "INSERT INTO agents (org_id, id, name, description, owner_id, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(org.as_uuid())
    .bind(agent.id.as_uuid())
    .bind(agent.name.as_str())
    .bind(agent.description.as_str())
    .bind(agent.owner.as_uuid())
    .bind(agent.created_by.as_uuid())
    .bind(agent.created_at.to_offset())
    .execute(scoped.connection())
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    description: String,
    owner_id: Uuid,
    created_by: Uuid,
    created_at: OffsetDateTime,
    retired_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Agent {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: AgentId::from_uuid(row.id),
            name: row.name.parse().map_err(|error| StoreError::corrupt("agents", error))?,
            description: row
                .description
                .parse()
                .map_err(|error: NoteError| StoreError::corrupt("agents", error))?,
            owner: MemberId::from_uuid(row.owner_id),
            created_by: MemberId::from_uuid(row.created_by),
            created_at: row.created_at.into(),
            retired_at: row.retired_at.map(Timestamp::from),
        })
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, description, owner_id, created_by, created_at, retired_at FROM agents
             WHERE org_id = $1 AND ",
            $rest
        )
    };
}

/// Agents, newest first, those after `after`; retired ones too.
///
/// # Errors
/// See [`StoreError`].
pub async fn list<M>(
    scoped: &mut Scoped<M>,
    after: Option<AgentId>,
    limit: u16,
) -> Result<Vec<Agent>, StoreError> {
    let org = scoped.org();
    let rows: Vec<Row> = sqlx::query_as(select!("id < $2 ORDER BY id DESC LIMIT $3"))
        .bind(org.as_uuid())
        .bind(after.map_or(Uuid::max(), AgentId::as_uuid))
        .bind(i64::from(limit))
        .fetch_all(scoped.connection())
        .await?;
    rows.into_iter().map(Agent::try_from).collect()
}

/// The agent with this id; retired ones too.
///
/// # Errors
/// See [`StoreError`].
pub async fn read<M>(scoped: &mut Scoped<M>, id: AgentId) -> Result<Option<Agent>, StoreError> {
    one(scoped, id, select!("id = $2")).await
}

/// The agents with these ids; retired ones too.
///
/// # Errors
/// See [`StoreError`].
pub async fn those<M>(scoped: &mut Scoped<M>, ids: &[AgentId]) -> Result<Vec<Agent>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows: Vec<Row> = sqlx::query_as(select!("id = ANY($2)"))
        .bind(scoped.org().as_uuid())
        .bind(ids)
        .fetch_all(scoped.connection())
        .await?;
    rows.into_iter().map(Agent::try_from).collect()
}

async fn one<M>(scoped: &mut Scoped<M>, id: AgentId, sql: &'static str) -> Result<Option<Agent>, StoreError> {
    let org = scoped.org();
    let row: Option<Row> = sqlx::query_as(sql)
        .bind(org.as_uuid())
        .bind(id.as_uuid())
        .fetch_optional(scoped.connection())
        .await?;
    row.map(Agent::try_from).transpose()
}

/// Gives an agent another owner. `None` when there is no such agent.
///
/// # Errors
/// See [`AgentError`].
pub async fn change_owner(
    scoped: &mut Scoped<Write>,
    id: AgentId,
    owner: MemberId,
) -> Result<Option<(Agent, Change)>, AgentError> {
    let Some(mut agent) = lock(scoped, id).await? else { return Ok(None) };
    if agent.owner == owner {
        return Err(AgentError::Unchanged);
    }
    require_active_owner(scoped, owner).await?;
    let from = std::mem::replace(&mut agent.owner, owner);
    update(scoped, &agent).await?;
    let change = Change::new(
        "agent.owner_changed",
        Epoch::Bump,
        ("agent", id.to_string()),
        json!({ "from": from, "to": owner }),
    );
    Ok(Some((agent, change)))
}

/// Gives an agent another name. `None` when there is no such agent.
///
/// # Errors
/// See [`AgentError`].
pub async fn rename(
    scoped: &mut Scoped<Write>,
    id: AgentId,
    name: DisplayName,
) -> Result<Option<(Agent, Change)>, AgentError> {
    let Some(mut agent) = lock(scoped, id).await? else { return Ok(None) };
    if agent.name == name {
        return Err(AgentError::Unchanged);
    }
    let from = std::mem::replace(&mut agent.name, name);
    update(scoped, &agent).await?;
    let payload = json!({ "from": from, "to": agent.name });
    let change = Change::new("agent.renamed", Epoch::Keep, ("agent", id.to_string()), payload);
    Ok(Some((agent, change)))
}

/// Retires an agent, for good: its keys stop at once. `None` when there is no such agent.
///
/// # Errors
/// See [`AgentError`].
pub async fn retire(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    id: AgentId,
) -> Result<Option<(Agent, Change)>, AgentError> {
    let Some(mut agent) = lock(scoped, id).await? else { return Ok(None) };
    agent.retired_at = Some(keyring.clock().now());
    update(scoped, &agent).await?;
    let change = Change::new("agent.retired", Epoch::Bump, ("agent", id.to_string()), json!({}));
    Ok(Some((agent, change)))
}

async fn lock(scoped: &mut Scoped<Write>, id: AgentId) -> Result<Option<Agent>, AgentError> {
    match one(scoped, id, select!("id = $2 FOR UPDATE")).await? {
        Some(agent) if agent.retired_at.is_some() => Err(AgentError::Retired),
        found => Ok(found),
    }
}

async fn update(scoped: &mut Scoped<Write>, agent: &Agent) -> Result<(), StoreError> {
    let org = scoped.org();
    sqlx::query("UPDATE agents SET owner_id = $3, retired_at = $4, name = $5 WHERE org_id = $1 AND id = $2")
        .bind(org.as_uuid())
        .bind(agent.id.as_uuid())
        .bind(agent.owner.as_uuid())
        .bind(agent.retired_at.map(Timestamp::to_offset))
        .bind(agent.name.as_str())
        .execute(scoped.connection())
        .await?;
    Ok(())
}
