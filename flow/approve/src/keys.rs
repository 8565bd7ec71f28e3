//! The keys of a request and of its answers, as far as they tell whose hand it was.

use std::collections::{HashMap, HashSet};

use chancery_model::{KeyId, MemberId};
use chancery_store::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

/// A key that was answered with.
#[derive(Debug)]
pub(crate) struct Key {
    /// Who made it, and whoever stands behind the key it was made with.
    pub(crate) makers: HashSet<MemberId>,
}

/// Keys by their ids.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    answered_with: HashMap<KeyId, Key>,
    asked_with: HashSet<MemberId>,
}

impl Keys {
    /// A key that is good; `None` for one that was revoked since.
    pub(crate) fn of(&self, id: KeyId) -> Option<&Key> {
        self.answered_with.get(&id)
    }

    /// Who made the key that was asked with, and whoever stands behind the key it was made with.
    pub(crate) const fn asked_with(&self) -> &HashSet<MemberId> {
        &self.asked_with
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    created_by: Uuid,
    made_behind: Vec<Uuid>,
    revoked: bool,
    asked: bool,
}

/// The key that an intent was asked with, and those that it was answered with.
pub(crate) async fn read(
    connection: &mut PgConnection,
    org: Uuid,
    intent: Uuid,
    with: &[Uuid],
) -> Result<Keys, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT k.id, k.created_by, k.made_behind, k.revoked_at IS NOT NULL AS revoked, k.id = i.key_id AS asked
         FROM intents i JOIN api_keys k ON k.org_id = i.org_id AND (k.id = i.key_id OR k.id = ANY($3))
         WHERE i.org_id = $1 AND i.id = $2",
    )
    .bind(org)
    .bind(intent)
    .bind(with)
    .fetch_all(connection)
    .await?;
    let mut keys = Keys::default();
    for row in rows {
        let makers = row.made_behind.iter().chain([&row.created_by]).map(|id| MemberId::from_uuid(*id));
        let makers: HashSet<MemberId> = makers.collect();
        if row.asked {
            keys.asked_with.clone_from(&makers);
        }
        if !row.revoked {
            keys.answered_with.insert(KeyId::from_uuid(row.id), Key { makers });
        }
    }
    Ok(keys)
}
