//! The record: every decision, redemption and change, appended once, chained, committed to, sealed.
//!
//! [`Recorder`] is the only holder of the right to commit. Its doors are [`Recorder::open`] for verdicts
//! and [`Recorder::open_again`] for those after an approval, [`Recorder::redeem`] for tokens,
//! [`Recorder::close_call`] for what became of a call, and [`Recorder::commit`] for mutations; each gives
//! a [`chancery_store::Receipt`], and nothing is released without one.

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

mod again;
mod breaks;
mod chain;
pub mod checkpoint;
mod close;
mod committer;
mod entry;
pub mod evidence;
mod grounds;
pub mod idempotency;
mod intents;
pub mod meters;
mod open;
mod payload;
pub mod query;
mod recorder;
mod redeem;
mod release_rows;
pub mod releases;
mod scan;
mod tree;
pub mod verify;

use chancery_store::Migration;

pub use close::Conclusion;
pub use entry::OpenedPayload;
pub use grounds::{Grounds, grounds};
pub use open::{CallTerms, Engaged, IdempotencyKey, Opened, Opening, Outcome, Replayed};
pub use recorder::{Actor, QueueLimits, RecordError, Recorder, hold_head};

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 50, name: "record", sql: include_str!("../migrations/0050_record.sql") },
    Migration {
        version: 55,
        name: "intents by principal",
        sql: include_str!("../migrations/0055_intents_by_principal.sql"),
    },
    Migration {
        version: 56,
        name: "fewer index entries",
        sql: include_str!("../migrations/0056_fewer_index_entries.sql"),
    },
    Migration { version: 57, name: "releases", sql: include_str!("../migrations/0057_releases.sql") },
];
