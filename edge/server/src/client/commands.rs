//! The commands, and the request that each is.

use chancery_model::{AgentId, KeyId, MemberId, Timestamp};
use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};

use super::agents::{self, AgentsCommand};
use super::approvals::{self, ApprovalsCommand};
use super::connectors::{self, ConnectorsCommand};
use super::delegations::DelegationsCommand;
use super::emergency::EmergencyCommand;
use super::intents::{self, IntentsCommand};
use super::members::{self, MembersCommand};
use super::policies::{ActionsCommand, PacksCommand, PoliciesCommand};
use super::request::{Page, Request, Show, escaped};
use super::signing_keys::SigningKeysCommand;
use super::tokens::TokensCommand;
use super::{Connection, Way};
use crate::terminal::Terminal;

macro_rules! groups {
    ($($(#[$meta:meta])* $group:ident($command:ty)),+ $(,)?) => {
        /// What the client does.
        #[derive(Debug, Subcommand)]
        pub enum ClientCommand {$(
            $(#[$meta])*
            $group {
                #[command(flatten)]
                #[allow(missing_docs, reason = "the same in each")]
                way: Way,
                #[command(subcommand)]
                #[allow(missing_docs, reason = "the same in each")]
                command: $command,
            }
        ),+}
    };
}

groups!(
    /// Who the key is, and what it may do.
    Me(MeCommand),
    /// The programs that act.
    Agents(AgentsCommand),
    /// API keys.
    Keys(KeysCommand),
    /// What members let agents do on their behalf.
    Delegations(DelegationsCommand),
    /// The keys that sign tokens.
    SigningKeys(SigningKeysCommand),
    /// The people in the organization.
    Members(MembersCommand),
    /// Ready sets of actions and policies.
    Packs(PacksCommand),
    /// The action catalogue.
    Actions(ActionsCommand),
    /// Policies.
    Policies(PoliciesCommand),
    /// The systems that can be called.
    Connectors(ConnectorsCommand),
    /// Requests to act.
    Intents(IntentsCommand),
    /// Escalated intents, and answering them.
    Approvals(ApprovalsCommand),
    /// Single-use tokens.
    Tokens(TokensCommand),
    /// The organization's settings.
    Settings(SettingsCommand),
    /// Halt and resume.
    Emergency(EmergencyCommand),
);

/// Does one command.
///
/// # Errors
/// When the server does not answer, or refuses.
pub async fn run(command: ClientCommand, terminal: Terminal) -> anyhow::Result<()> {
    let (way, request) = match command {
        ClientCommand::Agents { way, command } => return agents::run(&way, command, terminal).await,
        ClientCommand::Approvals { way, command } => return approvals::run(&way, command, terminal).await,
        ClientCommand::Connectors { way, command } => return connectors::run(&way, command, terminal).await,
        ClientCommand::Intents { way, command } => return intents::run(&way, command, terminal).await,
        ClientCommand::Members { way, command } => return members::run(&way, command, terminal).await,
        ClientCommand::Me { way, command: MeCommand::Show } => (way, Request::get("/api/v1/me")),
        ClientCommand::Keys { way, command } => (way, command.request()),
        ClientCommand::Delegations { way, command } => (way, command.request()),
        ClientCommand::SigningKeys { way, command } => (way, command.request()),
        ClientCommand::Packs { way, command } => (way, command.request()),
        ClientCommand::Actions { way, command } => (way, command.request()?),
        ClientCommand::Policies { way, command } => (way, command.request()?),
        ClientCommand::Tokens { way, command } => (way, command.request()?),
        ClientCommand::Settings { way, command } => (way, command.request()),
        ClientCommand::Emergency { way, command } => (way, command.request()),
    };
    request.perform(&way.connect()?, way.json, terminal).await
}

/// Reads the record of the key's organization.
///
/// # Errors
/// When the server does not answer, or refuses.
pub async fn record(way: &Way, command: RecordCommand, terminal: Terminal) -> anyhow::Result<()> {
    let to: Connection = way.connect()?;
    command.request().perform(&to, way.json, terminal).await
}

/// `me`.
#[derive(Debug, Subcommand)]
pub enum MeCommand {
    /// Show it.
    Show,
}

/// `keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List keys, without their secrets.
    List(Page),
    /// Show one key.
    Show {
        /// The key's id.
        id: KeyId,
    },
    /// Make a key; its secret is shown once.
    Create(NewKey),
    /// Make a key in the place of another, which works on for a while.
    Rotate {
        /// The key's id.
        id: KeyId,
        /// How long the old one works on.
        #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
        overlap: u32,
    },
    /// Revoke a key: the next request with it is refused.
    Revoke {
        /// The key's id.
        id: KeyId,
        /// For the record.
        #[arg(long)]
        reason: String,
    },
}

/// A key to make.
#[derive(clap::Args, Clone, Debug)]
pub struct NewKey {
    /// Its name.
    name: String,
    /// The agent that will act with it.
    #[arg(long, required_unless_present = "member", conflicts_with = "member")]
    agent: Option<AgentId>,
    /// The member who will act with it.
    #[arg(long)]
    member: Option<MemberId>,
    /// `live` or `test`.
    #[arg(long, default_value = "live")]
    environment: String,
    /// What it may do; again for each, or with commas between them.
    #[arg(long = "scope", required = true, value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// Whose tokens it may redeem; again for each.
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// From when on it is refused (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    expires_at: Option<Timestamp>,
}

impl NewKey {
    fn body(self) -> Value {
        let holder = match (self.agent, self.member) {
            (Some(agent), _) => json!({ "type": "agent", "id": agent }),
            (None, member) => json!({ "type": "member", "id": member }),
        };
        json!({
            "name": self.name, "holder": holder, "environment": self.environment, "scopes": self.scopes,
            "audiences": self.audiences, "expires_at": self.expires_at,
        })
    }
}

impl KeysCommand {
    fn request(self) -> Request {
        const AT: &str = "/api/v1/api-keys";
        match self {
            Self::List(page) => Request::list(
                AT,
                &page,
                &[
                    ("ID", "/id"),
                    ("NAME", "/name"),
                    ("HOLDER", "/holder/type"),
                    ("ENVIRONMENT", "/environment"),
                    ("EXPIRES", "/expires_at"),
                    ("REVOKED", "/revoked_at"),
                    ("LAST USED", "/last_used_at"),
                    ("SCOPES", "/scopes"),
                ],
            ),
            Self::Show { id } => Request::get(format!("{AT}/{id}")),
            Self::Create(new) => Request::send(Method::POST, AT, new.body()),
            Self::Rotate { id, overlap } => Request::send(
                Method::POST,
                format!("{AT}/{id}/rotate"),
                json!({ "overlap_seconds": overlap }),
            ),
            Self::Revoke { id, reason } => {
                Request::send(Method::POST, format!("{AT}/{id}/revoke"), json!({ "reason": reason }))
            }
        }
    }
}

/// `settings`.
#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Show the organization and its settings.
    Show,
    /// Give the organization another name; its short name stays.
    Rename {
        /// The new name.
        name: String,
    },
    /// Change settings; what is not named stays.
    Set {
        /// What tokens are signed with: `RS256`, `ES256` or `EdDSA`.
        #[arg(long)]
        token_algorithm: Option<String>,
        /// How long a token lives: 30 to 900.
        #[arg(long)]
        token_ttl_seconds: Option<u32>,
        /// The risk from which a person must approve: 0 to 100.
        #[arg(long)]
        escalate_at: Option<u8>,
        /// The risk from which an intent is denied: not below the other; 101 is never.
        #[arg(long)]
        deny_at: Option<u8>,
    },
}

impl SettingsCommand {
    fn request(self) -> Request {
        const AT: &str = "/api/v1/organization";
        match self {
            Self::Show => Request::get(AT),
            Self::Rename { name } => Request::send(Method::PATCH, AT, json!({ "name": name })),
            Self::Set { token_algorithm, token_ttl_seconds, escalate_at, deny_at } => {
                let named = [
                    ("token_algorithm", token_algorithm.map(Value::from)),
                    ("token_ttl_seconds", token_ttl_seconds.map(Value::from)),
                    ("escalate_at", escalate_at.map(Value::from)),
                    ("deny_at", deny_at.map(Value::from)),
                ];
                let settings: Map<_, _> =
                    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
                Request::send(Method::PATCH, AT, json!({ "settings": settings }))
            }
        }
    }
}

/// `record`, as far as it asks the server.
#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// List entries, newest first.
    List {
        /// Which part.
        #[command(flatten)]
        page: Page,
        /// Only entries of this type, such as `intent.denied`.
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Only entries of this story: an intent's id.
        #[arg(long, value_name = "ID")]
        correlation: Option<String>,
    },
    /// Print the newest signed checkpoint.
    Checkpoint,
    /// Have the server verify the organization's record.
    Check,
}

impl RecordCommand {
    fn request(self) -> Request {
        const AT: &str = "/api/v1/record";
        match self {
            Self::List { page, kind, correlation } => {
                let columns = &[
                    ("SEQ", "/seq"),
                    ("TIME", "/time"),
                    ("TYPE", "/type"),
                    ("REFS", "/refs"),
                    ("HASH", "/entry_hash"),
                ];
                let request = Request::list(AT, &page, columns);
                let request = request.with_query("type", kind.as_deref());
                request.with_query("correlation_id", correlation.as_deref())
            }
            Self::Checkpoint => Request::get(format!("{AT}/checkpoint")).shown(Show::Body),
            Self::Check => Request::get(format!("{AT}/verify")),
        }
    }
}

/// A path under another, of what people typed.
pub(super) fn under(at: &str, name: &str) -> String {
    format!("{at}/{}", escaped(name))
}
