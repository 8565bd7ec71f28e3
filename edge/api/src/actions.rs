//! `/api/v1/actions`

use chancery_model::{ActionName, ResourceType, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What an action does to its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActionEffect {
    /// Changes nothing.
    Read,
    /// Changes something that can be changed back.
    Write,
    /// Can't be undone.
    Destructive,
}

/// One action of the organization's catalogue.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Action {
    /// The name that intents and policies use.
    #[schema(value_type = String)]
    pub name: ActionName,
    /// The type of the resource it acts on.
    #[schema(value_type = String)]
    pub resource_type: ResourceType,
    /// What it does, for people.
    pub description: String,
    /// What it does to the resource.
    pub effect: ActionEffect,
    /// The risk it carries before anything is known of the request: 0 to 100.
    pub base_risk: u8,
    /// The JSON Schema of its arguments.
    #[schema(value_type = Object)]
    pub arguments: Value,
    /// The JSON Schema of the facts a caller states beside the arguments.
    #[schema(value_type = Option<Object>)]
    pub context: Option<Value>,
    /// When it was first defined.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When it was retired.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retired_at: Option<Timestamp>,
}

/// An action that left the catalogue: it is unknown from here on, and so refused.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RetiredAction {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ActionName,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub retired_at: Timestamp,
}

/// An action to put into the catalogue.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct PutAction {
    /// The type of the resource it acts on.
    #[schema(value_type = String)]
    pub resource_type: ResourceType,
    /// What it does, for people.
    #[serde(default)]
    pub description: String,
    /// What it does to the resource.
    pub effect: ActionEffect,
    /// The risk it carries before anything is known of the request.
    #[schema(minimum = 0, maximum = 100)]
    pub base_risk: u8,
    /// The JSON Schema of its arguments: an object.
    #[schema(value_type = Object)]
    pub arguments: Value,
    /// The JSON Schema of the facts a caller states beside the arguments, also an object.
    #[schema(value_type = Option<Object>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}
