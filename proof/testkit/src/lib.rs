//! What tests of the whole share: one Postgres for all of them, and a database for each.
//!
//! [`TestPostgres::shared`] joins the cluster of this workspace, or starts it: tests run in many
//! processes at once, so a file lock lets one of them do it. It stays running; `cargo run -p
//! chancery-testkit -- stop` ends it. A test takes a database with [`TestPostgres::database_from`],
//! a copy of a template that is prepared once.

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

mod database;
mod http;
mod postgres;
mod process;

pub use database::TestDatabase;
pub use http::{Answer, Client};
pub use postgres::{TestPostgres, password};
pub use process::{ServerOptions, ServerProcess};
