//! `/api/v1/tokens/revoke`

use chancery_model::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Reason;

/// Whose tokens to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RevocationTarget {
    /// One token, by its `jti`.
    Token,
    /// All that an API key asked for until now.
    Key,
    /// All of the organization until now.
    Organization,
}

/// Tokens to revoke.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeTokens {
    /// Whose.
    pub kind: RevocationTarget,
    /// The token's or the key's id; absent for the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// For the record.
    pub reason: Reason,
}

/// A revocation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Revocation {
    /// Its id.
    pub id: Uuid,
    /// What was issued until then is revoked.
    #[schema(value_type = String, format = DateTime)]
    pub before: Timestamp,
}
