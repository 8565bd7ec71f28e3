//! Writing a batch: entries, decided intents and moved tips in one statement, one round trip.

use chancery_store::StoreError;
use sqlx::PgConnection;

use crate::chain::{Columns, Tip, stored};
use crate::intents;

/// Entries as [`crate::chain::INSERT_ENTRIES`] writes them, then the tips, then the intents.
const WRITE: &str = "
    WITH appended AS (
        INSERT INTO entries (org_id, seq, time, kind, correlation_id, refs, commitment, leaf_hash, entry_hash, payload)
        SELECT * FROM unnest($1::uuid[], $2::int8[], $3::timestamptz[], $4::text[], $5::uuid[], $6::text[],
                             $7::bytea[], $8::bytea[], $9::bytea[], $10::bytea[])
    ), decided AS (
        INSERT INTO intents (org_id, id, seq, principal_kind, principal_id, key_id, action, resource_type, effect,
                             risk, environment, created_at, token)
        SELECT * FROM unnest($11::uuid[], $12::uuid[], $13::int8[], $14::text[], $15::uuid[], $16::uuid[], $17::text[],
                             $18::text[], $19::text[], $20::int2[], $21::text[], $22::timestamptz[], $23::bytea[])
    )
    UPDATE heads h SET seq = n.seq, entry_hash = n.entry_hash, last_time = n.last_time
    FROM unnest($24::uuid[], $25::int8[], $26::bytea[], $27::timestamptz[]) AS n (org_id, seq, entry_hash, last_time)
    WHERE h.org_id = n.org_id";

/// Writes a batch.
pub(super) async fn write(
    connection: &mut PgConnection,
    entries: Columns<'_>,
    decided: intents::Columns<'_>,
    tips: &[Tip],
) -> Result<(), StoreError> {
    decided
        .bind(entries.bind(sqlx::query(WRITE)))
        .bind(tips.iter().map(|tip| tip.org.as_uuid()).collect::<Vec<_>>())
        .bind(tips.iter().map(|tip| stored(tip.seq)).collect::<Vec<_>>())
        .bind(tips.iter().map(|tip| tip.entry_hash.to_vec()).collect::<Vec<_>>())
        .bind(tips.iter().map(|tip| tip.last_time.to_offset()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
