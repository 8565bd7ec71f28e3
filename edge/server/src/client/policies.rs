//! `packs`, `actions` and `policies`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chancery_model::{PolicyId, ijson};
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use super::commands::under;
use super::request::{Page, Request, Show};

/// `packs`.
#[derive(Debug, Subcommand)]
pub enum PacksCommand {
    /// List the packs that come with the server.
    List,
    /// Put a pack's actions into the catalogue and its policies in force.
    Apply {
        /// The pack's name.
        name: String,
    },
}

impl PacksCommand {
    pub(super) fn request(self) -> Request {
        const AT: &str = "/api/v1/policies/packs";
        match self {
            Self::List => {
                Request::all(AT, &[("NAME", "/name"), ("TITLE", "/title"), ("DESCRIPTION", "/description")])
            }
            Self::Apply { name } => Request::order(Method::POST, format!("{}/apply", under(AT, &name))),
        }
    }
}

/// `actions`.
#[derive(Debug, Subcommand)]
pub enum ActionsCommand {
    /// List the catalogue.
    List(Page),
    /// Show one action.
    Show {
        /// Its name.
        name: String,
    },
    /// Put an action into the catalogue, or change it.
    Put {
        /// Its name.
        name: String,
        /// Its definition, in JSON.
        file: PathBuf,
    },
    /// Retire an action: intents for it are refused.
    Retire {
        /// Its name.
        name: String,
    },
}

impl ActionsCommand {
    pub(super) fn request(self) -> anyhow::Result<Request> {
        const AT: &str = "/api/v1/actions";
        Ok(match self {
            Self::List(page) => Request::list(
                AT,
                &page,
                &[
                    ("NAME", "/name"),
                    ("RESOURCE", "/resource_type"),
                    ("EFFECT", "/effect"),
                    ("RISK", "/base_risk"),
                    ("DESCRIPTION", "/description"),
                ],
            ),
            Self::Show { name } => Request::get(under(AT, &name)),
            Self::Put { name, file } => Request::send(Method::PUT, under(AT, &name), json_in(&file)?),
            Self::Retire { name } => Request::order(Method::POST, format!("{}/retire", under(AT, &name))),
        })
    }
}

/// `policies`.
#[derive(Debug, Subcommand)]
pub enum PoliciesCommand {
    /// List policies.
    List(Page),
    /// Show a policy with its versions.
    Show {
        /// The policy's id.
        id: PolicyId,
    },
    /// Show the Cedar text of one version.
    Text {
        /// The policy's id.
        id: PolicyId,
        /// Its number.
        version: u32,
    },
    /// Make a policy; it is in force once a version is activated.
    Create {
        /// Its name.
        name: String,
        /// Its Cedar text.
        file: PathBuf,
    },
    /// Add a version to a policy.
    Add {
        /// The policy's id.
        id: PolicyId,
        /// Its Cedar text.
        file: PathBuf,
    },
    /// Check a text against the catalogue without storing it.
    Check {
        /// Its Cedar text.
        file: PathBuf,
    },
    /// Put a version in force.
    Activate {
        /// The policy's id.
        id: PolicyId,
        /// Its number.
        version: u32,
    },
    /// Take a policy out of force.
    Withdraw {
        /// The policy's id.
        id: PolicyId,
    },
}

impl PoliciesCommand {
    pub(super) fn request(self) -> anyhow::Result<Request> {
        const AT: &str = "/api/v1/policies";
        Ok(match self {
            Self::List(page) => Request::list(
                AT,
                &page,
                &[
                    ("ID", "/id"),
                    ("NAME", "/name"),
                    ("IN FORCE", "/active_version"),
                    ("CREATED", "/created_at"),
                ],
            ),
            Self::Show { id } => Request::get(format!("{AT}/{id}")),
            Self::Text { id, version } => {
                Request::get(format!("{AT}/{id}/versions/{version}")).shown(Show::Text("/data/text"))
            }
            Self::Create { name, file } => {
                Request::send(Method::POST, AT, json!({ "name": name, "text": text_in(&file)? }))
            }
            Self::Add { id, file } => {
                Request::send(Method::POST, format!("{AT}/{id}/versions"), json!({ "text": text_in(&file)? }))
            }
            Self::Check { file } => {
                Request::send(Method::POST, format!("{AT}/check"), json!({ "text": text_in(&file)? }))
                    .shown(Show::Problems)
            }
            Self::Activate { id, version } => {
                Request::send(Method::POST, format!("{AT}/{id}/activate"), json!({ "version": version }))
            }
            Self::Withdraw { id } => Request::order(Method::POST, format!("{AT}/{id}/withdraw")),
        })
    }
}

fn text_in(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("`{}` does not read", file.display()))
}

pub(super) fn json_in(file: &Path) -> anyhow::Result<Value> {
    ijson::parse(text_in(file)?.as_bytes())
        .with_context(|| format!("`{}` does not read as JSON", file.display()))
}
