//! Members: the people in an organization.

use chancery_crypto::{Context, DataKey, SealError, Sealed};
use chancery_model::{MemberId, OrgId, Role, Timestamp};
use chancery_store::{Change, Epoch, Keyring, KeyringError, Scoped, StoreError, Write};
use serde_json::json;
use sqlx::types::Uuid;
use sqlx::types::time::OffsetDateTime;

use crate::Profile;

mod rename;

pub use rename::{Renaming, prepare as prepare_rename, rename};

/// A person in an organization.
#[derive(Debug)]
pub struct Member {
    /// The organization.
    pub org: OrgId,
    /// The member's id.
    pub id: MemberId,
    /// What the member may do; never [`Role::Agent`].
    pub role: Role,
    /// When the role was granted. Who was made an approver by a requester after the request may not
    /// approve it.
    pub role_granted_at: Timestamp,
    /// Who granted the role; `None` for the installation.
    pub role_granted_by: Option<MemberId>,
    /// Who created the member; `None` for the installation.
    pub created_by: Option<MemberId>,
    /// When the member was created.
    pub created_at: Timestamp,
    /// When the member was removed.
    pub removed_at: Option<Timestamp>,
    profile: Sealed<Profile>,
}

impl Member {
    /// Whether the member is still in the organization.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.removed_at.is_none()
    }

    /// Opens the member's profile. Call it after the transaction is gone: the keyring may need a
    /// connection of its own, and holding one while waiting for another can starve the pool.
    ///
    /// # Errors
    /// [`KeyringError::Shredded`] when the person was erased.
    pub async fn profile(&self, keyring: &Keyring) -> Result<Profile, KeyringError> {
        let row = self.id.to_string();
        keyring.open(self.org, &self.profile, &profile_context(self.org, &row)).await
    }
}

fn profile_context(org: OrgId, row: &str) -> Context<'_> {
    Context { org: Some(org), table: "members", column: "profile", row, purpose: "data" }
}

/// A member to create.
#[derive(Debug)]
pub struct NewMember {
    /// Who it is.
    pub profile: Profile,
    /// What the member may do.
    pub role: Role,
    /// Who creates and grants; `None` for the installation.
    pub by: Option<MemberId>,
}

/// Why a member was not created or changed.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// A person was to get the role of programs.
    #[error("a member's role is `viewer`, `operator`, `approver` or `admin`")]
    AgentRole,
    /// Nobody would be left to administer the organization.
    #[error("the last admin can't be removed or given another role")]
    LastAdmin,
    /// The member has this role, or this name, already.
    #[error("the member already has this role or name")]
    Unchanged,
    /// The member was removed.
    #[error("the member was removed")]
    Removed,
    /// The member's key could not be made.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The profile could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MemberError {
    /// The stable code of the API.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AgentRole => "validation_error",
            Self::LastAdmin => "last_admin",
            Self::Unchanged => "unchanged",
            Self::Removed => "member_removed",
            Self::Keyring(_) | Self::Seal(_) | Self::Store(_) => "internal",
        }
    }

    /// The field a caller has to correct.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        if matches!(self, Self::AgentRole) { Some("role") } else { None }
    }
}

/// Creates a member and the key that seals what is about them. `org_key` comes from
/// [`Keyring::org_key`] before the transaction began, or from the founding.
///
/// # Errors
/// See [`MemberError`].
pub async fn create(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    org_key: &DataKey,
    new: NewMember,
) -> Result<(Member, Change), MemberError> {
    let role = held_by_people(new.role)?;
    let (org, now) = (scoped.org(), keyring.clock().now());
    let id = MemberId::new(now, keyring.random().bytes());
    let key = keyring.create_subject_key(scoped, org_key, id.into()).await?;
    let row = id.to_string();
    let profile = Sealed::seal(&key, &profile_context(org, &row), &new.profile, &**keyring.random())?;
    let member = Member {
        org,
        id,
        role,
        role_granted_at: now,
        role_granted_by: new.by,
        created_by: new.by,
        created_at: now,
        removed_at: None,
        profile,
    };
    insert(scoped, &member).await?;
    let change = Change::new("member.created", Epoch::Keep, ("member", row), json!({ "role": role }));
    Ok((member, change))
}

const fn held_by_people(role: Role) -> Result<Role, MemberError> {
    match role {
        Role::Agent => Err(MemberError::AgentRole),
        Role::Viewer | Role::Operator | Role::Approver | Role::Admin => Ok(role),
    }
}

async fn insert(scoped: &mut Scoped<Write>, member: &Member) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO members
             (org_id, id, profile, role, role_granted_at, role_granted_by, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(member.org.as_uuid())
    .bind(member.id.as_uuid())
    .bind(member.profile.as_bytes())
    .bind(member.role.as_str())
    .bind(member.role_granted_at.to_offset())
    .bind(member.role_granted_by.map(MemberId::as_uuid))
    .bind(member.created_by.map(MemberId::as_uuid))
    .bind(member.created_at.to_offset())
    .execute(scoped.connection())
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    org_id: Uuid,
    id: Uuid,
    profile: Vec<u8>,
    role: String,
    role_granted_at: OffsetDateTime,
    role_granted_by: Option<Uuid>,
    created_by: Option<Uuid>,
    created_at: OffsetDateTime,
    removed_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Member {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            org: OrgId::from_uuid(row.org_id),
            id: MemberId::from_uuid(row.id),
            role: row.role.parse().map_err(|error| StoreError::corrupt("members", error))?,
            role_granted_at: row.role_granted_at.into(),
            role_granted_by: row.role_granted_by.map(MemberId::from_uuid),
            created_by: row.created_by.map(MemberId::from_uuid),
            created_at: row.created_at.into(),
            removed_at: row.removed_at.map(Timestamp::from),
            profile: Sealed::from_bytes(row.profile),
        })
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT org_id, id, profile, role, role_granted_at, role_granted_by, created_by, created_at,
                 removed_at FROM members WHERE org_id = $1 AND ",
            $rest
        )
    };
}

/// Members, newest first, those after `after`; removed ones too.
///
/// # Errors
/// See [`StoreError`].
pub async fn list<M>(
    scoped: &mut Scoped<M>,
    after: Option<MemberId>,
    limit: u16,
) -> Result<Vec<Member>, StoreError> {
    let org = scoped.org();
    let rows: Vec<Row> = sqlx::query_as(select!("id < $2 ORDER BY id DESC LIMIT $3"))
        .bind(org.as_uuid())
        .bind(after.map_or(Uuid::max(), MemberId::as_uuid))
        .bind(i64::from(limit))
        .fetch_all(scoped.connection())
        .await?;
    rows.into_iter().map(Member::try_from).collect()
}

/// The member with this id; removed ones too.
///
/// # Errors
/// See [`StoreError`].
pub async fn read<M>(scoped: &mut Scoped<M>, id: MemberId) -> Result<Option<Member>, StoreError> {
    one(scoped, id, select!("id = $2")).await
}

/// The members with these ids; removed ones too.
///
/// # Errors
/// See [`StoreError`].
pub async fn those<M>(scoped: &mut Scoped<M>, ids: &[MemberId]) -> Result<Vec<Member>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows: Vec<Row> = sqlx::query_as(select!("id = ANY($2)"))
        .bind(scoped.org().as_uuid())
        .bind(ids)
        .fetch_all(scoped.connection())
        .await?;
    rows.into_iter().map(Member::try_from).collect()
}

/// The active admin whose role is the oldest; `None` when there is none, which
/// [`MemberError::LastAdmin`] keeps from happening.
///
/// # Errors
/// See [`StoreError`].
pub async fn longest_admin<M>(scoped: &mut Scoped<M>) -> Result<Option<MemberId>, StoreError> {
    let org = scoped.org();
    let id: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM members WHERE org_id = $1 AND role = 'admin' AND removed_at IS NULL
         ORDER BY role_granted_at, id LIMIT 1",
    )
    .bind(org.as_uuid())
    .fetch_optional(scoped.connection())
    .await?;
    Ok(id.map(MemberId::from_uuid))
}

async fn one<M>(
    scoped: &mut Scoped<M>,
    id: MemberId,
    sql: &'static str,
) -> Result<Option<Member>, StoreError> {
    let org = scoped.org();
    let row: Option<Row> = sqlx::query_as(sql)
        .bind(org.as_uuid())
        .bind(id.as_uuid())
        .fetch_optional(scoped.connection())
        .await?;
    row.map(Member::try_from).transpose()
}

/// Gives a member another role. `None` when there is no such member.
///
/// # Errors
/// See [`MemberError`].
pub async fn change_role(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    id: MemberId,
    role: Role,
    by: Option<MemberId>,
) -> Result<Option<(Member, Change)>, MemberError> {
    let role = held_by_people(role)?;
    let admins = lock_admins(scoped).await?;
    let Some(mut member) = lock(scoped, id).await? else { return Ok(None) };
    let from = member.role;
    if from == role {
        return Err(MemberError::Unchanged);
    }
    keep_an_admin(&member, &admins)?;
    member.role = role;
    member.role_granted_at = keyring.clock().now();
    member.role_granted_by = by;
    update(scoped, &member).await?;
    let change = Change::new(
        "member.role_changed",
        Epoch::Bump,
        ("member", id.to_string()),
        json!({ "from": from, "to": role }),
    );
    Ok(Some((member, change)))
}

/// Removes a member: their keys and the agents they own stop at once. `None` when there is no such
/// member.
///
/// # Errors
/// See [`MemberError`].
pub async fn remove(
    scoped: &mut Scoped<Write>,
    keyring: &Keyring,
    id: MemberId,
) -> Result<Option<(Member, Change)>, MemberError> {
    let admins = lock_admins(scoped).await?;
    let Some(mut member) = lock(scoped, id).await? else { return Ok(None) };
    keep_an_admin(&member, &admins)?;
    member.removed_at = Some(keyring.clock().now());
    update(scoped, &member).await?;
    let change = Change::new(
        "member.removed",
        Epoch::Bump,
        ("member", id.to_string()),
        json!({ "role": member.role }),
    );
    Ok(Some((member, change)))
}

/// Locks every admin, in one order and before any other member: of two writes that each take away
/// one of the last two, the second waits and then sees what the first left.
async fn lock_admins(scoped: &mut Scoped<Write>) -> Result<Vec<MemberId>, StoreError> {
    let org = scoped.org();
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "SELECT id FROM members WHERE org_id = $1 AND role = 'admin' AND removed_at IS NULL
         ORDER BY id FOR UPDATE",
    )
    .bind(org.as_uuid())
    .fetch_all(scoped.connection())
    .await?;
    Ok(ids.into_iter().map(MemberId::from_uuid).collect())
}

async fn lock(scoped: &mut Scoped<Write>, id: MemberId) -> Result<Option<Member>, MemberError> {
    let member = one(scoped, id, select!("id = $2 FOR UPDATE")).await?;
    match member {
        Some(member) if !member.is_active() => Err(MemberError::Removed),
        found => Ok(found),
    }
}

fn keep_an_admin(member: &Member, admins: &[MemberId]) -> Result<(), MemberError> {
    if member.role == Role::Admin && admins.iter().all(|admin| *admin == member.id) {
        return Err(MemberError::LastAdmin);
    }
    Ok(())
}

async fn update(scoped: &mut Scoped<Write>, member: &Member) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE members SET role = $3, role_granted_at = $4, role_granted_by = $5, removed_at = $6
         WHERE org_id = $1 AND id = $2",
    )
    .bind(member.org.as_uuid())
    .bind(member.id.as_uuid())
    .bind(member.role.as_str())
    .bind(member.role_granted_at.to_offset())
    .bind(member.role_granted_by.map(MemberId::as_uuid))
    .bind(member.removed_at.map(Timestamp::to_offset))
    .execute(scoped.connection())
    .await?;
    Ok(())
}
