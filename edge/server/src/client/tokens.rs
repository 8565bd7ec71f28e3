//! `tokens`.

use anyhow::bail;
use chancery_model::{AgentId, KeyId, TokenId};
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
    /// Revoke one token, a key's or an agent's tokens, or all of the organization's until now.
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

/// Which tokens to revoke, and why.
#[derive(Args, Clone, Debug)]
pub struct Revocation {
    #[command(flatten)]
    whose: Whose,
    /// For the record.
    #[arg(long)]
    reason: String,
}

/// Whose tokens to revoke: one of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Whose {
    /// The token with this id (its `jti`).
    #[arg(long)]
    token: Option<TokenId>,
    /// The tokens that this API key asked for.
    #[arg(long = "of-key", value_name = "KEY_ID")]
    of_key: Option<KeyId>,
    /// The tokens that were issued to this agent.
    #[arg(long = "of-agent", value_name = "AGENT_ID")]
    of_agent: Option<AgentId>,
    /// All tokens of the organization.
    #[arg(long)]
    all: bool,
}

impl TokensCommand {
    pub(super) fn request(self) -> anyhow::Result<Request> {
        const AT: &str = "/api/v1/tokens";
        Ok(match self {
            Self::Verify(wanted) => {
                let mut body: Map<String, Value> = wanted.subject.members()?;
                body.insert("token".to_owned(), wanted.token.into());
                body.extend(wanted.audience.map(|audience| ("audience".to_owned(), audience.into())));
                Request::send(Method::POST, format!("{AT}/verify"), Value::Object(body))
            }
            Self::Revoke(Revocation { whose: Whose { token, of_key, of_agent, all }, reason }) => {
                let (kind, id) = match (token, of_key, of_agent, all) {
                    (Some(id), None, None, false) => ("token", Some(id.as_uuid())),
                    (None, Some(id), None, false) => ("key", Some(id.as_uuid())),
                    (None, None, Some(id), false) => ("agent", Some(id.as_uuid())),
                    (None, None, None, true) => ("organization", None),
                    _ => bail!("name one of --token, --of-key, --of-agent and --all"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: TokensCommand,
    }

    fn revoked(arguments: &[&str]) -> Option<String> {
        let line = ["chancery", "revoke"].iter().chain(arguments);
        let line = Line::try_parse_from(line).ok()?;
        line.command.request().ok().map(|request| format!("{request:?}"))
    }

    #[test]
    fn whose_tokens_are_revoked_is_said_in_one_way() {
        let id = "01890000-0000-7000-8000-000000000000";
        for (target, kind) in [
            (vec!["--token", id], "token"),
            (vec!["--of-key", id], "key"),
            (vec!["--of-agent", id], "agent"),
            (vec!["--all"], "organization"),
        ] {
            let with_reason = [target.as_slice(), &["--reason", "a drill"]].concat();
            let asked = revoked(&with_reason).unwrap_or_default();
            assert!(asked.contains(&format!("\"kind\": String(\"{kind}\")")), "{asked}");
            assert_eq!(revoked(&target), None, "without a reason");
            assert_eq!(revoked(&[with_reason.as_slice(), &["--all", "--token", id]].concat()), None);
        }
        assert_eq!(revoked(&["--reason", "x"]), None, "nobody's are everybody's");
    }
}
