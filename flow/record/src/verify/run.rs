//! Walking along a record: one part reads and compares tables, the other computes, each as far ahead as
//! a piece or two.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::time::Duration;

use chancery_evidence::Hash;
use chancery_model::OrgId;
use chancery_store::{KeyringError, Store, StoreError};
use futures_util::TryStreamExt as _;
use sqlx::PgConnection;
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use uuid::Uuid;

use super::check::{self, Checked, Key, Tree};
use super::lists::{self, Totals};
use super::{Depth, Verification};
use crate::scan::{PIECE_BYTES, ScanRow, Walk, entries};

/// One verification.
pub(super) struct Run<'a> {
    pub(super) store: &'a Store,
    pub(super) org: OrgId,
    pub(super) depth: Depth<'a>,
    pub(super) end: u64,
    /// The size of the newest checkpoint in the database: up to there tiles are stored.
    pub(super) signed: u64,
}

/// What a walk along the record leaves.
pub(super) struct ReadThrough {
    tree: Tree,
    /// The rows of other tables that entries account for.
    accounted: Totals,
    /// Keys that payloads were sealed under and that are destroyed, with the first such entry.
    shredded: HashMap<Uuid, u64>,
    /// Keys whose destruction the record tells of.
    erased: HashSet<Uuid>,
    /// Whether it was read to its end, or to a gap.
    pub(super) whole: bool,
}

/// Entries, and how long the database was busy with them and with the lists of those before.
type Piece = (Vec<ScanRow>, Duration);

impl Run<'_> {
    /// Walks to the end of the record, or of the time. What is wrong goes into `found`.
    pub(super) async fn walk(
        &self,
        connection: &mut PgConnection,
        roots: BTreeMap<u64, Hash>,
        found: &mut Verification,
        progress: impl FnMut(u64, u64),
    ) -> Result<ReadThrough, StoreError> {
        let (pieces, next) = mpsc::channel(1);
        let (tell, told) = mpsc::unbounded_channel();
        let mut listed = Verification::default();
        let (accounted, read) = tokio::join!(
            self.read_on(connection, pieces, told, &mut listed),
            self.compute(roots, next, tell, found, progress),
        );
        let read = ReadThrough { accounted: accounted?, ..read? };
        for fault in listed.faults {
            found.fault(fault.code, fault.seq);
        }
        Ok(read)
    }

    /// Reads piece after piece, and compares tables with what was computed of earlier ones.
    async fn read_on(
        &self,
        connection: &mut PgConnection,
        pieces: Sender<Piece>,
        mut told: UnboundedReceiver<Checked>,
        found: &mut Verification,
    ) -> Result<Totals, StoreError> {
        let mut accounted = Totals::default();
        let mut reading = Reading::new(pieces);
        while reading.last < self.end {
            let more = self.read(connection, &mut reading).await?;
            while let Ok(checked) = told.try_recv() {
                lists::compare(connection, self.org, &checked, &mut accounted, found).await?;
            }
            if !more {
                break;
            }
        }
        drop(reading);
        while let Some(checked) = told.recv().await {
            lists::compare(connection, self.org, &checked, &mut accounted, found).await?;
        }
        Ok(accounted)
    }

    /// Computes piece after piece.
    async fn compute(
        &self,
        roots: BTreeMap<u64, Hash>,
        mut next: Receiver<Piece>,
        tell: UnboundedSender<Checked>,
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
        while let Some((rows, reading)) = next.recv().await {
            if self.depth.until.is_some_and(|until| Instant::now() >= until) {
                read.whole = false;
                break;
            }
            let started = Instant::now();
            let last = rows.last().map(ScanRow::seq);
            let keys = self.keys(&rows).await?;
            let (tree, piece) = (read.tree, self.depth.piece(rows, keys));
            let computing = spawn_blocking(move || check::check(tree, &piece)).await;
            let (tree, checked) = computing.map_err(|_| sqlx::Error::WorkerCrashed)?;
            read.tree = tree;
            take(&checked, &mut read.shredded, &mut read.erased, found);
            found.entries = read.tree.walk.frontier.size();
            progress(found.entries, self.end);
            // Nobody hears it when reading failed, which is what the whole fails with.
            let _ = tell.send(checked);
            // After a gap the walk's count is behind the stored numbers: it would read rows again.
            if last != Some(found.entries) {
                break;
            }
            self.depth.pace.rest_after(started.elapsed().max(reading)).await;
        }
        Ok(read)
    }

    /// Reads entries and hands them on; `false` when there are no more, or nobody wants them.
    async fn read(&self, connection: &mut PgConnection, reading: &mut Reading) -> Result<bool, StoreError> {
        let (after, most) = (reading.last, self.depth.pace.piece());
        let mut rows = pin!(entries(connection, self.org, after, most, self.depth.payloads));
        while let Some(row) = rows.try_next().await? {
            if row.seq() > self.end {
                break;
            }
            if !reading.add(row).await {
                return Ok(false);
            }
        }
        Ok(reading.hand_on().await && reading.last > after)
    }

    /// The keys that a piece's payloads are sealed under.
    async fn keys(&self, rows: &[ScanRow]) -> Result<HashMap<Uuid, Key>, StoreError> {
        let mut keys = HashMap::new();
        if !self.depth.payloads {
            return Ok(keys);
        }
        for id in rows.iter().filter_map(|row| chancery_crypto::sealed_under(row.payload()).ok()) {
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

/// Entries on their way to whoever computes.
struct Reading {
    pieces: Sender<Piece>,
    rows: Vec<ScanRow>,
    bytes: usize,
    /// The place of the last entry that was read.
    last: u64,
    since: Instant,
}

impl Reading {
    fn new(pieces: Sender<Piece>) -> Self {
        Self { pieces, rows: Vec::new(), bytes: 0, last: 0, since: Instant::now() }
    }

    /// Adds an entry, and hands on what there is once that is much; `false` when nobody wants it.
    async fn add(&mut self, row: ScanRow) -> bool {
        self.last = row.seq();
        self.bytes += row.payload().len();
        self.rows.push(row);
        self.bytes < PIECE_BYTES || self.hand_on().await
    }

    async fn hand_on(&mut self) -> bool {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        let handed = rows.is_empty() || self.pieces.send((rows, self.since.elapsed())).await.is_ok();
        self.since = Instant::now();
        handed
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
    pub(super) fn conclude(&self, head: &[u8], stored: Totals, end: u64, found: &mut Verification) {
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
