//! Whether a Postgres database keeps its tenants apart: row-level security by a column, examined in
//! the catalogue of any database, ours or another's.
//!
//! [`examine`] reads the catalogue in one read-only transaction and needs no more than an ordinary
//! login. What it reads is a [`Catalogue`], a plain value; the checks are pure functions over it, each
//! of which gives [`Finding`]s. What can't be read is an error, never silence.

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

mod catalogue;
mod code;
mod examine;
mod expression;
mod finding;
mod functions;
mod grants;
mod guard;
mod policies;
mod read;
mod roles;
mod tables;
mod text;
mod views;

pub use catalogue::Catalogue;
pub use code::{Code, Severity};
pub use examine::{ExamineError, Expected, Guarded, Trusted, begin_reading, examine};
pub use finding::{Check, Finding, Outcome, Report};
