//! From a presented key to all that authenticating it needs.

use chancery_model::{
    Audience, Environment, KeyId, MemberId, OrgId, Principal, PrincipalId, Role, Slug, Timestamp,
};
use chancery_store::{Store, StoreError};
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

use crate::format::SecretHash;
use crate::scopes;

/// A key that exists, whose secret was right, and the people behind it, all read at one epoch.
/// Whether it may be used is not decided here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub id: KeyId,
    /// Its organization.
    pub org: OrgId,
    /// The organization's short name.
    pub slug: Slug,
    /// Who acts with it.
    pub holder: Principal,
    /// The holder's role now; [`Role::Agent`] for an agent.
    pub holder_role: Role,
    /// Whether the holder is still there, and an agent's owner too.
    pub holder_active: bool,
    /// The owner of an agent.
    pub owner: Option<MemberId>,
    /// On whose rights the key rests.
    pub created_by: MemberId,
    /// The creator's role now; `None` when the creator is gone, and with it every right of the key.
    pub creator_role: Option<Role>,
    /// What it acts on.
    pub environment: Environment,
    /// What it may do at most: a set of [`chancery_model::Permission::bit`].
    pub scopes: u64,
    /// The audiences whose tokens it may redeem; none means no tokens.
    pub audiences: Box<[Audience]>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The organization's epoch at which all this was read.
    pub epoch: i64,
    /// Whether the organization is halted, or the key's environment in it.
    pub halted: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    org_id: Uuid,
    slug: String,
    holder_kind: String,
    holder_id: Uuid,
    holder_role: Option<String>,
    holder_active: bool,
    owner_id: Option<Uuid>,
    created_by: Uuid,
    creator_role: Option<String>,
    environment: String,
    scopes: Vec<String>,
    audiences: Vec<String>,
    expires_at: Option<OffsetDateTime>,
    revoked: bool,
    epoch: i64,
    halted: bool,
}

impl Row {
    fn into_record(self, id: KeyId) -> Result<KeyRecord, StoreError> {
        let holder = Principal::from_parts(&self.holder_kind, PrincipalId::from_uuid(self.holder_id));
        let audiences = self.audiences.into_iter().map(Audience::try_from).collect::<Result<_, _>>();
        let creator_role = self.creator_role.as_deref().map(str::parse::<Role>).transpose();
        let holder_role = self.holder_role.ok_or_else(|| corrupt("its holder does not exist"))?;
        Ok(KeyRecord {
            id,
            org: OrgId::from_uuid(self.org_id),
            slug: self.slug.parse().map_err(corrupt)?,
            holder: holder.map_err(corrupt)?,
            holder_role: holder_role.parse().map_err(corrupt)?,
            holder_active: self.holder_active,
            owner: self.owner_id.map(MemberId::from_uuid),
            created_by: MemberId::from_uuid(self.created_by),
            creator_role: creator_role.map_err(corrupt)?,
            environment: self.environment.parse().map_err(corrupt)?,
            scopes: scopes::bits(&scopes::parse(&self.scopes)?),
            audiences: audiences.map_err(corrupt)?,
            expires_at: self.expires_at.map(Timestamp::from),
            revoked: self.revoked,
            epoch: self.epoch,
            halted: self.halted,
        })
    }
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("api_keys", error)
}

/// Looks a key up. `None` when there is no key with this id and this hash: the two are one answer.
///
/// # Errors
/// See [`StoreError`].
pub async fn lookup(store: &Store, id: KeyId, hash: &SecretHash) -> Result<Option<KeyRecord>, StoreError> {
    let mut outside = store.outside().await?;
    let row: Option<Row> = sqlx::query_as(
        "SELECT org_id, slug, holder_kind, holder_id, holder_role, holder_active, owner_id, created_by,
             creator_role, environment, scopes, audiences, expires_at, revoked, epoch, halted
         FROM find_api_key($1, $2)",
    )
    .bind(id.as_uuid())
    .bind(hash.as_bytes().as_slice())
    .fetch_optional(&mut *outside)
    .await?;
    row.map(|row| row.into_record(id)).transpose()
}
