//! `connectors`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chancery_model::{ConnectorId, ijson};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::Way;
use super::policies::json_in;
use super::request::{Page, Request, accepted};
use super::told::{line, part};
use crate::terminal::{Style, Terminal, printable};

/// `connectors`.
#[derive(Debug, Subcommand)]
pub enum ConnectorsCommand {
    /// List connectors.
    List(Page),
    /// Show one connector, with its credentials but for their secrets, and its circuit breakers.
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
    /// Call what its definition says tells whether it works, with its credential; fails if it does not.
    Test {
        /// The connector's id.
        id: ConnectorId,
    },
    /// Close a connector's circuit breaker: calls are made again.
    Reset {
        /// The connector's id.
        id: ConnectorId,
        /// For the record.
        #[arg(long)]
        reason: String,
    },
    /// Retire a connector for good, and destroy its credentials.
    Retire {
        /// The connector's id.
        id: ConnectorId,
    },
    /// Pause a connector: no token for it is minted or redeemed, and it is not called.
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

const AT: &str = "/api/v1/connectors";

/// Does one of them.
pub(super) async fn run(way: &Way, command: ConnectorsCommand, terminal: Terminal) -> anyhow::Result<()> {
    let to = way.connect()?;
    let tell = match command {
        ConnectorsCommand::Show { .. }
        | ConnectorsCommand::Create { .. }
        | ConnectorsCommand::Change { .. }
        | ConnectorsCommand::Reset { .. }
        | ConnectorsCommand::Retire { .. }
        | ConnectorsCommand::Pause { .. }
        | ConnectorsCommand::Resume { .. } => tell_connector,
        ConnectorsCommand::Test { .. } => tell_test,
        _ => return command.request()?.perform(&to, way.json, terminal).await,
    };
    let answer = command.request()?.ask(&to).await?;
    if way.json {
        terminal.line(String::from_utf8_lossy(&answer.text).trim_end())?;
    }
    accepted(&answer)?;
    let data = answer.body.get("data").unwrap_or(&Value::Null);
    if !way.json {
        tell(data, terminal)?;
    }
    // What does not work is this program's failure too.
    if data.get("works") == Some(&Value::Bool(false)) {
        bail!("the connector does not work");
    }
    Ok(())
}

fn tell_connector(data: &Value, terminal: Terminal) -> anyhow::Result<()> {
    let name = terminal.paint(Style::Bold, printable(&part(data, "/name")));
    terminal.line(format_args!("{name}  connector {}", printable(&part(data, "/id"))))?;
    line(terminal, "at", &part(data, "/definition/base_url"))?;
    for (name, _) in data.pointer("/definition/operations").and_then(Value::as_object).into_iter().flatten() {
        line(terminal, "does", name)?;
    }
    for (name, pointer) in [
        ("made", "/created_at"),
        ("paused", "/paused_at"),
        ("because", "/pause_reason"),
        ("retired", "/retired_at"),
    ] {
        let what = part(data, pointer);
        if !what.is_empty() {
            line(terminal, name, &what)?;
        }
    }
    // Only where it was asked for: what is changed is told without.
    let credentials = data.get("credentials").and_then(Value::as_array);
    if credentials.is_some_and(Vec::is_empty) {
        line(terminal, "key", "none")?;
    }
    for one in credentials.into_iter().flatten() {
        let until = match part(one, "/ends_at").as_str() {
            "" => String::new(),
            at => format!(", ends {at}"),
        };
        let (kind, state) = (part(one, "/kind"), part(one, "/state"));
        line(terminal, "key", &format!("{kind}, {state}, since {}{until}", part(one, "/created_at")))?;
    }
    for one in data.get("breakers").and_then(Value::as_array).into_iter().flatten() {
        let until = match part(one, "/open_until").as_str() {
            "" => String::new(),
            at => format!(", open until {at}"),
        };
        let (state, host) = (part(one, "/state"), part(one, "/host"));
        line(terminal, "breaker", &format!("{state} at {host}, failures {}{until}", part(one, "/failures")))?;
    }
    Ok(())
}

fn tell_test(data: &Value, terminal: Terminal) -> anyhow::Result<()> {
    let works = data.get("works") == Some(&Value::Bool(true));
    let (style, word) = if works { (Style::Good, "works") } else { (Style::Bad, "does not work") };
    terminal.line(terminal.paint(style, word))?;
    for (name, pointer) in [("HTTP", "/http_status"), ("code", "/code")] {
        let what = part(data, pointer);
        if !what.is_empty() {
            line(terminal, name, &what)?;
        }
    }
    Ok(())
}

impl ConnectorsCommand {
    fn request(self) -> anyhow::Result<Request> {
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
            Self::Test { id } => Request::order(Method::POST, format!("{AT}/{id}/test")),
            Self::Reset { id, reason } => order(id, "reset", reason),
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
    match ijson::parse(text.as_bytes()) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) | Err(_) => {
            bail!("the credential is no JSON object, such as {{\"kind\": \"bearer\", \"token\": \"…\"}}")
        }
    }
}
