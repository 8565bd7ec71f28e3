//! The key file: how the KEK and the installation's secret lie on disk.
//!
//! Every change is made whole or not at all: under a lock against other processes, into a new file
//! that is synced and then renamed over the old one.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox};
use serde::{Deserialize, Deserializer};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::Random;
use crate::seal::Secret;

const NOTICE: &str = "\
# The key file of a Chancery installation.
#
# BACK THIS FILE UP, apart from the database: without it nothing that Chancery sealed can be read
# again, by anyone. With it and the database everything can be read, so keep the two apart.
#
# It must belong to the user Chancery runs as and be readable by nobody else (chmod 600).
# Each [[kek]] wraps the keys of organizations; the one with the highest version is in use, the
# others only unwrap. Don't edit the file: let Chancery add and drop versions, and back it up anew
# after each change.
";

/// Why the key file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// There is no file.
    #[error("there is no key file at `{}`: restore it from its backup (a new one can't read what was sealed)", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A new file would replace one that exists.
    #[error("there is a key file at `{}` already: it is never replaced by a new one", path.display())]
    Exists {
        /// Where it stands.
        path: PathBuf,
    },
    /// Others than its owner can use the file.
    #[error("the key file `{0}` is open to others (mode {mode:04o}): run `chmod 600 '{0}'`", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not read as a key file. The reason never quotes the content.
    #[error("the key file `{}` is malformed: {reason}; restore it from its backup", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// The file was replaced by that of another installation while we ran.
    #[error("the key file `{}` belongs to another installation now: restore the one this began with", path.display())]
    OtherInstallation {
        /// The file.
        path: PathBuf,
    },
    /// Dropping these versions would drop the one in use.
    #[error("version {active} is in use: only versions before it can be dropped")]
    InUse {
        /// The version in use.
        active: u32,
    },
    /// The file system refused.
    #[error("could not {doing} `{}`: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// One version of the key-encrypting key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kek {
    pub(crate) id: Uuid,
    pub(crate) version: u32,
    #[serde(deserialize_with = "secret")]
    pub(crate) key: Secret,
}

impl Kek {
    fn generate(version: u32, random: &dyn Random) -> Self {
        Self { id: new_id(random), version, key: new_secret(random) }
    }
}

/// What the key file holds. There is always a version in use.
pub(crate) struct Ring {
    pub(crate) installation_id: Uuid,
    pub(crate) installation_secret: Secret,
    /// In the order of their versions.
    older: Vec<Kek>,
    pub(crate) active: Kek,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    installation_id: Uuid,
    #[serde(deserialize_with = "secret")]
    installation_secret: Secret,
    kek: Vec<Kek>,
}

impl Ring {
    pub(crate) fn generate(random: &dyn Random) -> Self {
        Self {
            installation_id: new_id(random),
            installation_secret: new_secret(random),
            older: Vec::new(),
            active: Kek::generate(1, random),
        }
    }

    pub(crate) fn find(&self, id: Uuid, version: u32) -> Option<&Kek> {
        self.older.iter().chain([&self.active]).find(|kek| kek.id == id && kek.version == version)
    }

    /// Takes a new version into use. `None` when there are no more version numbers.
    pub(crate) fn add_version(&mut self, random: &dyn Random) -> Option<u32> {
        let version = self.active.version.checked_add(1)?;
        self.older.push(std::mem::replace(&mut self.active, Kek::generate(version, random)));
        Some(version)
    }

    pub(crate) fn versions_before(&self, version: u32) -> usize {
        self.older.iter().filter(|kek| kek.version < version).count()
    }

    pub(crate) fn drop_versions_before(&mut self, version: u32) -> usize {
        let before = self.older.len();
        self.older.retain(|kek| kek.version >= version);
        before - self.older.len()
    }

    pub(crate) fn read(path: &Path) -> Result<Self, KekError> {
        let mut file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KekError::Missing { path: path.to_owned() },
            _ => io_error("open", path)(source),
        })?;
        // Asked of the open file, so that it can't be swapped between the check and the reading.
        let metadata = file.metadata().map_err(io_error("inspect", path))?;
        if !metadata.is_file() {
            return Err(malformed(path, "it is not a regular file"));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KekError::Exposed { path: path.to_owned(), mode });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1));
        file.read_to_end(&mut bytes).map_err(io_error("read", path))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed(path, "it is not text"))?;
        Self::parse(text).map_err(|reason| malformed(path, &reason))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| {
            // Other messages quote what was read, which may be a key: of those only the line goes on.
            if error.message().starts_with("missing field") {
                return error.message().to_owned();
            }
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {} does not read", before.matches('\n').count() + 1)
        })?;
        let mut keks = document.kek;
        keks.sort_by_key(|kek| kek.version);
        if !keks.is_sorted_by(|a, b| a.version < b.version) {
            return Err("a version stands twice".to_owned());
        }
        if keks.first().is_some_and(|kek| kek.version == 0) {
            return Err("versions begin with 1".to_owned());
        }
        let active = keks.pop().ok_or("it holds no `[[kek]]`")?;
        Ok(Self {
            installation_id: document.installation_id,
            installation_secret: document.installation_secret,
            older: keks,
            active,
        })
    }

    fn to_text(&self) -> Zeroizing<String> {
        // Large enough never to grow: growing would leave copies of keys in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(NOTICE.len() + 256 * (self.older.len() + 3)));
        let base64 = |secret: &Secret| Zeroizing::new(STANDARD.encode(secret.expose_secret()));
        let mut line = |arguments: std::fmt::Arguments<'_>| {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{arguments}");
        };
        line(format_args!("{NOTICE}"));
        line(format_args!("installation_id = \"{}\"", self.installation_id));
        line(format_args!("installation_secret = \"{}\"", *base64(&self.installation_secret)));
        for kek in self.older.iter().chain([&self.active]) {
            line(format_args!("\n[[kek]]\nid = \"{}\"\nversion = {}", kek.id, kek.version));
            line(format_args!("key = \"{}\"", *base64(&kek.key)));
        }
        text
    }

    /// Writes the file, whole or not at all. The caller holds the [`lock`].
    pub(crate) fn write(&self, path: &Path) -> Result<(), KekError> {
        let new = beside(path, ".new");
        // Left by a crash; whoever holds the lock may clear it away.
        let _ = fs::remove_file(&new);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(io_error("create", &new))?;
        file.write_all(self.to_text().as_bytes()).map_err(io_error("write", &new))?;
        file.sync_all().map_err(io_error("sync", &new))?;
        fs::rename(&new, path).map_err(io_error("replace", path))?;
        let folder = folder(path);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync", folder))
    }
}

/// Keeps other processes from changing the file until the returned handle is dropped.
pub(crate) fn lock(path: &Path) -> Result<File, KekError> {
    let path = beside(path, ".lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error("open", &path))?;
    file.lock().map_err(io_error("lock", &path))?;
    Ok(file)
}

pub(crate) fn malformed(path: &Path, reason: &str) -> KekError {
    KekError::Malformed { path: path.to_owned(), reason: reason.to_owned() }
}

pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KekError {
    move |source| KekError::Io { doing, path: path.to_owned(), source }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn new_id(random: &dyn Random) -> Uuid {
    uuid::Builder::from_random_bytes(random.bytes()).into_uuid()
}

fn new_secret(random: &dyn Random) -> Secret {
    SecretBox::init_with_mut(|bytes: &mut [u8; 32]| random.fill(bytes))
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let wrong = |()| serde::de::Error::custom("expected the base64 of 32 bytes");
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    let bytes = Zeroizing::new(STANDARD.decode(&*text).map_err(|_| wrong(()))?);
    let bytes: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| wrong(()))?;
    Ok(SecretBox::init_with_mut(|out: &mut [u8; 32]| out.copy_from_slice(bytes)))
}
