//! Approve: people answer what was escalated.
//!
//! An escalation stands from the entry that records it until enough people agreed, one refused, its
//! requester took it back, or its time is over. Who may answer is looked at when they answer, again when
//! the last answer comes, and again when the intent is decided on anew: an approval never mints or
//! executes anything, it is a fact for [`chancery_decide`].
//!
//! Nobody answers their own request: see [`people`].

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

mod answer;
mod end;
mod escalation;
mod keys;
pub mod people;
mod wait;

use chancery_store::Migration;

pub use answer::{
    Agreed, Answer, AnswerError, Answered, Approver, GOOD_SECONDS, Voice, agreed, answer, withdraw,
};
pub use end::{Due, cancel, due, expire};
pub use escalation::{
    Ask, Demand, Escalated, Escalation, Given, Requested, State, answers, insert_batch, list, read,
};
pub use wait::{CHANNEL, Told, Waits};

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 60, name: "approvals", sql: include_str!("../migrations/0060_approvals.sql") },
    Migration {
        version: 61,
        name: "keys are looked at",
        sql: include_str!("../migrations/0061_keys_are_looked_at.sql"),
    },
];
