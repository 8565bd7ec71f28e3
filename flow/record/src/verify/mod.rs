//! Verifying an organization's record in the database, whole, in constant memory.
//!
//! The chain and the tree are computed anew from the entries, payloads are opened and held to their
//! commitments, and what other tables say of entries is compared with them. While one piece is
//! computed on a thread of its own, the next is read.

mod check;
mod forever;
mod lists;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chancery_evidence::{Checkpoint, Hash, VerifierKey, origin};
use chancery_model::OrgId;
use chancery_store::{KeyringError, Store, StoreError};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use uuid::Uuid;

use self::check::{Checked, Key, Piece, Tree};
use self::lists::Totals;
use crate::chain::{stored, unsigned};
use crate::scan::{LARGE_PIECE, PIECE, ScanRow, Walk, piece};

pub use forever::verify_forever;

/// Something that is not as the record says it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// One of [`FAULTS`].
    pub code: &'static str,
    /// Where: an entry, or the size of a checkpoint.
    pub seq: u64,
}

/// The stable words for what can be wrong; `docs/runbooks/broken-record.md` explains them.
pub const FAULTS: [&str; 14] = [
    "entry_missing",
    "entry_changed",
    "chain_broken",
    "time_reversed",
    "payload_unreadable",
    "intent_differs",
    "intent_invented",
    "use_differs",
    "use_invented",
    "tile_differs",
    "head_differs",
    "root_differs",
    "checkpoint_invalid",
    "record_truncated",
];

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether the whole record was read; `false` when time was up before its end.
    pub complete: bool,
    /// How many entries were read.
    pub entries: u64,
    /// How many payloads are shredded: their keys were destroyed, their leaves still prove.
    pub shredded: u64,
    /// The size of the newest checkpoint that the record stands up to.
    pub checkpoint: u64,
    /// What is wrong, at most [`MOST_FAULTS`]; empty when all is well.
    pub faults: Vec<Fault>,
}

/// No more than this many faults are told; the record is broken either way.
pub const MOST_FAULTS: usize = 100;

impl Verification {
    fn fault(&mut self, code: &'static str, seq: u64) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(Fault { code, seq });
        }
    }

    /// Whether what was read is as it must be.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.faults.is_empty()
    }
}

/// What to check besides the chain and the tree.
#[derive(Clone, Copy, Debug)]
pub struct Depth<'a> {
    /// Whether every payload is opened and compared with its commitment, and other tables with what
    /// payloads say.
    pub payloads: bool,
    /// Checkpoints kept outside Postgres.
    pub outside: &'a [Checkpoint],
    /// How much of the time is spent working.
    pub pace: Pace,
    /// When to stop before the end.
    pub until: Option<Instant>,
}

impl<'a> Depth<'a> {
    /// Everything, as fast as it goes, to the end.
    #[must_use]
    pub const fn whole(outside: &'a [Checkpoint]) -> Self {
        Self { payloads: true, outside, pace: Pace::Full, until: None }
    }

    fn piece(&self, rows: Vec<ScanRow>, keys: HashMap<Uuid, Key>) -> Piece {
        let threads = if self.pace == Pace::Full && rows.len() > 64 { 2 } else { 1 };
        Piece { rows, keys, payloads: self.payloads, threads }
    }
}

/// How much of the time a verification works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// All of it.
    Full,
    /// A twentieth: for work beside requests.
    Gentle,
}

impl Pace {
    /// How many entries are read at once.
    const fn piece(self) -> i64 {
        match self {
            Self::Full => LARGE_PIECE,
            Self::Gentle => PIECE,
        }
    }

    async fn rest_after(self, worked: Duration) {
        if self == Self::Gentle {
            tokio::time::sleep(worked.saturating_mul(19)).await;
        }
    }
}

/// Verifies one organization's record, on a connection of its own. `progress` hears how many entries
/// are done, and of how many.
///
/// # Errors
/// When the database does not answer. What is wrong with the record is not an error but in the
/// [`Verification`].
pub async fn verify_organization(
    store: &Store,
    key: &VerifierKey,
    org: OrgId,
    depth: Depth<'_>,
    progress: impl FnMut(u64, u64),
) -> Result<Verification, StoreError> {
    let mut connection = store.appender_connection().await?;
    let found = verify_over(&mut connection, store, key, org, depth, progress).await?;
    connection.close().await?;
    Ok(found)
}

/// The same on a connection of the record's logins that is kept for several organizations.
///
/// # Errors
/// As [`verify_organization`].
pub async fn verify_over(
    connection: &mut PgConnection,
    store: &Store,
    key: &VerifierKey,
    org: OrgId,
    depth: Depth<'_>,
    progress: impl FnMut(u64, u64),
) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    // Checkpoints before the head: entries are only ever added, so what a checkpoint vouches for was
    // there when the head is read, and no transaction has to stay open for the length of a record.
    let roots = expected_roots(connection, key, org, depth.outside, &mut found).await?;
    match lists::head(connection, org).await? {
        Some(head) => {
            let run = Run { store, org, depth, end: head.seq, signed: head.totals.signed };
            let read = run.walk(connection, roots, &mut found, progress).await?;
            if read.whole {
                read.conclude(&head.entry_hash, head.totals, run.end, &mut found);
            }
            found.complete = read.whole;
        }
        None => found.fault("head_differs", 0),
    }
    Ok(found)
}

/// One verification.
struct Run<'a> {
    store: &'a Store,
    org: OrgId,
    depth: Depth<'a>,
    end: u64,
    /// The size of the newest checkpoint in the database: up to there tiles are stored.
    signed: u64,
}

/// What a walk along the record leaves.
struct ReadThrough {
    tree: Tree,
    /// The rows of other tables that entries account for.
    accounted: Totals,
    /// Keys that payloads were sealed under and that are destroyed, with the first such entry.
    shredded: HashMap<Uuid, u64>,
    /// Keys whose destruction the record tells of.
    erased: HashSet<Uuid>,
    /// Whether it was read to its end, or to a gap.
    whole: bool,
}

impl Run<'_> {
    async fn walk(
        &self,
        connection: &mut PgConnection,
        roots: BTreeMap<u64, Hash>,
        found: &mut Verification,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<ReadThrough, StoreError> {
        let mut read = ReadThrough {
            tree: Tree { walk: Walk::start(self.org), roots, signed: self.signed },
            accounted: Totals::default(),
            shredded: HashMap::new(),
            erased: HashSet::new(),
            whole: true,
        };
        let mut previous: Option<Checked> = None;
        let mut most = self.depth.pace.piece();
        let mut rows = self.read(connection, 0, most).await?;
        while let Some(last) = rows.last().map(ScanRow::seq) {
            if self.depth.until.is_some_and(|until| Instant::now() >= until) {
                read.whole = false;
                break;
            }
            // Where payloads are long, no more is asked for than is taken.
            let twice = stored(u64::try_from(rows.len()).unwrap_or(u64::MAX)).saturating_mul(2);
            most = self.depth.pace.piece().min(twice);
            let started = Instant::now();
            let keys = self.keys(&rows).await?;
            let (tree, piece) = (read.tree, self.depth.piece(rows, keys));
            let computing = spawn_blocking(move || check::check(tree, &piece));
            let reading = async {
                if let Some(checked) = previous.take() {
                    lists::compare(connection, self.org, &checked, &mut read.accounted, found).await?;
                }
                self.read(connection, last, most).await
            };
            let (computed, next) = tokio::join!(computing, reading);
            let (tree, checked) = computed.map_err(|_| sqlx::Error::WorkerCrashed)?;
            rows = next?;
            take(&checked, &mut read.shredded, &mut read.erased, found);
            found.entries = tree.walk.frontier.size();
            progress(found.entries, self.end);
            read.tree = tree;
            previous = Some(checked);
            // After a gap the walk's count is behind the stored numbers: it would read rows again.
            if last != found.entries {
                break;
            }
            self.depth.pace.rest_after(started.elapsed()).await;
        }
        if let Some(checked) = previous {
            lists::compare(connection, self.org, &checked, &mut read.accounted, found).await?;
        }
        Ok(read)
    }

    async fn read(
        &self,
        connection: &mut PgConnection,
        after: u64,
        most: i64,
    ) -> Result<Vec<ScanRow>, StoreError> {
        if after >= self.end {
            return Ok(Vec::new());
        }
        let mut rows = piece(connection, self.org, after, most, self.depth.payloads).await?;
        rows.retain(|row| row.seq() <= self.end);
        Ok(rows)
    }

    /// The keys that a piece's payloads are sealed under.
    async fn keys(&self, rows: &[ScanRow]) -> Result<HashMap<Uuid, Key>, StoreError> {
        let mut keys = HashMap::new();
        if !self.depth.payloads {
            return Ok(keys);
        }
        for id in rows.iter().filter_map(|row| chancery_crypto::sealed_under(&row.payload).ok()) {
            if keys.contains_key(&id) {
                continue;
            }
            let key = match self.store.keyring().key_by_id(self.org, id).await {
                Ok(key) => Key::Found(key),
                Err(KeyringError::Shredded) => Key::Destroyed,
                Err(KeyringError::Store(error @ StoreError::Database(_))) => return Err(error),
                Err(_) => Key::Missing,
            };
            keys.insert(id, key);
        }
        Ok(keys)
    }
}

fn take(
    checked: &Checked,
    shredded: &mut HashMap<Uuid, u64>,
    erased: &mut HashSet<Uuid>,
    found: &mut Verification,
) {
    for fault in &checked.faults {
        found.fault(fault.code, fault.seq);
    }
    found.checkpoint = found.checkpoint.max(checked.checkpoint);
    for (key, seq) in &checked.shredded {
        found.shredded += 1;
        shredded.entry(*key).or_insert(*seq);
    }
    erased.extend(&checked.erased);
}

impl ReadThrough {
    /// What only the end tells: that nothing is missing after it, and nothing is there without an entry.
    fn conclude(&self, head: &[u8], stored: Totals, end: u64, found: &mut Verification) {
        let Tree { walk, roots, .. } = &self.tree;
        if walk.frontier.size() != end || walk.entry_hash.as_slice() != head {
            found.fault("head_differs", end);
        }
        for size in roots.keys() {
            found.fault("record_truncated", *size);
        }
        // Destroying a key is no way to hide what an entry says: the record must tell of it.
        for (key, seq) in &self.shredded {
            if !self.erased.contains(key) {
                found.fault("payload_unreadable", *seq);
            }
        }
        self.accounted.compare(stored, end, found);
    }
}

/// The roots that signed checkpoints vouch for, by size.
async fn expected_roots(
    connection: &mut PgConnection,
    key: &VerifierKey,
    org: OrgId,
    outside: &[Checkpoint],
    found: &mut Verification,
) -> Result<BTreeMap<u64, Hash>, StoreError> {
    let origin = origin(key.name(), org);
    let notes: Vec<(i64, String)> =
        sqlx::query_as("SELECT size, note FROM checkpoints WHERE org_id = $1 ORDER BY size")
            .bind(org.as_uuid())
            .fetch_all(connection)
            .await?;
    let keys = [key.clone()];
    let mut roots = BTreeMap::new();
    for (size, note) in notes {
        match Checkpoint::open(&note, &keys) {
            Ok(signed) if signed.origin == origin && signed.size == unsigned(size) => {
                roots.insert(signed.size, signed.root);
            }
            _ => found.fault("checkpoint_invalid", unsigned(size)),
        }
    }
    for signed in outside.iter().filter(|signed| signed.origin == origin) {
        if roots.insert(signed.size, signed.root).is_some_and(|root| root != signed.root) {
            found.fault("root_differs", signed.size);
        }
    }
    Ok(roots)
}
