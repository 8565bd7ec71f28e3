//! `chancery doctor`: whether this installation is as it must be, or whether any other Postgres
//! database keeps its tenants apart. It looks, and changes nothing.

mod show;

use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use chancery_config::Config;
use chancery_doctor::{Expected, Report, Trusted, examine};
use chancery_store::provision::require_tls;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

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
    /// A SECURITY DEFINER function that somebody has read and found to guard itself; several may be named.
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
    let report = match config {
        None => foreign(asked).await?,
        Some(_) => todo_own()?,
    };
    show::show(&report, as_json, terminal)?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn todo_own() -> anyhow::Result<Report> {
    Err(anyhow!("name a database with --tenant-column"))
}

/// Examines any database by a column.
async fn foreign(asked: Asked) -> anyhow::Result<Report> {
    let from_environment = || std::env::var("DATABASE_URL").ok().map(SecretString::from);
    let url = asked
        .database_url
        .or_else(from_environment)
        .context("which database? Name it with --database-url, or in DATABASE_URL")?;
    // The parser's error may quote the URL, which holds a password.
    let options: PgConnectOptions = url
        .expose_secret()
        .parse()
        .map_err(|_| anyhow!("the database URL does not read as one of Postgres"))?;
    let options = require_tls(&options)?.application_name("chancery doctor").disable_statement_logging();
    let mut database = PgConnection::connect_with(&options).await.context("the database does not answer")?;
    let trusted = asked.trusted_role.into_iter().map(|role| Trusted { role, tables: None });
    let expected = Expected {
        column: asked.tenant_column.unwrap_or_default(),
        schemas: asked.schema,
        trusted: trusted.collect(),
        guarded: asked.guarded_function,
    };
    let report = examine(&mut database, &expected).await?;
    database.close().await?;
    Ok(report)
}
