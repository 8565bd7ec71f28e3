//! `[egress]`: the way out to connectors and webhooks.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What may be reached beyond public addresses over HTTPS, and how much of an answer is taken.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Egress {
    /// Hosts and blocks of addresses that may be reached although they are not public.
    pub allow: Vec<String>,
    /// Hosts and blocks of addresses that may be spoken to in plain HTTP.
    pub allow_plain_http: Vec<String>,
    /// Prefixes of this network's own translators from IPv6 to IPv4.
    pub nat64_prefixes: Vec<String>,
    /// The name servers to ask; the system's if there are none.
    pub name_servers: Vec<String>,
    /// Certificate authorities to trust beside the system's; none if not set.
    pub ca_file: Option<PathBuf>,
    /// For each hop: to resolve, connect and agree on TLS.
    pub connect_timeout_ms: u64,
    /// For each hop: from the request to the head of the answer.
    pub head_timeout_ms: u64,
    /// For everything together.
    pub timeout_ms: u64,
    /// The largest body of an answer, packed or unpacked.
    pub body_limit_bytes: usize,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_plain_http: Vec::new(),
            nat64_prefixes: Vec::new(),
            name_servers: Vec::new(),
            ca_file: None,
            connect_timeout_ms: 5_000,
            head_timeout_ms: 15_000,
            timeout_ms: 30_000,
            body_limit_bytes: 1024 * 1024,
        }
    }
}

/// The port of DNS.
const DNS: u16 = 53;

impl Egress {
    /// A name server as it stands in the configuration: an address, with or without a port.
    #[must_use]
    pub fn name_server(text: &str) -> Option<SocketAddr> {
        let address = || Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, DNS));
        text.parse().ok().or_else(address).filter(|place| place.port() != 0)
    }
}
