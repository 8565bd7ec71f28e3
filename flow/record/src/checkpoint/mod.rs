//! Checkpoints: every second, for every organization with news, a signed tree head, in Postgres
//! and outside it.

mod advance;
mod file;
mod installation;
mod stored;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chancery_evidence::{Checkpoint, CheckpointSigner, origin};
use chancery_model::OrgId;
use chancery_store::{Store, StoreError};
use sqlx::PgConnection;
use tokio::task::spawn_blocking;
use uuid::Uuid;

use self::advance::{Advanced, Turn};
use self::stored::{Made, Standing};
use crate::Recorder;
use crate::breaks::{self, Broken};
use crate::chain::unsigned;
use crate::scan::{PIECE, ScanRow, Walk, pieces};
use crate::tree::{extends, root_at};

pub use file::{CheckpointFile, CheckpointFileError, read_newest};
pub use installation::{InstallationError, checkpoint_key_version, checkpoint_signer, rewrap_checkpoint_key};

/// Why no checkpoint was made, or the record does not stand up to one.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The database holds less than was signed: it was rolled back or cut short.
    #[error(
        "the database is behind its checkpoints: the record of {record} was signed at {signed} entries and now \
         has {found}; restore the newer database"
    )]
    Behind {
        /// Whose: the log's origin, or what people call the organization.
        record: String,
        /// How many entries a checkpoint outside the database vouches for.
        signed: u64,
        /// How many there are.
        found: u64,
    },
    /// The database holds something else than was signed: a fork.
    #[error(
        "the database contradicts its checkpoint: the record of {record} has another root at {size} entries"
    )]
    Forked {
        /// Whose: the log's origin, or what people call the organization.
        record: String,
        /// The checkpoint's size.
        size: u64,
    },
    /// The file outside Postgres failed.
    #[error(transparent)]
    File(#[from] CheckpointFileError),
    /// The thread that writes the file was lost.
    #[error("the checkpoint file was not written: {0}")]
    Unwritten(#[from] tokio::task::JoinError),
    /// The key does not sign.
    #[error(transparent)]
    Sign(#[from] chancery_crypto::SignError),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CheckpointError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Any number does; this one is ours. Whoever holds it makes this round's checkpoints.
const LOCK: i64 = 0x6368_6563_6b70_6f69;

/// So many rounds without a new checkpoint, though there is news, are told.
const STANDSTILL: u32 = 10;

/// The newest checkpoints that are kept outside Postgres, as this process knows them; what
/// verifications hold the database to.
#[derive(Clone, Debug, Default)]
pub struct Outside(Arc<Mutex<HashMap<String, Checkpoint>>>);

impl Outside {
    /// The newest checkpoint of one log.
    #[must_use]
    pub fn of(&self, origin: &str) -> Option<Checkpoint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(origin).cloned()
    }

    /// Never a smaller one: what was vouched for once stays so.
    fn learn<'a>(&self, checkpoints: impl IntoIterator<Item = &'a Checkpoint>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for checkpoint in checkpoints {
            if known.get(&checkpoint.origin).is_none_or(|newest| newest.size <= checkpoint.size) {
                known.insert(checkpoint.origin.clone(), checkpoint.clone());
            }
        }
    }
}

/// Makes checkpoints.
#[derive(Debug)]
pub struct Checkpointer {
    recorder: Recorder,
    signer: Arc<CheckpointSigner>,
    /// Written on a thread that may wait for the disk.
    file: Arc<Mutex<CheckpointFile>>,
    outside: Outside,
    walks: HashMap<OrgId, Walk>,
    /// Where the records ended that were found broken: until they move they stay so.
    broken: HashMap<OrgId, u64>,
    /// The sizes of all checkpoints in the database together, as the last round found them, and for how
    /// many rounds they have stood still.
    signed: u64,
    standstill: u32,
}

impl Checkpointer {
    /// Opens the file outside Postgres and compares what it vouches for with the database.
    ///
    /// # Errors
    /// [`CheckpointError::Behind`] or [`CheckpointError::Forked`]: the start must be refused.
    pub async fn open(
        recorder: Recorder,
        signer: Arc<CheckpointSigner>,
        path: &std::path::Path,
    ) -> Result<Self, CheckpointError> {
        let file = CheckpointFile::open(path, signer.vkey())?;
        compare(&recorder.store, &file, signer.vkey().name()).await?;
        let outside = Outside::default();
        outside.learn(file.newest());
        let file = Arc::new(Mutex::new(file));
        Ok(Self {
            recorder,
            signer,
            file,
            outside,
            walks: HashMap::new(),
            broken: HashMap::new(),
            signed: 0,
            standstill: 0,
        })
    }

    /// What is kept outside Postgres, as it grows.
    #[must_use]
    pub fn outside(&self) -> Outside {
        self.outside.clone()
    }

    /// Makes checkpoints every `interval` until told to stop, and once more then.
    pub async fn run(mut self, interval: Duration, stop: impl Future<Output = ()>) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            let last = tokio::select! { _ = ticks.tick() => false, () = &mut stop => true };
            if let Err(error) = self.tick().await {
                metrics::counter!("record_checkpoint_failures_total").increment(1);
                tracing::error!(%error, "no checkpoints were made");
            }
            if last {
                return;
            }
        }
    }

    /// One round: a checkpoint for each organization with news; what is broken is halted. Gives how many
    /// were made. Another process making them at this moment is no error: zero, and this one keeps what
    /// the other signed in its own file.
    ///
    /// A checkpoint goes outside first and into Postgres then: a crash between the two leaves the
    /// stronger witness ahead, and the next round walks up to it.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub async fn tick(&mut self) -> Result<usize, CheckpointError> {
        let mut tx = self.recorder.store.appender().begin().await?;
        let ours: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(LOCK).fetch_one(&mut *tx).await?;
        let standings = stored::standings(&mut tx).await?;
        let mut broken = self.follow(&mut tx, &standings).await?;
        let mut made = Vec::new();
        if !ours {
            broken.extend(standings.iter().filter_map(|standing| self.cut_short(standing)));
        }
        self.notice_standstill(&standings);
        if ours {
            for group in grouped(standings.iter().filter(|standing| self.is_due(standing))) {
                let after: Vec<_> = group.iter().map(|it| (it.org, self.place(it))).collect();
                let mut news = pieces(&mut tx, &after).await?;
                for standing in group {
                    let news = news.remove(&standing.org).unwrap_or_default();
                    match self.turn(standing, news).advance(&mut tx).await? {
                        Advanced::Made(one, walk) => {
                            self.broken.remove(&one.org);
                            self.walks.insert(one.org, walk);
                            made.push(*one);
                        }
                        Advanced::Broken(found) => broken.push((standing.org, found)),
                    }
                }
            }
        }
        self.keep_outside(made.iter().map(|one| (one.checkpoint.clone(), one.note.clone())).collect())
            .await?;
        stored::insert(&mut tx, &made, self.recorder.store.keyring().clock().now()).await?;
        tx.commit().await?;
        report(&standings, &made);
        for (org, found) in broken {
            let end = breaks::halt(&self.recorder, org, found).await?;
            self.broken.insert(org, end);
        }
        Ok(made.len())
    }

    /// Whether there is anything to do for an organization.
    fn is_due(&self, standing: &Standing) -> bool {
        let known = standing.halted && self.broken.get(&standing.org) == Some(&standing.seq);
        let vouched = self.vouched(standing.org).map_or(0, |outside| outside.size);
        !known && (standing.seq != standing.signed || vouched > standing.seq)
    }

    /// An organization whose record ends before what was signed of it.
    fn cut_short(&self, standing: &Standing) -> Option<(OrgId, Broken)> {
        let seq = self.vouched(standing.org).map_or(0, |outside| outside.size);
        let cut = standing.seq < seq && self.is_due(standing);
        cut.then_some((standing.org, Broken { code: "record_truncated", seq }))
    }

    /// Tells of rounds in which nobody signs although there is news: the lock may be held by somebody
    /// who makes no checkpoints, which needs no right in the database.
    fn notice_standstill(&mut self, standings: &[Standing]) {
        let signed = standings.iter().fold(0_u64, |sum, standing| sum.wrapping_add(standing.signed));
        let still = signed == self.signed && standings.iter().any(|standing| self.is_due(standing));
        self.standstill = if still { self.standstill + 1 } else { 0 };
        self.signed = signed;
        if self.standstill >= STANDSTILL {
            metrics::counter!("record_checkpoint_failures_total").increment(1);
            tracing::error!(rounds = self.standstill, "there is news and nobody makes checkpoints");
        }
    }

    /// Behind which entry an organization's turn begins.
    fn place(&self, standing: &Standing) -> u64 {
        let walk = self.walks.get(&standing.org).map(|walk| walk.frontier.size());
        match walk.filter(|size| *size <= standing.signed) {
            _ if self.broken.contains_key(&standing.org) => 0,
            walked => walked.unwrap_or(standing.signed),
        }
    }

    fn turn(&mut self, standing: Standing, news: Vec<ScanRow>) -> Turn<'_> {
        let org = standing.org;
        let outside = self.vouched(org);
        let walk = match self.walks.remove(&org) {
            // It was broken and let go again: nothing of it is taken for granted.
            _ if self.broken.contains_key(&org) => Some(Walk::start(org)),
            walk => walk.filter(|walk| walk.frontier.size() <= standing.signed),
        };
        Turn { signer: &self.signer, standing, origin: self.origin(org), outside, walk, news }
    }

    fn origin(&self, org: OrgId) -> String {
        origin(self.signer.vkey().name(), org)
    }

    /// The newest checkpoint of an organization outside Postgres.
    fn vouched(&self, org: OrgId) -> Option<Checkpoint> {
        self.outside.of(&self.origin(org))
    }

    /// Keeps outside what another process signed and put into the database, so that this one holds the
    /// database to it as well. Gives what was not signed by the installation.
    async fn follow(
        &self,
        connection: &mut PgConnection,
        standings: &[Standing],
    ) -> Result<Vec<(OrgId, Broken)>, CheckpointError> {
        let news: Vec<(OrgId, u64)> = standings
            .iter()
            .filter(|it| self.broken.get(&it.org) != Some(&it.seq))
            .filter(|it| self.vouched(it.org).map_or(0, |outside| outside.size) < it.signed)
            .map(|it| (it.org, it.signed))
            .collect();
        if news.is_empty() {
            return Ok(Vec::new());
        }
        let (mut signed, mut broken) = (Vec::new(), Vec::new());
        for (org, size, note) in stored::notes(connection, &news).await? {
            let Some(checkpoint) = stored::open_note(self.signer.vkey(), org, size, &note) else {
                broken.push((org, Broken { code: "checkpoint_invalid", seq: size }));
                continue;
            };
            // A walk of this process will pass there; without one the two signatures are compared.
            let known = self.vouched(org).filter(|_| !self.walks.contains_key(&org));
            match known {
                Some(known) if !extends(connection, org, &known, &checkpoint).await? => {
                    broken.push((org, Broken { code: "root_differs", seq: size }));
                }
                _ => signed.push((checkpoint, note)),
            }
        }
        self.keep_outside(signed).await?;
        Ok(broken)
    }

    /// Writes checkpoints to the file and waits for the disk, on a thread where waiting is nobody's
    /// loss.
    async fn keep_outside(&self, checkpoints: Vec<(Checkpoint, String)>) -> Result<(), CheckpointError> {
        if checkpoints.is_empty() {
            return Ok(());
        }
        let (file, outside) = (Arc::clone(&self.file), self.outside.clone());
        let written = spawn_blocking(move || {
            let kept: Vec<Checkpoint> =
                checkpoints.iter().map(|(checkpoint, _)| checkpoint.clone()).collect();
            file.lock().unwrap_or_else(PoisonError::into_inner).append(checkpoints)?;
            outside.learn(&kept);
            Ok::<_, CheckpointFileError>(())
        });
        Ok(written.await??)
    }
}

/// Organizations whose news are read together: many that have little, or one that has much.
fn grouped<'a>(due: impl Iterator<Item = &'a Standing>) -> Vec<Vec<Standing>> {
    const MOST: u64 = PIECE.unsigned_abs();
    let mut groups: Vec<(u64, Vec<Standing>)> = Vec::new();
    for standing in due {
        let news = standing.seq.saturating_sub(standing.signed).min(MOST);
        match groups.last_mut().filter(|(size, _)| size + news <= MOST) {
            Some((size, group)) => {
                *size += news;
                group.push(*standing);
            }
            None => groups.push((news, vec![*standing])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// How far the newest checkpoints are behind the records, over all organizations, after a round.
fn report(standings: &[Standing], made: &[Made]) {
    let made: HashMap<OrgId, u64> = made.iter().map(|one| (one.org, one.checkpoint.size)).collect();
    let behind = |it: &Standing| it.seq.saturating_sub(made.get(&it.org).copied().unwrap_or(it.signed));
    let lag: u64 = standings.iter().map(behind).sum();
    metrics::gauge!("record_checkpoint_lag_entries").set(f64::from(u32::try_from(lag).unwrap_or(u32::MAX)));
}

/// Compares the newest checkpoint of each log outside Postgres with the database.
async fn compare(store: &Store, file: &CheckpointFile, name: &str) -> Result<(), CheckpointError> {
    let mut connection = store.appender().acquire().await?;
    let heads: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT org_id, seq FROM heads").fetch_all(&mut *connection).await?;
    let heads: HashMap<String, (OrgId, u64)> = heads
        .into_iter()
        .map(|(org, seq)| (OrgId::from_uuid(org), unsigned(seq)))
        .map(|(org, seq)| (origin(name, org), (org, seq)))
        .collect();
    for signed in file.newest() {
        let (org, found) = match heads.get(&signed.origin) {
            Some((org, seq)) => (Some(*org), *seq),
            None => (None, 0),
        };
        let Some(org) = org.filter(|_| signed.size <= found) else {
            let record = signed.origin.clone();
            return Err(CheckpointError::Behind { record, signed: signed.size, found });
        };
        if root_at(&mut connection, org, signed.size).await? != Some(signed.root) {
            return Err(CheckpointError::Forked { record: signed.origin.clone(), size: signed.size });
        }
    }
    Ok(())
}
