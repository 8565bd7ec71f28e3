//! Checkpoints: every second, for every organization with news, a signed tree head, in Postgres
//! and outside it.

mod file;
mod installation;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chancery_evidence::{Checkpoint, CheckpointSigner, Frontier, Hash, VerifierKey, origin};
use chancery_model::{OrgId, Timestamp};
use chancery_store::{Store, StoreError};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::chain::{hash, stored};
use crate::scan::{Break, Walk, piece};

pub use file::{CheckpointFile, CheckpointFileError};
pub use installation::{InstallationError, checkpoint_signer, rewrap_checkpoint_key};

/// Why no checkpoint was made, or the record does not stand up to one.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The database holds less than was signed: it was rolled back or cut short.
    #[error(
        "the database is behind its checkpoints: `{origin}` was signed at {signed} entries and now has {found}; \
         restore the newer database"
    )]
    Behind {
        /// The log.
        origin: String,
        /// How many entries a checkpoint outside the database vouches for.
        signed: u64,
        /// How many there are.
        found: u64,
    },
    /// The database holds something else than was signed: a fork.
    #[error("the database contradicts its checkpoint: `{origin}` at {size} entries has another root")]
    Forked {
        /// The log.
        origin: String,
        /// The checkpoint's size.
        size: u64,
    },
    /// The file outside Postgres failed.
    #[error(transparent)]
    File(#[from] CheckpointFileError),
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

/// The newest checkpoints that are kept outside Postgres, as this process knows them; what the
/// background verifier holds the database to.
#[derive(Clone, Debug, Default)]
pub struct Outside(Arc<Mutex<HashMap<String, Checkpoint>>>);

impl Outside {
    fn learn<'a>(&self, checkpoints: impl Iterator<Item = &'a Checkpoint>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(checkpoints.map(|checkpoint| (checkpoint.origin.clone(), checkpoint.clone())));
    }

    /// The newest checkpoint of one log.
    pub(crate) fn of(&self, origin: &str) -> Option<Checkpoint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(origin).cloned()
    }
}

/// Makes checkpoints.
#[derive(Debug)]
pub struct Checkpointer {
    store: Store,
    signer: Arc<CheckpointSigner>,
    file: CheckpointFile,
    outside: Outside,
    walks: HashMap<OrgId, Walk>,
}

/// A checkpoint about to be stored.
struct Made {
    org: OrgId,
    size: u64,
    root: Hash,
    frontier: Vec<u8>,
    note: String,
    checkpoint: Checkpoint,
    tiles: Vec<(u8, u64, Hash)>,
}

impl Checkpointer {
    /// Opens the file outside Postgres and compares what it vouches for with the database.
    ///
    /// # Errors
    /// [`CheckpointError::Behind`] or [`CheckpointError::Forked`]: the start must be refused.
    pub async fn open(
        store: Store,
        signer: Arc<CheckpointSigner>,
        path: &std::path::Path,
    ) -> Result<Self, CheckpointError> {
        let file = CheckpointFile::open(path, signer.vkey())?;
        compare(&store, &file, signer.vkey().name()).await?;
        let outside = Outside::default();
        outside.learn(file.newest());
        Ok(Self { store, signer, file, outside, walks: HashMap::new() })
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

    /// One round: a checkpoint for each organization with news. Gives how many were made. Another
    /// process making them at this moment is no error: zero.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub async fn tick(&mut self) -> Result<usize, CheckpointError> {
        let mut tx = self.store.appender().begin().await?;
        let ours: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(LOCK).fetch_one(&mut *tx).await?;
        if !ours {
            return Ok(0);
        }
        let heads: Vec<(Uuid, i64, i64)> = sqlx::query_as(
            "SELECT h.org_id, h.seq, coalesce(c.size, 0) FROM heads h
             LEFT JOIN LATERAL (SELECT size FROM checkpoints WHERE org_id = h.org_id ORDER BY size DESC LIMIT 1) c ON true
             WHERE h.seq > coalesce(c.size, 0) ORDER BY h.org_id",
        )
        .fetch_all(&mut *tx)
        .await?;
        let mut made = Vec::new();
        for (org, seq, signed) in heads {
            let (org, seq, signed) = (OrgId::from_uuid(org), unsigned(seq), unsigned(signed));
            if let Some(one) = self.advance(&mut tx, org, seq, signed).await? {
                made.push(one);
            }
        }
        store(&mut tx, &made, self.store.keyring().clock().now()).await?;
        tx.commit().await?;
        let count = made.len();
        if count > 0 {
            self.outside.learn(made.iter().map(|one| &one.checkpoint));
            self.file.append(made.into_iter().map(|one| (one.checkpoint, one.note)).collect())?;
        }
        Ok(count)
    }

    /// Walks from the last checkpoint to the head, recomputing everything, and signs what it finds;
    /// nothing when a link is broken: then the organization is halted.
    async fn advance(
        &mut self,
        connection: &mut PgConnection,
        org: OrgId,
        seq: u64,
        signed: u64,
    ) -> Result<Option<Made>, CheckpointError> {
        let mut walk = match self.walks.remove(&org) {
            Some(walk) if walk.frontier.size() == signed => walk,
            _ => match resume(connection, self.signer.vkey(), org, signed).await? {
                Some(walk) => walk,
                None => {
                    halt_broken(connection, org, "checkpoint_invalid", stored(signed)).await?;
                    return Ok(None);
                }
            },
        };
        let origin = origin(self.signer.vkey().name(), org);
        let outside = self.outside.of(&origin);
        let mut tiles = Vec::new();
        while walk.frontier.size() < seq {
            let rows = piece(connection, org, walk.frontier.size(), false).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows.iter().take_while(|row| unsigned(row.seq) <= seq) {
                let stepped = walk.step(row, &mut |level, index, hash| tiles.push((level, index, hash)));
                let fork = outside.as_ref().is_some_and(|outside| {
                    outside.size == walk.frontier.size() && outside.root != walk.frontier.root()
                });
                let found = stepped.err().map(Break::code).or(fork.then_some("root_differs"));
                if let Some(code) = found {
                    halt_broken(connection, org, code, row.seq).await?;
                    return Ok(None);
                }
            }
        }
        if walk.frontier.size() != seq {
            halt_broken(connection, org, "entry_missing", stored(seq)).await?;
            return Ok(None);
        }
        let root = walk.frontier.root();
        let checkpoint = Checkpoint { origin, size: seq, root };
        let note = self.signer.sign(&checkpoint)?;
        let frontier = walk.frontier.to_bytes();
        self.walks.insert(org, walk);
        Ok(Some(Made { org, size: seq, root, frontier, note, checkpoint, tiles }))
    }
}

pub(crate) fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// Stops an organization whose record is broken: nothing acts on a record that can't be trusted.
pub(crate) async fn halt_broken(
    connection: &mut PgConnection,
    org: OrgId,
    code: &'static str,
    seq: i64,
) -> Result<(), StoreError> {
    metrics::counter!("record_breaks_total", "code" => code).increment(1);
    tracing::error!(%org, seq, code, "the record is broken: the organization is halted");
    sqlx::query("UPDATE heads SET halted = true, epoch = epoch + 1 WHERE org_id = $1 AND NOT halted")
        .bind(org.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Continues behind a stored checkpoint, if this installation signed it over this very tree: whoever can
/// write the database must not get a tree of theirs signed further.
async fn resume(
    connection: &mut PgConnection,
    key: &VerifierKey,
    org: OrgId,
    signed: u64,
) -> Result<Option<Walk>, CheckpointError> {
    if signed == 0 {
        return Ok(Some(Walk::start(org)));
    }
    let (frontier, note, entry_hash, time): (Vec<u8>, String, Vec<u8>, OffsetDateTime) = sqlx::query_as(
        "SELECT c.frontier, c.note, e.entry_hash, e.time FROM checkpoints c
         JOIN entries e ON e.org_id = c.org_id AND e.seq = c.size WHERE c.org_id = $1 AND c.size = $2",
    )
    .bind(org.as_uuid())
    .bind(stored(signed))
    .fetch_one(connection)
    .await?;
    let (Ok(frontier), Ok(vouched)) =
        (Frontier::from_bytes(&frontier), Checkpoint::open(&note, std::slice::from_ref(key)))
    else {
        return Ok(None);
    };
    let ours = vouched.origin == origin(key.name(), org) && vouched.size == signed;
    if !ours || frontier.size() != signed || frontier.root() != vouched.root {
        return Ok(None);
    }
    Ok(Some(Walk::resume(org, frontier, hash("entries", entry_hash)?, Timestamp::from(time))))
}

async fn store(connection: &mut PgConnection, made: &[Made], now: Timestamp) -> Result<(), StoreError> {
    if made.is_empty() {
        return Ok(());
    }
    let orgs: Vec<Uuid> = made.iter().map(|one| one.org.as_uuid()).collect();
    // What stays of an hour is its last checkpoint: the new one takes the place of those since.
    sqlx::query(
        "DELETE FROM checkpoints WHERE org_id = ANY($1) AND created_at >= date_trunc('hour', $2::timestamptz, 'UTC')",
    )
    .bind(&orgs)
    .bind(now.to_offset())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO checkpoints (org_id, size, root, frontier, note, created_at)
         SELECT *, $6 FROM unnest($1::uuid[], $2::int8[], $3::bytea[], $4::bytea[], $5::text[])",
    )
    .bind(&orgs)
    .bind(made.iter().map(|one| stored(one.size)).collect::<Vec<_>>())
    .bind(made.iter().map(|one| one.root.to_vec()).collect::<Vec<_>>())
    .bind(made.iter().map(|one| one.frontier.clone()).collect::<Vec<_>>())
    .bind(made.iter().map(|one| one.note.clone()).collect::<Vec<_>>())
    .bind(now.to_offset())
    .execute(&mut *connection)
    .await?;
    let tiles: Vec<(Uuid, i16, i64, Vec<u8>)> = made
        .iter()
        .flat_map(|one| one.tiles.iter().map(move |tile| (one.org, tile)))
        .map(|(org, (level, index, hash))| (org.as_uuid(), i16::from(*level), stored(*index), hash.to_vec()))
        .collect();
    if tiles.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO tiles (org_id, level, index, hash)
         SELECT * FROM unnest($1::uuid[], $2::int2[], $3::int8[], $4::bytea[])",
    )
    .bind(tiles.iter().map(|tile| tile.0).collect::<Vec<_>>())
    .bind(tiles.iter().map(|tile| tile.1).collect::<Vec<_>>())
    .bind(tiles.iter().map(|tile| tile.2).collect::<Vec<_>>())
    .bind(tiles.into_iter().map(|tile| tile.3).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
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
            let origin = signed.origin.clone();
            return Err(CheckpointError::Behind { origin, signed: signed.size, found });
        };
        if crate::verify::root_at(&mut connection, org, signed.size).await? != Some(signed.root) {
            return Err(CheckpointError::Forked { origin: signed.origin.clone(), size: signed.size });
        }
    }
    Ok(())
}
