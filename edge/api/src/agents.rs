//! `/api/v1/agents`

use chancery_model::{AgentId, DisplayName, MemberId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A program that acts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: AgentId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: DisplayName,
    /// What it is for.
    pub description: String,
    /// The member who answers for it. Once the owner is removed, it can't act.
    #[schema(value_type = String, format = Uuid)]
    pub owner_id: MemberId,
    /// Who created it.
    #[schema(value_type = String, format = Uuid)]
    pub created_by: MemberId,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was retired.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retired_at: Option<Timestamp>,
}

/// An agent to create.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CreateAgent {
    /// Its name.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub name: DisplayName,
    /// What it is for.
    #[schema(max_length = 1000)]
    #[serde(default)]
    pub description: String,
    /// The member who answers for it: the caller when absent. Another than the caller needs the scope
    /// `members:manage` too.
    #[schema(value_type = Option<String>, format = Uuid)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<MemberId>,
}

/// What to change of an agent: one thing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ChangeAgent {
    /// The new name.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DisplayName>,
    /// The new owner. Giving or taking an agent needs the scope `members:manage` too.
    #[schema(value_type = Option<String>, format = Uuid)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<MemberId>,
}
