//! Migrations: forward only, in order, once, under an advisory lock. Each crate that owns tables
//! brings its own list; the server puts them together.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// One step of the schema. Versions are unique over all crates and sort in the order of need.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place in the order.
    pub version: i32,
    /// What it makes, in a few words.
    pub name: &'static str,
    /// The statements, run in one transaction.
    pub sql: &'static str,
}

/// The tables of this crate.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "base", sql: include_str!("../migrations/0001_base.sql") }];

/// Why the schema is not what this program needs.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A migration that already ran is not the one this program carries.
    #[error(
        "migration {version} in the database differs from this program's: it was changed after its release"
    )]
    Changed {
        /// Which one.
        version: i32,
    },
    /// The database was migrated by a newer program.
    #[error(
        "the database is at migration {found}, newer than this program knows ({known}): start the newer program"
    )]
    Newer {
        /// The database's newest.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// A step failed; nothing of it stays.
    #[error("migration {version} failed: {source}")]
    Failed {
        /// Which one.
        version: i32,
        /// Why.
        source: sqlx::Error,
    },
    /// The database did not answer.
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
}

/// Any number does; this one is ours. Held for the whole run, so that two starting servers take turns.
const LOCK: i64 = 0x6368_616e_6365_7279;

/// Brings the schema up to date as the owner.
///
/// # Errors
/// See [`MigrateError`]; a failed step leaves the schema as it was before that step.
pub async fn migrate(owner: &PgConnectOptions, migrations: &[Migration]) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect_with(owner).await?;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut connection).await?;
    let outcome = run(&mut connection, migrations).await;
    // Closing the session gives the lock back, also after an error.
    connection.close().await?;
    outcome
}

/// How a database differs from what a program's migrations make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Those that did not run yet.
    pub pending: Vec<i32>,
    /// Those that ran and that the program does not know.
    pub unknown: Vec<i32>,
    /// Those that ran and are not what the program carries.
    pub changed: Vec<i32>,
}

/// Compares what ran with a program's migrations, and changes nothing.
///
/// # Errors
/// When the database does not answer, or nothing was ever migrated in it.
pub async fn migrated(connection: &mut PgConnection, migrations: &[Migration]) -> sqlx::Result<Migrated> {
    let done: Vec<(i32, String)> =
        sqlx::query_as("SELECT version, checksum FROM public.schema_migrations ORDER BY version")
            .fetch_all(connection)
            .await?;
    let mut found = Migrated::default();
    for (version, ran) in &done {
        match migrations.iter().find(|step| step.version == *version) {
            None => found.unknown.push(*version),
            Some(step) if checksum(step.sql) != *ran => found.changed.push(*version),
            Some(_) => {}
        }
    }
    let missing = migrations.iter().filter(|step| done.iter().all(|(version, _)| *version != step.version));
    found.pending = missing.map(|step| step.version).collect();
    Ok(found)
}

async fn run(connection: &mut PgConnection, migrations: &[Migration]) -> Result<(), MigrateError> {
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS schema_migrations (
             version int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
             applied_at timestamptz NOT NULL DEFAULT now())",
    )
    .execute(&mut *connection)
    .await?;
    let done: Vec<(i32, String)> =
        sqlx::query_as("SELECT version, checksum FROM schema_migrations ORDER BY version")
            .fetch_all(&mut *connection)
            .await?;
    let known = migrations.iter().map(|m| m.version).max().unwrap_or(0);
    if let Some((found, _)) = done.iter().find(|(version, _)| *version > known) {
        return Err(MigrateError::Newer { found: *found, known });
    }
    let mut ordered: Vec<&Migration> = migrations.iter().collect();
    ordered.sort_by_key(|m| m.version);
    for step in ordered {
        let version = step.version;
        let checksum = checksum(step.sql);
        match done.iter().find(|(done, _)| *done == version) {
            Some((_, before)) if *before == checksum => continue,
            Some(_) => return Err(MigrateError::Changed { version }),
            None => {}
        }
        let failed = |source| MigrateError::Failed { version, source };
        let mut tx = connection.begin().await?;
        sqlx::raw_sql(AssertSqlSafe(step.sql)).execute(&mut *tx).await.map_err(failed)?;
        sqlx::query("INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)")
            .bind(version)
            .bind(step.name)
            .bind(checksum)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        tracing::info!(version, name = step.name, "migrated");
    }
    Ok(())
}

fn checksum(sql: &str) -> String {
    use std::fmt::Write;
    chancery_crypto::sha256(&[sql.as_bytes()]).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
