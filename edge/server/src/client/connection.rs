//! A small HTTP client for the server's own API.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri, request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// The longest to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest answer, in bytes.
const LARGEST: usize = 64 * 1024 * 1024;

/// The way to a server, with a key.
pub struct Connection {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    server: String,
    key: Option<HeaderValue>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("server", &self.server).finish_non_exhaustive()
    }
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body, as it came.
    pub text: Bytes,
    /// The same as JSON; `null` when it is something else.
    pub body: Value,
}

impl Answer {
    /// The part of the body at a JSON pointer (RFC 6901) as text; empty when there is none.
    #[must_use]
    pub fn at(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Connection {
    /// A connection to the server at a URL. Secrets go over plain HTTP only to this machine.
    ///
    /// # Errors
    /// When the URL or the key is malformed, or the key would be readable on the way.
    pub fn new(server: &str, key: Option<&SecretString>) -> anyhow::Result<Self> {
        let server = server.trim_end_matches('/').to_owned();
        let uri: Uri = server.parse().with_context(|| format!("`{server}` is not a URL"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => bail!("`{server}` is not a URL that begins with `https://` or `http://`"),
        };
        if !secure && key.is_some() && !is_this_machine(uri.host().unwrap_or_default()) {
            bail!("a key is sent to another machine only over `https://`, and `{server}` is not that");
        }
        let key = key.map(bearer).transpose()?;
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector(secure)?), server, key })
    }

    /// The same server with another key, or none.
    ///
    /// # Errors
    /// When the key is malformed.
    pub fn with_key(&self, key: Option<&SecretString>) -> anyhow::Result<Self> {
        let key = key.map(bearer).transpose()?;
        Ok(Self { client: self.client.clone(), server: self.server.clone(), key })
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// When there is no answer; one that refuses is no error here.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.server));
        self.send(request, body).await
    }

    /// Posts something that is done once under an idempotency key, however often it is posted.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub async fn ask_once(&self, path: &str, body: &Value, key: Option<&str>) -> anyhow::Result<Answer> {
        let mut request = Request::builder().method(Method::POST).uri(format!("{}{path}", self.server));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.send(request, Some(body)).await
    }

    async fn send(&self, mut request: request::Builder, body: Option<&Value>) -> anyhow::Result<Answer> {
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, key.clone());
        }
        let bytes = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                serde_json::to_vec(body)?.into()
            }
            None => Bytes::new(),
        };
        let request = request.body(Full::new(bytes)).context("the request can't be written")?;
        let asking = async {
            let response = self.client.request(request).await.with_context(|| {
                format!(
                    "no server answers at {}: start one with `chancery serve`, or name it with --server",
                    self.server
                )
            })?;
            let (head, body) = response.into_parts();
            let text =
                Limited::new(body, LARGEST).collect().await.map_err(anyhow::Error::from_boxed)?.to_bytes();
            let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
            Ok(Answer { status: head.status, text, body })
        };
        tokio::time::timeout(PATIENCE, asking).await.context("the server did not answer in time")?
    }
}

fn bearer(key: &SecretString) -> anyhow::Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose_secret().trim()))
        .context("the key has characters that no key has")?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The system's certificates are read only when they are needed.
fn connector(secure: bool) -> anyhow::Result<HttpsConnector<HttpConnector>> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let tls = if secure {
        HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .context("the system's certificates do not read")?
    } else {
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        HttpsConnectorBuilder::new().with_tls_config(config)
    };
    Ok(tls.https_or_http().enable_http1().build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_leave_the_machine_in_the_clear() {
        let key = SecretString::from("chn_test_x");
        for (server, with_key) in [
            ("http://127.0.0.1:8420", true),
            ("http://[::1]:8420", true),
            ("http://localhost/", true),
            ("http://example.org", false),
            ("http://127.0.0.1.example.org", false),
            ("example.org", false),
            ("ftp://localhost", false),
        ] {
            assert_eq!(Connection::new(server, Some(&key)).is_ok(), with_key, "{server}");
        }
        assert!(Connection::new("http://example.org", None).is_ok());
    }
}
