//! `/api/v1/api-keys`

use std::fmt;

use chancery_model::{Audience, DisplayName, Environment, KeyId, MemberId, Permission, Principal, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Reason;
use crate::words::{EnvironmentWord, PrincipalRef, Scope};

/// An API key, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: KeyId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: DisplayName,
    /// Who acts with it.
    #[schema(value_type = PrincipalRef)]
    pub holder: Principal,
    /// Live or test.
    #[schema(value_type = EnvironmentWord)]
    pub environment: Environment,
    /// What it may do at most.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: Vec<Permission>,
    /// The audiences whose tokens it may redeem.
    #[schema(value_type = Vec<String>)]
    pub audiences: Vec<Audience>,
    /// On whose rights it rests: it never has one that this member lacks.
    #[schema(value_type = String, format = Uuid)]
    pub created_by: MemberId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// From when on it is refused.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// The key it took over from.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub rotated_from: Option<KeyId>,
    /// When another key took over from it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub superseded_at: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// Why it was revoked.
    pub revoke_reason: Option<String>,
    /// When it was last used, a few seconds late.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// How often it was used, a few seconds late.
    pub uses: u64,
}

/// A key to make.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CreateApiKey {
    /// Its name.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub name: DisplayName,
    /// Who will act with it.
    #[schema(value_type = PrincipalRef)]
    pub holder: Principal,
    /// Live or test.
    #[schema(value_type = EnvironmentWord)]
    pub environment: Environment,
    /// What it may do at most.
    #[schema(value_type = Vec<Scope>, min_items = 1)]
    pub scopes: Vec<Permission>,
    /// The audiences whose tokens it may redeem; needs the scope `tokens:verify`.
    #[schema(value_type = Vec<String>)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<Audience>,
    /// From when on it is refused.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A key just made. Its secret is in this answer and nowhere else.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct IssuedApiKey {
    /// The key.
    #[serde(flatten)]
    pub key: ApiKey,
    /// The key's text: what to send. It can't be read again.
    pub secret: String,
}

impl fmt::Debug for IssuedApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedApiKey").field("key", &self.key).finish_non_exhaustive()
    }
}

/// How to rotate a key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RotateApiKey {
    /// How long the old key works beside the new one.
    #[schema(minimum = 0, maximum = 604800)]
    pub overlap_seconds: u32,
}

/// Why to revoke a key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RevokeApiKey {
    /// For the record.
    pub reason: Reason,
}
