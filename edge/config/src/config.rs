//! The whole configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Source;
use crate::{Database, Egress, Keys, Limits, Log, Policies, Record, Server};

/// The effective configuration of one server. Paths are absolute.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Where the server keeps what is its own: the key file, the embedded database, checkpoints.
    pub data_dir: PathBuf,
    /// The file with the key-encryption keys.
    pub kek_file: PathBuf,
    /// The listener.
    pub server: Server,
    /// The database.
    pub database: Database,
    /// How often callers may ask.
    pub limits: Limits,
    /// API keys.
    pub keys: Keys,
    /// The record.
    pub record: Record,
    /// The installation's own policies.
    pub policies: Policies,
    /// The way out.
    pub egress: Egress,
    /// The server's log.
    pub log: Log,
    /// Where each key that is not a default was set.
    #[serde(skip)]
    pub(crate) sources: BTreeMap<String, Source>,
}

impl Config {
    /// The defaults for a data directory.
    #[must_use]
    pub fn defaults(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            kek_file: data_dir.join("chancery.kek"),
            server: Server::default(),
            database: Database::default(),
            limits: Limits::default(),
            keys: Keys::default(),
            record: Record::defaults(data_dir),
            policies: Policies::default(),
            egress: Egress::default(),
            log: Log::default(),
            sources: BTreeMap::new(),
        }
    }
}
