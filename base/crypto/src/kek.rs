//! Custody of the key-encrypting key (KEK), which wraps the keys of organizations.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use aws_lc_rs::hmac::HMAC_SHA512;
use secrecy::ExposeSecret;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::hash::Derivation;
use crate::kek_file::{self, Kek, KekError, Ring};
use crate::seal::{Envelope, Names, Sealer};
use crate::{Context, DataKey, OpenError, Random};

/// Holds the KEK, read from a file that only its owner can read.
///
/// Several processes may share the file: a version that another process added is found by reading
/// the file again, and nothing is wrapped under a version another process has retired.
pub struct Custody {
    path: PathBuf,
    ring: RwLock<Ring>,
}

/// A data key wrapped under the KEK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The envelope.
    pub bytes: Vec<u8>,
    /// The version of the KEK that wraps it.
    pub kek_version: u32,
}

impl Custody {
    /// Makes the key file of a new installation (mode 0600), with version 1 of the KEK.
    ///
    /// # Errors
    /// When a file is there already (it is never replaced), or can't be written.
    pub fn create(path: &Path, random: &dyn Random) -> Result<Self, KekError> {
        let _lock = kek_file::lock(path)?;
        if path.symlink_metadata().is_ok() {
            return Err(KekError::Exists { path: path.to_owned() });
        }
        let ring = Ring::generate(random);
        ring.write(path)?;
        Ok(Self { path: path.to_owned(), ring: RwLock::new(ring) })
    }

    /// Reads the key file. Never makes one: a new KEK could open nothing of the old.
    ///
    /// # Errors
    /// When the file is missing, open to others than its owner, or malformed.
    pub fn load(path: &Path) -> Result<Self, KekError> {
        Ok(Self { path: path.to_owned(), ring: RwLock::new(Ring::read(path)?) })
    }

    /// The version of the KEK that wraps now, as far as this process knows.
    #[must_use]
    pub fn active_version(&self) -> u32 {
        self.ring().active.version
    }

    /// How many versions of the KEK before `version` are held, as far as this process knows.
    #[must_use]
    pub fn versions_before(&self, version: u32) -> usize {
        self.ring().versions_before(version)
    }

    /// Which installation this is.
    #[must_use]
    pub fn installation_id(&self) -> Uuid {
        self.ring().installation_id
    }

    /// A secret of the installation for one purpose, named by `label`; the same each time, also
    /// after the KEK was rotated.
    #[must_use]
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let (ring, salt) = (self.ring(), b"chancery/installation/v1");
        Derivation::new(HMAC_SHA512, ring.installation_secret.expose_secret(), salt)
            .output(&[label.as_bytes()])
    }

    /// Wraps a data key under the newest KEK. Reads the file again first: what a process that
    /// missed a rotation wrapped under a retired version would be lost with it.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn wrap(
        &self,
        context: &Context<'_>,
        key: &DataKey,
        random: &dyn Random,
    ) -> Result<WrappedKey, OpenError> {
        self.refresh()?;
        let ring = self.ring();
        let bytes = key.wrap(sealer(&ring.active, key.id()), context, random);
        Ok(WrappedKey { bytes, kek_version: ring.active.version })
    }

    /// Unwraps the data key `data_key_id` that [`Custody::wrap`] wrapped with the same context.
    /// Reads the file once more when the version is unknown: another process may have rotated.
    ///
    /// # Errors
    /// When the version is gone, the file can't be read, the bytes were altered, or they hold
    /// another key or belong to another context.
    pub fn unwrap(
        &self,
        context: &Context<'_>,
        data_key_id: Uuid,
        bytes: &[u8],
    ) -> Result<DataKey, OpenError> {
        let Names { kek_id, kek_version, data_key_id: named } = Envelope::parse(bytes)?.names;
        if kek_version == 0 {
            // Wrapped under another data key, not under a KEK.
            return Err(OpenError::WrongKey { sealed_under: named });
        }
        if self.ring().find(kek_id, kek_version).is_none() {
            self.refresh()?;
        }
        let ring = self.ring();
        let kek = ring.find(kek_id, kek_version).ok_or(OpenError::UnknownKek { version: kek_version })?;
        DataKey::unwrap(data_key_id, sealer(kek, data_key_id), context, bytes)
    }

    /// Takes a new version of the KEK into use and returns its number. Keys wrapped before stay
    /// readable; rewrap them, then [drop](Custody::drop_versions_before) the old versions.
    ///
    /// # Errors
    /// When the file can't be read or written; then nothing changed.
    pub fn add_version(&self, random: &dyn Random) -> Result<u32, KekError> {
        self.change(|ring| {
            ring.add_version(random)
                .ok_or_else(|| kek_file::malformed(&self.path, "no version number is left"))
        })
    }

    /// Destroys the versions before `version`: what is still wrapped under them is lost. Gives how many.
    ///
    /// # Errors
    /// When that would destroy the version in use, or the file can't be read or written; then
    /// nothing changed.
    pub fn drop_versions_before(&self, version: u32) -> Result<usize, KekError> {
        self.change(|ring| {
            if version > ring.active.version {
                return Err(KekError::InUse { active: ring.active.version });
            }
            Ok(ring.drop_versions_before(version))
        })
    }

    /// Changes what the file holds now, which another process may have changed since it was read.
    fn change<T>(&self, edit: impl FnOnce(&mut Ring) -> Result<T, KekError>) -> Result<T, KekError> {
        // Through a link to the file itself: renaming would replace the link and leave the file.
        let path = fs::canonicalize(&self.path).map_err(kek_file::io_error("find", &self.path))?;
        let _lock = kek_file::lock(&path)?;
        let mut held = self.ring_mut();
        let mut ring = self.reread(&held)?;
        let result = edit(&mut ring)?;
        ring.write(&path)?;
        *held = ring;
        Ok(result)
    }

    fn refresh(&self) -> Result<(), KekError> {
        // Held while reading, so that nothing older replaces what another thread just wrote.
        let mut held = self.ring_mut();
        *held = self.reread(&held)?;
        Ok(())
    }

    fn reread(&self, held: &Ring) -> Result<Ring, KekError> {
        let ring = Ring::read(&self.path)?;
        if ring.installation_id != held.installation_id {
            return Err(KekError::OtherInstallation { path: self.path.clone() });
        }
        Ok(ring)
    }

    // The ring is only ever replaced whole, so a panic elsewhere can't have left it half changed.
    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring_mut(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sealer(kek: &Kek, data_key_id: Uuid) -> Sealer<'_> {
    Sealer { names: Names { kek_id: kek.id, kek_version: kek.version, data_key_id }, secret: &kek.key }
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = self.ring();
        f.debug_struct("Custody")
            .field("installation_id", &ring.installation_id)
            .field("active_version", &ring.active.version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "kek_tests.rs"]
mod tests;
