//! `[database]`: an external Postgres, or the embedded one.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which database, and how many connections to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Database {
    /// An external Postgres; the embedded one if not set.
    #[serde(serialize_with = "hide", deserialize_with = "conceal")]
    pub url: Option<SecretString>,
    /// The folder of the Postgres binaries for the embedded one; searched for if not set.
    pub binaries: Option<PathBuf>,
    /// Connections for requests.
    pub app_connections: u32,
    /// Connections for the record, beside the committer's own.
    pub appender_connections: u32,
    /// Connections for schedulers.
    pub worker_connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: None,
            binaries: None,
            app_connections: 12,
            appender_connections: 4,
            worker_connections: 4,
        }
    }
}

/// What is printed in a secret's place.
pub(crate) const HIDDEN: &str = "hidden";

fn hide<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| HIDDEN).serialize(serializer)
}

fn conceal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}
