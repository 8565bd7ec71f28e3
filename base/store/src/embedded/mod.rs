//! The embedded default: a private Postgres cluster under the data directory.
//!
//! It runs from the binaries on the machine, listens on a Unix socket that only its own user (and
//! root) can reach, and lives as long as [`Embedded`]. Started by root, Postgres itself runs as an
//! unprivileged user. A server that was killed leaves a postmaster, orphaned backends, or stale
//! pid and socket files behind; the next start ends and clears them. A completed cluster is never
//! deleted: a new one is made beside its place and renamed into it.
//!
//! | under the data directory | is |
//! |---|---|
//! | `postgres/` | the cluster |
//! | `postgres-socket/` | its socket; in the system's temporary folder where this path is too long |
//! | `postgres.log` | its log, bounded; no statement texts, no parameters |
//! | `postgres.lock` | held by the process that owns the cluster |

mod account;
mod binaries;
mod cluster;
mod error;
mod layout;
mod leftover;
mod postmaster;

use std::fs::File;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use self::account::Account;
use self::binaries::Binaries;
use self::layout::Layout;
use self::postmaster::Postmaster;

pub use self::error::EmbeddedError;

/// The role that owns the cluster. Only provisioning and the operator's own tools log in with it.
pub const SUPERUSER: &str = "chancery_superuser";

/// What the embedded cluster needs to know.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// The server's data directory; made if missing.
    pub data_dir: PathBuf,
    /// The folder of the Postgres binaries; searched for if `None`.
    pub binaries: Option<PathBuf>,
    /// The password of [`SUPERUSER`], set when the cluster is made.
    pub superuser_password: SecretString,
    /// Further Postgres settings, which win over ours: tests turn `fsync` off here.
    pub settings: Vec<(String, String)>,
}

/// A running cluster, owned by this process.
///
/// Dropping it asks Postgres to stop but cannot wait for it; [`Embedded::stop`] does.
#[derive(Debug)]
pub struct Embedded {
    layout: Layout,
    account: Account,
    binaries: Binaries,
    postmaster: Postmaster,
    password: SecretString,
    _lock: File,
}

impl Embedded {
    /// Starts the cluster of a data directory, making it first where there is none, and returns
    /// when it answers. Whatever a killed server left running there is stopped before.
    ///
    /// # Errors
    /// When there are no binaries, the folder cannot be used, another process owns it, or Postgres
    /// does not come up.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let layout = Layout::create(&options.data_dir)?;
        let lock = layout.lock().await?;
        let account = Account::choose(&layout.cluster)?;
        account.check_way_to(&layout.data_dir)?;
        let binaries = Binaries::find(options.binaries.as_deref(), &layout.cluster)?;

        leftover::clear(&layout).await?;
        cluster::make_if_missing(&layout, &account, &binaries, &options).await?;
        cluster::write_settings(&layout, &account, &options.settings)?;
        account.own_folder(&layout.socket_dir)?;
        let postmaster = Postmaster::start(&layout, &account, &binaries, &options.superuser_password).await?;
        Ok(Self { layout, account, binaries, postmaster, password: options.superuser_password, _lock: lock })
    }

    /// Options to connect as the superuser to the running cluster of a data directory, for command
    /// line tools beside the server that owns it.
    ///
    /// # Errors
    /// When none runs there, or it refuses the password.
    pub async fn join(data_dir: &Path, password: &SecretString) -> Result<PgConnectOptions, EmbeddedError> {
        let not_running = || EmbeddedError::NotRunning { data_dir: data_dir.to_owned() };
        let layout = Layout::existing(data_dir).ok_or_else(not_running)?;
        let recorded = layout.recorded().filter(|recorded| leftover::runs(recorded.pid, &layout));
        let options = layout::superuser(&recorded.ok_or_else(not_running)?.socket_dir, password);
        match PgConnection::connect_with(&options).await {
            Ok(connection) => connection.close().await?,
            Err(error) if postmaster::refuses_password(&error) => return Err(EmbeddedError::PasswordRefused),
            Err(error) => return Err(error.into()),
        }
        Ok(options)
    }

    /// Stops the cluster of a data directory, if one runs there that no live process owns.
    ///
    /// # Errors
    /// When a live process owns it, or it does not end.
    pub async fn stop_abandoned(data_dir: &Path) -> Result<(), EmbeddedError> {
        let Some(layout) = Layout::existing(data_dir) else { return Ok(()) };
        let _lock = layout.lock().await?;
        leftover::clear(&layout).await
    }

    /// Options to connect as the superuser to the database `postgres`.
    #[must_use]
    pub fn superuser(&self) -> PgConnectOptions {
        layout::superuser(&self.layout.socket_dir, &self.password)
    }

    /// The path of one of the Postgres binaries in use, such as `pg_dump`.
    #[must_use]
    pub fn binary(&self, name: &str) -> PathBuf {
        self.binaries.path(name)
    }

    /// The postmaster's process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.postmaster.pid()
    }

    /// Resolves when the postmaster that runs now has ended, for whatever reason.
    pub fn exited(&self) -> impl Future<Output = ()> + Send + use<> {
        self.postmaster.exited()
    }

    /// Stops the cluster if it still runs, clears what a crash left, and starts it again.
    ///
    /// # Errors
    /// As [`Embedded::start`].
    pub async fn restart(&mut self) -> Result<(), EmbeddedError> {
        self.postmaster.stop().await?;
        leftover::clear(&self.layout).await?;
        self.postmaster =
            Postmaster::start(&self.layout, &self.account, &self.binaries, &self.password).await?;
        Ok(())
    }

    /// Stops the cluster and returns when it has ended: open transactions are rolled back, what was
    /// committed is on disk.
    ///
    /// # Errors
    /// When Postgres does not end.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        self.postmaster.stop().await
    }

    /// Lets the cluster run on after this process, ownerless, for others to [`join`](Embedded::join).
    pub fn abandon(mut self) {
        self.postmaster.abandon();
    }
}
