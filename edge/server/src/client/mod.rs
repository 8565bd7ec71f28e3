//! The client: commands against a running server, over HTTP like anyone else's.
//!
//! Most commands are one request (`request.rs`); those that take more stand in files of their own
//! (`agents.rs`, `intents.rs`); what is told of intents is in `told.rs`.

mod agents;
mod approvals;
mod commands;
mod connection;
mod connectors;
mod delegations;
mod emergency;
mod intents;
mod members;
mod newcomer;
mod policies;
mod request;
mod signing_keys;
mod table;
mod tokens;
mod told;
mod way;

pub use commands::{ClientCommand, RecordCommand, record, run};
pub use connection::{Answer, Connection};
pub use way::Way;
