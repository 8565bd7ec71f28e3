//! The hosts that one caller's requests are bound to.

use std::fmt;
use std::str::FromStr;

use crate::host::{Host, is_name};
use crate::target::Target;

/// One host, at one port or at any.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pin {
    host: Host,
    port: Option<u16>,
}

/// Text that is no pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host with or without a port (`api.example.com`, `10.0.0.1:8443`, `[2001:db8::1]`)")]
pub struct PinError(String);

impl Pin {
    /// The host and port of a target.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        Self { host: target.host().clone(), port: Some(target.port()) }
    }

    fn takes(&self, target: &Target) -> bool {
        self.host == *target.host() && self.port.is_none_or(|port| port == target.port())
    }
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || PinError(text.to_owned());
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let port: u16 = port.parse().map_err(|_| wrong())?;
                (host, Some(port).filter(|port| *port != 0).ok_or_else(wrong).map(Some)?)
            }
            _ => (text, None),
        };
        let lower = host.to_ascii_lowercase();
        let host = if let Some(inner) = lower.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: std::net::Ipv6Addr = inner.parse().map_err(|_| wrong())?;
            Host::Address(std::net::IpAddr::V6(address).to_canonical())
        } else if let Ok(address) = lower.parse::<std::net::Ipv4Addr>() {
            Host::Address(address.into())
        } else if is_name(&lower) {
            Host::Name(lower.into())
        } else {
            return Err(wrong());
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => fmt::Display::fmt(&self.host, f),
        }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hosts that a request may go to, redirects included. Without a pin it goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pins(Bound);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Bound {
    To(Box<[Pin]>),
    Nothing,
}

impl Pins {
    /// Bound to these.
    #[must_use]
    pub fn to(pins: impl IntoIterator<Item = Pin>) -> Self {
        Self(Bound::To(pins.into_iter().collect()))
    }

    /// Bound to no host: to wherever the rules let a request go.
    #[must_use]
    pub const fn unbound() -> Self {
        Self(Bound::Nothing)
    }

    pub(crate) fn take(&self, target: &Target) -> bool {
        match &self.0 {
            Bound::To(pins) => pins.iter().any(|pin| pin.takes(target)),
            Bound::Nothing => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_takes_its_host_and_its_port_only() {
        let takes =
            |pin: &str, url: &str| Pins::to([pin.parse().unwrap()]).take(&Target::parse(url).unwrap());
        assert!(takes("API.example.com", "https://api.example.com/x"));
        assert!(takes("api.example.com", "https://api.example.com:8443/x"));
        assert!(takes("api.example.com:443", "https://api.example.com/x"));
        assert!(!takes("api.example.com:443", "https://api.example.com:8443/x"));
        assert!(!takes("api.example.com", "https://x.api.example.com/"));
        assert!(takes("127.0.0.1:80", "http://0x7f.1/"));
        assert!(takes("[::ffff:127.0.0.1]", "http://127.0.0.1/"));
        assert!(!Pins::to([]).take(&Target::parse("https://example.com").unwrap()));
    }

    #[test]
    fn what_is_no_pin_is_refused() {
        for text in ["", "a:0", "a:x", "a:65536", "https://a", "a/b", "[::1", "*.a.b", "a b", "[a]", "u@a"] {
            assert!(text.parse::<Pin>().is_err(), "{text}");
        }
    }
}
