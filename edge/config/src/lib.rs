//! The server's configuration: defaults, then a TOML file, then the environment.
//!
//! Everything that a person can set stands in [`KEYS`], with what is expected of it. A key that is
//! not there, or a value that is not what is expected, stops the start with a [`ConfigError`] that
//! names each of them and where it was set. This crate alone reads the environment.

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

mod config;
mod database;
mod egress;
mod error;
mod keys;
mod limits;
mod load;
mod log;
mod policies;
mod printable;
mod record;
mod reference;
mod server;
mod sources;
mod validate;

pub use config::Config;
pub use database::Database;
pub use egress::Egress;
pub use error::{ConfigError, Problem, Source};
pub use keys::Keys;
pub use limits::Limits;
pub use log::{Log, LogFormat, LogLevel};
pub use policies::Policies;
pub use record::Record;
pub use reference::{KEYS, Key};
pub use server::{Server, Tls};
pub use sources::Sources;
