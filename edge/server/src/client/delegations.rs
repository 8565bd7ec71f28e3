//! `delegations`.

use chancery_model::{AgentId, DelegationId, Timestamp};
use clap::Subcommand;
use http::Method;
use serde_json::json;

use super::request::{Page, Request};

/// `delegations`.
#[derive(Debug, Subcommand)]
pub enum DelegationsCommand {
    /// List delegations.
    List(Page),
    /// Let an agent act on the caller's behalf.
    Create {
        /// The agent's id.
        agent: AgentId,
        /// For this action; again for each.
        #[arg(long = "action", required = true, value_name = "ACTION")]
        actions: Vec<String>,
        /// When it ends by itself (RFC 3339).
        #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
        expires_at: Option<Timestamp>,
    },
    /// Take a delegation back.
    Revoke {
        /// The delegation's id.
        id: DelegationId,
    },
}

impl DelegationsCommand {
    pub(super) fn request(self) -> Request {
        const AT: &str = "/api/v1/delegations";
        match self {
            Self::List(page) => Request::list(
                AT,
                &page,
                &[
                    ("ID", "/id"),
                    ("MEMBER", "/member_id"),
                    ("AGENT", "/agent_id"),
                    ("EXPIRES", "/expires_at"),
                    ("REVOKED", "/revoked_at"),
                    ("ACTIONS", "/actions"),
                ],
            ),
            Self::Create { agent, actions, expires_at } => {
                let new = json!({ "agent_id": agent, "actions": actions, "expires_at": expires_at });
                Request::send(Method::POST, AT, new)
            }
            Self::Revoke { id } => Request::order(Method::POST, format!("{AT}/{id}/revoke")),
        }
    }
}
