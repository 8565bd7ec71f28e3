//! `chancery doctor`: whether this installation is as it must be, or whether any other Postgres
//! database keeps its tenants apart. It looks, and changes nothing.

mod files;
mod foreign;
mod own;
mod posture;
mod queries;
mod record;
pub mod schema;
mod settings;
mod show;

pub use own::{GUARDED, INSTALLATION, RECORD};

use std::process::ExitCode;

use chancery_config::Config;
use chancery_doctor::{Check, Code, Finding};
use clap::Args;
use secrecy::SecretString;

use crate::run::is_closed_pipe;
use crate::terminal::Terminal;

/// What the doctor is asked.
#[derive(Args, Clone, Debug)]
pub struct Asked {
    /// Examine another database than ours: the column of its tables that says whose a row is.
    #[arg(long, value_name = "COLUMN")]
    tenant_column: Option<String>,
    /// Its address, `postgres://USER:PASSWORD@HOST/DATABASE`; `DATABASE_URL` if absent, which no list of
    /// processes shows. Any login will do.
    #[arg(long, value_name = "URL", requires = "tenant_column")]
    database_url: Option<SecretString>,
    /// Examine this schema only; several may be named. If absent all but Postgres' own.
    #[arg(long, value_name = "SCHEMA", requires = "tenant_column")]
    schema: Vec<String>,
    /// A role that is meant to reach every tenant's rows, such as one for backups; several may be named.
    #[arg(long, value_name = "ROLE", requires = "tenant_column")]
    trusted_role: Vec<String>,
    /// A SECURITY DEFINER function that somebody has read and found to guard itself: `NAME`, `SCHEMA.NAME`, or
    /// `SCHEMA.NAME(TYPES)`, which is that one alone; several may be named.
    #[arg(long, value_name = "FUNCTION", requires = "tenant_column")]
    guarded_function: Vec<String>,
    /// Leave the record out, whose verification takes the longest.
    #[arg(long, conflicts_with = "tenant_column")]
    skip_record: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

impl Asked {
    /// Whether it is about a database that is not ours.
    #[must_use]
    pub const fn is_foreign(&self) -> bool {
        self.tenant_column.is_some()
    }
}

/// Looks and says what was seen: 0 when nothing has to be put right, else 1.
///
/// # Errors
/// When it can't look.
pub async fn run(asked: Asked, config: Option<Config>, terminal: Terminal) -> anyhow::Result<ExitCode> {
    let as_json = asked.json;
    let (report, guards) = match config {
        None => (foreign::examine(asked).await?, Vec::new()),
        Some(config) => (own::examine(&config, Depth::of(asked.skip_record)).await?, posture::guards()),
    };
    match show::show(&report, &guards, as_json, terminal) {
        // Who has read enough of it, as `head` does, still gets the right exit code.
        Err(error) if !is_closed_pipe(&error) => return Err(error),
        _ => {}
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What of the record is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// Every entry.
    Record,
    /// Nothing.
    NoRecord,
}

impl Depth {
    const fn of(skip_record: bool) -> Self {
        if skip_record { Self::NoRecord } else { Self::Record }
    }
}

/// A check that could not be made: that is a finding, for nobody knows what it would have found.
fn unseen(name: &'static str, what: &str, error: &dyn std::fmt::Display) -> Check {
    let fix = "Put right what stands in the way, then look again.";
    let finding = Finding::new(Code::Unseen, what, format!("It could not be looked at: {error:#}."), fix);
    Check { name, seen: "not looked at".to_owned(), findings: vec![finding] }
}

/// What stands before and behind a text that is not within a quoted name.
fn split_outside<'t>(text: &'t str, separator: &str) -> Option<(&'t str, &'t str)> {
    // A quote within a name is doubled: where a name has ended, their number is even.
    let (at, _) = text.match_indices(separator).find(|(at, _)| {
        text.get(..*at).is_some_and(|before| before.matches('"').count().is_multiple_of(2))
    })?;
    Some((text.get(..at)?, text.get(at + separator.len()..)?))
}
