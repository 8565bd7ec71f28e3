//! Where a request goes: a URL, parsed once. What is connected to is what was parsed.

use std::fmt;
use std::net::IpAddr;

use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Uri};
use url::Url;

use crate::address::is_metadata_name;
use crate::host::{Host, is_name};

/// How it is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Over TLS.
    Https,
    /// In the clear.
    Http,
}

impl Scheme {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// A URL that may be asked for, as far as its text tells.
///
/// It is printed as scheme, host and port: paths and queries hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    host: Host,
    port: u16,
    url: Url,
    uri: Uri,
    host_header: HeaderValue,
}

/// Why a URL is refused for its text alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// No URL at all, or longer than 8 KiB.
    #[error("is not a URL")]
    Malformed,
    /// Another scheme than `https` and `http`, or not followed by `//`.
    #[error("does not begin with `https://` or `http://`")]
    Scheme,
    /// Blanks or characters that readers of URLs drop without a word.
    #[error("holds blanks or control characters")]
    Control,
    /// A backslash, which some take for a slash.
    #[error("holds a backslash")]
    Backslash,
    /// A name and a password before the host.
    #[error("holds a user's name before the host")]
    Userinfo,
    /// No host.
    #[error("has no host")]
    NoHost,
    /// The host reads as another than the one that is written: characters dropped, mapped, or encoded.
    #[error("has a host that is spelled in another way than it is read")]
    HostSpelling,
    /// The host is no name that DNS could hold.
    #[error("has a host that is no name")]
    HostName,
    /// A point at the end of the host, which some compare and others drop.
    #[error("has a host that ends with a point")]
    TrailingDot,
    /// `localhost`, or a name beneath it.
    #[error("names this machine")]
    Localhost,
    /// A name at which clouds give out credentials.
    #[error("names a service that gives out credentials of the machine")]
    MetadataName,
    /// Port 0.
    #[error("has port 0")]
    PortZero,
}

const MOST_BYTES: usize = 8 * 1024;

impl Target {
    /// Reads a URL. A fragment is dropped: it is not sent.
    ///
    /// # Errors
    /// Whatever two readers could read differently, and what names this machine or a metadata service.
    /// Addresses are judged when they are known, see [`crate::Egress::send`].
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        check_raw(text)?;
        let rest = after_scheme(text)?;
        let raw_authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if raw_authority.contains('@') {
            return Err(TargetError::Userinfo);
        }
        if raw_authority.is_empty() || raw_authority.starts_with(':') {
            return Err(TargetError::NoHost);
        }
        let url = Url::parse(text).map_err(|_| TargetError::Malformed)?;
        let raw_host = match raw_authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            _ => raw_authority,
        };
        Self::of(url, Some(raw_host))
    }

    /// Where a redirect from here leads: a URL, or what stands for one seen from this.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn join(&self, location: &str) -> Result<Self, TargetError> {
        if location.contains("://") && after_scheme(location).is_ok() {
            return Self::parse(location);
        }
        check_raw(location)?;
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme.text()));
        }
        // Whatever else names a scheme is read as such, and refused where it is not ours.
        let url = self.url.join(location).map_err(|_| TargetError::Malformed)?;
        Self::of(url, None)
    }

    /// `raw_host` is the host as it was written, where it was.
    fn of(mut url: Url, raw_host: Option<&str>) -> Result<Self, TargetError> {
        let scheme = match url.scheme() {
            "https" => Scheme::Https,
            "http" => Scheme::Http,
            _ => return Err(TargetError::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Userinfo);
        }
        let host = match url.host() {
            Some(url::Host::Domain(name)) => check_name(name, raw_host)?,
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(IpAddr::V6(address).to_canonical()),
            None => return Err(TargetError::NoHost),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(TargetError::PortZero)?;
        url.set_fragment(None);
        let (uri, host_header) = uri_of(&url, scheme).ok_or(TargetError::Malformed)?;
        Ok(Self { scheme, host, port, url, uri, host_header })
    }

    /// How it is spoken.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// To whom.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// At which port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The whole, path and query included: not for logs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// The whole, for HTTP/2.
    pub(crate) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Path and query, for the first line of HTTP/1.
    pub(crate) fn path(&self) -> Uri {
        self.uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from)
    }

    /// The `host` header of HTTP/1.
    pub(crate) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }

    /// Whether what was meant for the one may be told to the other (RFC 6454).
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host == other.host && self.port == other.port
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.text(), self.host, self.port)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `url` strips tabs and line breaks from anywhere and blanks from both ends, and takes `\` for `/`:
/// what somebody else checked would not be what we connect to.
fn check_raw(text: &str) -> Result<(), TargetError> {
    if text.len() > MOST_BYTES {
        return Err(TargetError::Malformed);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(TargetError::Control);
    }
    let before_query = text.split(['?', '#']).next().unwrap_or_default();
    if before_query.contains('\\') {
        return Err(TargetError::Backslash);
    }
    Ok(())
}

/// What stands after `https://`. `url` would take `https:host` and `https:////host` too.
fn after_scheme(text: &str) -> Result<&str, TargetError> {
    let (scheme, rest) = text.split_once("://").ok_or(TargetError::Scheme)?;
    if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") {
        Ok(rest)
    } else {
        Err(TargetError::Scheme)
    }
}

fn check_name(name: &str, raw: Option<&str>) -> Result<Host, TargetError> {
    if name.ends_with('.') {
        return Err(TargetError::TrailingDot);
    }
    if !is_name(name) {
        return Err(TargetError::HostName);
    }
    if name == "localhost" || name.ends_with(".localhost") {
        return Err(TargetError::Localhost);
    }
    if is_metadata_name(name) {
        return Err(TargetError::MetadataName);
    }
    if raw.is_some_and(|raw| !is_spelled_as_read(raw, name)) {
        return Err(TargetError::HostSpelling);
    }
    Ok(Host::Name(name.into()))
}

/// Whether the host is read as it is written, but for upper case and the encoding of what is not ASCII.
/// Domain names are mapped (UTS 46): soft hyphens and zero-width characters vanish, full-width letters
/// and ideographic points become others. Where it matters, that is how a check is passed by.
fn is_spelled_as_read(raw: &str, read: &str) -> bool {
    if raw.is_ascii() {
        return raw.eq_ignore_ascii_case(read);
    }
    let (back, outcome) = idna::domain_to_unicode(read);
    outcome.is_ok() && back == raw.to_lowercase()
}

/// As a request says it: `http` has the last word on what may stand in one.
fn uri_of(url: &Url, scheme: Scheme) -> Option<(Uri, HeaderValue)> {
    use url::Position::{AfterQuery, BeforeHost, BeforePath};
    let authority: Authority = url[BeforeHost..BeforePath].parse().ok()?;
    let path: PathAndQuery = url[BeforePath..AfterQuery].parse().ok()?;
    let host_header = HeaderValue::from_str(authority.as_str()).ok()?;
    let uri = Uri::builder().scheme(scheme.text()).authority(authority).path_and_query(path).build().ok()?;
    Some((uri, host_header))
}
