//! A credential as headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_connectors::Credential;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// A credential that can't be written as a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unwritable;

/// The headers that carry a credential; none of them is ever shown. A token that is fetched first is given.
pub(crate) fn headers(
    credential: &Credential,
    fetched: Option<&SecretString>,
) -> Result<HeaderMap, Unwritable> {
    let (name, value) = match (credential, fetched) {
        (Credential::Bearer { token }, _) => (AUTHORIZATION, bearer(token)),
        (Credential::OAuth2ClientCredentials { .. }, Some(token)) => (AUTHORIZATION, bearer(token)),
        (Credential::OAuth2ClientCredentials { .. }, None) => return Err(Unwritable),
        (Credential::Basic { username, password }, _) => (AUTHORIZATION, basic(username, password)),
        (Credential::Header { name, value }, _) => {
            (name.clone(), Zeroizing::new(value.expose_secret().to_owned()))
        }
    };
    one(name, &value)
}

/// The headers of `Authorization: Basic` (RFC 7617).
pub(crate) fn basic_headers(username: &str, password: &SecretString) -> Result<HeaderMap, Unwritable> {
    one(AUTHORIZATION, &basic(username, password))
}

fn one(name: HeaderName, value: &str) -> Result<HeaderMap, Unwritable> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Unwritable)?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(name, value)]))
}

fn bearer(token: &SecretString) -> Zeroizing<String> {
    Zeroizing::new(format!("Bearer {}", token.expose_secret()))
}

fn basic(username: &str, password: &SecretString) -> Zeroizing<String> {
    let both = Zeroizing::new(format!("{username}:{}", password.expose_secret()));
    Zeroizing::new(format!("Basic {}", BASE64.encode(both.as_bytes())))
}
