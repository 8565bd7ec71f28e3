//! Verifying an organization's record in the database, whole, in constant memory.
//!
//! The chain and the tree are computed anew from the entries, payloads are opened and held to their
//! commitments, and what other tables say of entries is compared with them. While one piece is
//! computed, on threads of its own, the next are read.

mod check;
mod forever;
mod lists;
mod run;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chancery_evidence::{Checkpoint, Hash, VerifierKey, origin};
use chancery_model::OrgId;
use chancery_store::{Store, StoreError};
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use uuid::Uuid;

use self::check::{Key, Piece};
use self::run::Run;
use crate::chain::unsigned;
use crate::scan::{LARGE_PIECE, PIECE, ScanRow};

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
    /// Whether the record was read to its end, or to a gap, behind which nothing can be linked; `false`
    /// when time was up before, or the database failed after something was found.
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
/// When the database does not answer before anything was found. What is wrong with the record is not an
/// error but in the [`Verification`].
pub async fn verify_organization(
    store: &Store,
    key: &VerifierKey,
    org: OrgId,
    depth: Depth<'_>,
    progress: impl FnMut(u64, u64),
) -> Result<Verification, StoreError> {
    let mut connection = store.appender_connection().await?;
    let found = verify_over(&mut connection, store, key, org, depth, progress).await?;
    let _ = connection.close().await;
    Ok(found)
}

/// The same on a connection of the record's logins that is kept for several organizations, as long as
/// each verification on it is complete: of another it may be dead.
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
    match verify_into(&mut found, connection, store, (key, org), depth, progress).await {
        Err(error) if found.is_intact() => return Err(error),
        // Whoever broke it may see to it that the rest does not read.
        Err(error) => tracing::warn!(%error, %org, "a broken record was not read to its end"),
        Ok(()) => {}
    }
    Ok(found)
}

async fn verify_into(
    found: &mut Verification,
    connection: &mut PgConnection,
    store: &Store,
    (key, org): (&VerifierKey, OrgId),
    depth: Depth<'_>,
    progress: impl FnMut(u64, u64),
) -> Result<(), StoreError> {
    // Checkpoints before the head: entries are only ever added, so what a checkpoint vouches for was
    // there when the head is read, and no transaction has to stay open for the length of a record.
    let roots = expected_roots(connection, key, org, depth.outside, found).await?;
    let Some(head) = lists::head(connection, org).await? else {
        found.fault("head_differs", 0);
        return Ok(());
    };
    let run = Run { store, org, depth, end: head.seq, signed: head.totals.signed };
    let read = run.walk(connection, roots, found, progress).await?;
    if read.whole {
        read.conclude(&head.entry_hash, head.totals, run.end, found);
    }
    found.complete = read.whole;
    Ok(())
}

/// How many entries these organizations' records have, by their heads.
///
/// # Errors
/// When the database does not answer.
pub async fn entries_of(store: &Store, orgs: &[OrgId]) -> Result<u64, StoreError> {
    let sum: i64 = sqlx::query_scalar(
        "SELECT least(coalesce(sum(seq), 0), 9223372036854775807)::int8 FROM heads WHERE org_id = ANY($1)",
    )
    .bind(orgs.iter().map(|org| org.as_uuid()).collect::<Vec<_>>())
    .fetch_one(store.appender())
    .await?;
    Ok(unsigned(sum))
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
    let (named, keys) = (origin.clone(), [key.clone()]);
    let opened = spawn_blocking(move || {
        let open = |(size, note): (i64, String)| {
            let signed = Checkpoint::open(&note, &keys).ok();
            (unsigned(size), signed.filter(|it| it.origin == named && it.size == unsigned(size)))
        };
        notes.into_iter().map(open).collect::<Vec<_>>()
    });
    let mut roots = BTreeMap::new();
    for (size, signed) in opened.await.map_err(|_| sqlx::Error::WorkerCrashed)? {
        match signed {
            Some(signed) => drop(roots.insert(size, signed.root)),
            None => found.fault("checkpoint_invalid", size),
        }
    }
    for signed in outside.iter().filter(|signed| signed.origin == origin) {
        if roots.insert(signed.size, signed.root).is_some_and(|root| root != signed.root) {
            found.fault("root_differs", signed.size);
        }
    }
    Ok(roots)
}
