//! The postmaster: started, awaited, ended.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use secrecy::SecretString;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, sleep};

use super::account::Account;
use super::binaries::Binaries;
use super::cluster::last_lines;
use super::error::{EmbeddedError, OnFile};
use super::layout::{self, Layout};

// What the signals mean to a postmaster: https://www.postgresql.org/docs/current/server-shutdown.html
pub(super) const FAST: Signal = Signal::INT;
pub(super) const IMMEDIATE: Signal = Signal::QUIT;
pub(super) const KILL: Signal = Signal::KILL;

/// How long recovery after a crash may take before the start is given up.
const RECOVERY_LIMIT: Duration = Duration::from_secs(600);
/// How long backends of a killed postmaster may hold its shared memory, where they cannot be found.
const ORPHANS_LIMIT: Duration = Duration::from_secs(30);
/// How long a shutdown may take before it is made an immediate one: it writes a checkpoint.
const STOP_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// The log is cut back to nothing, after one copy, when it has grown to this size.
const MAX_LOG_BYTES: u64 = 8 * 1024 * 1024;
const LOG_CHECK: Duration = Duration::from_secs(60);

/// A running postmaster. Dropping it asks it to stop.
#[derive(Debug)]
pub(super) struct Postmaster {
    pid: Pid,
    ended: watch::Receiver<bool>,
    abandoned: bool,
}

impl Postmaster {
    /// Starts Postgres on the cluster and returns when it answers.
    pub(super) async fn start(
        layout: &Layout,
        account: &Account,
        binaries: &Binaries,
        password: &SecretString,
    ) -> Result<Self, EmbeddedError> {
        let deadline = Instant::now() + ORPHANS_LIMIT;
        loop {
            match Self::try_start(layout, account, binaries, password).await {
                Err(EmbeddedError::NotReady { detail, .. })
                    if detail.contains("shared memory block") && Instant::now() < deadline =>
                {
                    sleep(Duration::from_millis(100)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_start(
        layout: &Layout,
        account: &Account,
        binaries: &Binaries,
        password: &SecretString,
    ) -> Result<Self, EmbeddedError> {
        bound(&layout.log).on(&layout.log)?;
        let log =
            OpenOptions::new().append(true).create(true).mode(0o600).open(&layout.log).on(&layout.log)?;
        let log_start = log.metadata().on(&layout.log)?.len();
        let program = binaries.path("postgres");
        let child = account
            .command(&program, &layout.data_dir)
            .arg("-D")
            .arg(&layout.cluster)
            .stdout(log.try_clone().on(&layout.log)?)
            .stderr(log)
            // In a group of its own: Ctrl-C in a terminal is for the server, which drains first.
            .process_group(0)
            .spawn()
            .on(program)?;
        let postmaster = Self::watch(child, layout)?;
        let options = layout::superuser(&layout.socket_dir, password);
        tokio::select! {
            ready = until_ready(&options) => match ready {
                Ok(true) => return Ok(postmaster),
                Ok(false) => {}
                Err(error) => {
                    postmaster.stop().await?;
                    return Err(error);
                }
            },
            () = postmaster.exited() => {}
        }
        postmaster.stop().await?;
        let detail = last_lines(&read_from(&layout.log, log_start));
        Err(EmbeddedError::NotReady { detail, log: layout.log.clone() })
    }

    /// Hands the child to a task that reaps it and keeps its log bounded.
    fn watch(mut child: Child, layout: &Layout) -> Result<Self, EmbeddedError> {
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let (tell, ended) = watch::channel(false);
        let log = layout.log.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(LOG_CHECK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    status = child.wait() => {
                        match status {
                            Ok(status) => tracing::info!(%status, "the embedded Postgres has ended"),
                            Err(error) => tracing::error!(%error, "the embedded Postgres cannot be awaited"),
                        }
                        tell.send_replace(true);
                        return;
                    }
                    _ = ticks.tick() => if let Err(error) = bound(&log) {
                        tracing::warn!(%error, "the log of the embedded Postgres cannot be bounded");
                    },
                }
            }
        });
        // A child that has no id has been awaited already, which nobody has done here.
        let pid = pid.ok_or_else(|| EmbeddedError::NotReady {
            detail: "it ended at once".to_owned(),
            log: layout.log.clone(),
        })?;
        Ok(Self { pid, ended, abandoned: false })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    pub(super) fn exited(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            // The watcher ends without a word only with its runtime, when nobody listens any more.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Ends it and returns when it has ended; at once if it has already.
    pub(super) async fn stop(&self) -> Result<(), EmbeddedError> {
        let steps = [(FAST, STOP_LIMIT), (IMMEDIATE, Duration::from_secs(10)), (KILL, STOP_LIMIT)];
        if self.has_ended() {
            return Ok(());
        }
        end(self.pid, &steps, || self.has_ended()).await
    }

    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
    }

    fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if !self.abandoned && !self.has_ended() {
            let _ = kill_process(self.pid, FAST);
        }
    }
}

/// Sends one signal after the other, each when the patience for the one before has run out, and
/// returns when the process is gone.
pub(super) async fn end(
    pid: Pid,
    steps: &[(Signal, Duration)],
    gone: impl Fn() -> bool,
) -> Result<(), EmbeddedError> {
    for (signal, patience) in steps {
        // It may have ended just now; then there is nobody to signal.
        let _ = kill_process(pid, *signal);
        let deadline = Instant::now() + *patience;
        while Instant::now() < deadline {
            if gone() {
                return Ok(());
            }
            sleep(POLL).await;
        }
    }
    Err(EmbeddedError::WouldNotStop { pid: pid.as_raw_pid() })
}

/// Whether the cluster answered before the limit. It does not while it recovers.
async fn until_ready(options: &PgConnectOptions) -> Result<bool, EmbeddedError> {
    let deadline = Instant::now() + RECOVERY_LIMIT;
    while Instant::now() < deadline {
        match PgConnection::connect_with(options).await {
            Ok(connection) => {
                connection.close().await?;
                return Ok(true);
            }
            Err(error) if refuses_password(&error) => return Err(EmbeddedError::PasswordRefused),
            // No socket yet, starting up (57P03), or its slots are taken by impatient others (53300).
            Err(_) => sleep(POLL).await,
        }
    }
    Ok(false)
}

/// Whether an error says that the password is wrong (`invalid_password`).
pub(super) fn refuses_password(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "28P01")
}

/// Keeps the log from growing without end. Postgres appends to it, so it may be cut under its hands.
fn bound(log: &Path) -> std::io::Result<()> {
    if !fs::metadata(log).is_ok_and(|meta| meta.len() > MAX_LOG_BYTES) {
        return Ok(());
    }
    fs::copy(log, log.with_extension("log.1"))?;
    OpenOptions::new().write(true).open(log)?.set_len(0)
}

fn read_from(log: &Path, start: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(MAX_LOG_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_with_one_copy_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("postgres.log");
        bound(&log).unwrap();
        fs::write(&log, vec![b'x'; MAX_LOG_BYTES as usize]).unwrap();
        bound(&log).unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), MAX_LOG_BYTES, "not before it is too long");
        fs::write(&log, vec![b'x'; MAX_LOG_BYTES as usize + 1]).unwrap();
        bound(&log).unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), 0);
        assert_eq!(fs::metadata(folder.path().join("postgres.log.1")).unwrap().len(), MAX_LOG_BYTES + 1);
    }
}
