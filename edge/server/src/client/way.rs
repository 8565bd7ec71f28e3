//! Which server, with which key.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use secrecy::SecretString;

use super::Connection;

/// Which server, with which key, and how to answer.
#[derive(Args, Clone, Debug)]
pub struct Way {
    /// The server.
    #[arg(long, global = true, value_name = "URL", env = "CHANCERY_URL", default_value = crate::serve::USUAL_SERVER)]
    pub server: String,
    /// The API key. Others on this machine may see it in the list of processes: prefer the
    /// environment or --key-file.
    #[arg(long, global = true, value_name = "KEY", env = "CHANCERY_KEY", hide_env_values = true)]
    pub key: Option<SecretString>,
    /// A file with the API key; wins over --key.
    #[arg(long, global = true, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Answer in JSON, as the server does.
    #[arg(long, global = true)]
    pub json: bool,
}

impl Way {
    /// A connection that way.
    ///
    /// # Errors
    /// When the URL or the key is malformed, or the key file does not read.
    pub fn connect(&self) -> anyhow::Result<Connection> {
        let key = match &self.key_file {
            Some(file) => Some(read_key(file)?),
            None => self.key.clone(),
        };
        if key.is_none() {
            bail!("no API key: set CHANCERY_KEY, or name a file with --key-file");
        }
        Connection::new(&self.server, key.as_ref())
    }
}

fn read_key(file: &Path) -> anyhow::Result<SecretString> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the key file `{}` does not read", file.display()))?;
    Ok(text.trim().to_owned().into())
}
