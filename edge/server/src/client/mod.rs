//! The client: commands against a running server, over HTTP like anyone else's.

mod commands;
mod connection;
mod table;

pub use commands::{ClientCommand, run};
pub use connection::{Answer, Connection};
