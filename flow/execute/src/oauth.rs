//! Tokens that are fetched before a call (RFC 6749 §4.4, client credentials): each once, however many
//! calls wait for it, and kept until shortly before it expires.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chancery_connectors::{ClientAuth, Credential};
use chancery_egress::{FailureKind, Limits, Outgoing, Permit, Pin, Pins, PoolKey, Reach, Sent, Target};
use chancery_model::{ConnectorId, CredentialId, OrgId};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use moka::Expiry;
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::authorize::basic_headers;
use crate::send::Means;

/// The largest answer of a token endpoint, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;
/// How long a token endpoint may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a token is kept that says nothing of its life, in seconds.
const UNSAID_SECONDS: u64 = 60;
/// How much sooner than it expires a token is fetched anew, in seconds; half its life if that is less.
const EARLY_SECONDS: u64 = 30;
/// The longest a token is kept, in seconds.
const LONGEST_SECONDS: u64 = 3_600;

/// Which credential of which connector.
pub(crate) type Key = (OrgId, ConnectorId, CredentialId);

/// Why a token was not had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// The token endpoint was not reached, or did not answer as it should: it may work later.
    #[error("the token endpoint is not available")]
    Unavailable,
    /// It refused the client.
    #[error("the token endpoint refused")]
    Refused,
    /// The credential does not say a place that may be reached.
    #[error("the token endpoint must not be reached")]
    Forbidden,
}

impl FetchError {
    /// A stable word.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "token_unavailable",
            Self::Refused => "token_refused",
            Self::Forbidden => "egress_refused",
        }
    }
}

#[derive(Clone)]
struct Kept {
    token: SecretString,
    life: Duration,
}

struct Life;

impl Expiry<Key, Kept> for Life {
    fn expire_after_create(&self, _: &Key, kept: &Kept, _: Instant) -> Option<Duration> {
        Some(kept.life)
    }
}

/// Tokens that were fetched.
pub(crate) struct Tokens(Cache<Key, Kept>);

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.0.entry_count())
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(10_000).expire_after(Life).build())
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    token_type: String,
    expires_in: Option<u64>,
}

impl Tokens {
    /// The token of a credential. Of many calls that need it at once, one fetches it.
    pub(crate) async fn of(
        &self,
        means: &Means<'_>,
        key: Key,
        credential: &Credential,
    ) -> Result<SecretString, FetchError> {
        let fetched = self.0.try_get_with(key, fetch(means, key, credential)).await;
        fetched.map(|kept| kept.token).map_err(|error: Arc<FetchError>| *error)
    }

    /// Forgets a token that was not taken, unless another was fetched meanwhile.
    pub(crate) async fn forget(&self, key: Key, refused: &SecretString) {
        let same = |kept: &Kept| kept.token.expose_secret() == refused.expose_secret();
        if self.0.get(&key).await.is_some_and(|kept| same(&kept)) {
            self.0.invalidate(&key).await;
        }
    }
}

async fn fetch(means: &Means<'_>, key: Key, credential: &Credential) -> Result<Kept, FetchError> {
    let (request, permit) = request(key, credential, means.limits)?;
    let answer = means.egress.send(request, &permit).await.map_err(|failure| {
        tracing::warn!(org = %key.0, connector = %key.1, cause = %failure.cause(), sent = failure.sent() == Sent::Perhaps,
            "a token could not be fetched");
        if failure.kind() == FailureKind::Refused { FetchError::Forbidden } else { FetchError::Unavailable }
    })?;
    if answer.status.is_client_error() {
        tracing::warn!(org = %key.0, connector = %key.1, status = answer.status.as_u16(), "a token was refused");
        return Err(FetchError::Refused);
    }
    let granted = Some(&answer.body).filter(|_| answer.status.is_success());
    let granted: Option<Granted> = granted.and_then(|body| serde_json::from_slice(body).ok());
    let granted = granted
        .filter(|granted| granted.token_type.eq_ignore_ascii_case("bearer"))
        .ok_or(FetchError::Unavailable)?;
    let life = granted.expires_in.unwrap_or(UNSAID_SECONDS).min(LONGEST_SECONDS);
    let life = Duration::from_secs(life.saturating_sub(EARLY_SECONDS.min(life / 2)));
    Ok(Kept { token: granted.access_token, life })
}

fn request(
    (org, connector, _): Key,
    credential: &Credential,
    limits: &Limits,
) -> Result<(Outgoing, Permit), FetchError> {
    let Credential::OAuth2ClientCredentials { token_url, client_id, client_secret, scope, audience, auth } =
        credential
    else {
        return Err(FetchError::Forbidden);
    };
    let target = Target::parse(token_url).map_err(|_| FetchError::Forbidden)?;
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(scope.as_deref().map(|scope| ("scope", scope)));
    form.extend(audience.as_deref().map(|audience| ("audience", audience)));
    let mut credential_headers = HeaderMap::new();
    match auth {
        // RFC 6749 §2.3.1: both are form-encoded before they are joined.
        ClientAuth::Basic => {
            let (id, secret) =
                (encoded(client_id), SecretString::from(encoded(client_secret.expose_secret())));
            credential_headers = basic_headers(&id, &secret).map_err(|_| FetchError::Forbidden)?;
        }
        ClientAuth::Post => {
            form.extend([
                ("client_id", client_id.as_str()),
                ("client_secret", client_secret.expose_secret()),
            ]);
        }
    }
    let body = Zeroizing::new(
        form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&"),
    );
    let headers = HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
    ]);
    let permit = Permit {
        pool: PoolKey { organization: org.as_uuid().as_u128(), policy: connector.as_uuid().as_u128() },
        reach: Reach::Allowed,
        pins: Pins::to([Pin::of(&target)]),
        limits: Limits {
            connect: limits.connect.min(PATIENCE),
            head: limits.head.min(PATIENCE),
            total: limits.total.min(PATIENCE),
            body_bytes: limits.body_bytes.min(ANSWER_BYTES),
        },
        redirects: 0,
    };
    let body = Bytes::copy_from_slice(body.as_bytes());
    Ok((Outgoing { method: Method::POST, target, headers, credential_headers, body }, permit))
}

/// As `application/x-www-form-urlencoded` has it.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_holds_what_was_meant() {
        assert_eq!(encoded("a b&c=d%é"), "a+b%26c%3Dd%25%C3%A9");
    }
}
