//! Comparing tables that repeat what entries say with the entries.

use std::collections::HashMap;

use chancery_evidence::Hash;
use chancery_model::OrgId;
use chancery_store::StoreError;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::Verification;
use super::check::{Checked, Decided, Used};
use crate::chain::{stored, unsigned};
use crate::scan::StoredTime;
use crate::tree::Tile;

/// Where a record ends, and how many rows other tables have about it: all of one moment.
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) entry_hash: Vec<u8>,
    pub(super) totals: Totals,
}

/// How many rows there are about a record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    intents: u64,
    uses: u64,
    tiles: u64,
    /// The size of the newest checkpoint.
    pub(super) signed: u64,
}

pub(super) async fn head(connection: &mut PgConnection, org: OrgId) -> Result<Option<Head>, StoreError> {
    let row: Option<(i64, Vec<u8>, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT seq, entry_hash,
                (SELECT count(*) FROM intents WHERE org_id = $1),
                (SELECT count(*) FROM token_uses WHERE org_id = $1),
                (SELECT count(*) FROM tiles WHERE org_id = $1),
                (SELECT coalesce(max(size), 0) FROM checkpoints WHERE org_id = $1)
         FROM heads WHERE org_id = $1",
    )
    .bind(org.as_uuid())
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(seq, entry_hash, intents, uses, tiles, signed)| Head {
        seq: unsigned(seq),
        entry_hash,
        totals: Totals {
            intents: unsigned(intents),
            uses: unsigned(uses),
            tiles: unsigned(tiles),
            signed: unsigned(signed),
        },
    }))
}

impl Totals {
    /// Rows that no entry accounts for were put there by somebody else, and a row that two entries account
    /// for was taken away between them.
    pub(super) fn compare(self, stored: Self, end: u64, found: &mut Verification) {
        for (here, there, code) in [
            (self.intents, stored.intents, "intent_invented"),
            (self.uses, stored.uses, "use_invented"),
            (self.tiles, stored.tiles, "tile_differs"),
        ] {
            if there != here {
                found.fault(code, end);
            }
        }
    }
}

/// Compares what a piece says with the tables, and counts the rows that it accounts for.
pub(super) async fn compare(
    connection: &mut PgConnection,
    org: OrgId,
    checked: &Checked,
    accounted: &mut Totals,
    found: &mut Verification,
) -> Result<(), StoreError> {
    if !checked.decided.is_empty() {
        accounted.intents += intents(connection, org, &checked.decided, found).await?;
    }
    if !checked.used.is_empty() {
        accounted.uses += uses(connection, org, &checked.used, found).await?;
    }
    if !checked.tiles.is_empty() {
        accounted.tiles += tiles(connection, org, &checked.tiles, found).await?;
    }
    Ok(())
}

/// Each decision has its row, and the row says what the decision says.
async fn intents(
    connection: &mut PgConnection,
    org: OrgId,
    decided: &[Decided],
    found: &mut Verification,
) -> Result<u64, StoreError> {
    let rows = intent_rows(connection, org, decided).await?;
    let mut listed: HashMap<Uuid, &PgRow> = HashMap::with_capacity(rows.len());
    for row in &rows {
        listed.insert(row.try_get_unchecked(0)?, row);
    }
    let mut repeated = 0;
    for decided in decided {
        // One row tells of one decision.
        let row = listed.remove(&decided.intent);
        repeated += u64::from(row.is_some());
        if !row.map(|row| repeats(row, decided)).transpose()?.unwrap_or(false) {
            found.fault("intent_differs", decided.seq);
        }
    }
    Ok(repeated)
}

macro_rules! intent_columns {
    () => {
        "SELECT id, seq, effect, token IS NOT NULL, created_at,
                principal_kind, principal_id, key_id, action, resource_type, risk, environment
         FROM intents WHERE org_id = $1 AND "
    };
}

/// The rows of these decisions, perhaps with some of others.
async fn intent_rows(
    connection: &mut PgConnection,
    org: OrgId,
    decided: &[Decided],
) -> Result<Vec<PgRow>, StoreError> {
    // Identifiers begin with their time: those of a piece lie together, but for a few of its neighbours,
    // and one range costs less than as many look-ups. Whoever writes others in between makes it slower.
    let ids = decided.iter().map(|it| it.intent);
    if let (Some(first), Some(last)) = (ids.clone().min(), ids.clone().max()) {
        let most = stored(count(decided.len())).saturating_mul(2);
        let rows = sqlx::query(concat!(intent_columns!(), "id BETWEEN $2 AND $3 LIMIT $4"))
            .bind(org.as_uuid())
            .bind(first)
            .bind(last)
            .bind(most)
            .fetch_all(&mut *connection)
            .await?;
        if stored(count(rows.len())) < most {
            return Ok(rows);
        }
    }
    Ok(sqlx::query(concat!(intent_columns!(), "id = ANY($2)"))
        .bind(org.as_uuid())
        .bind(ids.collect::<Vec<_>>())
        .fetch_all(connection)
        .await?)
}

/// Whether a row of [`intent_rows`] says what the decision says.
fn repeats(row: &PgRow, decided: &Decided) -> Result<bool, sqlx::Error> {
    let text = |index| row.try_get_unchecked::<&str, usize>(index);
    let told = unsigned(row.try_get_unchecked(1)?) == decided.seq
        && text(2)? == decided.effect
        && row.try_get_unchecked::<bool, _>(3)? == decided.has_token
        && row.try_get_unchecked::<StoredTime, _>(4)?.0 == Some(decided.time);
    let Some(said) = &decided.said else { return Ok(told) };
    Ok(told
        && text(5)? == said.principal_kind
        && row.try_get_unchecked::<Uuid, _>(6)? == said.principal_id
        && row.try_get_unchecked::<Uuid, _>(7)? == said.key_id
        && text(8)? == said.action
        && text(9)? == said.resource_type
        && row.try_get_unchecked::<i16, _>(10)? == said.risk
        && text(11)? == said.environment)
}

/// Each use has its row: without it the token would be good again.
async fn uses(
    connection: &mut PgConnection,
    org: OrgId,
    used: &[Used],
    found: &mut Verification,
) -> Result<u64, StoreError> {
    let hashes: Vec<&[u8]> = used.iter().filter_map(|it| Some(it.said.as_ref()?.0.as_slice())).collect();
    if hashes.is_empty() {
        return Ok(0);
    }
    let rows: Vec<(Vec<u8>, Uuid, Uuid, Uuid)> = sqlx::query_as(
        "SELECT nonce_hash, token_id, intent_id, key_id FROM token_uses
         WHERE org_id = $1 AND nonce_hash = ANY($2)",
    )
    .bind(org.as_uuid())
    .bind(hashes)
    .fetch_all(connection)
    .await?;
    let listed = count(rows.len());
    let mut rows: HashMap<Vec<u8>, (Uuid, Uuid, Uuid)> =
        rows.into_iter().map(|(hash, token, intent, key)| (hash, (token, intent, key))).collect();
    for used in used {
        let Some((hash, key)) = &used.said else { continue };
        if rows.remove(hash.as_slice()) != Some((used.token, used.intent, *key)) {
            found.fault("use_differs", used.seq);
        }
    }
    Ok(listed)
}

/// Each complete subtree that a checkpoint covers is stored as it is computed: proofs are made of them.
async fn tiles(
    connection: &mut PgConnection,
    org: OrgId,
    computed: &[Tile],
    found: &mut Verification,
) -> Result<u64, StoreError> {
    let rows: Vec<(i16, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT t.level, t.index, t.hash FROM tiles t
         JOIN unnest($2::int2[], $3::int8[]) AS w (level, index) USING (level, index) WHERE t.org_id = $1",
    )
    .bind(org.as_uuid())
    .bind(computed.iter().map(|tile| i16::from(tile.0)).collect::<Vec<_>>())
    .bind(computed.iter().map(|tile| stored(tile.1)).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let listed = count(rows.len());
    let rows: HashMap<(i16, i64), Hash> = rows
        .into_iter()
        .filter_map(|(level, index, hash)| Some(((level, index), Hash::try_from(hash).ok()?)))
        .collect();
    for (level, index, hash) in computed {
        if rows.get(&(i16::from(*level), stored(*index))) != Some(hash) {
            found.fault("tile_differs", (index + 1) << level);
        }
    }
    Ok(listed)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
