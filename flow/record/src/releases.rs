//! What intents are released for: each once. A token after an approval, or a call of ours, which is
//! opened before it is made and closed after.

use std::collections::HashSet;

use chancery_crypto::Context;
use chancery_model::{IntentId, OrgId, Timestamp};
use chancery_store::{Scoped, Store, StoreError};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::chain::{hash, unsigned};
use crate::committer::{Job, Planned};
pub use crate::intents::open_token;

/// What the committer writes beside an entry that releases an intent.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) intent: IntentId,
    pub(crate) intent_hash: [u8; 32],
    pub(crate) carries: Carries,
}

/// What is released.
#[derive(Debug)]
pub(crate) enum Carries {
    /// A token, sealed.
    Token(Vec<u8>),
    /// A call through a connector, which counts as of unknown outcome some seconds after its entry.
    Call { connector: String, unknown_after_seconds: i64 },
}

/// How a call ended, as its row says.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) intent: IntentId,
    pub(crate) outcome: CallOutcome,
    pub(crate) status: Option<u16>,
    /// What came back, sealed.
    pub(crate) answer: Option<Vec<u8>>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The system did it.
    Succeeded,
    /// The system refused it, or was not reached.
    Failed,
    /// Nobody knows: it may have been done.
    Unknown,
}

impl CallOutcome {
    /// The word of the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "outcome_unknown",
        }
    }

    pub(crate) const fn state(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// The intent that a job releases, or whose call it closes.
pub(crate) fn about(job: &Job) -> Option<(Uuid, Uuid)> {
    let intent = job.release.as_ref().map(|it| it.intent).or(job.closing.as_ref().map(|it| it.intent));
    intent.map(|intent| (job.entry.org.as_uuid(), intent.as_uuid()))
}

/// Refuses what is released already, and what closes a call that is not open. The heads are locked, and
/// nobody releases or closes without: what is read here is so until the end of the transaction.
pub(crate) async fn check(
    connection: &mut PgConnection,
    jobs: &[Job],
    refused: &mut [Option<Planned>],
) -> Result<(), StoreError> {
    let (orgs, intents): (Vec<Uuid>, Vec<Uuid>) = jobs.iter().filter_map(about).unzip();
    if orgs.is_empty() {
        return Ok(());
    }
    let rows: Vec<(Uuid, Uuid, String)> = sqlx::query_as(
        "SELECT r.org_id, r.intent_id, r.state FROM unnest($1::uuid[], $2::uuid[]) AS n (org_id, intent_id)
         JOIN releases r USING (org_id, intent_id)",
    )
    .bind(orgs)
    .bind(intents)
    .fetch_all(connection)
    .await?;
    let mut released: HashSet<(Uuid, Uuid)> = rows.iter().map(|(org, intent, _)| (*org, *intent)).collect();
    let mut open: HashSet<(Uuid, Uuid)> =
        rows.iter().filter(|(_, _, state)| state == "open").map(|(org, intent, _)| (*org, *intent)).collect();
    for (job, slot) in jobs.iter().zip(refused.iter_mut()) {
        let (Some(about), None) = (about(job), &slot) else { continue };
        let good = if job.release.is_some() { released.insert(about) } else { open.remove(&about) };
        if !good {
            *slot = Some(Planned::Released);
        }
    }
    Ok(())
}

/// What an intent was released for, as it stands.
#[derive(Debug)]
pub struct Released {
    /// Where the entry that released it stands.
    pub seq: u64,
    /// When.
    pub opened_at: Timestamp,
    /// For what.
    pub what: ReleasedFor,
    intent: IntentId,
}

impl Released {
    /// That it was released, without what.
    #[must_use]
    pub const fn noted(&self) -> Noted {
        Noted {
            intent: self.intent,
            at: self.opened_at,
            as_token: matches!(self.what, ReleasedFor::Token(_)),
        }
    }
}

/// What an intent was released for.
#[derive(Debug)]
pub enum ReleasedFor {
    /// A token; sealed.
    Token(Vec<u8>),
    /// A call.
    Call(Call),
}

/// A call as it stands.
#[derive(Debug)]
pub struct Call {
    /// Through which connector.
    pub connector: String,
    /// How it ended; `None` while it is under way.
    pub outcome: Option<CallOutcome>,
    /// From when on it counts as of unknown outcome if nobody closed it.
    pub unknown_at: Timestamp,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// The status that came back.
    pub status: Option<u16>,
    pub(crate) answer: Option<Vec<u8>>,
}

impl Call {
    /// How it ended as far as anybody can know at a moment: what nobody closed in its time has an unknown
    /// outcome, whether or not that is recorded yet.
    #[must_use]
    pub fn outcome_at(&self, now: Timestamp) -> Option<CallOutcome> {
        self.outcome.or((self.unknown_at <= now).then_some(CallOutcome::Unknown))
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    intent_id: Uuid,
    seq: i64,
    state: String,
    opened_at: OffsetDateTime,
    token: Option<Vec<u8>>,
    connector: Option<String>,
    unknown_at: Option<OffsetDateTime>,
    closed_at: Option<OffsetDateTime>,
    status: Option<i32>,
    answer: Option<Vec<u8>>,
}

impl TryFrom<Row> for Released {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = || StoreError::corrupt("releases", "no such state");
        let what = if row.state == "token" {
            ReleasedFor::Token(row.token.ok_or_else(corrupt)?)
        } else {
            ReleasedFor::Call(Call {
                connector: row.connector.ok_or_else(corrupt)?,
                outcome: match row.state.as_str() {
                    "open" => None,
                    "succeeded" => Some(CallOutcome::Succeeded),
                    "failed" => Some(CallOutcome::Failed),
                    "unknown" => Some(CallOutcome::Unknown),
                    _ => return Err(corrupt()),
                },
                unknown_at: row.unknown_at.ok_or_else(corrupt)?.into(),
                closed_at: row.closed_at.map(Timestamp::from),
                status: row.status.and_then(|status| u16::try_from(status).ok()),
                answer: row.answer,
            })
        };
        Ok(Self {
            seq: unsigned(row.seq),
            opened_at: row.opened_at.into(),
            what,
            intent: IntentId::from_uuid(row.intent_id),
        })
    }
}

/// What an intent was released for; `None` when it was not, or is another organization's.
///
/// # Errors
/// When the store does not answer.
pub async fn read<M>(scoped: &mut Scoped<M>, intent: IntentId) -> Result<Option<Released>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT intent_id, seq, state, opened_at, token, connector, unknown_at, closed_at, status, answer
         FROM releases WHERE org_id = $1 AND intent_id = $2",
    )
    .bind(scoped.org().as_uuid())
    .bind(intent.as_uuid())
    .fetch_optional(scoped.connection())
    .await?;
    row.map(Released::try_from).transpose()
}

/// That an intent was released, without what.
#[derive(Clone, Copy, Debug)]
pub struct Noted {
    /// Which intent.
    pub intent: IntentId,
    /// When.
    pub at: Timestamp,
    /// Whether as a token; else it was called.
    pub as_token: bool,
}

/// Which of these intents were released.
///
/// # Errors
/// When the store does not answer.
pub async fn noted<M>(scoped: &mut Scoped<M>, intents: &[IntentId]) -> Result<Vec<Noted>, StoreError> {
    let intents: Vec<Uuid> = intents.iter().map(|id| id.as_uuid()).collect();
    let rows: Vec<(Uuid, OffsetDateTime, bool)> = sqlx::query_as(
        "SELECT intent_id, opened_at, state = 'token' FROM releases WHERE org_id = $1 AND intent_id = ANY($2)",
    )
    .bind(scoped.org().as_uuid())
    .bind(intents)
    .fetch_all(scoped.connection())
    .await?;
    let noted = |(intent, at, as_token): (Uuid, OffsetDateTime, bool)| Noted {
        intent: IntentId::from_uuid(intent),
        at: at.into(),
        as_token,
    };
    Ok(rows.into_iter().map(noted).collect())
}

/// A call that nobody closed in its time: whoever made it is gone.
#[derive(Clone, Copy, Debug)]
pub struct Orphan {
    /// In which organization.
    pub org: OrgId,
    /// Of which intent.
    pub intent: IntentId,
    pub(crate) intent_hash: [u8; 32],
}

/// The most that one look finds.
const MOST: i64 = 200;

/// Calls of all organizations that nobody closed in their time.
///
/// # Errors
/// When the store does not answer.
pub async fn orphans(store: &Store, now: Timestamp) -> Result<Vec<Orphan>, StoreError> {
    let rows: Vec<(Uuid, Uuid, Vec<u8>)> = sqlx::query_as(
        "SELECT org_id, intent_id, intent_hash FROM releases WHERE state = 'open' AND unknown_at <= $1
         ORDER BY unknown_at LIMIT $2",
    )
    .bind(now.to_offset())
    .bind(MOST)
    .fetch_all(store.appender())
    .await?;
    rows.into_iter()
        .map(|(org, intent, intent_hash)| {
            Ok(Orphan {
                org: OrgId::from_uuid(org),
                intent: IntentId::from_uuid(intent),
                intent_hash: hash("releases", intent_hash)?,
            })
        })
        .collect()
}

/// How long what came back is kept, in seconds: a day, as long as idempotency keys.
pub const ANSWERS_KEPT_SECONDS: i64 = 24 * 60 * 60;

/// Forgets what came back before `before`, a bounded number at a time. Gives how many.
///
/// # Errors
/// When the store does not answer.
pub async fn forget_answers(store: &Store, before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "UPDATE releases SET answer = NULL WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM releases WHERE answer IS NOT NULL AND closed_at < $1 LIMIT 10000))",
    )
    .bind(before.to_offset())
    .execute(store.appender())
    .await?;
    Ok(done.rows_affected())
}

/// What a sealed answer is bound to.
pub(crate) fn answer_context(org: OrgId, intent: &str) -> Context<'_> {
    Context { org: Some(org), table: "releases", column: "answer", row: intent, purpose: "data" }
}
