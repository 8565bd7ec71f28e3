//! The log, on standard error. Fields are ours: names of routes, ids, codes, counts. What users
//! send is not logged.

use std::io::{self, IsTerminal};

use chancery_config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// Other people's crates say at these levels and above what an operator wants to see.
const OTHERS: &str = "sqlx=warn,hyper=warn,h2=warn,rustls=warn";

/// Begins to log. What was begun before (by a test) goes on.
pub(crate) fn begin(log: Log) {
    let filter = EnvFilter::new(format!("{},{OTHERS}", log.level.as_str()));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // Fails only when a log was begun already.
    let _ = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
    };
}
