//! `connectors`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chancery_model::ConnectorId;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::policies::json_in;
use super::request::{Page, Request};

/// `connectors`.
#[derive(Debug, Subcommand)]
pub enum ConnectorsCommand {
    /// List connectors.
    List(Page),
    /// Show one connector, with its credentials but for their secrets.
    Show {
        /// The connector's id.
        id: ConnectorId,
    },
    /// Make a connector, without a credential.
    Create {
        /// What intents and tokens call it.
        name: String,
        /// Its definition, in JSON.
        file: PathBuf,
    },
    /// Give a connector another name or definition; at another host its credentials end.
    Change {
        /// The connector's id.
        id: ConnectorId,
        #[command(flatten)]
        #[allow(missing_docs, reason = "told by its own members")]
        what: Change,
    },
    /// Write what authenticates there, read from a file or from standard input: it never stands in the
    /// command line.
    Credential {
        /// The connector's id.
        id: ConnectorId,
        /// A file with the credential in JSON, such as `{"kind": "bearer", "token": "…"}`; standard input if
        /// absent.
        file: Option<PathBuf>,
        /// For how many seconds the credential before serves on: at most 604800.
        #[arg(long, default_value_t = 0, value_name = "SECONDS")]
        overlap: u32,
    },
    /// Destroy a connector's credentials.
    RemoveCredentials {
        /// The connector's id.
        id: ConnectorId,
    },
    /// Retire a connector for good, and destroy its credentials.
    Retire {
        /// The connector's id.
        id: ConnectorId,
    },
    /// Pause a connector: no token for it is minted or redeemed.
    Pause {
        /// The connector's id.
        id: ConnectorId,
        /// For the record.
        #[arg(long)]
        reason: String,
    },
    /// Let a paused connector be used again.
    Resume {
        /// The connector's id.
        id: ConnectorId,
        /// For the record.
        #[arg(long)]
        reason: String,
    },
}

/// What to change of a connector.
#[derive(Args, Clone, Debug)]
#[group(id = "changes", required = true, multiple = true)]
pub struct Change {
    /// The new name.
    #[arg(long)]
    name: Option<String>,
    /// A file with the new definition, whole, in JSON.
    #[arg(long, value_name = "FILE")]
    definition: Option<PathBuf>,
}

impl ConnectorsCommand {
    pub(super) fn request(self) -> anyhow::Result<Request> {
        const AT: &str = "/api/v1/connectors";
        let order = |id: ConnectorId, word: &str, reason: String| {
            Request::send(Method::POST, format!("{AT}/{id}/{word}"), json!({ "reason": reason }))
        };
        Ok(match self {
            Self::List(page) => Request::list(
                AT,
                &page,
                &[
                    ("ID", "/id"),
                    ("NAME", "/name"),
                    ("PAUSED", "/paused_at"),
                    ("RETIRED", "/retired_at"),
                    ("BASE URL", "/definition/base_url"),
                ],
            ),
            Self::Show { id } => Request::get(format!("{AT}/{id}")),
            Self::Create { name, file } => {
                Request::send(Method::POST, AT, json!({ "name": name, "definition": json_in(&file)? }))
            }
            Self::Change { id, what } => Request::send(Method::PATCH, format!("{AT}/{id}"), what.body()?),
            Self::Credential { id, file, overlap } => {
                let mut body = credential_in(file.as_deref())?;
                body.insert("overlap_seconds".to_owned(), overlap.into());
                Request::send(Method::POST, format!("{AT}/{id}/credentials"), Value::Object(body))
            }
            Self::RemoveCredentials { id } => {
                Request::order(Method::DELETE, format!("{AT}/{id}/credentials"))
            }
            Self::Retire { id } => Request::order(Method::POST, format!("{AT}/{id}/retire")),
            Self::Pause { id, reason } => order(id, "pause", reason),
            Self::Resume { id, reason } => order(id, "resume", reason),
        })
    }
}

impl Change {
    fn body(self) -> anyhow::Result<Value> {
        let mut body = Map::new();
        body.extend(self.name.map(|name| ("name".to_owned(), name.into())));
        if let Some(file) = self.definition {
            body.insert("definition".to_owned(), json_in(&file)?);
        }
        Ok(Value::Object(body))
    }
}

/// A credential as JSON. What is wrong with it is told without its text.
fn credential_in(file: Option<&Path>) -> anyhow::Result<Map<String, Value>> {
    let text = match file {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("`{}` does not read", file.display()))?
        }
        None => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input does not read")?;
            text
        }
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => {
            bail!("the credential is no JSON object, such as {{\"kind\": \"bearer\", \"token\": \"…\"}}")
        }
    }
}
