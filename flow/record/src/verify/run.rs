//! Walking along a record: one part reads and compares tables, the other computes, each as far ahead as
//! a piece or two.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chancery_evidence::Hash;
use chancery_model::OrgId;
use chancery_store::{KeyringError, Store, StoreError};
use sqlx::PgConnection;
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use uuid::Uuid;

use super::check::{self, Checked, Key, Tree};
use super::lists::{self, Totals};
use super::{Depth, Verification};
use crate::chain::stored;
use crate::scan::{ScanRow, Walk, piece};

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
        for fault in listed.faults {
            found.fault(fault.code, fault.seq);
        }
        Ok(ReadThrough { accounted: accounted?, ..read? })
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
        let (mut after, mut most) = (0, self.depth.pace.piece());
        let mut started = Instant::now();
        loop {
            let rows = self.read(connection, after, most).await?;
            let Some(last) = rows.last() else { break };
            after = last.seq();
            // Where payloads are long, few are weighed for the few that are taken.
            let twice = stored(u64::try_from(rows.len()).unwrap_or(u64::MAX)).saturating_mul(2);
            most = self.depth.pace.piece().min(twice);
            if pieces.send((rows, started.elapsed())).await.is_err() {
                break;
            }
            started = Instant::now();
            while let Ok(checked) = told.try_recv() {
                lists::compare(connection, self.org, &checked, &mut accounted, found).await?;
            }
        }
        drop(pieces);
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
