//! How long a request may take, and how much its answer may be.

use std::time::Duration;

/// The limits of one request. What reaches one is ended there, not measured afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For each hop: to resolve, to connect and to agree on TLS.
    pub connect: Duration,
    /// For each hop: from handing over the request until the answer's head is whole.
    pub head: Duration,
    /// For everything, redirects and the body included.
    pub total: Duration,
    /// The answer's body, in bytes: as it comes over the wire, and again unpacked.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(15),
            total: Duration::from_secs(30),
            body_bytes: 1024 * 1024,
        }
    }
}
