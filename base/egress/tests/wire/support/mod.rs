//! What the tests talk to, and the way out that they talk through.

pub(crate) mod dns;
pub(crate) mod tls;
pub(crate) mod upstream;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use chancery_egress::{
    Answer, Egress, Failure, Limits, Outgoing, Permit, Pins, PoolKey, Reach, Refusal, Rules, Settings, Target,
};
use http::{HeaderMap, Method};

pub(crate) use dns::NameServer;
pub(crate) use upstream::Upstream;

/// Rules that let the tests reach their own loopback in plain HTTP.
pub(crate) fn loopback_rules() -> Rules {
    let loopback = || vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    Rules { allow: loopback(), allow_plain_http: loopback(), ..Rules::default() }
}

pub(crate) fn settings() -> Settings {
    Settings { rules: loopback_rules(), ..Settings::default() }
}

pub(crate) fn egress() -> Egress {
    Egress::new(settings()).unwrap()
}

pub(crate) fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(10),
        head: Duration::from_secs(10),
        total: Duration::from_secs(20),
        body_bytes: 64 * 1024,
    }
}

pub(crate) fn permit() -> Permit {
    Permit {
        pool: PoolKey { organization: 1, policy: 1 },
        reach: Reach::Allowed,
        pins: Pins::unbound(),
        limits: limits(),
        redirects: 0,
    }
}

pub(crate) fn following(redirects: u8) -> Permit {
    Permit { redirects, ..permit() }
}

pub(crate) fn get(url: impl AsRef<str>) -> Outgoing {
    Outgoing {
        method: Method::GET,
        target: Target::parse(url.as_ref()).unwrap(),
        headers: HeaderMap::new(),
        credential_headers: HeaderMap::new(),
        body: Bytes::new(),
    }
}

pub(crate) fn post(url: impl AsRef<str>, body: &'static str) -> Outgoing {
    Outgoing { method: Method::POST, body: Bytes::from_static(body.as_bytes()), ..get(url) }
}

pub(crate) fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

/// The refusal that ended a request.
pub(crate) fn refusal(outcome: Result<Answer, Failure>) -> Refusal {
    match outcome.unwrap_err().cause() {
        chancery_egress::Cause::Refused(refusal) => refusal.clone(),
        other => panic!("not refused: {other}"),
    }
}

/// An address of this machine on which nothing listens.
pub(crate) fn closed_port() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}
