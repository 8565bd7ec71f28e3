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
    /// One client's address, whoever asks from it, per minute.
    pub address_per_minute: NonZeroU32,
    /// One client's address, at once.
    pub address_burst: NonZeroU32,
    /// One client's address where people sign in and strangers may look, per minute.
    pub door_per_minute: NonZeroU32,
    /// One client's address there, at once.
    pub door_burst: NonZeroU32,
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
            address_per_minute: count(3_000),
            address_burst: count(600),
            door_per_minute: count(60),
            door_burst: count(20),
        }
    }
}
