//! Agents, and the API keys by which agents and members authenticate.
//!
//! * [`mod@format`]: the text of a key, parsed without a query.
//! * [`lookup`]: from a presented key to all that authenticating it needs, in one query.
//! * [`agent`], [`api_key`]: administration. What changes something gives, beside the thing, the
//!   [`Change`](chancery_store::Change) whose entry lets it be committed.
//! * [`halt`]: stopping an organization, or what acts with its live or its test keys.
//! * [`LastUsed`]: when keys were used, written in batches, never while verifying one.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

pub mod agent;
pub mod api_key;
mod base62;
pub mod format;
pub mod halt;
mod key_rows;
mod last_used;
mod lookup;
mod new_key;
mod note;
mod scopes;

use chancery_store::Migration;

pub use last_used::LastUsed;
pub use lookup::{KeyRecord, lookup};
pub use note::{Note, NoteError};

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 20, name: "keys", sql: include_str!("../migrations/0020_keys.sql") },
    Migration { version: 21, name: "agent names", sql: include_str!("../migrations/0021_agent_names.sql") },
    Migration {
        version: 22,
        name: "environment halts",
        sql: include_str!("../migrations/0022_environment_halts.sql"),
    },
    Migration { version: 23, name: "key makers", sql: include_str!("../migrations/0023_key_makers.sql") },
];
