//! Where the parts of the embedded cluster lie, and how to connect to it.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;
use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::time::{Instant, sleep};

use super::SUPERUSER;
use super::error::{EmbeddedError, OnFile};

/// The port names the socket's file; nothing listens on the network.
pub(super) const PORT: u16 = 5432;

/// The longest path of a socket's folder, in bytes: `sun_path` holds 104 on macOS, and the file
/// name takes 14. What Postgres checks is the whole.
const MAX_SOCKET_DIR_BYTES: usize = 86;

/// A process that is ending, or one between fork and exec, holds the lock a moment longer than it runs.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_POLL: Duration = Duration::from_millis(10);

#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) data_dir: PathBuf,
    pub(super) cluster: PathBuf,
    /// Where a cluster is made before it is renamed into place.
    pub(super) unfinished: PathBuf,
    pub(super) socket_dir: PathBuf,
    pub(super) log: PathBuf,
    pub(super) password_file: PathBuf,
    lock: PathBuf,
}

/// What `postmaster.pid` says.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) pid: Pid,
    pub(super) socket_dir: PathBuf,
}

impl Layout {
    /// The layout of a data directory, which is made if missing.
    pub(super) fn create(data_dir: &Path) -> Result<Self, EmbeddedError> {
        // Started by root, Postgres runs as someone else, who must pass through but need not look.
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        DirBuilder::new().recursive(true).mode(mode).create(data_dir).on(data_dir)?;
        Ok(Self::under(fs::canonicalize(data_dir).on(data_dir)?))
    }

    /// The layout of a data directory that exists.
    pub(super) fn existing(data_dir: &Path) -> Option<Self> {
        fs::canonicalize(data_dir).ok().map(Self::under)
    }

    fn under(data_dir: PathBuf) -> Self {
        Self {
            cluster: data_dir.join("postgres"),
            unfinished: data_dir.join("postgres.unfinished"),
            socket_dir: socket_dir(&data_dir, &std::env::temp_dir()),
            log: data_dir.join("postgres.log"),
            password_file: data_dir.join("postgres.password"),
            lock: data_dir.join("postgres.lock"),
            data_dir,
        }
    }

    /// Takes the cluster for this process until the file is closed, by its end at the latest.
    pub(super) async fn lock(&self) -> Result<File, EmbeddedError> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.lock).on(&self.lock)?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(source)) => return Err(source).on(&self.lock),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(LOCK_POLL).await,
                Err(TryLockError::WouldBlock) => {
                    return Err(EmbeddedError::InUse { data_dir: self.data_dir.clone() });
                }
            }
        }
    }

    /// Who runs the cluster, by its own word; a crash leaves the word standing.
    pub(super) fn recorded(&self) -> Option<Recorded> {
        // Lines: pid, data directory, start time, port, socket folder, … (miscadmin.h).
        let text = fs::read_to_string(self.cluster.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = Pid::from_raw(lines.next()?.trim().parse().ok()?)?;
        let socket_dir = lines.nth(3).map(PathBuf::from).unwrap_or_else(|| self.socket_dir.clone());
        Some(Recorded { pid, socket_dir })
    }
}

/// The socket's folder: in the data directory, unless the path would be too long for the system or
/// would need quoting in a list of folders; then a short one named after the data directory.
fn socket_dir(data_dir: &Path, temporary: &Path) -> PathBuf {
    let dir = data_dir.join("postgres-socket");
    let bytes = dir.as_os_str().as_bytes();
    let plain = bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"/_-.+@=:~".contains(b));
    if plain && bytes.len() <= MAX_SOCKET_DIR_BYTES {
        return dir;
    }
    let digest = chancery_crypto::sha256(&[data_dir.as_os_str().as_bytes()]);
    let name = digest.iter().take(8).fold(String::from("chancery-"), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    });
    temporary.join(name)
}

/// Options to connect as the superuser through the socket in `socket_dir`.
pub(super) fn superuser(socket_dir: &Path, password: &SecretString) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("localhost")
        .port(PORT)
        .socket(socket_dir)
        .ssl_mode(PgSslMode::Disable)
        .username(SUPERUSER)
        .password(password.expose_secret())
        .database("postgres")
        .application_name("chancery")
        .disable_statement_logging()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_plain_path_keeps_the_socket_in_the_data_directory() {
        let dir = socket_dir(Path::new("/var/lib/chancery"), Path::new("/tmp"));
        assert_eq!(dir, Path::new("/var/lib/chancery/postgres-socket"));
    }

    #[test]
    fn a_long_or_odd_path_moves_it_and_keeps_data_directories_apart() {
        let long = format!("/srv/{}", "x".repeat(80));
        let moved = socket_dir(Path::new(&long), Path::new("/tmp"));
        assert!(moved.starts_with("/tmp"), "{moved:?}");
        assert!(moved.join(".s.PGSQL.5432").as_os_str().len() < 100);
        assert_ne!(moved, socket_dir(Path::new(&format!("{long}y")), Path::new("/tmp")));
        for odd in ["/srv/a,b", "/srv/a b", "/srv/it's", "/srv/\"q\"", "/srv/é"] {
            assert!(socket_dir(Path::new(odd), Path::new("/tmp")).starts_with("/tmp"), "{odd}");
        }
    }
}
