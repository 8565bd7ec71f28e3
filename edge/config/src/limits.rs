//! `[limits]`: how often callers may ask.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// Requests per minute in the long run, and at once.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Each API key, per minute.
    pub key_per_minute: NonZeroU32,
    /// Each API key, at once.
    pub key_burst: NonZeroU32,
    /// All keys of an organization together, per minute.
    pub organization_per_minute: NonZeroU32,
    /// All keys of an organization together, at once.
    pub organization_burst: NonZeroU32,
}

const fn count(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            key_per_minute: count(120),
            key_burst: count(60),
            organization_per_minute: count(3_000),
            organization_burst: count(600),
        }
    }
}
