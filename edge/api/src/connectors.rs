//! `/api/v1/connectors`

use std::fmt;

use chancery_model::{Audience, ConnectorId, CredentialId, PrincipalId, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{Reason, words};

/// A system that can be called.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Connector {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: ConnectorId,
    /// What intents and tokens call it: the `connector` of an intent, the audience of a token.
    #[schema(value_type = String)]
    pub name: Audience,
    /// How it is called: `http`.
    pub kind: String,
    /// Where it is and how each action becomes a call, with every default written out.
    #[schema(value_type = Object)]
    pub definition: Value,
    /// Who made it.
    #[schema(value_type = String, format = Uuid)]
    pub created_by: PrincipalId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Since when nothing is done with it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub paused_at: Option<Timestamp>,
    /// Why it is paused.
    pub pause_reason: Option<String>,
    /// When it was retired.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retired_at: Option<Timestamp>,
}

/// A connector with what authenticates there.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectorDetail {
    /// The connector.
    #[serde(flatten)]
    pub connector: Connector,
    /// The credentials that serve, without their secrets: the current one, and one before it while it
    /// serves on.
    pub credentials: Vec<ConnectorCredential>,
    /// The circuit breakers that have counted a failure.
    pub breakers: Vec<ConnectorBreaker>,
}

/// A circuit breaker: what fails too often is left alone for a while.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectorBreaker {
    /// At which scheme, host and port.
    pub host: String,
    /// `closed`, `open`, or `half_open`: the time is over, and a few calls find out whether it works again.
    pub state: String,
    /// How many failures count.
    pub failures: usize,
    /// Until when nothing is called.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub open_until: Option<Timestamp>,
}

/// What a connection test found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectorTest {
    /// Whether the system was reached and answered with a success.
    pub works: bool,
    /// The HTTP status that came back.
    pub http_status: Option<u16>,
    /// Why it does not work, in a stable word.
    pub code: Option<String>,
}

/// What authenticates at a connector, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectorCredential {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: CredentialId,
    /// How it authenticates.
    #[schema(value_type = words::CredentialWord)]
    pub kind: String,
    /// `current` or `previous`.
    pub state: String,
    /// Who wrote it.
    #[schema(value_type = String, format = Uuid)]
    pub created_by: PrincipalId,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Until when it serves beside the current one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Timestamp>,
}

/// A connector to make.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CreateConnector {
    /// Its name: 1 to 128 of `A-Z a-z 0-9 . _ - : /`.
    #[schema(value_type = String, min_length = 1, max_length = 128)]
    pub name: Audience,
    /// Where it is and how each action becomes a call (`docs/connectors.md`).
    #[schema(value_type = Object)]
    pub definition: Value,
}

/// What to change of a connector; what is absent stays.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ChangeConnector {
    /// The new name.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Audience>,
    /// The new definition, whole. With another scheme, host or port the credentials are retired.
    #[schema(value_type = Option<Object>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Value>,
}

/// An order to pause a connector, or to let it be used again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ConnectorOrder {
    /// For the record.
    pub reason: Reason,
}

/// Text that is sent and never comes back.
#[derive(Clone, Deserialize, ToSchema)]
#[schema(value_type = String, format = Password)]
#[serde(transparent)]
pub struct SecretText(SecretString);

impl SecretText {
    /// The secret.
    #[must_use]
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

/// A credential to write. The kind says which of the others must be there.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct WriteCredential {
    /// How it authenticates.
    #[schema(value_type = words::CredentialWord)]
    pub kind: String,
    /// For how many seconds the credential before serves on; none when absent, at most 604800 (7 days).
    #[schema(maximum = 604_800)]
    #[serde(default)]
    pub overlap_seconds: u32,
    /// Of `bearer`.
    #[serde(default)]
    pub token: Option<SecretText>,
    /// Of `basic`; without a colon.
    #[serde(default)]
    pub username: Option<String>,
    /// Of `basic`.
    #[serde(default)]
    pub password: Option<SecretText>,
    /// Of `header`: its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Of `header`.
    #[serde(default)]
    pub value: Option<SecretText>,
    /// Of `oauth2_client_credentials`: where the token is fetched, `https`.
    #[serde(default)]
    pub token_url: Option<String>,
    /// Of `oauth2_client_credentials`.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Of `oauth2_client_credentials`.
    #[serde(default)]
    pub client_secret: Option<SecretText>,
    /// Of `oauth2_client_credentials`; may be absent.
    #[serde(default)]
    pub scope: Option<String>,
    /// Of `oauth2_client_credentials`; may be absent.
    #[serde(default)]
    pub audience: Option<String>,
    /// Of `oauth2_client_credentials`: where the client's secret is sent; `basic` when absent.
    #[schema(value_type = Option<words::ClientAuthWord>)]
    #[serde(default)]
    pub auth: Option<String>,
}

/// The credentials that were removed.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RemovedCredentials {
    /// Their ids.
    #[schema(value_type = Vec<String>)]
    pub removed: Vec<CredentialId>,
}
