//! Making the cluster, and its settings.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use secrecy::ExposeSecret;

use super::account::Account;
use super::binaries::Binaries;
use super::error::{EmbeddedError, OnFile};
use super::layout::{Layout, PORT};
use super::{EmbeddedOptions, SUPERUSER, leftover};

/// The included file with our settings, in the cluster.
const SETTINGS_FILE: &str = "chancery.conf";

/// Modest memory for a server that shares its machine; durable; reachable only by its socket; a log
/// without statements, parameters or row contents.
const SETTINGS: [(&str, &str); 35] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("max_connections", "100"),
    ("password_encryption", "scram-sha-256"),
    ("shared_buffers", "128MB"),
    ("effective_cache_size", "512MB"),
    ("work_mem", "8MB"),
    ("maintenance_work_mem", "64MB"),
    ("random_page_cost", "1.1"),
    // Compiling a plan costs more than our short statements do.
    ("jit", "off"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("wal_level", "replica"),
    ("wal_compression", "on"),
    // Filling a new segment with zeros holds every commit up, here for 30 ms once a second under load.
    ("wal_init_zero", "off"),
    ("checkpoint_timeout", "15min"),
    ("checkpoint_completion_target", "0.9"),
    ("min_wal_size", "128MB"),
    ("max_wal_size", "1GB"),
    // A backend that died may have left shared memory broken: start over, as recovery is the normal path.
    ("restart_after_crash", "on"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    ("log_line_prefix", "%m [%p] "),
    ("log_min_messages", "warning"),
    ("log_statement", "none"),
    ("log_min_duration_statement", "-1"),
    ("log_parameter_max_length", "0"),
    ("log_parameter_max_length_on_error", "0"),
    // An error's statement and its detail (the key that exists already) are the users' data.
    ("log_min_error_statement", "panic"),
    ("log_error_verbosity", "terse"),
    ("log_timezone", "UTC"),
    ("timezone", "UTC"),
    ("lc_messages", "C"),
    ("cluster_name", "chancery"),
];

/// Makes the cluster where there is none. It is made beside its place and renamed into it when
/// complete, so what is in place is complete, and an interrupted attempt is told from it.
pub(super) async fn make_if_missing(
    layout: &Layout,
    account: &Account,
    binaries: &Binaries,
    options: &EmbeddedOptions,
) -> Result<(), EmbeddedError> {
    if layout.cluster.join("PG_VERSION").exists() {
        return Ok(());
    }
    if fs::read_dir(&layout.cluster).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(EmbeddedError::NotACluster { path: layout.cluster.clone() });
    }
    if layout.unfinished.exists() {
        tracing::warn!("an interrupted initialisation of the embedded Postgres is started over");
        leftover::end_orphans(&layout.unfinished).await?;
        fs::remove_dir_all(&layout.unfinished).on(&layout.unfinished)?;
    }
    account.own_folder(&layout.unfinished)?;
    let password = PasswordFile::create(layout, account, options)?;
    initialise(layout, account, binaries, options).await?;
    drop(password);

    let configuration = layout.unfinished.join("postgresql.conf");
    let mut file = OpenOptions::new().append(true).open(&configuration).on(&configuration)?;
    writeln!(file, "\ninclude_if_exists '{SETTINGS_FILE}'  # written anew at every start")
        .on(&configuration)?;
    file.sync_all().on(&configuration)?;
    fs::rename(&layout.unfinished, &layout.cluster).on(&layout.cluster)?;
    sync_folder(&layout.data_dir)
}

async fn initialise(
    layout: &Layout,
    account: &Account,
    binaries: &Binaries,
    options: &EmbeddedOptions,
) -> Result<(), EmbeddedError> {
    let program = binaries.path("initdb");
    let mut command = account.command(&program, &layout.unfinished);
    command
        .args(["-U", SUPERUSER, "--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--data-checksums"])
        .arg("--pwfile")
        .arg(&layout.password_file)
        .arg("-D")
        .arg(&layout.unfinished);
    if options.settings.iter().any(|(name, value)| name == "fsync" && value == "off") {
        command.arg("--no-sync");
    }
    let output = command.kill_on_drop(true).output().await.on(program)?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(EmbeddedError::Initdb { detail: last_lines(&text) })
}

/// The end of a program's output, in one line.
pub(super) fn last_lines(text: &str) -> String {
    let mut lines: Vec<_> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(4).collect();
    lines.reverse();
    if lines.is_empty() { "it said nothing".to_owned() } else { lines.join("; ") }
}

/// The superuser's password in a file that only the account reads, for the time of `initdb`.
struct PasswordFile<'a>(&'a Path);

impl<'a> PasswordFile<'a> {
    fn create(
        layout: &'a Layout,
        account: &Account,
        options: &EmbeddedOptions,
    ) -> Result<Self, EmbeddedError> {
        let path = &layout.password_file;
        let mut file = create_new(path, account)?;
        let guard = Self(path);
        writeln!(file, "{}", options.superuser_password.expose_secret()).on(path)?;
        Ok(guard)
    }
}

impl Drop for PasswordFile<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}

/// Writes the settings, ours and then `extra`, into the file that the cluster's configuration
/// includes.
pub(super) fn write_settings(
    layout: &Layout,
    account: &Account,
    extra: &[(String, String)],
) -> Result<(), EmbeddedError> {
    let path = layout.cluster.join(SETTINGS_FILE);
    let fresh = layout.cluster.join(format!("{SETTINGS_FILE}.new"));
    let mut file = create_new(&fresh, account)?;
    file.write_all(settings_text(layout, extra).as_bytes()).on(&fresh)?;
    file.sync_all().on(&fresh)?;
    fs::rename(&fresh, &path).on(path)
}

fn settings_text(layout: &Layout, extra: &[(String, String)]) -> String {
    let port = PORT.to_string();
    // The path is a list of folders in itself: its own quotes keep a comma in it from splitting it.
    let socket_dir = format!("\"{}\"", layout.socket_dir.display().to_string().replace('"', "\"\""));
    let dynamic = [("port", port.as_str()), ("unix_socket_directories", socket_dir.as_str())];
    let extra = extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut text = String::from("# Written by Chancery at every start; changes here are lost.\n");
    for (name, value) in dynamic.into_iter().chain(SETTINGS).chain(extra) {
        let value = value.replace('\\', "\\\\").replace('\'', "''");
        text.push_str(&format!("{name} = '{value}'\n"));
    }
    text
}

/// A new file of the account's, mode 0600. An old one is removed, never followed: the account may
/// write in this folder, and we may be root.
fn create_new(path: &Path, account: &Account) -> Result<File, EmbeddedError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).on(path),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).on(path)?;
    account.own_file(&file).on(path)?;
    Ok(file)
}

/// Makes a rename in a folder durable.
fn sync_folder(folder: &Path) -> Result<(), EmbeddedError> {
    File::open(folder).and_then(|folder| folder.sync_all()).on(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_quoted_and_the_extra_ones_come_last() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::create(root.path()).unwrap();
        let text = settings_text(&layout, &[("fsync".to_owned(), "it's \\ off".to_owned())]);
        assert!(text.ends_with("fsync = 'it''s \\\\ off'\n"), "{text}");
        assert!(text.contains("listen_addresses = ''\n"));
        assert!(text.contains("log_parameter_max_length_on_error = '0'\n"));
    }
}
