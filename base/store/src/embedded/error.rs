//! What can keep the embedded cluster from running, each with the way out.

use std::io;
use std::path::PathBuf;

/// Why the embedded Postgres did not start, stop or answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No Postgres 15 or newer was found on this machine.
    #[error(
        "no Postgres 15 or newer found{}; install it (Debian, Ubuntu: `apt install postgresql`; Fedora, RHEL: `dnf install postgresql-server`; Alpine: `apk add postgresql`; macOS: `brew install postgresql@17`) or name the folder of its binaries in PG_BIN",
        older_text(older)
    )]
    NoBinaries {
        /// The newest version that was found and is too old, if any.
        older: Option<u32>,
    },
    /// The folder that the configuration names does not hold a usable Postgres.
    #[error("`{}`, configured as the folder of the Postgres binaries, {problem}", folder.display())]
    BadBinaries {
        /// The configured folder.
        folder: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The cluster was made by another major version than any found here.
    #[error(
        "the cluster `{}` was made by Postgres {cluster}, and only other versions are installed (newest: {newest}); install Postgres {cluster}, or move the cluster with pg_upgrade",
        path.display()
    )]
    OtherVersion {
        /// The cluster.
        path: PathBuf,
        /// The major version that made it.
        cluster: u32,
        /// The newest installed major version.
        newest: u32,
    },
    /// Another process serves this data directory.
    #[error("`{}` is in use by another running Chancery", data_dir.display())]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// No cluster runs there to be joined.
    #[error("no Postgres is running for `{}`; start the server first", data_dir.display())]
    NotRunning {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// Started by root, and this machine has no user that could run Postgres.
    #[error(
        "Postgres does not run as root, and there is neither a user `postgres` nor `nobody` to run it as"
    )]
    NoAccount,
    /// The user that Postgres runs as cannot reach the data directory.
    #[error(
        "Postgres runs as `{user}`, who may not pass through `{0}`; run `chmod o+x {0}`, or choose another data directory",
        directory.display()
    )]
    NotTraversable {
        /// The first folder on the way that is closed.
        directory: PathBuf,
        /// Who may not pass.
        user: String,
    },
    /// The cluster belongs to another user.
    #[error("`{}` belongs to the user with id {owner}; start Chancery as that user or as root", path.display())]
    OtherOwner {
        /// The cluster, or the folder of its socket.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
    },
    /// Something else stands where the cluster belongs; nothing was touched.
    #[error("`{}` is not a Postgres cluster and not empty; move it away", path.display())]
    NotACluster {
        /// The folder.
        path: PathBuf,
    },
    /// `initdb` failed.
    #[error("initdb failed: {detail}")]
    Initdb {
        /// The end of its output.
        detail: String,
    },
    /// Postgres ended, or stayed unready, at its start.
    #[error("Postgres did not start: {detail} (its log: `{}`)", log.display())]
    NotReady {
        /// The end of its log.
        detail: String,
        /// The log file.
        log: PathBuf,
    },
    /// The cluster does not know the password: it was made under another key file.
    #[error("the cluster refuses its superuser's password: it was made under another key file")]
    PasswordRefused,
    /// A Postgres process survived every signal.
    #[error("the Postgres process {pid} does not end")]
    WouldNotStop {
        /// Its process id.
        pid: i32,
    },
    /// A file operation failed.
    #[error("`{}`: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Postgres runs and answers with an error.
    #[error("connecting to the embedded Postgres: {0}")]
    Connect(#[from] sqlx::Error),
}

fn older_text(older: &Option<u32>) -> String {
    older.map(|version| format!(" (only version {version})")).unwrap_or_default()
}

/// Names the file in the error of an operation on it.
pub(super) trait OnFile<T> {
    fn on(self, path: impl Into<PathBuf>) -> Result<T, EmbeddedError>;
}

impl<T> OnFile<T> for io::Result<T> {
    fn on(self, path: impl Into<PathBuf>) -> Result<T, EmbeddedError> {
        self.map_err(|source| EmbeddedError::File { path: path.into(), source })
    }
}
