//! The data directory: made, and held by one process.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The data directory, held for this process until it is dropped. The system lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Whether the data directory could be had.
#[derive(Debug)]
pub enum Held {
    /// It is ours now.
    Ours(DataDir),
    /// Another process has it.
    Theirs,
}

impl DataDir {
    /// Makes the directory where there is none, and takes it.
    ///
    /// # Errors
    /// When it can't be made or written.
    pub fn take(path: &Path) -> anyhow::Result<Held> {
        let refused = || format!("the data directory `{}` can't be used", path.display());
        // Started by root, the embedded Postgres runs as someone else: they pass through, and still
        // can't look. What is secret in here is a file of mode 0600.
        let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        DirBuilder::new().recursive(true).mode(mode).create(path).with_context(refused)?;
        let lock = path.join("server.lock");
        let lock =
            OpenOptions::new().append(true).create(true).mode(0o600).open(lock).with_context(refused)?;
        match lock.try_lock() {
            Ok(()) => Ok(Held::Ours(Self { path: path.to_owned(), _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(Held::Theirs),
            Err(TryLockError::Error(error)) => Err(error).with_context(refused),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether an embedded Postgres was ever made in a data directory.
#[must_use]
pub fn holds_cluster(path: &Path) -> bool {
    path.join("postgres/PG_VERSION").exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn one_process_has_it_and_others_only_pass_through() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("a/b");
        let Held::Ours(first) = DataDir::take(&path).unwrap() else { panic!("it was free") };
        assert!(matches!(DataDir::take(&path).unwrap(), Held::Theirs));
        assert_eq!(std::fs::metadata(first.path()).unwrap().permissions().mode() & 0o066, 0);
        drop(first);
        assert!(matches!(DataDir::take(&path).unwrap(), Held::Ours(_)));
    }
}
