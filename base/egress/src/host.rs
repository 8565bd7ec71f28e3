//! Hosts of URLs, and patterns of them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::network::{Network, NetworkError};

/// The host of a URL, as it is connected to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name: ASCII, lower case, no point at its end.
    Name(Box<str>),
    /// An address, IPv4 never in IPv6 clothes.
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an operator names: one host, all beneath one, or a block of addresses.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// This name alone.
    Name(Box<str>),
    /// Every name beneath this one, and not it: `*.example.com`.
    Beneath(Box<str>),
    /// Addresses.
    Network(Network),
}

/// Text that is no pattern of hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It looks like a block of addresses and is none.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It is no name either.
    #[error(
        "`{0}` is not a host (`api.example.com`, `*.example.com`) or a block of addresses (`10.1.0.0/16`)"
    )]
    Name(String),
}

impl Pattern {
    pub(crate) fn takes_name(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => **name == *host,
            Self::Beneath(suffix) => host
                .strip_suffix(&**suffix)
                .and_then(|before| before.strip_suffix('.'))
                .is_some_and(|before| !before.is_empty()),
            Self::Network(_) => false,
        }
    }

    pub(crate) fn takes_address(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.contains(address))
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let last = text.rsplit('.').next().unwrap_or_default();
        let is_numeric = last.starts_with(|first: char| first.is_ascii_digit());
        if text.contains(['/', ':']) || is_numeric {
            return Ok(Self::Network(text.parse()?));
        }
        let lower = text.to_ascii_lowercase();
        let (name, is_beneath) = match lower.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (lower.as_str(), false),
        };
        if !is_name(name) {
            return Err(PatternError::Name(text.to_owned()));
        }
        Ok(if is_beneath { Self::Beneath(name.into()) } else { Self::Name(name.into()) })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Beneath(suffix) => write!(f, "*.{suffix}"),
            Self::Network(network) => fmt::Display::fmt(network, f),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether text is a host's name as DNS carries it (RFC 1035, with the underscore that people use).
pub(crate) fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_what_they_say() {
        let takes = |pattern: &str, host: &str| pattern.parse::<Pattern>().unwrap().takes_name(host);
        assert!(takes("API.example.com", "api.example.com"));
        assert!(!takes("api.example.com", "x.api.example.com"));
        assert!(takes("*.example.com", "a.b.example.com"));
        for host in ["example.com", "evilexample.com", ".example.com", "example.com.evil"] {
            assert!(!takes("*.example.com", host), "{host}");
        }
        let network: Pattern = "10.0.0.0/8".parse().unwrap();
        assert!(network.takes_address([10, 1, 1, 1].into()) && !network.takes_name("10.1.1.1"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "a..b",
            "a.*.b",
            "*a.b",
            "a b",
            "a.",
            ".a",
            "bücher.de",
            "10.0.0",
            "1.2.3.4.5",
            "https://a",
        ] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }
}
