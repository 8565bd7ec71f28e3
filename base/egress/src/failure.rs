//! What went wrong: one text for whoever asked, another for the log, and whether anything was sent.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::address::Reason;
use crate::target::TargetError;

/// Whether the other side may have got the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// No byte of it left: it can be sent again as if it had never been asked for.
    No,
    /// Some of it may have arrived, and may have been acted on.
    Perhaps,
}

/// What kind of failure: all that a stranger is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It must not be reached.
    Refused,
    /// It can't be resolved, connected to, or trusted, or the connection broke.
    Unreachable,
    /// A limit of time was reached.
    TimedOut,
    /// A limit of size was reached.
    TooLarge,
    /// The answer does not read as HTTP, or as the encoding that it claims.
    Invalid,
}

impl FailureKind {
    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused => "egress_refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::TooLarge => "answer_too_large",
            Self::Invalid => "answer_invalid",
        }
    }
}

/// A request that got no answer. Printed, it is its code; the [`cause`](Self::cause) tells more, of
/// addresses inside too, and is for the log alone.
#[derive(Debug)]
pub struct Failure {
    cause: Cause,
    sent: Sent,
}

impl Failure {
    pub(crate) const fn new(cause: Cause, sent: Sent) -> Self {
        Self { cause, sent }
    }

    /// What kind.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        match &self.cause {
            Cause::Refused(_) => FailureKind::Refused,
            Cause::Resolve(_)
            | Cause::NoAddress
            | Cause::Connect { .. }
            | Cause::WrongPeer { .. }
            | Cause::Tls(_)
            | Cause::Broken(_) => FailureKind::Unreachable,
            Cause::TimedOut(_) => FailureKind::TimedOut,
            Cause::BodyTooLarge { .. } | Cause::HeadTooLarge => FailureKind::TooLarge,
            Cause::Malformed(_) | Cause::Encoding(_) => FailureKind::Invalid,
        }
    }

    /// The stable code of its kind.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind().code()
    }

    /// Why, in full: for the log.
    #[must_use]
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Whether the request may have left. `No` is certain.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        self.sent
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Without a source: whoever prints the chain of an error would print the cause to a stranger.
impl std::error::Error for Failure {}

/// Where a request was when its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A name was being resolved.
    Resolve,
    /// A connection was being made, TLS included.
    Connect,
    /// The request was sent and the answer's head awaited.
    Head,
    /// The answer's body was being read.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Head => "waiting for the head of the answer",
            Self::Body => "reading the answer",
        })
    }
}

/// Why there is no answer, for the log. It holds addresses and names, and nothing of paths, headers or
/// bodies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// It must not be reached.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// DNS gave no answer.
    #[error("the name does not resolve: {0}")]
    Resolve(String),
    /// DNS knows the name and no address of it.
    #[error("the name has no address")]
    NoAddress,
    /// No address could be connected to; the last is told.
    #[error("`{place}` can't be connected to: {source}")]
    Connect {
        /// Where.
        place: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The socket is connected to another address than the one that was judged.
    #[error("connected to `{found:?}` instead of `{place}`")]
    WrongPeer {
        /// What was judged.
        place: SocketAddr,
        /// What the socket says.
        found: Option<SocketAddr>,
    },
    /// The other side can't prove who it is.
    #[error("no TLS: {0}")]
    Tls(io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] hyper::Error),
    /// A limit of time.
    #[error("timed out while {0}")]
    TimedOut(Phase),
    /// The body is larger than what is taken.
    #[error("the answer's body is larger than {limit} bytes")]
    BodyTooLarge {
        /// What is taken.
        limit: usize,
    },
    /// The head is larger, or has more lines, than what is taken.
    #[error("the answer's head is too large")]
    HeadTooLarge,
    /// It is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    Malformed(#[source] hyper::Error),
    /// The body is not packed as its head says, or in a way that is not taken.
    #[error("the answer's body can't be unpacked: {0}")]
    Encoding(&'static str),
}

impl Cause {
    /// An error of hyper before there was a head.
    pub(crate) fn of_sending(error: hyper::Error) -> Self {
        if error.is_parse_too_large() {
            Self::HeadTooLarge
        } else if error.is_parse() {
            Self::Malformed(error)
        } else {
            Self::Broken(error)
        }
    }

    /// An error of hyper while a body was read.
    pub(crate) fn of_reading(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Malformed(error) } else { Self::Broken(error) }
    }
}

/// Why a request must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A URL, or a redirect's, is refused for its text.
    #[error("the URL {0}")]
    Target(#[from] TargetError),
    /// The host is none of those that the caller is bound to.
    #[error("the host is none that this caller is bound to")]
    NotPinned,
    /// Plain HTTP, and the operator does not allow it there.
    #[error("plain HTTP is not allowed there")]
    PlainHttp,
    /// A port of another protocol.
    #[error("port {0} is another protocol's")]
    Port(u16),
    /// A name of one label, which no public DNS has, and the operator does not list it.
    #[error("a name without a point is not public")]
    SingleLabel,
    /// One of its addresses.
    #[error("`{address}` {reason}")]
    Address {
        /// Which.
        address: IpAddr,
        /// Why.
        reason: Reason,
    },
    /// `CONNECT` or `TRACE`.
    #[error("the method makes no request")]
    Method,
    /// A header that is not the caller's to set.
    #[error("the header `{0}` is not the caller's to set")]
    Header(http::HeaderName),
    /// More redirects than were to be followed.
    #[error("more redirects than {0}")]
    Redirects(u8),
    /// A redirect from HTTPS to HTTP.
    #[error("a redirect from HTTPS to plain HTTP")]
    Downgrade,
    /// A redirect whose `location` is missing or not text.
    #[error("a redirect to nowhere")]
    Location,
}

/// Why there is no way out at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The certificates of the operator's own authorities do not read.
    #[error("the certificates of `extra_roots_pem` do not read: {0}")]
    Roots(String),
    /// The resolver can't be made.
    #[error("the resolver can't be set up: {0}")]
    Resolver(String),
    /// TLS can't be set up.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
}
