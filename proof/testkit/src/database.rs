//! A database of one's own, copied from a template.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use chancery_store::provision::Logins;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use tokio::time::Instant;

use crate::{TestPostgres, password};

/// What templates' names begin with.
pub(crate) const TEMPLATES: &str = "template_";
/// What the names of tests' databases begin with; the process id of the owner follows.
pub(crate) const TESTS: &str = "test_";

/// How long something that must happen may take.
const LONG: Duration = Duration::from_secs(20);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database of one test. Dropping it drops it, also while connections to it are open.
#[derive(Debug)]
pub struct TestDatabase {
    postgres: TestPostgres,
    name: String,
}

impl TestDatabase {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Options to connect to it as the superuser.
    #[must_use]
    pub fn superuser(&self) -> PgConnectOptions {
        self.postgres.superuser(&self.name)
    }

    /// Returns once a session of the database waits for a lock: then whoever was to be held up is.
    ///
    /// # Errors
    /// When none does for long.
    pub async fn somebody_waits(&self) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect_with(&self.superuser()).await?;
        let until = Instant::now() + LONG;
        let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock')";
        while !sqlx::query_scalar(waiting).fetch_one(&mut connection).await? {
            if Instant::now() > until {
                bail!("nobody waits for a lock");
            }
        }
        Ok(())
    }

    /// The logins, if its template was provisioned with [`password`].
    #[must_use]
    pub fn logins(&self) -> Logins {
        Logins::of(&self.superuser(), &self.name, &password)
    }
}

impl TestPostgres {
    /// A new database, copied from the template `template`. The first who asks makes the template with
    /// `prepare`, which is given the name of a database to create and fill. The caller's name for the
    /// template ends with a digest of what `prepare` does, such as the migrations: another digest is
    /// another template.
    ///
    /// # Errors
    /// When `prepare` fails, or Postgres.
    pub async fn database_from(
        &self,
        template: &str,
        prepare: impl AsyncFnOnce(&Self, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<TestDatabase> {
        let source = format!("{TEMPLATES}{template}");
        let name = format!("{TESTS}{}_{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect_with(&self.superuser("postgres")).await?;
        lock(&mut connection, "SELECT pg_advisory_lock_shared($1)", template).await?;
        if !is_complete(&mut connection, &source).await? {
            lock(&mut connection, "SELECT pg_advisory_unlock_shared($1)", template).await?;
            lock(&mut connection, "SELECT pg_advisory_lock($1)", template).await?;
            if !is_complete(&mut connection, &source).await? {
                drop_database(&mut connection, &source).await?;
                prepare(self, &source).await.with_context(|| format!("preparing `{source}`"))?;
                seal(&mut connection, &source).await?;
            }
        }
        copy(&mut connection, &source, &name).await?;
        // The lock ends with its connection.
        connection.close().await?;
        Ok(TestDatabase { postgres: self.clone(), name })
    }
}

async fn lock(connection: &mut PgConnection, function: &'static str, template: &str) -> anyhow::Result<()> {
    sqlx::query(function).bind(key_of(template)).execute(connection).await?;
    Ok(())
}

/// Whether a template stands and its preparation came to its end.
async fn is_complete(connection: &mut PgConnection, source: &str) -> anyhow::Result<bool> {
    let query =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)");
    Ok(query.bind(source).fetch_one(connection).await?)
}

/// Makes a prepared database a template, which nobody can be connected to.
async fn seal(connection: &mut PgConnection, source: &str) -> anyhow::Result<()> {
    run(connection, format!("ALTER DATABASE \"{source}\" ALLOW_CONNECTIONS false")).await?;
    sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
        .bind(source)
        .execute(&mut *connection)
        .await?;
    run(connection, format!("ALTER DATABASE \"{source}\" IS_TEMPLATE true")).await
}

/// Copies a template with its owner and its grants, which `CREATE DATABASE` leaves behind.
async fn copy(connection: &mut PgConnection, source: &str, name: &str) -> anyhow::Result<()> {
    let owner: String =
        sqlx::query_scalar("SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = $1")
            .bind(source)
            .fetch_one(&mut *connection)
            .await?;
    drop_database(connection, name).await?;
    run(connection, format!("CREATE DATABASE \"{name}\" TEMPLATE \"{source}\" OWNER \"{owner}\"")).await?;
    sqlx::query(
        "UPDATE pg_database SET datacl = (SELECT datacl FROM pg_database WHERE datname = $1) WHERE datname = $2",
    )
    .bind(source)
    .bind(name)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn drop_database(connection: &mut PgConnection, name: &str) -> anyhow::Result<()> {
    run(connection, format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await
}

/// Runs a statement whose names are ours.
async fn run(connection: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// The advisory lock of a name.
pub(crate) fn key_of(name: &str) -> i64 {
    let digest = chancery_crypto::sha256(&[name.as_bytes()]);
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (superuser, name) = (self.postgres.superuser("postgres"), self.name.clone());
        // The test's runtime may be ending: a thread with its own finishes first. What fails is left to
        // the next sweep.
        let _ = std::thread::spawn(move || -> anyhow::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&superuser).await?;
                drop_database(&mut connection, &name).await
            })
        })
        .join();
    }
}
