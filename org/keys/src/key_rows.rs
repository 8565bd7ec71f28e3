//! Reading API keys from their table.

use chancery_model::{Audience, KeyId, MemberId, Principal, PrincipalId, Timestamp};
use chancery_store::{Scoped, StoreError, Write};
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::api_key::{ApiKey, Revoked};
use crate::scopes;

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    holder_kind: String,
    holder_id: Uuid,
    name: String,
    environment: String,
    scopes: Vec<String>,
    audiences: Vec<String>,
    created_by: Uuid,
    created_at: OffsetDateTime,
    expires_at: Option<OffsetDateTime>,
    rotated_from: Option<Uuid>,
    superseded_at: Option<OffsetDateTime>,
    revoked_at: Option<OffsetDateTime>,
    revoke_reason: Option<String>,
    last_used_at: Option<OffsetDateTime>,
    uses: i64,
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("api_keys", error)
}

impl TryFrom<Row> for ApiKey {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let holder = Principal::from_parts(&row.holder_kind, PrincipalId::from_uuid(row.holder_id));
        let audiences = row.audiences.into_iter().map(Audience::try_from).collect::<Result<_, _>>();
        let revoked = match (row.revoked_at, row.revoke_reason) {
            (Some(at), Some(reason)) => {
                Some(Revoked { at: at.into(), reason: reason.parse().map_err(corrupt)? })
            }
            (None, None) => None,
            _ => return Err(corrupt("half revoked")),
        };
        Ok(Self {
            id: KeyId::from_uuid(row.id),
            holder: holder.map_err(corrupt)?,
            name: row.name.parse().map_err(corrupt)?,
            environment: row.environment.parse().map_err(corrupt)?,
            scopes: scopes::parse(&row.scopes)?,
            audiences: audiences.map_err(corrupt)?,
            created_by: MemberId::from_uuid(row.created_by),
            created_at: row.created_at.into(),
            expires_at: row.expires_at.map(Timestamp::from),
            rotated_from: row.rotated_from.map(KeyId::from_uuid),
            superseded_at: row.superseded_at.map(Timestamp::from),
            revoked,
            last_used_at: row.last_used_at.map(Timestamp::from),
            uses: u64::try_from(row.uses).map_err(corrupt)?,
        })
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT k.id, k.holder_kind, k.holder_id, k.name, k.environment, k.scopes, k.audiences, k.created_by,
                 k.created_at, k.expires_at, k.rotated_from, k.superseded_at, k.revoked_at, k.revoke_reason,
                 u.last_used_at, coalesce(u.uses, 0) AS uses
             FROM api_keys k LEFT JOIN api_key_use u ON u.org_id = k.org_id AND u.key_id = k.id
             WHERE k.org_id = $1 AND ",
            $rest
        )
    };
}

/// Keys, newest first, those after `after`; revoked and expired ones too.
///
/// # Errors
/// See [`StoreError`].
pub async fn list<M>(
    scoped: &mut Scoped<M>,
    after: Option<KeyId>,
    limit: u16,
) -> Result<Vec<ApiKey>, StoreError> {
    let org = scoped.org();
    let rows: Vec<Row> = sqlx::query_as(select!("k.id < $2 ORDER BY k.id DESC LIMIT $3"))
        .bind(org.as_uuid())
        .bind(after.map_or(Uuid::max(), KeyId::as_uuid))
        .bind(i64::from(limit))
        .fetch_all(scoped.connection())
        .await?;
    rows.into_iter().map(ApiKey::try_from).collect()
}

/// The key with this id; revoked and expired ones too.
///
/// # Errors
/// See [`StoreError`].
pub async fn read<M>(scoped: &mut Scoped<M>, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    one(scoped, id, select!("k.id = $2")).await
}

/// The same, locked until the transaction ends.
pub(crate) async fn lock(scoped: &mut Scoped<Write>, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    one(scoped, id, select!("k.id = $2 FOR UPDATE OF k")).await
}

async fn one<M>(scoped: &mut Scoped<M>, id: KeyId, sql: &'static str) -> Result<Option<ApiKey>, StoreError> {
    let org = scoped.org();
    let row: Option<Row> = sqlx::query_as(sql)
        .bind(org.as_uuid())
        .bind(id.as_uuid())
        .fetch_optional(scoped.connection())
        .await?;
    row.map(ApiKey::try_from).transpose()
}
