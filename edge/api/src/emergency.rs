//! `/api/v1/emergency/*`

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Reason;

/// An order to halt or to resume.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct EmergencyOrder {
    /// For the record.
    pub reason: Reason,
}

/// What holds after the order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct EmergencyState {
    /// Whether the organization is halted: nothing acts in it.
    pub halted: bool,
}
