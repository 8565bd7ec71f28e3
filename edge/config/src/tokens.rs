//! `[tokens]`: authority tokens.

use serde::{Deserialize, Serialize};

/// What tokens carry and how long they live, where an organization says nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tokens {
    /// The `iss` claim; `server.public_url`, or the listener's address, if not set.
    pub issuer: Option<String>,
    /// Their life, in seconds.
    pub default_ttl_seconds: u32,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { issuer: None, default_ttl_seconds: 300 }
    }
}
