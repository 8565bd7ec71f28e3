//! Reading a chain from the database, in order and in pieces, and checking every link on the way.

use std::collections::HashMap;

use chancery_evidence::{Frontier, GENESIS, Hash, Leaf, entry_hash};
use chancery_model::{OrgId, Timestamp};
use chancery_store::StoreError;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{PgConnection, Postgres, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::chain::{stored, unsigned};

/// The most entries that are read at once. Few, so that what is computed over them in one go takes
/// no longer than a request.
pub(crate) const PIECE: i64 = 512;
/// The most where nobody waits: fewer messages and hand-overs for each entry.
pub(crate) const LARGE_PIECE: i64 = 2048;
/// About how many bytes of payloads are read at once. A verification keeps some three pieces in memory.
const PIECE_BYTES: i64 = 4 * 1024 * 1024;

/// A stored moment (`timestamptz`), read as the number it is; `None` where it is none that an entry can
/// have. As a moment, what lies beyond the years of the calendar can't even be read.
pub(crate) struct StoredTime(pub(crate) Option<Timestamp>);

impl sqlx::Type<Postgres> for StoredTime {
    fn type_info() -> PgTypeInfo {
        <OffsetDateTime as sqlx::Type<Postgres>>::type_info()
    }
}

impl sqlx::Decode<'_, Postgres> for StoredTime {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        /// 2000-01-01, from which Postgres counts microseconds.
        const EPOCH: i64 = 946_684_800_000_000;
        if value.format() != PgValueFormat::Binary {
            return Err("a moment is read in binary only".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?).checked_add(EPOCH);
        Ok(Self(
            micros
                .map(|micros| (micros, Timestamp::from_micros(micros)))
                .filter(|(micros, time)| time.as_micros() == *micros)
                .map(|(_, time)| time),
        ))
    }
}

/// What a [`ScanRow`] is read from, in its order; the payload comes after it.
macro_rules! columns {
    () => {
        "seq, time, kind, correlation_id, refs, commitment, leaf_hash, entry_hash"
    };
}
const KIND: usize = 2;
const REFS: usize = 4;
const PAYLOAD: usize = 8;

/// An entry as it was read. Texts and the payload stay in the message that brought them: a verification
/// looks at them a few times, and needs no copy.
pub(crate) struct ScanRow {
    row: PgRow,
    seq: i64,
    time: Option<Timestamp>,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) commitment: Option<Hash>,
    leaf_hash: Option<Hash>,
    entry_hash: Option<Hash>,
}

impl ScanRow {
    /// By position and without comparing types, which would be looked up for each row.
    fn read(row: PgRow) -> Result<Self, sqlx::Error> {
        let hash =
            |index| Ok::<_, sqlx::Error>(row.try_get_unchecked::<&[u8], usize>(index)?.try_into().ok());
        Ok(Self {
            seq: row.try_get_unchecked(0)?,
            time: row.try_get_unchecked::<StoredTime, _>(1)?.0,
            correlation_id: row.try_get_unchecked(3)?,
            commitment: hash(5)?,
            leaf_hash: hash(6)?,
            entry_hash: hash(7)?,
            row,
        })
    }

    /// What kind of entry it is. What can't be read as text is nothing, and no leaf is of that.
    pub(crate) fn kind(&self) -> &str {
        self.row.try_get_unchecked(KIND).unwrap_or_default()
    }

    /// Its references, as text; the same.
    pub(crate) fn refs(&self) -> &str {
        self.row.try_get_unchecked(REFS).unwrap_or_default()
    }

    /// Its sealed payload; empty where it was not read.
    pub(crate) fn payload(&self) -> &[u8] {
        self.row.try_get_unchecked(PAYLOAD).unwrap_or_default()
    }

    /// When it says it was appended; the beginning of time where no entry can say so.
    pub(crate) fn time(&self) -> Timestamp {
        self.time.unwrap_or(Timestamp::from_micros(0))
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
        let (Some(commitment), Some(leaf_stored), Some(link_stored)) =
            (row.commitment, row.leaf_hash, row.entry_hash)
        else {
            return Err(Break::Leaf);
        };
        let leaf =
            Leaf { org: self.org, seq: expected, time, kind: row.kind(), refs: row.refs(), commitment };
        let leaf_hash = leaf.hash();
        let link = entry_hash(&self.entry_hash, &leaf_hash);
        let found = if row.seq != stored(expected) {
            Some(Break::Gap)
        } else if leaf_hash != leaf_stored || row.time.is_none() {
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

/// The next entries of several chains, each after a place of its own, without payloads: at most
/// [`PIECE`] of each.
pub(crate) async fn pieces(
    connection: &mut PgConnection,
    after: &[(OrgId, u64)],
) -> Result<HashMap<OrgId, Vec<ScanRow>>, StoreError> {
    // Where a payload would be, nothing; the organization behind it.
    let rows = sqlx::query(concat!(
        "SELECT e.*, ''::bytea, w.org_id FROM unnest($1::uuid[], $2::int8[]) AS w (org_id, after), LATERAL (
             SELECT ",
        columns!(),
        " FROM entries WHERE org_id = w.org_id AND seq > w.after ORDER BY seq LIMIT $3
         ) AS e ORDER BY w.org_id, e.seq"
    ))
    .bind(after.iter().map(|(org, _)| org.as_uuid()).collect::<Vec<_>>())
    .bind(after.iter().map(|(_, after)| stored(*after)).collect::<Vec<_>>())
    .bind(PIECE)
    .fetch_all(connection)
    .await?;
    let mut pieces: HashMap<OrgId, Vec<ScanRow>> = HashMap::new();
    for row in rows {
        let org = OrgId::from_uuid(row.try_get("org_id")?);
        pieces.entry(org).or_default().push(ScanRow::read(row)?);
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
            "SELECT ",
            columns!(),
            " FROM entries WHERE org_id = $1 AND seq > $2 ORDER BY seq LIMIT $3"
        );
        let rows = sqlx::query(sql).bind(org.as_uuid()).bind(stored(after)).bind(most);
        return Ok(rows.try_map(ScanRow::read).fetch_all(connection).await?);
    }
    // No more is sent than is kept: as many as fit if each were as long as the longest of them, and one
    // at least, however long it is. Read as they are needed instead, a statement would stay open for as
    // long as what reads them takes, and time out.
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", payload FROM entries WHERE org_id = $1 AND seq > $2 ORDER BY seq LIMIT (
             SELECT greatest(1, least($3::int8, $4::int8 / greatest(1, max(octet_length(payload))))) FROM (
                 SELECT payload FROM entries WHERE org_id = $1 AND seq > $2 ORDER BY seq LIMIT $3::int8
             ) AS next
         )"
    );
    let rows = sqlx::query(sql).bind(org.as_uuid()).bind(stored(after)).bind(most).bind(PIECE_BYTES);
    Ok(rows.try_map(ScanRow::read).fetch_all(connection).await?)
}
