//! One transaction of the committer.

use std::collections::HashMap;

use chancery_model::{OrgId, Timestamp};
use chancery_store::{CommitRight, Committed, StoreError};
use sqlx::{Connection, PgConnection};

use super::write::write;
use super::{Answer, Job};
use crate::chain::{Columns, Link, Tip, begin_with_tips, lock_tips, stored};
use crate::idempotency::{self, Earlier};
use crate::intents;

/// Why a transaction did not end well.
pub(super) enum Failure {
    /// Nothing of it is in the database.
    Before(StoreError),
    /// The answer to COMMIT did not arrive: it may have happened.
    Unknown { error: StoreError, plan: Vec<Planned> },
}

impl<E: Into<StoreError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Before(error.into())
    }
}

/// What a job becomes when the transaction commits.
#[derive(Debug)]
pub(crate) enum Planned {
    Append(Link),
    Stale { epoch: i64 },
    Halted,
    Used,
    Claimed(Earlier),
}

impl Planned {
    fn answer(self, job: &Job, committed: &Committed) -> Answer {
        let receipt =
            |link: &Link| committed.receipt(job.entry.org, link.seq, link.entry_hash, job.entry.correlation);
        match self {
            Self::Append(link) => Answer::Committed(receipt(&link)),
            Self::Stale { epoch } => Answer::Stale { epoch },
            Self::Halted => Answer::Halted,
            Self::Used => Answer::Used,
            Self::Claimed(earlier) => {
                let link = earlier.link;
                let receipt =
                    committed.receipt(job.entry.org, link.seq, link.entry_hash, Some(earlier.intent.into()));
                Answer::Claimed(earlier, receipt)
            }
        }
    }
}

/// Commits a group of jobs and says what became of each, in order. After a failure that is known the
/// connection is out of the transaction again, if it is still good.
pub(super) async fn attempt(
    connection: &mut PgConnection,
    right: &CommitRight,
    jobs: &[Job],
    now: Timestamp,
) -> Result<Vec<Answer>, Failure> {
    let outcome = transact(connection, right, jobs, now).await;
    if let Err(Failure::Before(_)) = &outcome {
        sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    }
    outcome
}

async fn transact(
    connection: &mut PgConnection,
    right: &CommitRight,
    jobs: &[Job],
    now: Timestamp,
) -> Result<Vec<Answer>, Failure> {
    let mut orgs: Vec<_> = jobs.iter().map(|job| job.entry.org.as_uuid()).collect();
    orgs.sort_unstable();
    orgs.dedup();
    let mut tips: HashMap<OrgId, Tip> =
        begin_with_tips(connection, &orgs).await?.into_iter().map(|tip| (tip.org, tip)).collect();

    let mut refused: Vec<Option<Planned>> = jobs.iter().map(|job| screen(job, &tips)).collect();
    idempotency::claim(connection, jobs, &mut refused, now).await?;
    consume_nonces(connection, jobs, &mut refused).await?;

    let mut columns = Columns::default();
    let mut decided = intents::Columns::default();
    let mut plan = Vec::with_capacity(jobs.len());
    let mut appended = 0_usize;
    for (job, refused) in jobs.iter().zip(refused) {
        let planned = match (refused, tips.get_mut(&job.entry.org)) {
            (Some(refused), _) => refused,
            (None, Some(tip)) => {
                let link = columns.push(tip, &job.entry, now);
                if let Some(intent) = &job.intent {
                    decided.push(job.entry.org, intent, link.seq, now);
                }
                appended += 1;
                Planned::Append(link)
            }
            (None, None) => Planned::Halted,
        };
        plan.push(planned);
    }
    if appended > 0 {
        let mut moved: Vec<Tip> = tips.into_values().collect();
        moved.sort_unstable_by_key(|tip| tip.org);
        write(connection, columns, decided, &moved).await?;
    }
    match right.commit_batch(connection).await {
        Ok(committed) => {
            Ok(jobs.iter().zip(plan).map(|(job, planned)| planned.answer(job, &committed)).collect())
        }
        Err(error) => Err(Failure::Unknown { error, plan }),
    }
}

/// Refuses what was decided on an older state, and everything in a halted or unknown organization.
fn screen(job: &Job, tips: &HashMap<OrgId, Tip>) -> Option<Planned> {
    let tip = match tips.get(&job.entry.org) {
        Some(tip) => tip,
        None => return Some(Planned::Halted),
    };
    if tip.epoch != job.epoch {
        return Some(Planned::Stale { epoch: tip.epoch });
    }
    tip.halted.then_some(Planned::Halted)
}

/// Consumes the nonces of this batch's redemptions; of several with one nonce the first wins.
async fn consume_nonces(
    connection: &mut PgConnection,
    jobs: &[Job],
    refused: &mut [Option<Planned>],
) -> Result<(), StoreError> {
    let (mut slots, mut uses) = (Vec::new(), Vec::new());
    for (job, slot) in jobs.iter().zip(refused.iter_mut()) {
        if let (Some(redemption), None) = (&job.redemption, &slot) {
            uses.push(*redemption);
            slots.push(slot);
        }
    }
    if uses.is_empty() {
        return Ok(());
    }
    let fresh = chancery_mint::token_uses::insert_batch(connection, &uses).await?;
    for (slot, fresh) in slots.into_iter().zip(fresh) {
        if !fresh {
            *slot = Some(Planned::Used);
        }
    }
    Ok(())
}

/// Finds out whether a transaction whose COMMIT was not answered happened. Taking the heads' locks
/// first waits for the lost transaction to end, so the answer is final.
pub(super) async fn settle(
    connection: &mut PgConnection,
    right: &CommitRight,
    jobs: &[Job],
    plan: Vec<Planned>,
) -> Result<Option<Vec<Answer>>, StoreError> {
    let Some((job, link)) = jobs.iter().zip(&plan).find_map(|(job, planned)| match planned {
        Planned::Append(link) => Some((job, *link)),
        _ => None,
    }) else {
        // Nothing was to be written: the answers stand whether or not it was committed.
        let committed = right.found_committed();
        return Ok(Some(answers(jobs, plan, &committed)));
    };
    let mut tx = connection.begin().await?;
    lock_tips(&mut tx, &[job.entry.org.as_uuid()]).await?;
    // One entry tells for all: they stand or fall together.
    let found: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT commitment FROM entries WHERE org_id = $1 AND seq = $2")
            .bind(job.entry.org.as_uuid())
            .bind(stored(link.seq))
            .fetch_optional(&mut *tx)
            .await?;
    tx.rollback().await?;
    if found.is_some_and(|commitment| commitment == job.entry.commitment) {
        return Ok(Some(answers(jobs, plan, &right.found_committed())));
    }
    Ok(None)
}

fn answers(jobs: &[Job], plan: Vec<Planned>, committed: &Committed) -> Vec<Answer> {
    jobs.iter().zip(plan).map(|(job, planned)| planned.answer(job, committed)).collect()
}
