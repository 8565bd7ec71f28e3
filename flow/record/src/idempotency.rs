//! Idempotency keys: one key, one intent, one answer.

use std::collections::HashSet;
use std::sync::LazyLock;

use chancery_model::{IntentId, PrincipalId, Timestamp};
use chancery_store::StoreError;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::chain::{Link, Statement, Table, hash};
use crate::committer::{Job, Planned, intent_of};

/// A request's claim on its idempotency key, scoped to organization, principal and route.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) principal: PrincipalId,
    pub(crate) route: &'static str,
    pub(crate) key_hash: [u8; 32],
    /// Hash of the request: the same key with another request is refused.
    pub(crate) request_hash: [u8; 32],
}

/// The request that used the key first.
#[derive(Debug)]
pub(crate) struct Earlier {
    pub(crate) intent: IntentId,
    pub(crate) request_hash: [u8; 32],
    /// The token that was answered, if one was, sealed.
    pub(crate) token: Option<Vec<u8>>,
    pub(crate) link: Link,
}

#[derive(sqlx::FromRow)]
struct EarlierRow {
    intent_id: Uuid,
    request_hash: Vec<u8>,
    token: Option<Vec<u8>>,
    seq: i64,
    time: OffsetDateTime,
    entry_hash: Vec<u8>,
}

/// Claims in columns, for one array insert.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    org: Vec<Uuid>,
    principal: Vec<Uuid>,
    route: Vec<&'static str>,
    key_hash: Vec<&'a [u8]>,
    request_hash: Vec<&'a [u8]>,
    intent: Vec<Uuid>,
    created_at: Vec<OffsetDateTime>,
}

impl<'a> Columns<'a> {
    /// The table, its columns and their types, in the order of [`Self::bind`].
    pub(crate) const TABLE: Table = Table {
        name: "idempotency",
        columns: "org_id, principal_id, route, key_hash, request_hash, intent_id, created_at",
        types: &["uuid", "uuid", "text", "bytea", "bytea", "uuid", "timestamptz"],
    };

    /// Adds the claim of a job that has one and is about an intent.
    pub(crate) fn push(&mut self, job: &'a Job, now: Timestamp) {
        let (Some(claim), Some(intent)) = (&job.claim, intent_of(job)) else { return };
        self.org.push(job.entry.org.as_uuid());
        self.principal.push(claim.principal.as_uuid());
        self.route.push(claim.route);
        self.key_hash.push(&claim.key_hash);
        self.request_hash.push(&claim.request_hash);
        self.intent.push(intent.as_uuid());
        self.created_at.push(now.to_offset());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.intent.is_empty()
    }

    /// Binds one array for each column.
    pub(crate) fn bind<'q>(self, query: Statement<'q>) -> Statement<'q>
    where
        'a: 'q,
    {
        query
            .bind(self.org)
            .bind(self.principal)
            .bind(self.route)
            .bind(self.key_hash)
            .bind(self.request_hash)
            .bind(self.intent)
            .bind(self.created_at)
    }
}

/// What is claimed: one key of one principal for one route.
pub(crate) fn claimed(job: &Job) -> Option<(Uuid, PrincipalId, &'static str, [u8; 32])> {
    let claim = job.claim.as_ref()?;
    intent_of(job).map(|_| (job.entry.org.as_uuid(), claim.principal, claim.route, claim.key_hash))
}

/// Claims the keys of a batch. Of two jobs with one key in one batch only the first is tried; the
/// other finds the first one's row.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    jobs: &[Job],
    refused: &mut [Option<Planned>],
    now: Timestamp,
) -> Result<(), StoreError> {
    let (mut seen, mut columns) = (HashSet::new(), Columns::default());
    let open = |(job, slot): (&'_ Job, &Option<Planned>)| slot.is_none().then(|| claimed(job)).flatten();
    for (job, slot) in jobs.iter().zip(refused.iter()) {
        if open((job, slot)).is_some_and(|claimed| seen.insert(claimed)) {
            columns.push(job, now);
        }
    }
    if seen.is_empty() {
        return Ok(());
    }
    let fresh = insert(connection, columns).await?;
    for (job, slot) in jobs.iter().zip(refused.iter_mut()) {
        let (Some(_), Some(claim), Some(intent)) = (open((job, slot)), &job.claim, intent_of(job)) else {
            continue;
        };
        if fresh.contains(&intent.as_uuid()) {
            continue;
        }
        *slot = Some(match find(connection, job.entry.org.as_uuid(), claim).await? {
            Some(earlier) => Planned::Claimed(earlier),
            // The first is in this very batch: not there to be read yet. Decide again, find it then.
            None => Planned::Stale { epoch: job.epoch },
        });
    }
    Ok(())
}

/// Inserts claims and gives the intents of those that were fresh.
async fn insert(connection: &mut PgConnection, columns: Columns<'_>) -> Result<HashSet<Uuid>, StoreError> {
    static INSERT: LazyLock<String> =
        LazyLock::new(|| Columns::TABLE.insert(1, "ON CONFLICT DO NOTHING RETURNING intent_id"));
    let rows = columns.bind(sqlx::query(INSERT.as_str())).fetch_all(connection).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

pub(crate) async fn find(
    connection: &mut PgConnection,
    org: Uuid,
    claim: &Claim,
) -> Result<Option<Earlier>, StoreError> {
    let row: Option<EarlierRow> = sqlx::query_as(
        "SELECT i.intent_id, i.request_hash, d.token, e.seq, e.time, e.entry_hash
         FROM idempotency i
         JOIN intents d ON d.org_id = i.org_id AND d.id = i.intent_id
         JOIN entries e ON e.org_id = d.org_id AND e.seq = d.seq
         WHERE i.org_id = $1 AND i.principal_id = $2 AND i.route = $3 AND i.key_hash = $4",
    )
    .bind(org)
    .bind(claim.principal.as_uuid())
    .bind(claim.route)
    .bind(claim.key_hash.as_slice())
    .fetch_optional(connection)
    .await?;
    row.map(Earlier::try_from).transpose()
}

impl TryFrom<EarlierRow> for Earlier {
    type Error = StoreError;
    fn try_from(row: EarlierRow) -> Result<Self, StoreError> {
        let seq = u64::try_from(row.seq).map_err(|_| StoreError::corrupt("entries", "negative seq"))?;
        Ok(Self {
            intent: IntentId::from_uuid(row.intent_id),
            request_hash: hash("idempotency", row.request_hash)?,
            token: row.token,
            link: Link { seq, time: row.time.into(), entry_hash: hash("entries", row.entry_hash)? },
        })
    }
}

/// How long an idempotency key is remembered, in seconds: a day.
pub const REMEMBERED_SECONDS: i64 = 24 * 60 * 60;

/// Forgets the keys that were used before `before`, a bounded number at a time. Gives how many.
///
/// # Errors
/// When the store does not answer.
pub async fn forget_old(store: &chancery_store::Store, before: Timestamp) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM idempotency WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM idempotency WHERE created_at < $1 LIMIT 10000))",
    )
    .bind(before.to_offset())
    .execute(store.appender())
    .await?;
    Ok(done.rows_affected())
}
