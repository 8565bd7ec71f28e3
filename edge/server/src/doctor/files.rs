//! What lies on the disk: the key file, the data directory, the checkpoints outside the database.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use chancery_config::Config;
use chancery_crypto::{Custody, KekError};
use chancery_doctor::{Check, Code, Finding};

/// Whom a file is open to.
const OTHERS_READ: u32 = 0o044;
const OTHERS_WRITE: u32 = 0o022;
const OTHERS: u32 = 0o077;
/// In a folder with this bit only a file's owner takes it away.
const STICKY: u32 = 0o1000;

/// The key file, and what it holds where it can be used.
pub(super) fn check_kek(config: &Config) -> (Check, Option<Custody>) {
    let path = &config.kek_file;
    let (mut findings, mut seen) = (Vec::new(), path.display().to_string());
    let custody = match Custody::load(path) {
        Ok(custody) => {
            seen += &format!(", version {} of the KEK in use", custody.active_version());
            Some(custody)
        }
        Err(error) => {
            let code = match &error {
                KekError::Exposed { .. } => Code::KekExposed,
                _ => Code::KekUnusable,
            };
            let fix = match &error {
                KekError::Exposed { .. } => format!(
                    "chmod 600 '{}'; and where others may have read it, a new installation: whoever has it and \
                     the database, or a backup of it, reads everything.",
                    path.display()
                ),
                _ => "Restore the key file from its backup (docs/runbooks/backup.md).".to_owned(),
            };
            findings.push(Finding::new(code, path.display().to_string(), format!("{error}."), fix));
            None
        }
    };
    // Where a link leads is where the key lies.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    if let Ok(metadata) = fs::metadata(&real)
        && !is_ours(metadata.uid())
    {
        let meaning =
            format!("It belongs to the user {}, who can change its mode and its content.", metadata.uid());
        findings.push(Finding::new(
            Code::KekExposed,
            shown(&real),
            meaning,
            format!("chown it to {}.", us()),
        ));
    }
    findings.extend(folder_of(&real).and_then(|folder| replaceable(&real, &folder)));
    (Check { name: "Key file", seen, findings }, custody)
}

/// Whether others could put another file in this one's place.
fn replaceable(file: &Path, folder: &Path) -> Option<Finding> {
    let metadata = fs::metadata(folder).ok()?;
    let open = metadata.mode() & OTHERS_WRITE != 0 && metadata.mode() & STICKY == 0;
    let foreign = !is_ours(metadata.uid());
    (open || foreign).then(|| {
        let meaning = format!(
            "Others can write in its folder (mode {:04o}, user {}), and so put a key file of theirs in its place.",
            metadata.mode() & 0o7777,
            metadata.uid()
        );
        let fix = format!("chmod go-w '{}', which belongs to {}.", folder.display(), us());
        Finding::new(Code::KekExposed, shown(file), meaning, fix)
    })
}

/// The data directory and the checkpoint file.
pub(super) fn check_data(config: &Config) -> Check {
    let (path, mut findings) = (&config.data_dir, Vec::new());
    match fs::metadata(path) {
        Err(error) => findings.push(Finding::new(
            Code::Unseen,
            shown(path),
            format!("It can't be looked at: {error}."),
            "Run the doctor as the user that the server runs as.",
        )),
        Ok(metadata) => {
            let mode = metadata.mode() & 0o7777;
            if mode & OTHERS_WRITE != 0 || !is_ours(metadata.uid()) {
                findings.push(Finding::new(
                    Code::DataDirOpen,
                    shown(path),
                    format!("Others can put files in it (mode {mode:04o}, user {}).", metadata.uid()),
                    format!("chown {} '{1}'; chmod go-rw '{1}'", us(), path.display()),
                ));
            } else if mode & OTHERS_READ != 0 {
                findings.push(Finding::new(
                    Code::DataDirListed,
                    shown(path),
                    format!("Others can see which files are in it (mode {mode:04o})."),
                    format!("chmod go-r '{}'", path.display()),
                ));
            }
        }
    }
    findings.extend(checkpoints(&config.record.checkpoint_file));
    Check { name: "Data directory", seen: shown(path), findings }
}

fn checkpoints(path: &Path) -> Option<Finding> {
    let Ok(metadata) = fs::metadata(path) else {
        return Some(Finding::new(
            Code::CheckpointFileMissing,
            shown(path),
            "No checkpoint is kept outside the database: a record cut short now would not be noticed.",
            "The server makes it within a second of the first entry. If it was there, restore it.",
        ));
    };
    let mode = metadata.mode() & 0o7777;
    (mode & OTHERS_WRITE != 0 || !is_ours(metadata.uid())).then(|| {
        Finding::new(
            Code::CheckpointFile,
            shown(path),
            format!(
                "Others can cut it short (mode {mode:04o}, user {}), and then the record.",
                metadata.uid()
            ),
            format!("chown {} '{1}'; chmod go-w '{1}'", us(), path.display()),
        )
    })
}

/// The private key of the listener's certificate.
pub(super) fn tls_key(path: &Path) -> Option<Finding> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let meaning = format!("It can't be looked at: {error}.");
            return Some(Finding::new(
                Code::Unseen,
                shown(path),
                meaning,
                "Run the doctor as the server's user.",
            ));
        }
    };
    let mode = metadata.mode() & 0o7777;
    // A group of their own is how services share a certificate.
    (mode & OTHERS & !0o040 != 0).then(|| {
        Finding::new(
            Code::TlsKeyExposed,
            shown(path),
            format!(
                "Others can read or write the private key (mode {mode:04o}): they could pose as the server."
            ),
            format!("chmod 640 '{}'; and where others may have read it, a new certificate.", path.display()),
        )
    })
}

/// Whether a file of this user is as good as ours: root may do anything.
fn is_ours(user: u32) -> bool {
    user == 0 || user == us()
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn folder_of(path: &Path) -> Option<PathBuf> {
    path.parent().map(Path::to_owned)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
