//! `agents`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chancery_model::{AgentId, MemberId};
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use super::request::{Page, Request, accepted};
use super::{Connection, Way};
use crate::terminal::{Terminal, printable};

const AT: &str = "/api/v1/agents";

/// What the key of a new agent may do: all that an agent ever may.
const AGENT_SCOPES: [&str; 3] = ["intents:submit", "intents:read", "tokens:verify"];

/// `agents`.
#[derive(Debug, Subcommand)]
pub enum AgentsCommand {
    /// List agents.
    List(Page),
    /// Show one agent.
    Show {
        /// The agent's id.
        id: AgentId,
    },
    /// Create an agent.
    Create {
        /// Its name.
        name: String,
        /// What it is for.
        #[arg(long, default_value = "")]
        description: String,
        /// The member who answers for it; the caller if absent.
        #[arg(long, value_name = "MEMBER")]
        owner: Option<MemberId>,
        /// Also make a live key for it, and write it to this new file, which only you can read.
        #[arg(long, value_name = "FILE")]
        save_key: Option<PathBuf>,
        /// Whose tokens that key may redeem; again for each.
        #[arg(long = "audience", value_name = "AUDIENCE", requires = "save_key")]
        audiences: Vec<String>,
    },
    /// Give an agent another name.
    Rename {
        /// The agent's id.
        id: AgentId,
        /// The new name.
        name: String,
    },
    /// Give an agent another owner.
    Owner {
        /// The agent's id.
        id: AgentId,
        /// The new owner.
        member: MemberId,
    },
    /// Retire an agent for good: its keys stop at once.
    Retire {
        /// The agent's id.
        id: AgentId,
    },
}

/// Does one of them.
pub(super) async fn run(way: &Way, command: AgentsCommand, terminal: Terminal) -> anyhow::Result<()> {
    let to = way.connect()?;
    let request = match command {
        AgentsCommand::List(page) => {
            let columns =
                &[("ID", "/id"), ("NAME", "/name"), ("OWNER", "/owner_id"), ("RETIRED", "/retired_at")];
            Request::list(AT, &page, columns)
        }
        AgentsCommand::Show { id } => Request::get(format!("{AT}/{id}")),
        AgentsCommand::Rename { id, name } => {
            Request::send(Method::PATCH, format!("{AT}/{id}"), json!({ "name": name }))
        }
        AgentsCommand::Owner { id, member } => {
            Request::send(Method::PATCH, format!("{AT}/{id}"), json!({ "owner_id": member }))
        }
        AgentsCommand::Retire { id } => Request::order(Method::POST, format!("{AT}/{id}/retire")),
        AgentsCommand::Create { name, description, owner, save_key, audiences } => {
            let new = json!({ "name": name, "description": description, "owner_id": owner });
            let create = Request::send(Method::POST, AT, new);
            let Some(file) = save_key else { return create.perform(&to, way.json, terminal).await };
            return create_with_key(&to, create, &name, (&file, audiences), (way.json, terminal)).await;
        }
    };
    request.perform(&to, way.json, terminal).await
}

/// Creates an agent and a key for it. The file is made first: a key that can't be kept is not made.
async fn create_with_key(
    to: &Connection,
    create: Request,
    name: &str,
    (file, audiences): (&Path, Vec<String>),
    (as_json, terminal): (bool, Terminal),
) -> anyhow::Result<()> {
    let refused = || format!("`{}` can't be made", file.display());
    let mut kept =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).with_context(refused)?;
    let made = async {
        let agent = create.ask(to).await?;
        accepted(&agent)?;
        let key = json!({
            "name": name, "holder": { "type": "agent", "id": agent.at("/data/id") }, "environment": "live",
            "scopes": AGENT_SCOPES, "audiences": audiences,
        });
        let key = Request::send(Method::POST, "/api/v1/api-keys", key).ask(to).await?;
        accepted(&key)?;
        anyhow::Ok((agent, key))
    };
    let (agent, key) = match made.await {
        Ok(made) => made,
        Err(error) => {
            let _ = std::fs::remove_file(file);
            return Err(error);
        }
    };
    writeln!(kept, "{}", key.at("/data/secret")).and_then(|()| kept.sync_all()).with_context(refused)?;
    if as_json {
        let agent = agent.body.get("data").unwrap_or(&Value::Null);
        terminal
            .line(json!({ "data": { "agent": agent, "key_id": key.at("/data/id"), "key_file": file } }))?;
    } else {
        terminal.line(format_args!(
            "agent {} ({})",
            printable(agent.at("/data/name")),
            agent.at("/data/id")
        ))?;
        terminal.line(format_args!("its key is in {}", file.display()))?;
    }
    Ok(())
}
