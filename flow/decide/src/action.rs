//! What an organization says about one action: the unit of the catalogue.

use chancery_model::{ActionName, ResourceType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an action does to its resource. Each is also a group of actions that policies can name:
/// `action in Action::"destructive"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionEffect {
    /// Changes nothing.
    Read,
    /// Changes something that can be changed back.
    Write,
    /// Can't be undone.
    Destructive,
}

impl ActionEffect {
    /// Every effect, in order.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Destructive];

    /// The word in the API, and the id of the action group in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }
}

/// One action as an organization (or a pack, or a connector) defines it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionDefinition {
    /// The name that intents and policies use.
    pub name: ActionName,
    /// The type of the resource it acts on.
    pub resource_type: ResourceType,
    /// What it does, for people.
    pub description: String,
    /// What it does to the resource.
    pub effect: ActionEffect,
    /// The risk it carries before anything is known of the request: 0 to 100.
    pub base_risk: u8,
    /// The JSON Schema (2020-12, the subset of [`crate::Catalogue`]) of its arguments: an object.
    pub arguments: Value,
    /// The JSON Schema of the facts a caller states beside the arguments, also an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
}
