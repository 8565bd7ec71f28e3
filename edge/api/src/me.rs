//! `/api/v1/me`

use chancery_model::{Audience, Environment, KeyId, OrgId, Permission, Principal, Role, Slug, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words::{EnvironmentWord, PrincipalRef, RoleWord, Scope};

/// Who the caller is and what it may do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// Whom the key stands for.
    #[schema(value_type = PrincipalRef)]
    pub principal: Principal,
    /// The principal's role.
    #[schema(value_type = RoleWord)]
    pub role: Role,
    /// The organization.
    #[schema(value_type = String, format = Uuid)]
    pub organization_id: OrgId,
    /// Its short name.
    #[schema(value_type = String)]
    pub organization_slug: Slug,
    /// The permissions in force: the key's scopes within the roles of its holder and creator.
    #[schema(value_type = Vec<Scope>)]
    pub rights: Vec<Permission>,
    /// The key.
    pub key: MyKey,
}

/// The key a request came with.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MyKey {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: KeyId,
    /// Live or test.
    #[schema(value_type = EnvironmentWord)]
    pub environment: Environment,
    /// The audiences whose tokens it may redeem.
    #[schema(value_type = Vec<String>)]
    pub audiences: Vec<Audience>,
    /// From when on it is refused.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}
