//! What Chancery authenticates with at a connector, in memory.
//!
//! The secrets are types that do not print and are wiped when dropped. A credential is not `Serialize`:
//! the one form in which it is written is what `credential.rs` seals.

use std::fmt;
use std::str::FromStr;

use chancery_model::UnknownVariant;
use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::base_url::BaseUrl;
use crate::operation::is_reserved;
use crate::{ConnectorError, Definition};

/// The longest secret, in bytes.
const MAX_SECRET_BYTES: usize = 8_192;
/// The longest of what is no secret, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;

/// How Chancery authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// `Authorization: Bearer` (RFC 6750).
    Bearer,
    /// `Authorization: Basic` (RFC 7617).
    Basic,
    /// A header of the connector's own.
    Header,
    /// A token that is fetched first (RFC 6749 §4.4).
    #[serde(rename = "oauth2_client_credentials")]
    OAuth2ClientCredentials,
}

impl CredentialKind {
    /// The word in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::Header => "header",
            Self::OAuth2ClientCredentials => "oauth2_client_credentials",
        }
    }
}

impl FromStr for CredentialKind {
    type Err = UnknownVariant;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Bearer, Self::Basic, Self::Header, Self::OAuth2ClientCredentials]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownVariant { kind: "kind of credential" })
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a client authenticates where it fetches a token (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In `Authorization: Basic`.
    #[default]
    Basic,
    /// In the body.
    Post,
}

/// What Chancery authenticates with. Right by its type: each part may stand where it will be sent.
#[derive(Clone, Debug)]
pub enum Credential {
    /// `Authorization: Bearer`.
    Bearer {
        /// The token.
        token: SecretString,
    },
    /// `Authorization: Basic`.
    Basic {
        /// Without a colon.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A header of the connector's own.
    Header {
        /// Its name.
        name: HeaderName,
        /// Its value.
        value: SecretString,
    },
    /// A token that is fetched first.
    OAuth2ClientCredentials {
        /// Where: `https`, and of the credential as its secret is, so that nobody can point it elsewhere.
        token_url: String,
        /// Who.
        client_id: String,
        /// The client's secret.
        client_secret: SecretString,
        /// For what.
        scope: Option<String>,
        /// For whom.
        audience: Option<String>,
        /// How the client authenticates there.
        auth: ClientAuth,
    },
}

/// A credential as it was sent: not yet checked.
#[derive(Debug)]
pub struct CredentialDraft {
    /// Which kind; it says which of the others must be there.
    pub kind: CredentialKind,
    /// Of a bearer.
    pub token: Option<SecretString>,
    /// Of basic.
    pub username: Option<String>,
    /// Of basic.
    pub password: Option<SecretString>,
    /// Of a header.
    pub name: Option<String>,
    /// Of a header.
    pub value: Option<SecretString>,
    /// Of client credentials.
    pub token_url: Option<String>,
    /// Of client credentials.
    pub client_id: Option<String>,
    /// Of client credentials.
    pub client_secret: Option<SecretString>,
    /// Of client credentials; may be absent.
    pub scope: Option<String>,
    /// Of client credentials; may be absent.
    pub audience: Option<String>,
    /// Of client credentials; basic when absent.
    pub auth: Option<ClientAuth>,
}

fn refuse<T>(field: &'static str, rule: &'static str) -> Result<T, ConnectorError> {
    Err(ConnectorError::Credential { field, rule })
}

fn needed<T>(field: &'static str, value: Option<T>) -> Result<T, ConnectorError> {
    value.map_or_else(|| refuse(field, "is missing for this kind of credential"), Ok)
}

/// A secret that may stand in a header.
fn secret(
    field: &'static str,
    value: Option<SecretString>,
    plain: bool,
) -> Result<SecretString, ConnectorError> {
    let value = needed(field, value)?;
    let text = value.expose_secret();
    let lowest = if plain { b' ' } else { b'!' };
    let fits = (1..=MAX_SECRET_BYTES).contains(&text.len())
        && text.bytes().all(|byte| (lowest..=b'~').contains(&byte))
        && text.trim() == text;
    if fits {
        Ok(value)
    } else {
        refuse(field, "is 1 to 8192 bytes of visible ASCII, with no space around it")
    }
}

fn visible(field: &'static str, value: Option<String>) -> Result<String, ConnectorError> {
    let text = needed(field, value)?;
    let fits = (1..=MAX_TEXT_BYTES).contains(&text.len()) && text.bytes().all(|b| matches!(b, b' '..=b'~'));
    if fits { Ok(text) } else { refuse(field, "is 1 to 1024 bytes of visible ASCII") }
}

impl CredentialDraft {
    /// That nothing is there which the kind does not have: a secret sent by mistake is told, not dropped.
    fn refuse_others(&self) -> Result<(), ConnectorError> {
        use CredentialKind::{Basic, Bearer, Header, OAuth2ClientCredentials as OAuth2};
        let there = [
            ("token", Bearer, self.token.is_some()),
            ("username", Basic, self.username.is_some()),
            ("password", Basic, self.password.is_some()),
            ("name", Header, self.name.is_some()),
            ("value", Header, self.value.is_some()),
            ("token_url", OAuth2, self.token_url.is_some()),
            ("client_id", OAuth2, self.client_id.is_some()),
            ("client_secret", OAuth2, self.client_secret.is_some()),
            ("scope", OAuth2, self.scope.is_some()),
            ("audience", OAuth2, self.audience.is_some()),
            ("auth", OAuth2, self.auth.is_some()),
        ];
        match there.iter().find(|(_, kind, is_there)| *is_there && *kind != self.kind) {
            Some((field, ..)) => refuse(field, "does not belong to this kind of credential"),
            None => Ok(()),
        }
    }

    /// Checks it, for a connector of this definition.
    ///
    /// # Errors
    /// [`ConnectorError::Credential`] naming the part that breaks its rule.
    pub fn check(self, definition: &Definition) -> Result<Credential, ConnectorError> {
        self.refuse_others()?;
        Ok(match self.kind {
            CredentialKind::Bearer => Credential::Bearer { token: secret("token", self.token, false)? },
            CredentialKind::Basic => {
                let username = visible("username", self.username)?;
                if username.contains(':') {
                    return refuse("username", "has no colon (RFC 7617)");
                }
                Credential::Basic { username, password: secret("password", self.password, true)? }
            }
            CredentialKind::Header => {
                let name = header(needed("name", self.name)?, definition)?;
                Credential::Header { name, value: secret("value", self.value, true)? }
            }
            CredentialKind::OAuth2ClientCredentials => Credential::OAuth2ClientCredentials {
                token_url: token_url(needed("token_url", self.token_url)?)?,
                client_id: visible("client_id", self.client_id)?,
                client_secret: secret("client_secret", self.client_secret, true)?,
                scope: self.scope.map(|scope| visible("scope", Some(scope))).transpose()?,
                audience: self.audience.map(|audience| visible("audience", Some(audience))).transpose()?,
                auth: self.auth.unwrap_or_default(),
            },
        })
    }
}

/// A header that authenticates: one that no template sets. `Authorization` may be one, for schemes of a
/// connector's own.
fn header(name: String, definition: &Definition) -> Result<HeaderName, ConnectorError> {
    let Ok(header) = name.parse::<HeaderName>() else { return refuse("name", "is no name of a header") };
    if header != http::header::AUTHORIZATION && is_reserved(&header) {
        return refuse("name", "is a header that belongs to the connection");
    }
    if definition.operations().any(|operation| operation.sets(&header)) {
        return refuse("name", "is a header that an operation of the connector sets");
    }
    Ok(header)
}

fn token_url(text: String) -> Result<String, ConnectorError> {
    match text.parse::<BaseUrl>() {
        Ok(url) if !url.is_plain() => {
            let end = if text.ends_with('/') { "/" } else { "" };
            Ok(format!("{url}{end}"))
        }
        _ => refuse(
            "token_url",
            "is `https://host/path` in its plain spelling, without user, query or fragment",
        ),
    }
}

/// What is sealed. Never anything else's form: the secrets stand in it. Tagged from outside, so that reading
/// it buffers nothing.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Exposed<'a> {
    Bearer {
        token: &'a str,
    },
    Basic {
        username: &'a str,
        password: &'a str,
    },
    Header {
        name: &'a str,
        value: &'a str,
    },
    #[serde(rename = "oauth2_client_credentials")]
    OAuth2ClientCredentials {
        token_url: &'a str,
        client_id: &'a str,
        client_secret: &'a str,
        scope: Option<&'a str>,
        audience: Option<&'a str>,
        auth: ClientAuth,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Stored {
    Bearer {
        token: SecretString,
    },
    Basic {
        username: String,
        password: SecretString,
    },
    Header {
        name: String,
        value: SecretString,
    },
    #[serde(rename = "oauth2_client_credentials")]
    OAuth2ClientCredentials {
        token_url: String,
        client_id: String,
        client_secret: SecretString,
        scope: Option<String>,
        audience: Option<String>,
        auth: ClientAuth,
    },
}

impl Credential {
    /// Which kind.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Bearer { .. } => CredentialKind::Bearer,
            Self::Basic { .. } => CredentialKind::Basic,
            Self::Header { .. } => CredentialKind::Header,
            Self::OAuth2ClientCredentials { .. } => CredentialKind::OAuth2ClientCredentials,
        }
    }

    /// The form to seal; `None` when it can't be written.
    pub(crate) fn expose(&self) -> Option<Zeroizing<Vec<u8>>> {
        let exposed = match self {
            Self::Bearer { token } => Exposed::Bearer { token: token.expose_secret() },
            Self::Basic { username, password } => {
                Exposed::Basic { username, password: password.expose_secret() }
            }
            Self::Header { name, value } => {
                Exposed::Header { name: name.as_str(), value: value.expose_secret() }
            }
            Self::OAuth2ClientCredentials { token_url, client_id, client_secret, scope, audience, auth } => {
                Exposed::OAuth2ClientCredentials {
                    token_url,
                    client_id,
                    client_secret: client_secret.expose_secret(),
                    scope: scope.as_deref(),
                    audience: audience.as_deref(),
                    auth: *auth,
                }
            }
        };
        // Large enough for any, also with every byte escaped: growing would leave a copy behind.
        let mut json = Zeroizing::new(Vec::with_capacity(2 * MAX_SECRET_BYTES + 10 * MAX_TEXT_BYTES));
        serde_json::to_writer(&mut *json, &exposed).ok()?;
        Some(json)
    }

    /// Reads what [`Self::expose`] wrote.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        Some(match serde_json::from_slice(json).ok()? {
            Stored::Bearer { token } => Self::Bearer { token },
            Stored::Basic { username, password } => Self::Basic { username, password },
            Stored::Header { name, value } => Self::Header { name: name.parse().ok()?, value },
            Stored::OAuth2ClientCredentials {
                token_url,
                client_id,
                client_secret,
                scope,
                audience,
                auth,
            } => Self::OAuth2ClientCredentials { token_url, client_id, client_secret, scope, audience, auth },
        })
    }
}
