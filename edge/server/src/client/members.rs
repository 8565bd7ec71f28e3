//! `members`.

use std::path::PathBuf;

use chancery_model::{MemberId, Role};
use clap::Subcommand;
use http::Method;
use serde_json::json;

use super::Way;
use super::newcomer::{NewKey, make};
use super::request::{Page, Request};
use crate::terminal::Terminal;

const AT: &str = "/api/v1/members";

/// `members`.
#[derive(Debug, Subcommand)]
pub enum MembersCommand {
    /// List members.
    List(Page),
    /// Show one member.
    Show {
        /// The member's id.
        id: MemberId,
    },
    /// Create a member.
    Create {
        /// The name others see.
        name: String,
        /// The address mail goes to.
        #[arg(long)]
        email: String,
        /// `viewer`, `operator`, `approver` or `admin`.
        #[arg(long)]
        role: Role,
        /// Also make a live key for them, and write it to this new file, which only you can read.
        #[arg(long, value_name = "FILE", requires = "scopes")]
        save_key: Option<PathBuf>,
        /// What that key may do; again for each, or with commas between them.
        #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', requires = "save_key")]
        scopes: Vec<String>,
        /// Whose tokens that key may redeem; again for each.
        #[arg(long = "audience", value_name = "AUDIENCE", requires = "save_key")]
        audiences: Vec<String>,
    },
    /// Give a member another name.
    Rename {
        /// The member's id.
        id: MemberId,
        /// The new name.
        name: String,
    },
    /// Give a member another role.
    Role {
        /// The member's id.
        id: MemberId,
        /// `viewer`, `operator`, `approver` or `admin`.
        role: Role,
    },
    /// Remove a member: their keys and those they made stop at once.
    Remove {
        /// The member's id.
        id: MemberId,
    },
}

/// Does one of them.
pub(super) async fn run(way: &Way, command: MembersCommand, terminal: Terminal) -> anyhow::Result<()> {
    let to = way.connect()?;
    let request = match command {
        MembersCommand::List(page) => Request::list(
            AT,
            &page,
            &[
                ("ID", "/id"),
                ("NAME", "/name"),
                ("ROLE", "/role"),
                ("REMOVED", "/removed_at"),
                ("EMAIL", "/email"),
            ],
        ),
        MembersCommand::Show { id } => Request::get(format!("{AT}/{id}")),
        MembersCommand::Create { name, email, role, save_key, scopes, audiences } => {
            let new = json!({ "name": name, "email": email, "role": role });
            let create = Request::send(Method::POST, AT, new);
            let Some(file) = save_key else { return create.perform(&to, way.json, terminal).await };
            let key = NewKey { holder: "member", name, scopes, audiences, file };
            return make(&to, create, key, (way.json, terminal)).await;
        }
        MembersCommand::Rename { id, name } => {
            Request::send(Method::PATCH, format!("{AT}/{id}"), json!({ "name": name }))
        }
        MembersCommand::Role { id, role } => {
            Request::send(Method::PATCH, format!("{AT}/{id}"), json!({ "role": role }))
        }
        MembersCommand::Remove { id } => Request::order(Method::DELETE, format!("{AT}/{id}")),
    };
    request.perform(&to, way.json, terminal).await
}
