//! What a request says before its body is read, and its id.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use axum::RequestExt;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use chancery_api::Code;
use chancery_crypto::Random;
use chancery_model::{Clock, KeyId, OrgId};
use chancery_store::Scope;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::ApiError;

/// Echoed when well-formed, made otherwise; in every answer and every line of the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Makes a repeated request the same request.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The id of one request: the client's own when it is 1–64 of `A-Z a-z 0-9 . _ -`, else a new UUIDv7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id of a request with these headers.
    pub(crate) fn of(headers: &HeaderMap, clock: &dyn Clock, random: &dyn Random) -> Self {
        match headers.get(REQUEST_ID) {
            Some(sent) if is_well_formed(sent.as_bytes()) => Self(sent.clone()),
            _ => Self::new(clock, random),
        }
    }

    fn new(clock: &dyn Clock, random: &dyn Random) -> Self {
        // A key id is a UUIDv7 like any other; only its text is used.
        let id = KeyId::new(clock.now(), random.bytes()).to_string();
        Self(HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("none")))
    }

    /// The id as a header.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_well_formed(id: &[u8]) -> bool {
    (1..=64).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Who turned out to be asking: for the log, and so that a repeated run is not charged again.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) org: OrgId,
    pub(crate) key: KeyId,
    /// What is remembered of the organization stands in the cache at this scope's epoch.
    pub(crate) scope: Scope,
}

/// A request without its body.
pub struct Head {
    pub(crate) id: RequestId,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) params: Vec<(Box<str>, Box<str>)>,
    seen: Mutex<Option<Seen>>,
}

/// Headers hold an API key, and a query anything: only the id is shown.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("id", &self.id.as_str()).finish_non_exhaustive()
    }
}

impl Head {
    /// Splits a request.
    pub(crate) async fn split(id: RequestId, mut request: Request) -> Result<(Self, Body), ApiError> {
        let params = request.extract_parts::<RawPathParams>().await;
        let (parts, body) = request.into_parts();
        let params = match &params {
            Ok(params) => params.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            // No route was matched, so there is nothing to name.
            Err(RawPathParamsRejection::MissingPathParams(_)) => Vec::new(),
            // A path that is not UTF-8 names nothing.
            Err(_) => return Err(ApiError::not_found()),
        };
        let head = Self { id, uri: parts.uri, headers: parts.headers, params, seen: Mutex::new(None) };
        Ok((head, body))
    }

    /// Who asks, as far as the last run got.
    pub(crate) fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers who asks; gives who it was in the run before.
    pub(crate) fn see(&self, seen: Seen) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).replace(seen)
    }

    /// The request's id.
    #[must_use]
    pub const fn request_id(&self) -> &RequestId {
        &self.id
    }

    /// A part of the path by its name in the route. What is not of its type names nothing: 404.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn param<T: FromStr>(&self, name: &str) -> Result<T, ApiError> {
        self.params
            .iter()
            .find(|(given, _)| &**given == name)
            .and_then(|(_, value)| value.parse().ok())
            .ok_or_else(ApiError::not_found)
    }

    /// A header that may stand once, as text.
    ///
    /// # Errors
    /// [`Code::HeaderInvalid`] when it stands twice or is not visible ASCII.
    pub fn header(&self, name: &HeaderName) -> Result<Option<&str>, ApiError> {
        let refuse = |rule| ApiError::new(Code::HeaderInvalid, rule).at(name.as_str());
        let mut values = self.headers.get_all(name).iter();
        let Some(first) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(refuse("the header stands more than once"));
        }
        first.to_str().map(Some).map_err(|_| refuse("the header is not visible ASCII"))
    }

    /// The idempotency key: 1–128 visible ASCII characters.
    ///
    /// # Errors
    /// [`Code::HeaderInvalid`] when it breaks its rule.
    pub fn idempotency_key(&self) -> Result<Option<&str>, ApiError> {
        let key = self.header(&IDEMPOTENCY_KEY)?;
        let fits = |key: &str| (1..=128).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        if key.is_some_and(|key| !fits(key)) {
            return Err(ApiError::new(
                Code::HeaderInvalid,
                "an idempotency key is 1 to 128 visible ASCII characters",
            )
            .at(IDEMPOTENCY_KEY.as_str()));
        }
        Ok(key)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use chancery_crypto::SeededRandom;
    use chancery_model::{ManualClock, Timestamp};

    pub(crate) fn id() -> RequestId {
        RequestId(HeaderValue::from_static("test"))
    }

    fn id_for(sent: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(sent) = sent {
            headers.insert(REQUEST_ID, HeaderValue::from_str(sent).unwrap());
        }
        let clock = ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000));
        RequestId::of(&headers, &clock, &SeededRandom::new(7)).to_string()
    }

    #[test]
    fn a_well_formed_request_id_is_echoed_and_any_other_replaced() {
        assert_eq!(id_for(Some("req-1.A_z")), "req-1.A_z");
        let longest = "x".repeat(64);
        assert_eq!(id_for(Some(&longest)), longest);
        let made = id_for(None);
        assert_eq!(uuid::Uuid::parse_str(&made).unwrap().get_version_num(), 7);
        for bad in ["", "a b", "a\"b", "a/b", "x\ty", &"x".repeat(65)] {
            assert_eq!(id_for(Some(bad)), made, "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_key_in_a_header_is_never_printed() {
        let request = Request::builder().uri("/x?token=chn_live_q").header("x-api-key", "chn_live_k");
        let (head, _) = Head::split(id(), request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(format!("{head:?}"), "Head { id: \"test\", .. }");
    }
}
