//! Escalated intents and what became of them.

use std::collections::HashSet;

use chancery_decide::{Requirement, may_answer};
use chancery_model::{
    Environment, IntentId, KeyId, MemberId, OrgId, Principal, PrincipalId, Role, Timestamp,
};
use chancery_store::{Scoped, StoreError};
use serde::Deserialize;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

/// Who asked, and who stands behind it.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Who asked.
    pub requester: Principal,
    /// The owner of the agent that asked.
    pub owner: Option<MemberId>,
    /// Who made the API key it asked with.
    pub key_created_by: MemberId,
    /// In whose name.
    pub on_behalf_of: Option<MemberId>,
}

impl Ask {
    /// The members who stand behind the request.
    fn behind(self) -> HashSet<MemberId> {
        let itself = match self.requester {
            Principal::Member(id) => Some(id),
            Principal::Agent(_) => None,
        };
        [itself, self.owner, Some(self.key_created_by), self.on_behalf_of].into_iter().flatten().collect()
    }
}

/// An intent that was escalated, for the committer to write beside its entry.
#[derive(Debug)]
pub struct Escalated {
    intent: IntentId,
    requester: Principal,
    behind: Vec<Uuid>,
    intent_hash: [u8; 32],
    requirements: String,
    environment: Environment,
    timeout_seconds: i64,
}

impl Escalated {
    /// From the decision. People have as long as the shortest of its requirements gives them.
    ///
    /// # Errors
    /// When the requirements can't be written: never, as they are.
    pub fn new(
        intent: IntentId,
        intent_hash: [u8; 32],
        environment: Environment,
        ask: Ask,
        requirements: &[Requirement],
    ) -> Result<Self, serde_json::Error> {
        let timeout = requirements.iter().map(|one| one.timeout_seconds).min().unwrap_or_default();
        Ok(Self {
            intent,
            requester: ask.requester,
            behind: ask.behind().iter().map(|id| id.as_uuid()).collect(),
            intent_hash,
            requirements: serde_json::to_string(requirements)?,
            environment,
            timeout_seconds: i64::from(timeout),
        })
    }
}

/// Where and when the entry of an escalation stands.
#[derive(Clone, Copy, Debug)]
pub struct Requested {
    /// In whose record.
    pub org: OrgId,
    /// At which place.
    pub seq: i64,
    /// Since when.
    pub at: Timestamp,
}

/// Writes escalations inside the committer's transaction.
///
/// # Errors
/// When the database does not take them.
pub async fn insert_batch(
    connection: &mut PgConnection,
    batch: &[(Requested, &Escalated)],
) -> Result<(), StoreError> {
    let mut insert = QueryBuilder::<Postgres>::new(
        "INSERT INTO escalations (org_id, intent_id, seq, requester_kind, requester_id, behind, intent_hash, \
         requirements, environment, requested_at, expires_at) ",
    );
    insert.push_values(batch, |mut row, (place, escalated)| {
        row.push_bind(place.org.as_uuid())
            .push_bind(escalated.intent.as_uuid())
            .push_bind(place.seq)
            .push_bind(escalated.requester.kind())
            .push_bind(escalated.requester.id().as_uuid())
            .push_bind(escalated.behind.as_slice())
            .push_bind(escalated.intent_hash.as_slice())
            .push_bind(escalated.requirements.as_str())
            .push_bind(escalated.environment.as_str())
            .push_bind(place.at.to_offset())
            .push_bind(place.at.plus_seconds(escalated.timeout_seconds).to_offset());
    });
    insert.build().execute(connection).await?;
    Ok(())
}

/// What became of an escalation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// People have not answered enough.
    Pending,
    /// Enough people agreed.
    Approved {
        /// Until when it can be carried out.
        good_until: Timestamp,
    },
    /// Somebody refused.
    Rejected,
    /// Its requester took it back.
    Cancelled,
    /// Nobody answered in time, which is a refusal.
    Expired,
}

impl State {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved { .. } => "approved",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// One thing that people have to do, as far as counting goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Demand {
    /// How many different people.
    pub approvals: u8,
    /// In which role.
    pub role: Role,
}

impl Demand {
    /// Whether people with these roles, each another person, are those it asks for.
    #[must_use]
    pub fn is_met_by(self, agreed: &[Role]) -> bool {
        agreed.iter().filter(|role| may_answer(**role, self.role)).count() >= usize::from(self.approvals)
    }
}

/// An escalation as it stands.
#[derive(Debug)]
pub struct Escalation {
    /// The intent.
    pub intent: IntentId,
    /// Where its entry stands.
    pub seq: i64,
    /// Who asked.
    pub requester: Principal,
    /// Who stood behind it when it was made.
    pub behind: HashSet<MemberId>,
    /// The hash of exactly what was asked.
    pub intent_hash: [u8; 32],
    /// What people have to do.
    pub demands: Vec<Demand>,
    /// Live or test.
    pub environment: Environment,
    /// What became of it.
    pub state: State,
    /// Since when it stands.
    pub requested_at: Timestamp,
    /// Until when people can answer.
    pub expires_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Escalation {
    /// What it is at a moment: over when its time is, whether or not anybody has noted it.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> State {
        match self.state {
            State::Pending if self.expires_at <= now => State::Expired,
            State::Approved { good_until } if good_until <= now => State::Expired,
            state => state,
        }
    }

    /// Whether people with these roles are enough.
    pub(crate) fn is_met_by(&self, agreed: &[Role]) -> bool {
        !self.demands.is_empty() && self.demands.iter().all(|demand| demand.is_met_by(agreed))
    }

    /// Whether a person in this role is asked at all.
    #[must_use]
    pub fn asks(&self, role: Role) -> bool {
        self.demands.iter().any(|demand| may_answer(role, demand.role))
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    intent_id: Uuid,
    seq: i64,
    requester_kind: String,
    requester_id: Uuid,
    behind: Vec<Uuid>,
    intent_hash: Vec<u8>,
    requirements: String,
    environment: String,
    state: String,
    requested_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
    good_until: Option<OffsetDateTime>,
}

const COLUMNS: &str = "SELECT intent_id, seq, requester_kind, requester_id, behind, intent_hash, requirements, \
     environment, state, requested_at, expires_at, ended_at, good_until FROM escalations WHERE org_id = ";

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("escalations", error)
}

impl TryFrom<Row> for Escalation {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let state = match (row.state.as_str(), row.good_until) {
            ("pending", None) => State::Pending,
            ("approved", Some(until)) => State::Approved { good_until: until.into() },
            ("rejected", None) => State::Rejected,
            ("cancelled", None) => State::Cancelled,
            ("expired", None) => State::Expired,
            _ => return Err(corrupt("no such state")),
        };
        Ok(Self {
            intent: IntentId::from_uuid(row.intent_id),
            seq: row.seq,
            requester: Principal::from_parts(&row.requester_kind, PrincipalId::from_uuid(row.requester_id))
                .map_err(corrupt)?,
            behind: row.behind.into_iter().map(MemberId::from_uuid).collect(),
            intent_hash: row.intent_hash.try_into().map_err(|_| corrupt("a hash is not 32 bytes"))?,
            demands: serde_json::from_str(&row.requirements).map_err(corrupt)?,
            environment: row.environment.parse().map_err(corrupt)?,
            state,
            requested_at: row.requested_at.into(),
            expires_at: row.expires_at.into(),
            ended_at: row.ended_at.map(Timestamp::from),
        })
    }
}

/// One escalation; `None` when the intent was not escalated, or is another organization's.
///
/// # Errors
/// When the store does not answer.
pub async fn read<M>(scoped: &mut Scoped<M>, intent: IntentId) -> Result<Option<Escalation>, StoreError> {
    fetch(scoped, intent, "").await
}

/// The same, held until the transaction ends: answers come one after another.
pub(crate) async fn hold<M>(
    scoped: &mut Scoped<M>,
    intent: IntentId,
) -> Result<Option<Escalation>, StoreError> {
    fetch(scoped, intent, " FOR UPDATE").await
}

async fn fetch<M>(
    scoped: &mut Scoped<M>,
    intent: IntentId,
    lock: &'static str,
) -> Result<Option<Escalation>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
    query.push_bind(scoped.org().as_uuid()).push(" AND intent_id = ").push_bind(intent.as_uuid()).push(lock);
    let row: Option<Row> = query.build_query_as().fetch_optional(scoped.connection()).await?;
    row.map(Escalation::try_from).transpose()
}

/// Escalations, the newest first: those that wait for people, or all.
///
/// # Errors
/// When the store does not answer.
pub async fn list<M>(
    scoped: &mut Scoped<M>,
    pending_at: Option<Timestamp>,
    before: Option<IntentId>,
    limit: u16,
) -> Result<Vec<Escalation>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(COLUMNS);
    query.push_bind(scoped.org().as_uuid());
    if let Some(now) = pending_at {
        query.push(" AND state = 'pending' AND expires_at > ").push_bind(now.to_offset());
    }
    if let Some(before) = before {
        query.push(" AND intent_id < ").push_bind(before.as_uuid());
    }
    query.push(" ORDER BY intent_id DESC LIMIT ").push_bind(i64::from(limit.clamp(1, 1000)));
    let rows: Vec<Row> = query.build_query_as().fetch_all(scoped.connection()).await?;
    rows.into_iter().map(Escalation::try_from).collect()
}

/// What one person answered, and has not withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// To which intent.
    pub intent: IntentId,
    /// Who.
    pub member: MemberId,
    /// With which key.
    pub key: KeyId,
    /// Whether they agreed.
    pub approves: bool,
    /// When.
    pub at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct GivenRow {
    intent_id: Uuid,
    member_id: Uuid,
    key_id: Uuid,
    answer: String,
    answered_at: OffsetDateTime,
}

/// The answers to escalations that stand, in the order they were given.
///
/// # Errors
/// When the store does not answer.
pub async fn answers<M>(scoped: &mut Scoped<M>, intents: &[IntentId]) -> Result<Vec<Given>, StoreError> {
    let intents: Vec<Uuid> = intents.iter().map(|id| id.as_uuid()).collect();
    let rows: Vec<GivenRow> = sqlx::query_as(
        "SELECT intent_id, member_id, key_id, answer, answered_at FROM approvals
         WHERE org_id = $1 AND intent_id = ANY($2) AND withdrawn_at IS NULL ORDER BY answered_at, member_id",
    )
    .bind(scoped.org().as_uuid())
    .bind(intents)
    .fetch_all(scoped.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Given {
            intent: IntentId::from_uuid(row.intent_id),
            member: MemberId::from_uuid(row.member_id),
            key: KeyId::from_uuid(row.key_id),
            approves: row.answer == "approve",
            at: row.answered_at.into(),
        })
        .collect())
}
