//! What a killed server, or a killed postmaster, leaves behind: a postmaster without an owner,
//! backends without a postmaster, pid and socket files without either.
//!
//! Called only while we hold the cluster's lock: whatever runs on the cluster then is ownerless.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};

use super::error::{EmbeddedError, OnFile};
use super::layout::Layout;
use super::postmaster::{FAST, IMMEDIATE, KILL, end};

const PATIENCE: Duration = Duration::from_secs(10);

/// Ends every process that still works on the cluster and removes the files that would keep a new
/// postmaster from starting.
pub(super) async fn clear(layout: &Layout) -> Result<(), EmbeddedError> {
    if let Some(recorded) = layout.recorded() {
        let pid = recorded.pid;
        if runs(pid, layout) {
            tracing::warn!(pid = pid.as_raw_pid(), "stopping a Postgres that a killed server left running");
            end(pid, &[(FAST, PATIENCE), (IMMEDIATE, PATIENCE), (KILL, PATIENCE)], || !runs(pid, layout))
                .await?;
        }
    }
    end_orphans(&layout.cluster).await?;
    // The pid in these files may belong to someone else by now (in a container, soon); Postgres would
    // take that one for a postmaster.
    remove(&layout.cluster.join("postmaster.pid"))?;
    remove(&layout.socket_dir.join(".s.PGSQL.5432.lock"))?;
    remove(&layout.socket_dir.join(".s.PGSQL.5432"))
}

/// Ends the processes that work in a cluster without a postmaster. A backend in the middle of a
/// statement outlives it, and holds the shared memory that keeps the next one from starting.
pub(super) async fn end_orphans(cluster: &Path) -> Result<(), EmbeddedError> {
    for orphan in orphans(cluster) {
        let gone = || !works_in(orphan, cluster);
        end(orphan, &[(IMMEDIATE, Duration::from_secs(5)), (KILL, PATIENCE)], gone).await?;
    }
    Ok(())
}

/// Whether `pid`, taken from the cluster's pid file, is a postmaster of it.
pub(super) fn runs(pid: Pid, layout: &Layout) -> bool {
    if Path::new("/proc/self/cwd").exists() {
        return works_in(pid, &layout.cluster);
    }
    // Without /proc the command line tells: we start `postgres -D CLUSTER`.
    test_kill_process(pid).is_ok()
        && std::process::Command::new("ps")
            .args(["-o", "args=", "-p", &pid.as_raw_pid().to_string()])
            .output()
            .is_ok_and(|out| {
                String::from_utf8_lossy(&out.stdout).contains(&*layout.cluster.to_string_lossy())
            })
}

/// Whether a process is a Postgres at work in the cluster, which is every such process's working
/// directory. A zombie has none.
fn works_in(pid: Pid, cluster: &Path) -> bool {
    let process = Path::new("/proc").join(pid.as_raw_pid().to_string());
    let named = fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "postgres");
    let cluster = fs::canonicalize(cluster);
    named && fs::read_link(process.join("cwd")).ok().is_some_and(|cwd| cluster.is_ok_and(|path| path == cwd))
}

fn orphans(cluster: &Path) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .filter_map(|process| process.ok()?.file_name().to_str().and_then(|name| name.parse().ok()))
        .filter_map(Pid::from_raw)
        .filter(|pid| works_in(*pid, cluster))
        .collect()
}

fn remove(path: &Path) -> Result<(), EmbeddedError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).on(path),
        _ => Ok(()),
    }
}
