//! What a redirect makes of a request (RFC 9110, 15.4; the Fetch standard for methods).

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};

use crate::failure::Refusal;
use crate::outgoing::{CREDENTIALS, Outgoing};
use crate::target::{Scheme, Target};

/// What is said of a body, and goes with it.
const OF_THE_BODY: &[&str] =
    &["content-type", "content-encoding", "content-language", "content-location", "content-digest", "digest"];

pub(crate) const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where an answer leads.
pub(crate) fn destination(from: &Target, headers: &HeaderMap) -> Result<Target, Refusal> {
    let mut locations = headers.get_all(header::LOCATION).iter();
    let (Some(location), None) = (locations.next(), locations.next()) else {
        return Err(Refusal::Location);
    };
    let location = location.to_str().map_err(|_| Refusal::Location)?;
    let to = from.join(location)?;
    if from.scheme() == Scheme::Https && to.scheme() == Scheme::Http {
        return Err(Refusal::Downgrade);
    }
    Ok(to)
}

/// Turns a request to where it is led. What went to another origin once has no credentials any more,
/// even if it comes back.
pub(crate) fn follow(mut request: Outgoing, status: StatusCode, to: Target) -> Outgoing {
    let becomes_get = match status.as_u16() {
        303 => request.method != Method::HEAD,
        301 | 302 => request.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        request.method = Method::GET;
        request.body = Bytes::new();
        for &name in OF_THE_BODY {
            request.headers.remove(name);
            request.credential_headers.remove(name);
        }
    }
    if !request.target.is_same_origin(&to) {
        request.credential_headers.clear();
        for &name in CREDENTIALS {
            request.headers.remove(name);
        }
    }
    request.target = to;
    request
}
