//! The server put together, the operator's commands, and the client: the `chancery` binary.
//!
//! [`assemble`] is the one place that knows every part; `serve.rs` runs it for real, [`demo`] to be
//! looked at.

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

mod app;
pub mod assemble;
mod background;
mod cli;
pub mod client;
pub mod consent;
pub mod data_dir;
pub mod database;
pub mod demo;
pub mod doctor;
pub mod egress;
pub mod founding;
pub mod installation;
pub mod kek;
mod listen;
mod logging;
mod naming;
pub mod operate;
mod run;
pub mod serve;
pub mod sweep;
pub mod tend;
pub mod terminal;
mod tls;
pub mod verify;

pub use cli::Cli;
pub use run::run;
