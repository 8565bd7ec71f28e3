//! One cluster for all tests of a workspace.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use chancery_store::embedded::{Embedded, EmbeddedError, EmbeddedOptions};
use rustix::process::{Pid, test_kill_process};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::database::{self, TEMPLATES, TESTS};

/// How long a cluster that runs may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

static SHARED: OnceCell<TestPostgres> = OnceCell::const_new();

/// The password of each role in the test cluster. Roles belong to the whole cluster: whoever
/// provisions with another password breaks everyone else's tests.
#[must_use]
pub fn password(role: &str) -> SecretString {
    format!("test-{role}").into()
}

/// The running test cluster.
#[derive(Clone, Debug)]
pub struct TestPostgres {
    superuser: PgConnectOptions,
}

impl TestPostgres {
    /// The cluster of this workspace, started if it does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn shared() -> anyhow::Result<Self> {
        SHARED.get_or_try_init(join_or_start).await.cloned()
    }

    /// The cluster of this workspace as the environment wants it (`CHANCERY_TEST_FSYNC=1`: durable),
    /// rid of what earlier tests left.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start() -> anyhow::Result<Self> {
        let mut postgres = join_or_start().await?;
        let mut connection = PgConnection::connect_with(&postgres.superuser).await?;
        let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await?;
        if (fsync == "on") != wants_fsync() {
            connection.close().await?;
            Self::stop().await?;
            postgres = join_or_start().await?;
            connection = PgConnection::connect_with(&postgres.superuser).await?;
        }
        sweep(&mut connection).await?;
        connection.close().await?;
        Ok(postgres)
    }

    /// Stops the cluster of this workspace, if it runs.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop() -> anyhow::Result<()> {
        for dir in data_dirs() {
            let _lock = lock(&dir).await?;
            Embedded::stop_abandoned(&dir).await?;
        }
        Ok(())
    }

    /// Options to connect to a database as the superuser.
    #[must_use]
    pub fn superuser(&self, database: &str) -> PgConnectOptions {
        self.superuser.clone().database(database)
    }
}

async fn join_or_start() -> anyhow::Result<TestPostgres> {
    let mut closed = None;
    for dir in data_dirs() {
        let _lock = lock(&dir).await?;
        match join_or_start_in(&dir).await {
            // Root's checkout may lie in a home that Postgres' user cannot enter.
            Err(error @ EmbeddedError::NotTraversable { .. }) => closed = Some(error),
            outcome => return Ok(TestPostgres { superuser: outcome? }),
        }
    }
    Err(closed.map_or_else(|| anyhow::anyhow!("no place for the test cluster"), Into::into))
}

async fn join_or_start_in(dir: &Path) -> Result<PgConnectOptions, EmbeddedError> {
    let superuser = password("superuser");
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Embedded::join(dir, &superuser).await {
            Err(EmbeddedError::NotRunning { .. }) => break,
            // It recovers, or its connections are all taken. To start it anew would end others' tests.
            Err(EmbeddedError::Connect(_)) if Instant::now() < deadline => sleep(POLL).await,
            outcome => return outcome,
        }
    }
    let settings: &[(&str, &str)] = if wants_fsync() {
        &[("max_connections", "400")]
    } else {
        &[("max_connections", "400"), ("fsync", "off"), ("full_page_writes", "off")]
    };
    let embedded = Embedded::start(EmbeddedOptions {
        data_dir: dir.to_owned(),
        binaries: env::var_os("PG_BIN").map(PathBuf::from),
        superuser_password: superuser,
        settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    })
    .await?;
    let superuser = embedded.superuser();
    embedded.abandon();
    Ok(superuser)
}

/// Where the cluster may lie: in the target directory, or else in the temporary folder under a name of
/// this workspace's own.
fn data_dirs() -> [PathBuf; 2] {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let id = database::key_of(env!("CARGO_MANIFEST_DIR")).unsigned_abs();
    [target.join("test-postgres"), env::temp_dir().join(format!("chancery-test-{id:x}"))]
}

fn wants_fsync() -> bool {
    env::var("CHANCERY_TEST_FSYNC").is_ok_and(|value| value == "1")
}

/// One process at a time starts or stops the cluster.
async fn lock(dir: &Path) -> anyhow::Result<File> {
    let path = dir.with_extension("lock");
    let parent = path.parent().context("the test cluster has a parent folder")?;
    fs::create_dir_all(parent)?;
    let file = File::options().append(true).create(true).open(&path)?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await?.context("locking the test cluster")
}

/// Drops the databases of processes that ended without doing so, and templates, which a changed schema
/// makes useless.
async fn sweep(connection: &mut PgConnection) -> anyhow::Result<()> {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT datname::text FROM pg_database").fetch_all(&mut *connection).await?;
    for name in names {
        if let Some(template) = name.strip_prefix(TEMPLATES) {
            // One that a test copies just now is not useless.
            let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(database::key_of(template))
                .fetch_one(&mut *connection)
                .await?;
            if free {
                let release = format!("ALTER DATABASE \"{name}\" IS_TEMPLATE false");
                sqlx::raw_sql(AssertSqlSafe(release)).execute(&mut *connection).await?;
                database::drop_database(connection, &name).await?;
            }
        } else if let Some(rest) = name.strip_prefix(TESTS) {
            let pid = rest.split('_').next().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
            if pid.is_none_or(|pid| test_kill_process(pid).is_err()) {
                database::drop_database(connection, &name).await?;
            }
        }
    }
    Ok(())
}
