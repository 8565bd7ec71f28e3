//! The log, on standard error. Fields are ours: names of routes, ids, codes, counts. What users
//! send is not logged.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

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

/// A log that is kept, for whoever wants to look through it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// What was logged so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to keep all that our own code can say.
pub(crate) fn keep() -> Kept {
    let kept = Kept::default();
    let writer = kept.clone();
    let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(format!("trace,{OTHERS}")));
    // Fails only when a log was begun already.
    let _ = lines.with_ansi(false).with_writer(move || writer.clone()).try_init();
    kept
}
