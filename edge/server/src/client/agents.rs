//! `agents`.

use std::path::PathBuf;

use chancery_model::{AgentId, MemberId};
use clap::Subcommand;
use http::Method;
use serde_json::json;

use super::Way;
use super::newcomer::{NewKey, make};
use super::request::{Page, Request};
use crate::terminal::Terminal;

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
            let scopes = AGENT_SCOPES.map(str::to_owned).to_vec();
            let key = NewKey { holder: "agent", name, scopes, audiences, file };
            return make(&to, create, key, (way.json, terminal)).await;
        }
    };
    request.perform(&to, way.json, terminal).await
}
