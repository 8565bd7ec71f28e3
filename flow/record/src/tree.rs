//! The Merkle tree over an organization's entries, as the database has it.

use std::collections::BTreeMap;

use chancery_evidence::merkle::{Plan, verify_consistency};
use chancery_evidence::{Checkpoint, Hash};
use chancery_model::OrgId;
use chancery_store::StoreError;
use sqlx::PgConnection;

use crate::chain::{hash, stored, unsigned};

/// The root of a complete subtree: its level, its place on it from the left, its hash.
pub(crate) type Tile = (u8, u64, Hash);

/// The root of the tree over an organization's first `size` entries; `None` when the database lacks
/// some.
pub(crate) async fn root_at(
    connection: &mut PgConnection,
    org: OrgId,
    size: u64,
) -> Result<Option<Hash>, StoreError> {
    let plan = Plan::root(size);
    let nodes = nodes(connection, org, &plan).await?;
    Ok(plan.compute(&nodes).ok().and_then(|roots| roots.into_iter().next()))
}

/// Whether the tree of the later checkpoint begins with that of the earlier one. What the database says
/// is only a proof: it is checked against both signed roots (RFC 9162 §2.1.4).
pub(crate) async fn extends(
    connection: &mut PgConnection,
    org: OrgId,
    earlier: &Checkpoint,
    later: &Checkpoint,
) -> Result<bool, StoreError> {
    let Ok(plan) = Plan::consistency(earlier.size, later.size) else { return Ok(false) };
    let nodes = nodes(connection, org, &plan).await?;
    let Ok(proof) = plan.compute(&nodes) else { return Ok(false) };
    Ok(verify_consistency(earlier.size, later.size, &earlier.root, &later.root, &proof))
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
            sqlx::query_as(
                "SELECT index, hash FROM tiles
                 WHERE org_id = $1 AND index >= $2 AND index < $3 AND level = $4",
            )
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
