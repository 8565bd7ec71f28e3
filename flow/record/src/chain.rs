//! Linking entries to the tip of their organization's chain, and writing them.

use std::sync::LazyLock;

use chancery_evidence::{Leaf, entry_hash};
use chancery_model::{OrgId, Timestamp};
use chancery_store::StoreError;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, FromRow as _, PgConnection, Postgres};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::entry::Prepared;

/// The tip of an organization's chain, as it was read or is remembered. Only who has locked it
/// ([`lock_tips`]) knows that it is so now.
#[derive(Clone, Debug)]
pub(crate) struct Tip {
    pub(crate) org: OrgId,
    pub(crate) seq: u64,
    pub(crate) entry_hash: [u8; 32],
    pub(crate) last_time: Timestamp,
    pub(crate) epoch: i64,
    pub(crate) halted: bool,
}

#[derive(sqlx::FromRow)]
struct TipRow {
    org_id: Uuid,
    seq: i64,
    entry_hash: Vec<u8>,
    last_micros: i64,
    epoch: i64,
    halted: bool,
}

/// What a tip is read from. The time is a number: as text, whole seconds read differently.
macro_rules! tip_columns {
    () => {
        "org_id, seq, entry_hash, (extract(epoch FROM last_time) * 1000000)::int8 AS last_micros, epoch, halted"
    };
}

impl TryFrom<TipRow> for Tip {
    type Error = StoreError;
    fn try_from(row: TipRow) -> Result<Self, StoreError> {
        Ok(Self {
            org: OrgId::from_uuid(row.org_id),
            seq: u64::try_from(row.seq).map_err(|_| StoreError::corrupt("heads", "negative seq"))?,
            entry_hash: hash("heads", row.entry_hash)?,
            last_time: Timestamp::from_micros(row.last_micros),
            epoch: row.epoch,
            halted: row.halted,
        })
    }
}

/// Thirty-two stored bytes.
pub(crate) fn hash(table: &'static str, bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::corrupt(table, "a hash is not 32 bytes"))
}

/// Locks tips in the order of their ids, always: that is why several processes can append to the
/// same chains without deadlock.
pub(crate) async fn lock_tips(connection: &mut PgConnection, orgs: &[Uuid]) -> Result<Vec<Tip>, StoreError> {
    let rows: Vec<TipRow> = sqlx::query_as(concat!(
        "SELECT ",
        tip_columns!(),
        " FROM heads WHERE org_id = ANY($1) ORDER BY org_id FOR UPDATE"
    ))
    .bind(orgs)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Tip::try_from).collect()
}

/// Begins a transaction and locks tips as [`lock_tips`] does, in one round trip.
pub(crate) async fn begin_with_tips(
    connection: &mut PgConnection,
    orgs: &[Uuid],
) -> Result<Vec<Tip>, StoreError> {
    // Identifiers: nothing in them can end a literal.
    let listed: Vec<String> = orgs.iter().map(|org| format!("'{org}'")).collect();
    let sql = format!(
        "BEGIN; SELECT {} FROM heads WHERE org_id IN ({}) ORDER BY org_id FOR UPDATE",
        tip_columns!(),
        listed.join(",")
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?;
    rows.iter().map(|row| Tip::try_from(TipRow::from_row(row)?)).collect()
}

/// An entry's place in the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) time: Timestamp,
    pub(crate) entry_hash: [u8; 32],
}

/// Entries in columns, for one array insert.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    org: Vec<Uuid>,
    seq: Vec<i64>,
    time: Vec<OffsetDateTime>,
    kind: Vec<&'static str>,
    correlation: Vec<Option<Uuid>>,
    refs: Vec<&'a str>,
    commitment: Vec<&'a [u8]>,
    leaf_hash: Vec<Vec<u8>>,
    entry_hash: Vec<Vec<u8>>,
    payload: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    /// The table, its columns and their types, in the order of [`Self::bind`].
    pub(crate) const TABLE: Table = Table {
        name: "entries",
        columns: "org_id, seq, time, kind, correlation_id, refs, commitment, leaf_hash, entry_hash, payload",
        types: &["uuid", "int8", "timestamptz", "text", "uuid", "text", "bytea", "bytea", "bytea", "bytea"],
    };

    /// Links one entry to the tip and moves the tip. Time never goes back within a chain.
    pub(crate) fn push(&mut self, tip: &mut Tip, entry: &'a Prepared, now: Timestamp) -> Link {
        let time = now.max(tip.last_time);
        let seq = tip.seq + 1;
        let leaf = Leaf {
            org: entry.org,
            seq,
            time,
            kind: entry.kind,
            refs: &entry.refs,
            commitment: entry.commitment,
        };
        let leaf_hash = leaf.hash();
        tip.entry_hash = entry_hash(&tip.entry_hash, &leaf_hash);
        tip.seq = seq;
        tip.last_time = time;
        self.org.push(entry.org.as_uuid());
        self.seq.push(stored(seq));
        self.time.push(time.to_offset());
        self.kind.push(entry.kind);
        self.correlation.push(entry.correlation.map(|id| id.as_uuid()));
        self.refs.push(&entry.refs);
        self.commitment.push(&entry.commitment);
        self.leaf_hash.push(leaf_hash.to_vec());
        self.entry_hash.push(tip.entry_hash.to_vec());
        self.payload.push(&entry.payload);
        Link { seq, time, entry_hash: tip.entry_hash }
    }

    /// Writes all entries with one statement.
    pub(crate) async fn insert(self, connection: &mut PgConnection) -> Result<(), StoreError> {
        static INSERT: LazyLock<String> = LazyLock::new(|| Columns::TABLE.insert(1, ""));
        self.bind(sqlx::query(INSERT.as_str())).execute(connection).await?;
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.seq.is_empty()
    }

    /// More bytes than [`Self::bind`] adds.
    pub(crate) fn encoded_bytes(&self) -> usize {
        /// Of an entry, all but its references and payload.
        const FIXED: usize = 256;
        let texts: usize = self.refs.iter().map(|refs| refs.len()).sum();
        let payloads: usize = self.payload.iter().map(|payload| payload.len()).sum();
        FIXED * (self.seq.len() + 1) + texts + payloads
    }

    /// Binds one array for each column.
    pub(crate) fn bind<'q>(self, query: Statement<'q>) -> Statement<'q>
    where
        'a: 'q,
    {
        query
            .bind(self.org)
            .bind(self.seq)
            .bind(self.time)
            .bind(self.kind)
            .bind(self.correlation)
            .bind(self.refs)
            .bind(self.commitment)
            .bind(self.leaf_hash)
            .bind(self.entry_hash)
            .bind(self.payload)
    }
}

/// A statement that is being filled.
pub(crate) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// A table that is written in columns: one array parameter for each.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static str,
    pub(crate) types: &'static [&'static str],
}

impl Table {
    /// The rows that the parameters from `$first` on hold.
    pub(crate) fn rows(&self, first: usize) -> String {
        format!("unnest({})", self.arrays(first).collect::<Vec<_>>().join(", "))
    }

    fn arrays(&self, first: usize) -> impl Iterator<Item = String> {
        self.types.iter().zip(first..).map(|(of, number)| format!("${number}::{of}[]"))
    }

    /// Inserts these rows. In the list of results, arrays are unnested as rows go by; as a table they
    /// would be kept whole first.
    pub(crate) fn insert(&self, first: usize, condition: &str) -> String {
        let Self { name, columns, .. } = self;
        let values: Vec<String> = self.arrays(first).map(|array| format!("unnest({array})")).collect();
        format!("INSERT INTO {name} ({columns}) SELECT {} {condition}", values.join(", "))
    }

    /// The number of the first parameter after its own.
    pub(crate) const fn after(&self, first: usize) -> usize {
        first + self.types.len()
    }
}

/// Writes a moved tip.
pub(crate) async fn move_tip(connection: &mut PgConnection, tip: &Tip) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE heads SET seq = $2, entry_hash = $3, last_time = $4, epoch = $5, halted = $6 WHERE org_id = $1",
    )
    .bind(tip.org.as_uuid())
    .bind(stored(tip.seq))
    .bind(tip.entry_hash.as_slice())
    .bind(tip.last_time.to_offset())
    .bind(tip.epoch)
    .bind(tip.halted)
    .execute(connection)
    .await?;
    Ok(())
}

/// A sequence number as Postgres keeps it: no chain reaches 2⁶³.
pub(crate) fn stored(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A stored number that is never negative.
pub(crate) fn unsigned(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}
