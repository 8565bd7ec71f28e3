//! Organizations and their settings, the members in them, and what members delegate to agents.
//!
//! Functions that change something take a [`Scoped<Write>`](chancery_store::Scoped) and give, beside
//! the thing, the [`Change`](chancery_store::Change) whose entry lets it be committed. What is in a
//! change's payload names nobody: names and addresses stay in the sealed profile, so that erasing a
//! person leaves the record readable.

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

pub mod delegation;
pub mod member;
pub mod organization;
mod profile;
pub mod settings;

use chancery_store::Migration;

pub use profile::{Email, EmailError, Profile};

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 10, name: "people", sql: include_str!("../migrations/0010_people.sql") },
    Migration { version: 11, name: "names", sql: include_str!("../migrations/0011_names.sql") },
];
