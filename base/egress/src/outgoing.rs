//! A request and its answer, as the caller sees them.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::failure::Refusal;
use crate::limits::Limits;
use crate::pins::Pins;
use crate::pool::PoolKey;
use crate::rules::Reach;
use crate::target::Target;

/// A request.
#[derive(Clone)]
pub struct Outgoing {
    /// Its method; not `CONNECT` or `TRACE`.
    pub method: Method,
    /// Where to.
    pub target: Target,
    /// What any server on the way of its redirects may see.
    pub headers: HeaderMap,
    /// What only the target's own origin may see: keys, signatures, cookies. A redirect to another
    /// origin goes without them. `authorization`, `proxy-authorization` and `cookie` are held to be so
    /// wherever they stand.
    pub credential_headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// What a request is let do.
#[derive(Clone, Debug)]
pub struct Permit {
    /// With whom it shares connections.
    pub pool: PoolKey,
    /// How far it may go.
    pub reach: Reach,
    /// The hosts that it is bound to.
    pub pins: Pins,
    /// Its limits.
    pub limits: Limits,
    /// How many redirects are followed; the next is a failure. With 0 a redirect is an answer.
    pub redirects: u8,
}

/// An answer, whole.
#[derive(Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers. Those that told how the body was packed are gone where it was unpacked.
    pub headers: HeaderMap,
    /// Its body, unpacked.
    pub body: Bytes,
    /// Who answered.
    pub peer: SocketAddr,
    /// The method of the request that it answers: a redirect may have made another of it.
    pub method: Method,
    /// How many redirects were followed.
    pub redirects: u8,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("peer", &self.peer)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What frames a message, or speaks for one connection: whoever sets these smuggles.
const NOT_THE_CALLERS: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "http2-settings",
];

/// Credentials by their name.
pub(crate) const CREDENTIALS: &[&str] = &["authorization", "proxy-authorization", "cookie", "cookie2"];

impl Outgoing {
    /// Whether it is a request that we would send to anybody.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.method == Method::CONNECT || self.method == Method::TRACE {
            return Err(Refusal::Method);
        }
        let mut names = self.headers.keys().chain(self.credential_headers.keys());
        match names.find(|name| NOT_THE_CALLERS.contains(&name.as_str())) {
            Some(name) => Err(Refusal::Header(name.clone())),
            None => Ok(()),
        }
    }
}
