//! Execute: a permitted intent becomes a call of ours, with a credential that nobody sees.
//!
//! [`Executor::prepare`] finds the connector, makes the call out of the intent's canonical form, asks the
//! circuit breaker, and takes a place in the connector's bulkhead: whatever fails there is told before
//! anything is recorded. [`Executor::run`] then takes the proof that the call stands in the record as
//! opened, makes it through the guarded way out, and gives how it ended, to be recorded in turn.
//!
//! An outcome is a success only when the system said so. What may have arrived and was not answered has an
//! unknown outcome: it is not tried again unless the method is idempotent.

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

mod authorize;
pub mod breaker;
mod budget;
mod bulkhead;
mod executor;
pub mod meters;
mod oauth;
mod probe;
mod send;

use chancery_store::Migration;

pub use executor::{Executor, Finished, PrepareError, Prepared};
pub use probe::{ProbeError, Probed};

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 80, name: "breakers", sql: include_str!("../migrations/0080_breakers.sql") }];
