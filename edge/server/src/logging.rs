//! The log, on standard error. Fields are ours: names of routes, ids, codes, counts. What users
//! send is not logged; and should it be, by a library or a panic, it is masked on its way out.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use chancery_config::{Log, LogFormat};
use chancery_mask::MaskWriter;
use tracing_subscriber::EnvFilter;

/// Other people's crates say at these levels and above what an operator wants to see.
const OTHERS: &str = "sqlx=warn,hyper=warn,h2=warn,rustls=warn";

/// Begins to log. What was begun before (by a test) goes on.
pub(crate) fn begin(log: Log) {
    let filter = EnvFilter::new(format!("{},{OTHERS}", log.level.as_str()));
    let masked = Mutex::new(MaskWriter::new(io::stderr()));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(masked);
    // Fails only when a log was begun already.
    let _ = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
    };
}

/// Has what panics say masked, too: their messages may hold what was being worked on.
pub(crate) fn mask_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let mut masked = MaskWriter::new(io::stderr().lock());
        let trace = Backtrace::capture();
        // Nobody is left to be told that standard error is gone.
        let _ = match trace.status() {
            BacktraceStatus::Captured => writeln!(masked, "{panic}\n{trace}"),
            _ => writeln!(masked, "{panic}"),
        };
    }));
}

/// Masks a stream: `logs scrub`.
///
/// # Errors
/// When it does not read, or nobody takes it.
pub(crate) fn scrub(mut from: impl Read, to: impl Write) -> io::Result<()> {
    let mut masked = MaskWriter::new(to);
    io::copy(&mut from, &mut masked)?;
    masked.flush()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Whether this process is the one that is to panic.
    const PANICS: &str = "CHANCERY_TEST_PANICS";
    const SECRET: &str = "sk_live_canary4242424242424242";

    #[test]
    fn what_a_panic_says_is_masked() {
        if std::env::var_os(PANICS).is_some() {
            mask_panics();
            panic!("working with {SECRET} of ada@example.org");
        }
        let mut itself = Command::new(std::env::current_exe().unwrap());
        let name = "logging::tests::what_a_panic_says_is_masked";
        itself.args([name, "--exact", "--nocapture"]).env(PANICS, "1").env("RUST_BACKTRACE", "1");
        let output = itself.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && said.contains("panicked at") && said.contains("working with"),
            "{said}"
        );
        assert!(!said.contains("canary") && !said.contains("ada@"), "{said}");
    }

    #[test]
    fn what_is_logged_is_masked_in_both_formats() {
        for json in [false, true] {
            let kept = Kept::default();
            let masked = Mutex::new(MaskWriter::new(kept.clone()));
            let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(masked);
            let begun = if json {
                tracing::subscriber::set_default(lines.json().flatten_event(true).finish())
            } else {
                tracing::subscriber::set_default(lines.finish())
            };
            tracing::error!(
                cause = format!("asked with {SECRET}"),
                password = "hunter2",
                "of ada@example.org"
            );
            tracing::error!(
                code = "internal",
                status = 500,
                request_id = "01890000-0000-7000-8000-000000000000"
            );
            drop(begun);
            let told = kept.text();
            for hidden in ["canary", "hunter2", "ada@example.org"] {
                assert!(!told.contains(hidden), "{told}");
            }
            for shown in ["asked with", "500", "01890000-0000-7000-8000-000000000000", "internal"] {
                assert!(told.contains(shown), "no {shown}: {told}");
            }
        }
    }

    #[test]
    fn a_stream_is_masked_whole() {
        let text = format!("one {SECRET}\ntwo ada@example.org, no line end");
        let mut out = Vec::new();
        scrub(text.as_bytes(), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("one [") && out.ends_with(", no line end") && !out.contains("ada@"), "{out}");
    }
}
