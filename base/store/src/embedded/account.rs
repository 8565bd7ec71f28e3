//! The user that the Postgres processes run as: ourselves, or, started by root, someone
//! unprivileged. Postgres refuses to run as root.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, fchown, lchown};
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::error::{EmbeddedError, OnFile};

#[derive(Clone, Debug)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    /// Whether we are root and become this user only in the processes we start.
    switches: bool,
}

impl Account {
    /// Who shall run the cluster. An existing one keeps its owner.
    pub(super) fn choose(cluster: &Path) -> Result<Self, EmbeddedError> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let owner = fs::metadata(cluster).ok();
        if !uid.is_root() {
            return match owner {
                Some(owner) if owner.uid() != uid.as_raw() => {
                    Err(EmbeddedError::OtherOwner { path: cluster.to_owned(), owner: owner.uid() })
                }
                _ => Ok(Self {
                    name: format!("user {}", uid.as_raw()),
                    uid: uid.as_raw(),
                    gid: gid.as_raw(),
                    switches: false,
                }),
            };
        }
        if let Some(owner) = owner.filter(|owner| owner.uid() != 0) {
            let name = format!("user {}", owner.uid());
            return Ok(Self { name, uid: owner.uid(), gid: owner.gid(), switches: true });
        }
        let users = fs::read_to_string("/etc/passwd").on("/etc/passwd")?;
        let account = ["postgres", "nobody"].iter().find_map(|name| entry(&users, name));
        let account = account.ok_or(EmbeddedError::NoAccount)?;
        if cluster.exists() {
            // A copy made by root, such as a restored backup.
            account.own_tree(cluster)?;
        }
        Ok(account)
    }

    /// Makes sure that this user can reach the data directory, which is opened for passing through
    /// (not for looking) where it is closed; folders above it are the operator's to open.
    pub(super) fn check_way_to(&self, data_dir: &Path) -> Result<(), EmbeddedError> {
        if !self.switches {
            return Ok(());
        }
        if !self.may_pass(data_dir).on(data_dir)? {
            let mode = fs::metadata(data_dir).on(data_dir)?.permissions().mode();
            fs::set_permissions(data_dir, Permissions::from_mode(mode | 0o001)).on(data_dir)?;
        }
        for directory in data_dir.ancestors().skip(1) {
            if !self.may_pass(directory).on(directory)? {
                return Err(EmbeddedError::NotTraversable {
                    directory: directory.to_owned(),
                    user: self.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn may_pass(&self, directory: &Path) -> io::Result<bool> {
        let meta = fs::metadata(directory)?;
        let bit = if meta.uid() == self.uid {
            0o100
        } else if meta.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        Ok(meta.mode() & bit != 0)
    }

    /// Makes a folder that only this user (and root) can enter, or checks that it is one.
    pub(super) fn own_folder(&self, path: &Path) -> Result<(), EmbeddedError> {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error).on(path),
            _ => {}
        }
        // In a shared folder somebody else may have been first; a link would lead us to their place.
        let meta = fs::symlink_metadata(path).on(path)?;
        if meta.is_symlink() || !meta.is_dir() {
            return Err(EmbeddedError::NotACluster { path: path.to_owned() });
        }
        if meta.uid() == 0 && self.switches {
            chown(path, Some(self.uid), Some(self.gid)).on(path)?;
        } else if meta.uid() != self.uid {
            return Err(EmbeddedError::OtherOwner { path: path.to_owned(), owner: meta.uid() });
        }
        fs::set_permissions(path, Permissions::from_mode(0o700)).on(path)
    }

    /// Gives an open file to this user.
    pub(super) fn own_file(&self, file: &File) -> io::Result<()> {
        if self.switches { fchown(file, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    fn own_tree(&self, path: &Path) -> Result<(), EmbeddedError> {
        lchown(path, Some(self.uid), Some(self.gid)).on(path)?;
        if fs::symlink_metadata(path).on(path)?.is_dir() {
            for entry in fs::read_dir(path).on(path)? {
                self.own_tree(&entry.on(path)?.path())?;
            }
        }
        Ok(())
    }

    /// A command that runs as this user, in `directory`, without our environment: it may hold secrets,
    /// and Postgres would take settings from it.
    pub(super) fn command(&self, program: &Path, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").current_dir(directory).stdin(Stdio::null());
        if self.switches {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }
}

/// The account of `name` in the text of `/etc/passwd` (passwd(5)); never root's.
fn entry(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok().filter(|uid| *uid != 0)?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account { name: name.to_owned(), uid, gid, switches: true })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_user_table_and_never_takes_root() {
        let users = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:a,,:/var:/bin/bash\nnobody:x:0:0::/:/no\n";
        let found = entry(users, "postgres").unwrap();
        assert_eq!((found.uid, found.gid), (101, 104));
        assert!(entry(users, "nobody").is_none(), "a user with id 0 is root by another name");
        assert!(entry(users, "post").is_none());
    }
}
