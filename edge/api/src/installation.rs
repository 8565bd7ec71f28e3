//! `/healthz` and `/readyz`

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The process runs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always true; a process that does not run does not answer.
    pub alive: bool,
}

/// What the server needs in order to answer requests.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// The database answers.
    pub store: bool,
    /// The record takes entries.
    pub record: bool,
    /// The key-encryption key is loaded.
    pub keys: bool,
}

impl Readiness {
    /// Whether all is there.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        self.store && self.record && self.keys
    }
}
