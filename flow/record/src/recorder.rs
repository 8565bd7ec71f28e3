//! The record's handle: the only holder of the right to commit.

use std::fmt;
use std::sync::Arc;

use chancery_authenticate::Caller;
use chancery_evidence::GENESIS;
use chancery_model::{KeyId, Principal, Timestamp, ijson};
use chancery_store::{
    Change, CommitRight, Epoch, Halt, KeyringError, Receipt, Scoped, Store, StoreError, Write,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::chain::{Columns, Tip, lock_tips, move_tip};
use crate::committer::{Answer, Committer, Job, Queue};
use crate::entry::{Words, refs};

/// Why something was not recorded. Nothing was done, unless `Unavailable` followed a lost answer.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It was decided on what is no longer so: decide again.
    #[error("the organization changed: epoch is now {epoch}")]
    Stale {
        /// The epoch as it is now.
        epoch: i64,
    },
    /// The organization is halted.
    #[error("the organization is halted")]
    Halted,
    /// The token's nonce was used before.
    #[error("the token was used before")]
    Used,
    /// No recorded decision allowed what the token is for: it was signed behind our back.
    #[error("no recorded decision allowed what the token is for")]
    Groundless,
    /// The intent was released before, or the call it was released for is not open any more.
    #[error("the intent was released before")]
    Released,
    /// The idempotency key was used with another request.
    #[error("the idempotency key was used with another request")]
    KeyReused,
    /// Too much is waiting to be recorded, in all or for this organization.
    #[error("the record's queue is full")]
    Busy,
    /// The record can't be written now, or can't say whether it was.
    #[error("the record is not available")]
    Unavailable,
    /// The database refused this entry.
    #[error("the database refused the entry")]
    Refused,
    /// The payload has no canonical form.
    #[error("the payload can't be written: {0}")]
    Payload(#[from] ijson::IJsonError),
    /// A key is missing.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The store refused.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for RecordError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Stale { epoch } => Self::Stale { epoch },
            error => Self::Store(error),
        }
    }
}

impl From<sqlx::Error> for RecordError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

/// Who made a change, as its entry says.
#[derive(Clone, Copy, Debug)]
pub struct Actor(Option<(Principal, KeyId)>);

impl Actor {
    /// An authenticated caller.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Self(Some((caller.principal(), caller.key())))
    }

    /// The installation itself: its operator's commands and its own work.
    #[must_use]
    pub const fn installation() -> Self {
        Self(None)
    }

    fn words(self) -> Value {
        match self.0 {
            Some((principal, key)) => json!({"type": principal.kind(), "id": principal.id(), "key_id": key}),
            None => json!({"type": "installation"}),
        }
    }
}

/// Bounds of the queue of entries waiting to be committed.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// In all.
    pub capacity: usize,
    /// For one organization.
    pub share: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { capacity: 8192, share: 2048 }
    }
}

/// Writes the record. Cheap to clone; [`Recorder::close`] drains it.
#[derive(Clone)]
pub struct Recorder {
    pub(crate) store: Store,
    pub(crate) right: Arc<CommitRight>,
    pub(crate) queue: Arc<Queue>,
    committer: Arc<tokio::sync::Mutex<Option<JoinHandle<()>>>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("waiting", &self.queue.len()).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Starts the committer of this process.
    #[must_use]
    pub fn start(store: Store, right: CommitRight, limits: QueueLimits) -> Self {
        let right = Arc::new(right);
        let queue = Arc::new(Queue::new(limits.capacity, limits.share));
        let clock = Arc::clone(store.keyring().clock());
        let committer = Committer::new(store.clone(), Arc::clone(&right), clock, Arc::clone(&queue));
        let task = tokio::spawn(committer.run());
        Self { store, right, queue, committer: Arc::new(tokio::sync::Mutex::new(Some(task))) }
    }

    /// Whether the committer runs.
    pub async fn is_alive(&self) -> bool {
        self.committer.lock().await.as_ref().is_some_and(|task| !task.is_finished())
    }

    /// How many entries wait to be committed.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Takes nothing more in, commits what waits, and ends the committer.
    pub async fn close(&self) {
        self.queue.close();
        if let Some(task) = self.committer.lock().await.take() {
            let _ = task.await;
        }
    }

    /// Appends the entry of a mutation as the last step of its transaction, and commits both.
    ///
    /// # Errors
    /// See [`RecordError`]; after any of them nothing of the mutation is in the database, except
    /// that the outcome of a commit that was not answered is unknown.
    pub async fn commit(
        &self,
        mut scoped: Scoped<Write>,
        actor: Actor,
        mut change: Change,
    ) -> Result<Receipt, RecordError> {
        let now = self.store.keyring().clock().now();
        let org = scoped.org();
        if scoped.scope().is_founding() {
            insert_head(&mut scoped, now).await?;
        }
        let payload = ijson::canonical(&with_actor(change.payload.take(), actor))?;
        let key = self.store.keyring().key_within(&mut scoped, change.subject).await?;
        let words = Words {
            org,
            kind: change.kind,
            correlation: change.correlation,
            refs: refs(&change.refs),
            payload: &payload,
        };
        let entry = words.prepare(&key, &**self.store.keyring().random());
        let seen = scoped.scope().epoch();
        let connection = scoped.connection();
        let mut tip =
            lock_tips(connection, &[org.as_uuid()]).await?.pop().ok_or(StoreError::NoOrganization)?;
        if seen.is_some_and(|seen| seen != tip.epoch) {
            return Err(RecordError::Stale { epoch: tip.epoch });
        }
        move_epoch(&mut tip, &change);
        let mut columns = Columns::default();
        let link = columns.push(&mut tip, &entry, now);
        columns.insert(connection).await?;
        move_tip(connection, &tip).await?;
        if change.epoch == Epoch::Bump {
            sqlx::query("SELECT pg_notify('chancery_epoch', $1)")
                .bind(format!("{org} {}", tip.epoch))
                .execute(connection)
                .await?;
        }
        let committed = self.right.commit(scoped).await?;
        Ok(committed.receipt(org, (link.seq, link.time), link.entry_hash, change.correlation))
    }

    /// Queues a job and waits for what became of it.
    pub(crate) async fn queue(&self, make: impl FnOnce() -> (Job, Waiter)) -> Result<Answer, RecordError> {
        let (job, answer) = make();
        #[cfg(feature = "danger-null-record")]
        return Ok(job.pretend(&self.right));
        #[cfg(not(feature = "danger-null-record"))]
        self.enqueue(job, answer).await
    }

    #[cfg(not(feature = "danger-null-record"))]
    async fn enqueue(&self, job: Job, answer: Waiter) -> Result<Answer, RecordError> {
        if !self.queue.push(job) {
            metrics::counter!("record_queue_full_total").increment(1);
            return Err(RecordError::Busy);
        }
        answer.await.map_err(|_| RecordError::Unavailable)
    }
}

/// Where a job's answer arrives.
pub(crate) type Waiter = tokio::sync::oneshot::Receiver<Answer>;

fn with_actor(mut payload: Value, actor: Actor) -> Value {
    if let Value::Object(members) = &mut payload {
        members.insert("actor".to_owned(), actor.words());
    }
    payload
}

fn move_epoch(tip: &mut Tip, change: &Change) {
    if change.epoch == Epoch::Bump {
        tip.epoch += 1;
    }
    match change.halt {
        Some(Halt::Halt) => tip.halted = true,
        Some(Halt::Resume) => tip.halted = false,
        None => {}
    }
}

/// Takes the organization's head before the last step of a mutation: nobody releases an intent until the
/// transaction ends, so what is read of releases is so. Only for a short one: everybody's decisions wait.
///
/// # Errors
/// When the store does not answer.
pub async fn hold_head(scoped: &mut Scoped<Write>) -> Result<(), StoreError> {
    let org = scoped.org().as_uuid();
    lock_tips(scoped.connection(), &[org]).await.map(drop)
}

async fn insert_head(scoped: &mut Scoped<Write>, now: Timestamp) -> Result<(), StoreError> {
    let org = scoped.org().as_uuid();
    sqlx::query("INSERT INTO heads (org_id, seq, entry_hash, last_time, epoch) VALUES ($1, 0, $2, $3, 1)")
        .bind(org)
        .bind(GENESIS.as_slice())
        .bind(now.to_offset())
        .execute(scoped.connection())
        .await?;
    Ok(())
}
