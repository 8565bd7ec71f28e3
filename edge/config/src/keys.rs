//! `[keys]`: API keys.

use serde::{Deserialize, Serialize};

/// How API keys look.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keys {
    /// What they begin with, before `_live_` or `_test_`.
    pub prefix: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self { prefix: "chn".to_owned() }
    }
}
