//! Where a connector is: its origin, to which everything it does is pinned, and a path before all paths.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use url::Url;

/// The longest base URL, in bytes.
const MAX_BYTES: usize = 1_024;
const RULE: &str = "a base URL is `https://host`, with a port and a path if need be, in its plain spelling: a host in ASCII, no user, query, fragment, `%`, `.` or empty segment";

/// `https://host[:port][/prefix]`, in the one spelling that the URL standard (WHATWG) gives it.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    origin: Box<str>,
    /// Empty, or beginning with `/` and not ending with it.
    prefix: Box<str>,
}

impl BaseUrl {
    /// Scheme, host and port: `https://api.example.org`. A credential is bound to it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The path that stands before each operation's; empty or `/…`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it is reached without TLS, which the operator must allow.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.origin.starts_with("http:")
    }
}

impl FromStr for BaseUrl {
    type Err = &'static str;

    /// Takes only what already is what the standard makes of it, but for the case of scheme and host, the
    /// default port and one `/` at the end: a spelling that another reader could read otherwise (`0x7f.1`,
    /// `a@b`, `host.`, `\`) is refused, not corrected.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(RULE)?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let prefix = path.strip_suffix('/').unwrap_or(path);
        let origin = format!("{scheme}://{authority}").to_ascii_lowercase();
        let parsed = Url::parse(&format!("{origin}{prefix}")).map_err(|_| RULE)?;
        let default = match parsed.scheme() {
            "https" => ":443",
            "http" => ":80",
            _ => return Err("a base URL begins with `https://`, or `http://` where the operator allows it"),
        };
        let plain = parsed.origin().ascii_serialization();
        let same = origin.strip_suffix(default).unwrap_or(&origin) == plain;
        let host = parsed.host_str().unwrap_or_default();
        let segments = prefix.is_empty() || prefix.split('/').skip(1).all(is_literal_segment);
        let fits = text.len() <= MAX_BYTES
            && same
            && !host.is_empty()
            && !host.ends_with('.')
            && parsed.port() != Some(0)
            && parsed.query().is_none()
            && parsed.fragment().is_none()
            && segments
            && parsed.path() == if prefix.is_empty() { "/" } else { prefix };
        if fits { Ok(Self { origin: plain.into(), prefix: prefix.into() }) } else { Err(RULE) }
    }
}

/// Text that stands in a path as itself and can't move in it: what RFC 3986 lets stand in a segment, but
/// for `%`, and no dot segment.
fn is_literal_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_literal)
}

/// What RFC 3986 §3.3 lets stand in a segment, but for `%`.
pub(crate) const fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.prefix)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for BaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_read_into_its_one_spelling() {
        for (sent, kept) in [
            ("https://api.example.org", "https://api.example.org"),
            ("HTTPS://Api.Example.org:443/", "https://api.example.org"),
            ("https://api.example.org:8443/v1/", "https://api.example.org:8443/v1"),
            ("http://127.0.0.1:8080/a/b", "http://127.0.0.1:8080/a/b"),
            ("https://[2001:db8::1]/x", "https://[2001:db8::1]/x"),
        ] {
            assert_eq!(sent.parse::<BaseUrl>().unwrap().to_string(), kept, "{sent}");
        }
    }

    #[test]
    fn what_could_be_read_as_another_host_is_refused() {
        for bad in [
            "",
            "api.example.org",
            "ftp://a.example",
            "https://",
            "https:///a",
            "https://user@a.example",
            "https://user:pass@a.example",
            "https://a.example?x=1",
            "https://a.example/?x=1",
            "https://a.example#f",
            "https://a.example/#f",
            "https://a.example\\b",
            "https://a.example\\@b.example/",
            "https://a.example/b\\c",
            "https://0x7f.1",
            "https://2130706433",
            "https://127.1",
            "https://a.example.",
            "https://a.example:0",
            "https://a.example:99999",
            "https://b\u{fc}cher.example",
            "https://a.ex\u{ad}ample",
            "https://a.exa\tmple",
            " https://a.example",
            "https://a.example ",
            "https://a.example//",
            "https://a.example/a//b",
            "https://a.example/../b",
            "https://a.example/./b",
            "https://a.example/%2e%2e/b",
            "https://a.example/a%2fb",
            "https://a.example/{arguments.x}",
            "https://%61.example",
        ] {
            assert!(bad.parse::<BaseUrl>().is_err(), "{bad:?}");
        }
        assert!(format!("https://a.example/{}", "x".repeat(MAX_BYTES)).parse::<BaseUrl>().is_err());
    }
}
