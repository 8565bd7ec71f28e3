//! Group commit: finished writes of many organizations, committed together.
//!
//! One committer per process takes what waits in the queue and commits it in one transaction: lock
//! the heads in sorted order, refuse what is stale, halted or used, link, insert, commit; then it
//! answers the waiters. Most often all of it is one statement, linked beforehand to the tips that this
//! process wrote last, which writes only if they still stand (ADR 0012). Several processes append to the same chains safely because all of them
//! lock heads in the same order and before anything else.

mod batch;
mod queue;
mod redemptions;
#[cfg(test)]
mod tests;
mod tips;
mod write;

use std::sync::Arc;
use std::time::Duration;

use chancery_approve::Escalated;
use chancery_model::{Clock, IntentId};
use chancery_store::{CommitRight, Receipt, Store, StoreError};
use sqlx::{Connection, PgConnection};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::entry::Prepared;
use crate::idempotency::{Claim, Earlier};
use crate::intents::IntentRow;
use crate::releases::{Closing, Release};
pub(crate) use batch::Planned;
use batch::{Failure, answers, attempt, was_committed};
pub(crate) use queue::Queue;
pub(crate) use redemptions::Redeemed;
use tips::Tips;

/// One finished write, waiting to be committed.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) entry: Prepared,
    /// The epoch of everything the write was decided on.
    pub(crate) epoch: i64,
    pub(crate) intent: Option<IntentRow>,
    pub(crate) claim: Option<Claim>,
    pub(crate) redemption: Option<Redeemed>,
    pub(crate) escalated: Option<Escalated>,
    pub(crate) release: Option<Release>,
    /// Closes a call: what was done is recorded whatever has changed since.
    pub(crate) closing: Option<Closing>,
    reply: oneshot::Sender<Answer>,
}

impl Job {
    pub(crate) fn new(entry: Prepared, epoch: i64) -> (Self, oneshot::Receiver<Answer>) {
        let (reply, answer) = oneshot::channel();
        let job = Self {
            entry,
            epoch,
            intent: None,
            claim: None,
            redemption: None,
            escalated: None,
            release: None,
            closing: None,
            reply,
        };
        (job, answer)
    }

    /// What the job would be answered by a record that writes nothing.
    #[cfg(feature = "danger-null-record")]
    pub(crate) fn pretend(self, right: &CommitRight) -> Answer {
        let (entry, nowhere) = (self.entry, (0, chancery_model::Timestamp::from_micros(0)));
        Answer::Committed(right.found_committed().receipt(
            entry.org,
            nowhere,
            entry.commitment,
            entry.correlation,
        ))
    }

    fn answer(self, answer: Answer) {
        // A waiter that has gone (its request timed out) is told nothing.
        let _ = self.reply.send(answer);
    }
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Durable.
    Committed(Receipt),
    /// Decided on what is no longer so.
    Stale {
        /// The epoch as it is now.
        epoch: i64,
    },
    /// The organization is halted.
    Halted,
    /// The nonce was used before.
    Used,
    /// No recorded decision allowed what the token is for.
    Groundless,
    /// The idempotency key was used before.
    Claimed(Earlier, Receipt),
    /// The intent was released before, or the call is not open any more.
    Released,
    /// The data was refused by the database: this job alone is at fault.
    Refused,
    /// The store could not record it, or can't say whether it did.
    Unavailable,
}

/// The most jobs in one transaction.
const BATCH: usize = 256;
/// How long a batch is tried again while the database does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Takes jobs from the queue until it is closed and empty.
pub(crate) struct Committer {
    store: Store,
    right: Arc<CommitRight>,
    clock: Arc<dyn Clock>,
    queue: Arc<Queue>,
    connection: Option<PgConnection>,
    tips: Tips,
}

impl Committer {
    pub(crate) fn new(
        store: Store,
        right: Arc<CommitRight>,
        clock: Arc<dyn Clock>,
        queue: Arc<Queue>,
    ) -> Self {
        Self { store, right, clock, queue, connection: None, tips: Tips::default() }
    }

    /// Runs until the queue is closed and everything in it is answered.
    pub(crate) async fn run(mut self) {
        while let Some(jobs) = self.queue.take(BATCH).await {
            metrics::histogram!("record_batch_jobs").record(u32::try_from(jobs.len()).unwrap_or(u32::MAX));
            metrics::gauge!("record_queue_jobs")
                .set(f64::from(u32::try_from(self.queue.len()).unwrap_or(u32::MAX)));
            self.commit(jobs).await;
        }
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }

    /// Commits jobs, splitting off what the database refuses, until each has its answer.
    async fn commit(&mut self, jobs: Vec<Job>) {
        let deadline = Instant::now() + PATIENCE;
        let mut groups = vec![Group { jobs, doubt: None }];
        while let Some(mut group) = groups.pop() {
            group.leave_out_abandoned();
            if group.jobs.is_empty() {
                continue;
            }
            let error = match self.attempt(&mut group).await {
                Ok(answers) => {
                    group.jobs.into_iter().zip(answers).for_each(|(job, answer)| job.answer(answer));
                    continue;
                }
                Err(error) => error,
            };
            if error.is_data() && group.doubt.is_none() {
                groups.extend(group.without_refused(&error));
            } else if Instant::now() < deadline {
                tracing::warn!(%error, "a batch was not committed; trying again");
                if !error.is_transient() {
                    tokio::time::sleep(PAUSE).await;
                }
                groups.push(group);
            } else {
                tracing::error!(%error, jobs = group.jobs.len(), "the record can't be written");
                group.jobs.into_iter().for_each(|job| job.answer(Answer::Unavailable));
            }
        }
    }

    /// One try. A group whose COMMIT was not answered is looked up first, and as often as it takes:
    /// nobody is answered and nothing is written again before that is settled.
    async fn attempt(&mut self, group: &mut Group) -> Result<Vec<Answer>, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.store.appender_connection().await?,
        };
        if let Some(plan) = &group.doubt {
            let happened = was_committed(&mut connection, &group.jobs, plan).await?;
            let plan = group.doubt.take().unwrap_or_default();
            if happened {
                self.connection = Some(connection);
                return Ok(answers(&group.jobs, plan, &self.right.found_committed()));
            }
        }
        let now = self.clock.now();
        match attempt(&mut connection, &self.right, &group.jobs, &mut self.tips, now).await {
            Ok(answers) => {
                self.connection = Some(connection);
                Ok(answers)
            }
            Err(Failure::Before(error)) => {
                // A refused statement leaves the connection good; anything else does not.
                if error.is_data() || error.is_transient() {
                    self.connection = Some(connection);
                }
                Err(error)
            }
            Err(Failure::Unknown { error, plan }) => {
                group.doubt = Some(plan);
                Err(error)
            }
        }
    }
}

/// Jobs that are committed together.
struct Group {
    jobs: Vec<Job>,
    /// What each becomes if the COMMIT that was not answered happened.
    doubt: Option<Vec<Planned>>,
}

impl Group {
    /// Leaves out jobs whose waiter has gone; of what may be committed already, nothing.
    fn leave_out_abandoned(&mut self) {
        if self.doubt.is_none() {
            self.jobs.retain(|job| !job.reply.is_closed());
        }
    }

    /// Two halves of a group with data that the database refuses; none when that is one job, which
    /// is answered.
    fn without_refused(mut self, error: &StoreError) -> Vec<Self> {
        if self.jobs.len() > 1 {
            let rest = self.jobs.split_off(self.jobs.len() / 2);
            return vec![Self { jobs: rest, doubt: None }, self];
        }
        for job in self.jobs {
            tracing::error!(kind = job.entry.kind, %error, "the database refused an entry");
            job.answer(Answer::Refused);
        }
        Vec::new()
    }
}

/// The intent a job is about, for its idempotency claim.
pub(crate) fn intent_of(job: &Job) -> Option<IntentId> {
    job.intent.as_ref().map(|intent| intent.id)
}
