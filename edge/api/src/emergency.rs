//! `/api/v1/emergency`

use chancery_model::{ConnectorId, Environment, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Reason, words};

/// An order to halt or to resume.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct EmergencyOrder {
    /// For the record.
    pub reason: Reason,
    /// Only what acts with keys of this environment; the whole organization when absent.
    #[schema(value_type = Option<words::EnvironmentWord>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
}

/// What is halted and what is paused.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EmergencyState {
    /// Whether the organization is halted: nothing acts in it.
    pub halted: bool,
    /// Since when and why it is, as the record tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt: Option<OrganizationHalt>,
    /// The environments that are halted.
    pub environments: Vec<HaltedEnvironment>,
    /// The connectors that are paused.
    pub connectors: Vec<PausedConnector>,
}

/// How an organization came to be halted.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OrganizationHalt {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub halted_at: Timestamp,
    /// Why.
    pub reason: String,
    /// Where the order stands in the record, with who gave it.
    pub seq: u64,
}

/// An environment in which nothing acts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HaltedEnvironment {
    /// Which.
    #[schema(value_type = words::EnvironmentWord)]
    pub environment: Environment,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub halted_at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A connector with which nothing is done.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PausedConnector {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: ConnectorId,
    /// Its name.
    pub name: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub paused_at: Timestamp,
    /// Why.
    pub reason: String,
}
