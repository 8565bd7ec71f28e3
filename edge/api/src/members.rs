//! `/api/v1/members`

use chancery_model::{DisplayName, MemberId, Role, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words::RoleWord;

/// A person in the organization.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The member's id.
    #[schema(value_type = String, format = Uuid)]
    pub id: MemberId,
    /// The name others see; absent once the person was erased.
    #[schema(value_type = Option<String>)]
    pub name: Option<DisplayName>,
    /// The address mail goes to, not verified; absent once the person was erased.
    pub email: Option<String>,
    /// What the member may do.
    #[schema(value_type = RoleWord)]
    pub role: Role,
    /// When the role was granted.
    #[schema(value_type = String, format = DateTime)]
    pub role_granted_at: Timestamp,
    /// Who granted it; absent when the installation did.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub role_granted_by: Option<MemberId>,
    /// Who created the member; absent when the installation did.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub created_by: Option<MemberId>,
    /// When the member was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the member was removed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub removed_at: Option<Timestamp>,
}

/// A member to create.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CreateMember {
    /// The name others see.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub name: DisplayName,
    /// The address mail goes to: `local@domain`.
    #[schema(max_length = 254)]
    pub email: String,
    /// What the member may do: `viewer`, `operator`, `approver` or `admin`.
    #[schema(value_type = RoleWord)]
    pub role: Role,
}

/// What to change of a member: one thing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ChangeMember {
    /// The new name.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DisplayName>,
    /// The new role.
    #[schema(value_type = Option<RoleWord>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}
