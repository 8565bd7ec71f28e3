//! `[server]`: the listener.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where and how the server listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// Whether a proxy in front ends TLS and names the client in `X-Forwarded-For`. Only then is an address
    /// that other machines reach allowed without TLS.
    pub behind_proxy: bool,
    /// The blocks of addresses in which those proxies are. Nobody else's word on where a request comes from
    /// is taken.
    pub trusted_proxies: Vec<String>,
    /// The origins whose pages may call, exactly as browsers write them.
    pub allowed_origins: Vec<String>,
    /// The address that clients use, without a path; the default token issuer.
    pub public_url: Option<String>,
    /// How long a request may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// The largest request body, in bytes.
    pub body_limit_bytes: usize,
    /// How long requests may go on after the order to stop, in milliseconds.
    pub shutdown_grace_ms: u64,
    /// TLS by the server itself.
    pub tls: Tls,
}

/// The server's own certificate: both files or neither.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
}

impl Tls {
    /// Certificate and key, where the server ends TLS itself.
    #[must_use]
    pub fn files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.certificate.as_ref().zip(self.key.as_ref())
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8420),
            behind_proxy: false,
            trusted_proxies: vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()],
            allowed_origins: Vec::new(),
            public_url: None,
            request_timeout_ms: 10_000,
            body_limit_bytes: 256 * 1024,
            shutdown_grace_ms: 10_000,
            tls: Tls::default(),
        }
    }
}
