//! Delegations: a member lets an agent act on their behalf, for the actions named.

use chancery_model::{ActionName, AgentId, DelegationId, MemberId, Timestamp};
use chancery_store::{Change, Epoch, Keyring, Scoped, StoreError, Write};
use serde_json::json;
use sqlx::types::Uuid;
use sqlx::types::time::OffsetDateTime;

/// The most actions one delegation names.
pub const MAX_ACTIONS: usize = 256;

/// A permission for an agent to act on a member's behalf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Its id.
    pub id: DelegationId,
    /// On whose behalf.
    pub member: MemberId,
    /// Who acts.
    pub agent: AgentId,
    /// For which actions, sorted; none of them is a pattern.
    pub actions: Vec<ActionName>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// A delegation to make.
#[derive(Clone, Debug)]
pub struct NewDelegation {
    /// The authenticated caller: nobody delegates another's rights.
    pub delegator: MemberId,
    /// Who is to act; an agent of the same organization, which the caller has read.
    pub agent: AgentId,
    /// For which actions.
    pub actions: Vec<ActionName>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// Why a delegation was not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum DelegationError {
    /// Too few or too many actions.
    #[error("a delegation names 1 to {MAX_ACTIONS} actions")]
    Actions,
    /// It would end before it begins.
    #[error("`expires_at` must be in the future")]
    Expired,
    /// The delegator is no member, or not any more.
    #[error("the member who delegates is not active")]
    DelegatorNotActive,
    /// It was revoked before.
    #[error("the delegation is revoked")]
    Revoked,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DelegationError {
    /// The stable code of the API.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Actions | Self::Expired => "validation_error",
            Self::DelegatorNotActive => "delegator_not_active",
            Self::Revoked => "delegation_revoked",
            Self::Store(_) => "internal",
        }
    }

    /// The field a caller has to correct.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Actions => Some("actions"),
            Self::Expired => Some("expires_at"),
            Self::DelegatorNotActive | Self::Revoked | Self::Store(_) => None,
        }
    }
}

/// Makes a delegation.
///
/// # Errors
/// See [`DelegationError`].
pub async fn create(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    new: NewDelegation,
) -> Result<(Delegation, Change), DelegationError> {
    let now = keyring.clock().now();
    let mut actions = new.actions;
    actions.sort_unstable();
    actions.dedup();
    if actions.is_empty() || actions.len() > MAX_ACTIONS {
        return Err(DelegationError::Actions);
    }
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(DelegationError::Expired);
    }
    let delegator = crate::member::read(scoped, new.delegator).await?;
    if !delegator.is_some_and(|member| member.is_active()) {
        return Err(DelegationError::DelegatorNotActive);
    }
    let delegation = Delegation {
        id: DelegationId::new(now, keyring.random().bytes()),
        member: new.delegator,
        agent: new.agent,
        actions,
        expires_at: new.expires_at,
        created_at: now,
        revoked_at: None,
    };
    insert(scoped, &delegation).await?;
    let change = changed(
        "delegation.created",
        &delegation,
        json!({ "actions": delegation.actions, "expires_at": delegation.expires_at }),
    );
    Ok((delegation, change))
}

/// Both bump the epoch: what is remembered per epoch is also that a delegation was absent.
fn changed(kind: &'static str, delegation: &Delegation, payload: serde_json::Value) -> Change {
    let mut change = Change::new(kind, Epoch::Bump, ("delegation", delegation.id.to_string()), payload);
    change.refs.push(("member", delegation.member.to_string()));
    change.refs.push(("agent", delegation.agent.to_string()));
    change
}

async fn insert(scoped: &mut Scoped<Write>, delegation: &Delegation) -> Result<(), StoreError> {
    let org = scoped.org();
    let actions: Vec<&str> = delegation.actions.iter().map(ActionName::as_str).collect();
    sqlx::query(
        "INSERT INTO delegations (org_id, id, member_id, agent_id, actions, expires_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(org.as_uuid())
    .bind(delegation.id.as_uuid())
    .bind(delegation.member.as_uuid())
    .bind(delegation.agent.as_uuid())
    .bind(actions)
    .bind(delegation.expires_at.map(Timestamp::to_offset))
    .bind(delegation.created_at.to_offset())
    .execute(scoped.connection())
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    member_id: Uuid,
    agent_id: Uuid,
    actions: Vec<String>,
    expires_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Delegation {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let actions = row.actions.into_iter().map(ActionName::try_from).collect::<Result<_, _>>();
        Ok(Self {
            id: DelegationId::from_uuid(row.id),
            member: MemberId::from_uuid(row.member_id),
            agent: AgentId::from_uuid(row.agent_id),
            actions: actions.map_err(|error| StoreError::corrupt("delegations", error))?,
            expires_at: row.expires_at.map(Timestamp::from),
            created_at: row.created_at.into(),
            revoked_at: row.revoked_at.map(Timestamp::from),
        })
    }
}

/// Delegations, newest first, those after `after`; revoked and expired ones too.
///
/// # Errors
/// See [`StoreError`].
pub async fn list<M>(
    scoped: &mut Scoped<M>,
    after: Option<DelegationId>,
    limit: u16,
) -> Result<Vec<Delegation>, StoreError> {
    let org = scoped.org();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, member_id, agent_id, actions, expires_at, created_at, revoked_at FROM delegations
         WHERE org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
    )
    .bind(org.as_uuid())
    .bind(after.map_or(Uuid::max(), DelegationId::as_uuid))
    .bind(i64::from(limit))
    .fetch_all(scoped.connection())
    .await?;
    rows.into_iter().map(Delegation::try_from).collect()
}

/// The delegation with this id.
///
/// # Errors
/// See [`StoreError`].
pub async fn read<M>(scoped: &mut Scoped<M>, id: DelegationId) -> Result<Option<Delegation>, StoreError> {
    let org = scoped.org();
    let row: Option<Row> = sqlx::query_as(
        "SELECT id, member_id, agent_id, actions, expires_at, created_at, revoked_at FROM delegations
         WHERE org_id = $1 AND id = $2",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .fetch_optional(scoped.connection())
    .await?;
    row.map(Delegation::try_from).transpose()
}

/// Takes a delegation back. `None` when there is none with this id.
///
/// # Errors
/// See [`DelegationError`].
pub async fn revoke(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    id: DelegationId,
) -> Result<Option<(Delegation, Change)>, DelegationError> {
    let Some(mut delegation) = read(scoped, id).await? else { return Ok(None) };
    let now = keyring.clock().now();
    if !mark_revoked(scoped, id, now).await? {
        return Err(DelegationError::Revoked);
    }
    delegation.revoked_at = Some(now);
    let change = changed("delegation.revoked", &delegation, json!({}));
    Ok(Some((delegation, change)))
}

/// Whether it was this call that revoked it.
async fn mark_revoked(
    scoped: &mut Scoped<Write>,
    id: DelegationId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let org = scoped.org();
    let marked = sqlx::query(
        "UPDATE delegations SET revoked_at = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL",
    )
    .bind(org.as_uuid())
    .bind(id.as_uuid())
    .bind(now.to_offset())
    .execute(scoped.connection())
    .await?;
    Ok(marked.rows_affected() == 1)
}

/// The delegation by which `agent` may do `action` on `member`'s behalf at `now`, if there is one
/// and the member is still in the organization.
///
/// # Errors
/// See [`StoreError`].
pub async fn find_active<M>(
    scoped: &mut Scoped<M>,
    member: MemberId,
    agent: AgentId,
    action: &ActionName,
    now: Timestamp,
) -> Result<Option<DelegationId>, StoreError> {
    let org = scoped.org();
    let id: Option<Uuid> = sqlx::query_scalar(
        "SELECT d.id FROM delegations d
         JOIN members m ON m.org_id = d.org_id AND m.id = d.member_id AND m.removed_at IS NULL
         WHERE d.org_id = $1 AND d.member_id = $2 AND d.agent_id = $3 AND d.revoked_at IS NULL
             AND (d.expires_at IS NULL OR d.expires_at > $5) AND $4 = ANY (d.actions)
         ORDER BY d.id LIMIT 1",
    )
    .bind(org.as_uuid())
    .bind(member.as_uuid())
    .bind(agent.as_uuid())
    .bind(action.as_str())
    .bind(now.to_offset())
    .fetch_optional(scoped.connection())
    .await?;
    Ok(id.map(DelegationId::from_uuid))
}
