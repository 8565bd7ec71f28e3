//! Idempotency keys: one key, one intent, one answer.

use std::collections::HashSet;

use chancery_model::{IntentId, PrincipalId, Timestamp};
use chancery_store::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::chain::{Link, hash};
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
    entry_hash: Vec<u8>,
}

/// Claims the keys of a batch. Of two jobs with one key in one batch only the first is tried; the
/// other finds the first one's row.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    jobs: &[Job],
    refused: &mut [Option<Planned>],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut seen = HashSet::new();
    for (job, slot) in jobs.iter().zip(refused.iter_mut()) {
        let (Some(claim), Some(intent), None) = (&job.claim, intent_of(job), &slot) else { continue };
        let org = job.entry.org.as_uuid();
        let fresh = seen.insert((org, claim.principal, claim.route, claim.key_hash));
        if fresh && insert(connection, org, claim, intent, now).await? {
            continue;
        }
        *slot = Some(match find(connection, org, claim).await? {
            Some(earlier) => Planned::Claimed(earlier),
            // The first is in this very batch: not there to be read yet. Decide again, find it then.
            None => Planned::Stale { epoch: job.epoch },
        });
    }
    Ok(())
}

async fn insert(
    connection: &mut PgConnection,
    org: Uuid,
    claim: &Claim,
    intent: IntentId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO idempotency (org_id, principal_id, route, key_hash, request_hash, intent_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(org)
    .bind(claim.principal.as_uuid())
    .bind(claim.route)
    .bind(claim.key_hash.as_slice())
    .bind(claim.request_hash.as_slice())
    .bind(intent.as_uuid())
    .bind(now.to_offset())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn find(
    connection: &mut PgConnection,
    org: Uuid,
    claim: &Claim,
) -> Result<Option<Earlier>, StoreError> {
    let row: Option<EarlierRow> = sqlx::query_as(
        "SELECT i.intent_id, i.request_hash, d.token, e.seq, e.entry_hash
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
            link: Link { seq, entry_hash: hash("entries", row.entry_hash)? },
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
