//! `tokens`.

use chancery_model::{KeyId, TokenId};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use super::intents::Subject;
use super::request::Request;

/// `tokens`.
#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// Redeem a token for what it was made for. It is good once.
    Verify(Verification),
    /// Revoke one token, a key's tokens, or all of the organization's until now.
    Revoke(Revocation),
}

/// A token to redeem.
#[derive(Args, Clone, Debug)]
pub struct Verification {
    /// The token.
    #[arg(long)]
    token: String,
    /// Which of the key's audiences redeems it; any if absent.
    #[arg(long)]
    audience: Option<String>,
    #[command(flatten)]
    subject: Subject,
}

/// Whose tokens to revoke.
#[derive(Args, Clone, Debug)]
#[group(id = "whose", required = true, multiple = false)]
pub struct Revocation {
    /// The token with this id (its `jti`).
    #[arg(long, group = "whose")]
    token: Option<TokenId>,
    /// The tokens that this API key asked for.
    #[arg(long = "of-key", value_name = "KEY_ID", group = "whose")]
    of_key: Option<KeyId>,
    /// All tokens of the organization.
    #[arg(long, group = "whose")]
    all: bool,
    /// For the record.
    #[arg(long, required = true)]
    reason: String,
}

impl TokensCommand {
    pub(super) fn request(self) -> anyhow::Result<Request> {
        const AT: &str = "/api/v1/tokens";
        Ok(match self {
            Self::Verify(wanted) => {
                let mut body: Map<String, Value> = wanted.subject.members();
                body.insert("token".to_owned(), wanted.token.into());
                body.extend(wanted.audience.map(|audience| ("audience".to_owned(), audience.into())));
                Request::send(Method::POST, format!("{AT}/verify"), Value::Object(body))
            }
            Self::Revoke(Revocation { token, of_key, reason, .. }) => {
                let (kind, id) = match (token, of_key) {
                    (Some(id), _) => ("token", Some(id.as_uuid())),
                    (None, Some(id)) => ("key", Some(id.as_uuid())),
                    (None, None) => ("organization", None),
                };
                Request::send(
                    Method::POST,
                    format!("{AT}/revoke"),
                    json!({ "kind": kind, "id": id, "reason": reason }),
                )
            }
        })
    }
}
