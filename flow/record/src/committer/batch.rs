//! One transaction of the committer.

use std::collections::{HashMap, HashSet};

use chancery_approve::{Escalated, Requested};
use chancery_model::{OrgId, Timestamp};
use chancery_store::{CommitRight, Committed, Statement, StoreError};
use sqlx::{Connection, PgConnection};

use super::tips::Tips;
use super::write::{Rows, write, write_if_same};
use super::{Answer, Job, redemptions};
use crate::chain::{Link, Tip, begin_with_tips, lock_tips, stored};
use crate::idempotency::{self, Earlier};
use crate::releases;

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
    Groundless,
    Claimed(Earlier),
    Released,
}

impl Planned {
    fn answer(self, job: &Job, committed: &Committed) -> Answer {
        let receipt = |link: &Link| {
            committed.receipt(job.entry.org, (link.seq, link.time), link.entry_hash, job.entry.correlation)
        };
        match self {
            Self::Append(link) => Answer::Committed(receipt(&link)),
            Self::Stale { epoch } => Answer::Stale { epoch },
            Self::Halted => Answer::Halted,
            Self::Used => Answer::Used,
            Self::Groundless => Answer::Groundless,
            Self::Released => Answer::Released,
            Self::Claimed(earlier) => {
                let link = earlier.link;
                let receipt = committed.receipt(
                    job.entry.org,
                    (link.seq, link.time),
                    link.entry_hash,
                    Some(earlier.intent.into()),
                );
                Answer::Claimed(earlier, receipt)
            }
        }
    }
}

/// Commits a group of jobs and says what became of each, in order: in one message if the chains are
/// as remembered, else the long way. After a failure that is known the connection is out of the
/// transaction again, if it is still good.
pub(super) async fn attempt(
    connection: &mut PgConnection,
    right: &CommitRight,
    jobs: &[Job],
    tips: &mut Tips,
    now: Timestamp,
) -> Result<Vec<Answer>, Failure> {
    if let Some(answers) = in_one_message(connection, right, jobs, tips, now).await? {
        return Ok(answers);
    }
    let outcome = transact(connection, right, jobs, tips, now).await;
    if let Err(Failure::Before(_)) = &outcome {
        sqlx::raw_sql("ROLLBACK").execute(connection).await?;
    }
    outcome
}

/// Links the batch to the tips as this process left them and lets the database write it only if they
/// still are: one round trip instead of three. `None`, and nothing written, when anything in it needs
/// to be looked at first.
pub(super) async fn in_one_message(
    connection: &mut PgConnection,
    right: &CommitRight,
    jobs: &[Job],
    tips: &mut Tips,
    now: Timestamp,
) -> Result<Option<Vec<Answer>>, Failure> {
    let Some(remembered) = tips.of(jobs) else { return Ok(None) };
    let mut moving: HashMap<OrgId, Tip> = remembered.iter().map(|tip| (tip.org, tip.clone())).collect();
    if !is_plain(jobs, &moving) {
        return Ok(None);
    }
    let Linked { mut rows, plan, .. } = link(jobs, jobs.iter().map(|_| None), &mut moving, now);
    for job in jobs {
        rows.claims.push(job, now);
        if let Some(redeemed) = &job.redemption {
            rows.uses.push(&redeemed.used);
            rows.grounds.push(redeemed);
        }
    }
    let moved = in_order(moving);
    match right.commit_statement(connection, write_if_same(rows, &remembered, &moved)).await {
        Ok(Statement::Committed(committed)) => {
            tips.keep(moved);
            Ok(Some(answers(jobs, plan, &committed)))
        }
        // The long way finds out which, and what is remembered is still good.
        Ok(Statement::Refused) => Ok(None),
        Ok(Statement::Outdated) => {
            metrics::counter!("record_tips_moved_total").increment(1);
            tips.were_wrong(&remembered);
            Ok(None)
        }
        Err(error) if error.is_data() || error.is_transient() => Err(Failure::Before(error)),
        Err(error) => Err(Failure::Unknown { error, plan }),
    }
}

/// Whether nothing in a batch is refused by what is remembered, and no two jobs want the same nonce or
/// idempotency key, or release or close the same intent.
fn is_plain(jobs: &[Job], tips: &HashMap<OrgId, Tip>) -> bool {
    let (mut nonces, mut keys, mut intents) = (HashSet::new(), HashSet::new(), HashSet::new());
    jobs.iter().all(|job| {
        screen(job, tips).is_none()
            && job.escalated.is_none()
            && job.redemption.as_ref().is_none_or(|it| nonces.insert((it.used.org, it.used.nonce_hash)))
            && idempotency::claimed(job).is_none_or(|claimed| keys.insert(claimed))
            && releases::about(job).is_none_or(|intent| intents.insert(intent))
    })
}

async fn transact(
    connection: &mut PgConnection,
    right: &CommitRight,
    jobs: &[Job],
    tips: &mut Tips,
    now: Timestamp,
) -> Result<Vec<Answer>, Failure> {
    let mut orgs: Vec<_> = jobs.iter().map(|job| job.entry.org.as_uuid()).collect();
    orgs.sort_unstable();
    orgs.dedup();
    let mut moving: HashMap<OrgId, Tip> =
        begin_with_tips(connection, &orgs).await?.into_iter().map(|tip| (tip.org, tip)).collect();

    let mut refused: Vec<Option<Planned>> = jobs.iter().map(|job| screen(job, &moving)).collect();
    idempotency::claim(connection, jobs, &mut refused, now).await?;
    redemptions::consume(connection, jobs, &mut refused).await?;
    releases::check(connection, jobs, &mut refused).await?;

    let Linked { rows, plan, escalated } = link(jobs, refused, &mut moving, now);
    let moved = in_order(moving);
    if !rows.entries.is_empty() {
        write(connection, rows, &moved).await?;
    }
    if !escalated.is_empty() {
        chancery_approve::insert_batch(connection, &escalated).await?;
    }
    match right.commit_batch(connection).await {
        Ok(committed) => {
            tips.keep(moved);
            Ok(answers(jobs, plan, &committed))
        }
        Err(error) => Err(Failure::Unknown { error, plan }),
    }
}

/// A batch with its places in the chains.
struct Linked<'a> {
    rows: Rows<'a>,
    plan: Vec<Planned>,
    /// Those that wait for people: too rare for the one statement.
    escalated: Vec<(Requested, &'a Escalated)>,
}

/// Links what is not refused to the tips, which move.
fn link<'a>(
    jobs: &'a [Job],
    refused: impl IntoIterator<Item = Option<Planned>>,
    tips: &mut HashMap<OrgId, Tip>,
    now: Timestamp,
) -> Linked<'a> {
    let mut linked =
        Linked { rows: Rows::default(), plan: Vec::with_capacity(jobs.len()), escalated: Vec::new() };
    for (job, refused) in jobs.iter().zip(refused) {
        let planned = match (refused, tips.get_mut(&job.entry.org)) {
            (Some(refused), _) => refused,
            (None, Some(tip)) => {
                let link = linked.rows.entries.push(tip, &job.entry, now);
                if let Some(intent) = &job.intent {
                    linked.rows.intents.push(job.entry.org, intent, link.seq, tip.last_time);
                }
                let (org, seq, at) = (job.entry.org, stored(link.seq), tip.last_time);
                linked.escalated.extend(job.escalated.as_ref().map(|row| (Requested { org, seq, at }, row)));
                if let Some(release) = &job.release {
                    linked.rows.releases.push((org, seq, at), release);
                }
                if let Some(closing) = &job.closing {
                    linked.rows.closings.push((org, at), closing);
                }
                Planned::Append(link)
            }
            (None, None) => Planned::Halted,
        };
        linked.plan.push(planned);
    }
    linked
}

fn in_order(tips: HashMap<OrgId, Tip>) -> Vec<Tip> {
    let mut tips: Vec<Tip> = tips.into_values().collect();
    tips.sort_unstable_by_key(|tip| tip.org);
    tips
}

/// Refuses what was decided on an older state, and everything in a halted or unknown organization.
fn screen(job: &Job, tips: &HashMap<OrgId, Tip>) -> Option<Planned> {
    let tip = match tips.get(&job.entry.org) {
        Some(tip) => tip,
        None => return Some(Planned::Halted),
    };
    // What was done is recorded, whatever has changed since.
    if job.closing.is_some() {
        return None;
    }
    if tip.epoch != job.epoch {
        return Some(Planned::Stale { epoch: tip.epoch });
    }
    tip.halted.then_some(Planned::Halted)
}

/// Finds out whether a transaction whose COMMIT was not answered happened. Taking the head's lock
/// first waits for the lost transaction to end, so the answer is final.
pub(super) async fn was_committed(
    connection: &mut PgConnection,
    jobs: &[Job],
    plan: &[Planned],
) -> Result<bool, StoreError> {
    let Some((job, link)) = jobs.iter().zip(plan).find_map(|(job, planned)| match planned {
        Planned::Append(link) => Some((job, *link)),
        _ => None,
    }) else {
        // Nothing was to be written: the answers stand whether or not it was committed.
        return Ok(true);
    };
    tracing::warn!("a commit was not answered; looking up whether it happened");
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
    Ok(found.is_some_and(|commitment| commitment == job.entry.commitment))
}

/// What each job is answered once its batch is committed.
pub(super) fn answers(jobs: &[Job], plan: Vec<Planned>, committed: &Committed) -> Vec<Answer> {
    jobs.iter().zip(plan).map(|(job, planned)| planned.answer(job, committed)).collect()
}
