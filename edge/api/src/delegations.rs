//! `/api/v1/delegations`

use chancery_model::{ActionName, AgentId, DelegationId, MemberId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A permission for an agent to act on a member's behalf.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Delegation {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: DelegationId,
    /// On whose behalf.
    #[schema(value_type = String, format = Uuid)]
    pub member_id: MemberId,
    /// Who acts.
    #[schema(value_type = String, format = Uuid)]
    pub agent_id: AgentId,
    /// For which actions.
    #[schema(value_type = Vec<String>)]
    pub actions: Vec<ActionName>,
    /// When it ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was taken back.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

/// A delegation to make, of the caller's own rights.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CreateDelegation {
    /// Who may act.
    #[schema(value_type = String, format = Uuid)]
    pub agent_id: AgentId,
    /// For which actions.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 256)]
    pub actions: Vec<ActionName>,
    /// When it ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}
