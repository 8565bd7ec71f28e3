//! Reading a chain from the database, in order and in pieces, and checking every link on the way.

use std::collections::HashMap;

use chancery_evidence::{Frontier, GENESIS, Hash, Leaf, entry_hash};
use chancery_model::{OrgId, Timestamp};
use chancery_store::StoreError;
use sqlx::PgConnection;

use crate::chain::{stored, unsigned};

/// The most entries that are read at once. Few, so that what is computed over them in one go takes
/// no longer than a request.
pub(crate) const PIECE: i64 = 512;
/// The most where nobody waits: fewer messages and hand-overs for each entry.
pub(crate) const LARGE_PIECE: i64 = 4096;
/// About how many bytes of payloads are read at once: what a verification keeps in memory.
const PIECE_BYTES: i64 = 4 * 1024 * 1024;

/// A stored moment in microseconds; null where it is none that an entry can have. (As a moment,
/// what lies beyond the years of the calendar can't even be read.)
macro_rules! micros {
    ($column:literal) => {
        concat!(
            "CASE WHEN ",
            $column,
            " >= '1970-01-01Z' AND ",
            $column,
            " < '9999-12-31Z' \
             THEN (extract(epoch FROM ",
            $column,
            ") * 1000000)::int8 END AS micros"
        )
    };
}
pub(crate) use micros;

#[derive(sqlx::FromRow)]
pub(crate) struct ScanRow {
    seq: i64,
    micros: Option<i64>,
    pub(crate) kind: String,
    pub(crate) correlation_id: Option<uuid::Uuid>,
    pub(crate) refs: String,
    commitment: Vec<u8>,
    leaf_hash: Vec<u8>,
    entry_hash: Vec<u8>,
    #[sqlx(default)]
    pub(crate) payload: Vec<u8>,
}

impl ScanRow {
    pub(crate) fn commitment(&self) -> Option<Hash> {
        self.commitment.as_slice().try_into().ok()
    }

    /// When it says it was appended; the beginning of time where no entry can say so.
    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.unwrap_or(0))
    }

    /// Its place in the chain, from 1.
    pub(crate) fn seq(&self) -> u64 {
        unsigned(self.seq)
    }
}

/// How an entry departs from what the chain says it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// An entry is missing, or stands twice.
    Gap,
    /// The time went back.
    Time,
    /// What the entry says is not what its leaf hash is of.
    Leaf,
    /// The entry hash does not follow from the one before.
    Link,
}

impl Break {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Gap => "entry_missing",
            Self::Time => "time_reversed",
            Self::Leaf => "entry_changed",
            Self::Link => "chain_broken",
        }
    }
}

/// Where a walk along a chain stands.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    pub(crate) org: OrgId,
    pub(crate) frontier: Frontier,
    pub(crate) entry_hash: Hash,
    time: Timestamp,
}

impl Walk {
    pub(crate) const fn start(org: OrgId) -> Self {
        Self { org, frontier: Frontier::new(), entry_hash: GENESIS, time: Timestamp::from_micros(0) }
    }

    /// Continues behind a checkpoint: its frontier, and the hash and time of its last entry.
    pub(crate) const fn resume(org: OrgId, frontier: Frontier, entry_hash: Hash, time: Timestamp) -> Self {
        Self { org, frontier, entry_hash, time }
    }

    /// Takes the next entry: recomputes its leaf from what it says, and its link from the one before.
    /// After a break the walk goes on from what is stored, so that one break is told once.
    pub(crate) fn step(
        &mut self,
        row: &ScanRow,
        completed: &mut impl FnMut(u8, u64, Hash),
    ) -> Result<(), Break> {
        let expected = self.frontier.size() + 1;
        let time = row.time();
        let (Some(commitment), Ok(leaf_stored), Ok(link_stored)) = (
            row.commitment(),
            Hash::try_from(row.leaf_hash.as_slice()),
            Hash::try_from(row.entry_hash.as_slice()),
        ) else {
            return Err(Break::Leaf);
        };
        let leaf = Leaf { org: self.org, seq: expected, time, kind: &row.kind, refs: &row.refs, commitment };
        let leaf_hash = leaf.hash();
        let link = entry_hash(&self.entry_hash, &leaf_hash);
        let found = if row.seq != stored(expected) {
            Some(Break::Gap)
        } else if leaf_hash != leaf_stored || row.micros.is_none() {
            Some(Break::Leaf)
        } else if link != link_stored {
            Some(Break::Link)
        } else if time < self.time {
            Some(Break::Time)
        } else {
            None
        };
        self.frontier.append(leaf_hash, completed);
        self.entry_hash = link_stored;
        self.time = time;
        found.map_or(Ok(()), Err)
    }
}

#[derive(sqlx::FromRow)]
struct OfOrg {
    org_id: uuid::Uuid,
    #[sqlx(flatten)]
    row: ScanRow,
}

/// The next entries of several chains, each after a place of its own, without payloads: at most
/// [`PIECE`] of each.
pub(crate) async fn pieces(
    connection: &mut PgConnection,
    after: &[(OrgId, u64)],
) -> Result<HashMap<OrgId, Vec<ScanRow>>, StoreError> {
    let rows: Vec<OfOrg> = sqlx::query_as(concat!(
        "SELECT w.org_id, e.* FROM unnest($1::uuid[], $2::int8[]) AS w (org_id, after), LATERAL (
                 SELECT seq, ",
        micros!("time"),
        ", kind, correlation_id, refs, commitment, leaf_hash, entry_hash FROM entries
                 WHERE org_id = w.org_id AND seq > w.after ORDER BY seq LIMIT $3
             ) AS e ORDER BY w.org_id, e.seq"
    ))
    .bind(after.iter().map(|(org, _)| org.as_uuid()).collect::<Vec<_>>())
    .bind(after.iter().map(|(_, after)| stored(*after)).collect::<Vec<_>>())
    .bind(PIECE)
    .fetch_all(connection)
    .await?;
    let mut pieces: HashMap<OrgId, Vec<ScanRow>> = HashMap::new();
    for of in rows {
        pieces.entry(OrgId::from_uuid(of.org_id)).or_default().push(of.row);
    }
    Ok(pieces)
}

/// The next entries of a chain after `after`, at most so many, with or without their payloads.
pub(crate) async fn piece(
    connection: &mut PgConnection,
    org: OrgId,
    after: u64,
    most: i64,
    with_payload: bool,
) -> Result<Vec<ScanRow>, StoreError> {
    if !with_payload {
        let sql = concat!(
            "SELECT seq, ",
            micros!("time"),
            ", kind, correlation_id, refs, commitment, leaf_hash, entry_hash FROM entries
             WHERE org_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"
        );
        let rows = sqlx::query_as(sql).bind(org.as_uuid()).bind(stored(after)).bind(most);
        return Ok(rows.fetch_all(connection).await?);
    }
    // The first is always among them, however long it is.
    let sql = concat!(
        "SELECT seq, ",
        micros!("time"),
        ", kind, correlation_id, refs, commitment, leaf_hash, entry_hash, payload FROM (
             SELECT *, sum(octet_length(payload)) OVER (ORDER BY seq) AS bytes FROM (
                 SELECT * FROM entries WHERE org_id = $1 AND seq > $2 ORDER BY seq LIMIT $3
             ) AS most
         ) AS weighed WHERE bytes - octet_length(payload) < $4 ORDER BY seq"
    );
    let rows = sqlx::query_as(sql).bind(org.as_uuid()).bind(stored(after)).bind(most).bind(PIECE_BYTES);
    Ok(rows.fetch_all(connection).await?)
}
