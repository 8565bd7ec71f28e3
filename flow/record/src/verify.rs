//! Verifying an organization's record in the database, whole, in constant memory.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chancery_evidence::merkle::Plan;
use chancery_evidence::{Checkpoint, Hash, VerifierKey, origin};
use chancery_model::OrgId;
use chancery_store::{KeyringError, Store, StoreError};
use serde::Serialize;
use sqlx::PgConnection;
use tokio::time::Instant;
use uuid::Uuid;

use crate::chain::{hash, stored};
use crate::checkpoint::{Outside, halt_broken, unsigned};
use crate::entry::open_payload;
use crate::scan::{ScanRow, Walk, piece};

/// Something that is not as the record says it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// A stable word: `entry_missing`, `entry_changed`, `chain_broken`, `time_reversed`,
    /// `payload_unreadable`, `intent_differs`, `head_differs`, `root_differs`, `checkpoint_invalid`,
    /// `record_truncated`.
    pub code: &'static str,
    /// Where: an entry, or the size of a checkpoint.
    pub seq: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
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

    /// Whether the record is as it must be.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.faults.is_empty()
    }
}

/// What to check besides the chain and the tree.
#[derive(Clone, Copy, Debug)]
pub struct Depth<'a> {
    /// Whether every payload is opened and compared with its commitment.
    pub payloads: bool,
    /// Checkpoints kept outside Postgres.
    pub outside: &'a [Checkpoint],
    /// How much of the time is spent working.
    pub pace: Pace,
}

/// How much of the time a verification works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// All of it.
    Full,
    /// A tenth: for work beside requests.
    Gentle,
}

impl Pace {
    async fn rest_after(self, worked: Duration) {
        if self == Self::Gentle {
            tokio::time::sleep(worked.saturating_mul(9)).await;
        }
    }
}

/// Verifies one organization's record. `progress` hears how many entries are done.
///
/// # Errors
/// When the database does not answer. What is wrong with the record is not an error but in the
/// [`Verification`].
pub async fn verify_organization(
    store: &Store,
    key: &VerifierKey,
    org: OrgId,
    depth: Depth<'_>,
    mut progress: impl FnMut(u64),
) -> Result<Verification, StoreError> {
    let mut connection = store.appender().acquire().await?;
    let mut found = Verification::default();
    // Checkpoints before the head: entries are only ever added, so what a checkpoint vouches for was
    // there when the head is read, and no transaction has to stay open for the length of a record.
    let mut roots = expected_roots(&mut connection, key, org, depth.outside, &mut found).await?;
    let head: Option<(i64, Vec<u8>)> = sqlx::query_as("SELECT seq, entry_hash FROM heads WHERE org_id = $1")
        .bind(org.as_uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let (end, entry_hash) = head.map_or((0, Vec::new()), |(seq, hash)| (unsigned(seq), hash));
    let mut walk = Walk::start(org);
    while walk.frontier.size() < end {
        let started = Instant::now();
        let mut rows = piece(&mut connection, org, walk.frontier.size(), depth.payloads).await?;
        rows.retain(|row| unsigned(row.seq) <= end);
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            step(&mut walk, row, &mut roots, &mut found);
        }
        check_intents(&mut connection, org, &rows, &mut found).await?;
        if depth.payloads {
            check_payloads(store, org, &rows, &mut found).await?;
        }
        found.entries = walk.frontier.size();
        progress(found.entries);
        // After a gap the walk's count is behind the stored numbers: it would read rows again.
        if rows.last().is_some_and(|row| unsigned(row.seq) != walk.frontier.size()) {
            break;
        }
        depth.pace.rest_after(started.elapsed()).await;
    }
    if walk.frontier.size() != end || walk.entry_hash.as_slice() != entry_hash {
        found.fault("head_differs", end);
    }
    for size in roots.into_keys() {
        found.fault("record_truncated", size);
    }
    Ok(found)
}

/// Takes one entry, and compares the tree with what was signed of it at this size.
fn step(walk: &mut Walk, row: &ScanRow, roots: &mut BTreeMap<u64, Hash>, found: &mut Verification) {
    if let Err(broken) = walk.step(row, &mut |_, _, _| {}) {
        found.fault(broken.code(), unsigned(row.seq));
    }
    let size = walk.frontier.size();
    if let Some(root) = roots.remove(&size) {
        if root == walk.frontier.root() { found.checkpoint = size } else { found.fault("root_differs", size) }
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

/// The list of intents must tell of each decision what its entry tells.
async fn check_intents(
    connection: &mut PgConnection,
    org: OrgId,
    rows: &[ScanRow],
    found: &mut Verification,
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
    let listed: Vec<(i64, Uuid, String)> =
        sqlx::query_as("SELECT seq, id, effect FROM intents WHERE org_id = $1 AND id = ANY($2)")
            .bind(org.as_uuid())
            .bind(rows.iter().filter_map(|row| row.intent_kind().map(|(_, id)| id)).collect::<Vec<_>>())
            .fetch_all(connection)
            .await?;
    let mut listed: HashMap<i64, (Uuid, String)> =
        listed.into_iter().map(|(seq, id, effect)| (seq, (id, effect))).collect();
    for row in rows {
        let Some((kind, id)) = row.intent_kind() else { continue };
        let effect = match kind {
            "intent.allowed" => "allow",
            "intent.escalated" => "escalate",
            _ => "deny",
        };
        if listed.remove(&row.seq).is_none_or(|known| known.0 != id || known.1 != effect) {
            found.fault("intent_differs", unsigned(row.seq));
        }
    }
    for seq in listed.into_keys().filter(|seq| (first.seq..=last.seq).contains(seq)) {
        found.fault("intent_differs", unsigned(seq));
    }
    Ok(())
}

async fn check_payloads(
    store: &Store,
    org: OrgId,
    rows: &[ScanRow],
    found: &mut Verification,
) -> Result<(), StoreError> {
    for row in rows {
        let Some(commitment) = row.commitment() else { continue };
        match open_payload(store.keyring(), org, &commitment, &row.payload).await {
            Ok(Some(_)) => {}
            Ok(None) => found.shredded += 1,
            Err(KeyringError::Store(error @ StoreError::Database(_))) => return Err(error),
            Err(_) => found.fault("payload_unreadable", unsigned(row.seq)),
        }
    }
    Ok(())
}

/// The root of the tree over an organization's first `size` entries as the database has them;
/// `None` when it lacks some.
pub(crate) async fn root_at(
    connection: &mut PgConnection,
    org: OrgId,
    size: u64,
) -> Result<Option<Hash>, StoreError> {
    let plan = Plan::root(size);
    let nodes = nodes(connection, org, &plan).await?;
    Ok(plan.compute(&nodes).ok().and_then(|roots| roots.into_iter().next()))
}

/// Reads the hashes that a plan needs: leaf hashes from entries, others from tiles.
pub(crate) async fn nodes(
    connection: &mut PgConnection,
    org: OrgId,
    plan: &Plan,
) -> Result<BTreeMap<(u8, u64), Hash>, StoreError> {
    let mut nodes = BTreeMap::new();
    for range in plan.ranges() {
        let (start, end) = (stored(range.indices.start), stored(range.indices.end));
        let rows: Vec<(i64, Vec<u8>)> = if range.level == 0 {
            sqlx::query_as(
                "SELECT seq - 1, leaf_hash FROM entries WHERE org_id = $1 AND seq > $2 AND seq <= $3",
            )
            .bind(org.as_uuid())
            .bind(start)
            .bind(end)
            .fetch_all(&mut *connection)
            .await?
        } else {
            sqlx::query_as("SELECT index, hash FROM tiles WHERE org_id = $1 AND index >= $2 AND index < $3 AND level = $4")
                .bind(org.as_uuid())
                .bind(start)
                .bind(end)
                .bind(i16::from(range.level))
                .fetch_all(&mut *connection)
                .await?
        };
        for (index, bytes) in rows {
            nodes.insert((range.level, unsigned(index)), hash("tiles", bytes)?);
        }
    }
    Ok(nodes)
}

/// Verifies all records, one after the other, without end and without hurry; a break raises a
/// metric and halts the organization.
///
/// `rest` is the pause between two records: it bounds what the verifier takes from requests.
pub async fn verify_forever(
    store: Store,
    key: VerifierKey,
    outside: Outside,
    rest: Duration,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    loop {
        let orgs = store.organizations().await.unwrap_or_default();
        metrics::gauge!("record_organizations").set(f64::from(u32::try_from(orgs.len()).unwrap_or(u32::MAX)));
        for org in orgs {
            tokio::select! {
                () = verify_one(&store, &key, &outside, org) => {}
                () = &mut stop => return,
            }
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = &mut stop => return,
            }
        }
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = &mut stop => return,
        }
    }
}

async fn verify_one(store: &Store, key: &VerifierKey, outside: &Outside, org: OrgId) {
    let outside: Vec<Checkpoint> = outside.of(&origin(key.name(), org)).into_iter().collect();
    let depth = Depth { payloads: true, outside: &outside, pace: Pace::Gentle };
    match verify_organization(store, key, org, depth, |_| {}).await {
        Ok(found) => {
            metrics::counter!("record_verified_entries_total").increment(found.entries);
            let Some(fault) = found.faults.first() else { return };
            if let Err(error) = halt(store, org, fault).await {
                tracing::error!(%error, %org, "a broken record could not be halted");
            }
        }
        Err(error) => tracing::warn!(%error, "a record could not be verified now"),
    }
}

async fn halt(store: &Store, org: OrgId, fault: &Fault) -> Result<(), StoreError> {
    let mut connection = store.appender().acquire().await?;
    halt_broken(&mut connection, org, fault.code, stored(fault.seq)).await
}
