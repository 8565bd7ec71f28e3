//! Checkpoints and tiles in Postgres.

use chancery_evidence::{Checkpoint, Frontier, Hash, VerifierKey, origin};
use chancery_model::{OrgId, Timestamp};
use chancery_store::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::chain::{stored, unsigned};
use crate::scan::{StoredTime, Walk};
use crate::tree::Tile;

/// An organization as a round finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) org: OrgId,
    /// Where its record ends.
    pub(super) seq: u64,
    pub(super) halted: bool,
    /// The size of its newest checkpoint in the database; 0 before the first.
    pub(super) signed: u64,
}

pub(super) async fn standings(connection: &mut PgConnection) -> Result<Vec<Standing>, StoreError> {
    let rows: Vec<(Uuid, i64, bool, i64)> = sqlx::query_as(
        "SELECT h.org_id, h.seq, h.halted, coalesce(c.size, 0) FROM heads h
         LEFT JOIN LATERAL (
             SELECT size FROM checkpoints WHERE org_id = h.org_id ORDER BY size DESC LIMIT 1
         ) c ON true
         ORDER BY h.org_id",
    )
    .fetch_all(connection)
    .await?;
    let standing = |(org, seq, halted, signed)| Standing {
        org: OrgId::from_uuid(org),
        seq: unsigned(seq),
        halted,
        signed: unsigned(signed),
    };
    Ok(rows.into_iter().map(standing).collect())
}

/// The notes of these checkpoints, each an organization and a size.
pub(super) async fn notes(
    connection: &mut PgConnection,
    wanted: &[(OrgId, u64)],
) -> Result<Vec<(OrgId, u64, String)>, StoreError> {
    let rows: Vec<(Uuid, i64, String)> = sqlx::query_as(
        "SELECT c.org_id, c.size, c.note FROM checkpoints c
         JOIN unnest($1::uuid[], $2::int8[]) AS w (org_id, size) USING (org_id, size)",
    )
    .bind(wanted.iter().map(|(org, _)| org.as_uuid()).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(_, size)| stored(*size)).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(org, size, note)| (OrgId::from_uuid(org), unsigned(size), note)).collect())
}

/// A note, if this installation signed it over this organization's tree at this size.
pub(super) fn open_note(key: &VerifierKey, org: OrgId, size: u64, note: &str) -> Option<Checkpoint> {
    let signed = Checkpoint::open(note, std::slice::from_ref(key)).ok()?;
    (signed.origin == origin(key.name(), org) && signed.size == size).then_some(signed)
}

/// The checkpoint of an organization at a size, if this installation signed it.
pub(super) async fn checkpoint(
    connection: &mut PgConnection,
    key: &VerifierKey,
    org: OrgId,
    size: u64,
) -> Result<Option<Checkpoint>, StoreError> {
    let found = notes(connection, &[(org, size)]).await?.pop();
    Ok(found.and_then(|(_, _, note)| open_note(key, org, size, &note)))
}

#[derive(sqlx::FromRow)]
struct LastRow {
    frontier: Vec<u8>,
    note: String,
    entry_hash: Vec<u8>,
    time: StoredTime,
}

/// Continues behind a stored checkpoint, if this installation signed it over this very tree: whoever
/// can write the database must not get a tree of theirs signed further.
pub(super) async fn resume(
    connection: &mut PgConnection,
    key: &VerifierKey,
    org: OrgId,
    size: u64,
) -> Result<Option<Walk>, StoreError> {
    if size == 0 {
        return Ok(Some(Walk::start(org)));
    }
    let row: Option<LastRow> = sqlx::query_as(
        "SELECT c.frontier, c.note, e.entry_hash, e.time
         FROM checkpoints c JOIN entries e ON e.org_id = c.org_id AND e.seq = c.size
         WHERE c.org_id = $1 AND c.size = $2",
    )
    .bind(org.as_uuid())
    .bind(stored(size))
    .fetch_optional(connection)
    .await?;
    let Some(LastRow { frontier, note, entry_hash, time: StoredTime(Some(time)) }) = row else {
        return Ok(None);
    };
    let (Ok(frontier), Some(vouched), Ok(entry_hash)) =
        (Frontier::from_bytes(&frontier), open_note(key, org, size, &note), Hash::try_from(entry_hash))
    else {
        return Ok(None);
    };
    let same = frontier.size() == size && frontier.root() == vouched.root;
    Ok(same.then(|| Walk::resume(org, frontier, entry_hash, time)))
}

/// A checkpoint about to be stored.
pub(super) struct Made {
    pub(super) org: OrgId,
    pub(super) frontier: Vec<u8>,
    pub(super) note: String,
    pub(super) checkpoint: Checkpoint,
    pub(super) tiles: Vec<Tile>,
}

/// Stores a round's checkpoints and the tiles that became complete. A row that somebody put in the
/// place of one of them stays: verification finds it, and it stops nobody else's checkpoints.
pub(super) async fn insert(
    connection: &mut PgConnection,
    made: &[Made],
    now: Timestamp,
) -> Result<(), StoreError> {
    if made.is_empty() {
        return Ok(());
    }
    let orgs: Vec<Uuid> = made.iter().map(|one| one.org.as_uuid()).collect();
    // What stays of an hour is its last checkpoint: the new one takes the place of those since.
    sqlx::query(
        "DELETE FROM checkpoints WHERE org_id = ANY($1) AND created_at >= date_trunc('hour', $2::timestamptz, 'UTC')",
    )
    .bind(&orgs)
    .bind(now.to_offset())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO checkpoints (org_id, size, root, frontier, note, created_at)
         SELECT *, $6 FROM unnest($1::uuid[], $2::int8[], $3::bytea[], $4::bytea[], $5::text[])
         ON CONFLICT DO NOTHING",
    )
    .bind(&orgs)
    .bind(made.iter().map(|one| stored(one.checkpoint.size)).collect::<Vec<_>>())
    .bind(made.iter().map(|one| one.checkpoint.root.to_vec()).collect::<Vec<_>>())
    .bind(made.iter().map(|one| one.frontier.as_slice()).collect::<Vec<_>>())
    .bind(made.iter().map(|one| one.note.as_str()).collect::<Vec<_>>())
    .bind(now.to_offset())
    .execute(&mut *connection)
    .await?;
    insert_tiles(connection, made).await
}

async fn insert_tiles(connection: &mut PgConnection, made: &[Made]) -> Result<(), StoreError> {
    let tiles: Vec<(Uuid, &Tile)> =
        made.iter().flat_map(|one| one.tiles.iter().map(move |tile| (one.org.as_uuid(), tile))).collect();
    if tiles.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO tiles (org_id, level, index, hash)
         SELECT * FROM unnest($1::uuid[], $2::int2[], $3::int8[], $4::bytea[]) ON CONFLICT DO NOTHING",
    )
    .bind(tiles.iter().map(|(org, _)| *org).collect::<Vec<_>>())
    .bind(tiles.iter().map(|(_, tile)| i16::from(tile.0)).collect::<Vec<_>>())
    .bind(tiles.iter().map(|(_, tile)| stored(tile.1)).collect::<Vec<_>>())
    .bind(tiles.iter().map(|(_, tile)| tile.2.to_vec()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
