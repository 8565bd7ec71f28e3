//! `/api/v1/tokens`

use chancery_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Reason, RecordRef, ResourceRef};

/// Whose tokens to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RevocationTarget {
    /// One token, by its `jti`.
    Token,
    /// All that an API key asked for until now, and within five seconds from now: the clocks of two
    /// servers may differ by that much.
    Key,
    /// All that were issued to an agent until now, whichever key asked and in whose name, and within five
    /// seconds from now.
    Agent,
    /// All of the organization until now, and within five seconds from now.
    Organization,
}

/// Tokens to revoke.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RevokeTokens {
    /// Whose.
    pub kind: RevocationTarget,
    /// The token's, the key's or the agent's id; absent for the organization.
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
    /// What was issued until then is revoked; for a key, an agent or the organization also what is issued
    /// within five seconds after.
    #[schema(value_type = String, format = DateTime)]
    pub before: Timestamp,
}

/// A token to redeem, and what is about to be done with it: either its hash or the thing itself.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct VerifyToken {
    /// The token.
    pub token: String,
    /// Which of the key's audiences redeems it; any of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The hash of the intent, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_hash: Option<String>,
    /// The action about to be done; with `resource` and `arguments` in place of `intent_hash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// On what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceRef>,
    /// With which arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
}

/// A redeemed token: do it now, once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct VerifiedToken {
    /// What the token says, without its nonce.
    #[schema(value_type = Object)]
    pub claims: Value,
    /// Where its use stands in the record.
    pub record: RecordRef,
}
