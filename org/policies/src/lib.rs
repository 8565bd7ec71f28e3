//! The action catalogue and the policies of an organization: stored, versioned, put in force, and
//! compiled for deciding.
//!
//! Nothing is written that could not decide: an action is taken when the whole catalogue builds with
//! it and every policy in force still holds against it, and a policy when it passes the strict check
//! of [`chancery_decide`] against the catalogue. Two writers can't each break what the other checked
//! against: every change moves the epoch, and the second to commit begins again.

pub mod actions;
mod cache;
mod error;
pub mod packs;
pub mod policies;
mod state;

pub use cache::PolicyCache;
pub use error::PolicyError;
pub use policies::{Authorship, PolicyRecord, VersionRecord};

/// The tables of this crate.
pub const MIGRATIONS: &[chancery_store::Migration] = &[chancery_store::Migration {
    version: 30,
    name: "policies",
    sql: include_str!("../migrations/0030_policies.sql"),
}];
