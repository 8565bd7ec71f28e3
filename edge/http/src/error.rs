//! The one failure of the API and the one place that renders it.

use std::borrow::Cow;
use std::fmt;

use axum::body::Body;
use chancery_api::{Code, ErrorBody, Failure};
use chancery_screen::Retry;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// A request that failed: one text for the caller, another for us.
#[derive(Debug)]
pub struct ApiError(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    code: Code,
    message: Cow<'static, str>,
    field: Option<String>,
    data: Option<Box<RawValue>>,
    cause: Option<String>,
    retry_after_seconds: Option<u64>,
    limit: Option<u32>,
    stale: Option<i64>,
}

impl ApiError {
    /// A failure with its text for the caller.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Refusal {
            code,
            message: message.into(),
            field: None,
            data: None,
            cause: None,
            retry_after_seconds: None,
            limit: None,
            stale: None,
        }))
    }

    /// Absent, or another organization's: the same answer, so that nobody learns which.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such thing here")
    }

    /// A defect of ours: the caller learns nothing of it.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(Code::Internal, "the server failed; the request id finds it in the log").because(cause)
    }

    /// The organization changed since the caller's rights were read: the request is run again.
    #[must_use]
    pub fn stale(epoch: i64) -> Self {
        let mut error = Self::new(Code::OrganizationBusy, "the organization changes too fast; try again");
        error.0.stale = Some(epoch);
        error.0.retry_after_seconds = Some(1);
        error
    }

    /// The part of the request it is about.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// What to write into the log: never a secret, never text that a user supplied.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// What belongs to the failure: a decision, the problems of a policy.
    #[must_use]
    pub fn with(mut self, data: &impl Serialize) -> Self {
        match to_raw_value(data) {
            Ok(data) => self.0.data = Some(data),
            // What is answered is made of maps with texts as keys: there is no such failure.
            Err(error) => tracing::error!(%error, "what belongs to a failure can't be written"),
        }
        self
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    /// Asking too often: when again, and how often in the long run.
    #[must_use]
    pub fn limited(message: &'static str, retry: Retry) -> Self {
        let mut error = Self::new(Code::RateLimited, message).retry_after(retry.after_seconds);
        error.0.limit = Some(retry.per_minute);
        error
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The epoch that made the request's knowledge out of date, when that is what failed.
    pub(crate) fn stale_epoch(&self) -> Option<i64> {
        self.0.stale
    }

    /// Whether it refuses by what is remembered of the organization, which may be out of date.
    pub(crate) fn rests_on_memory(&self) -> bool {
        matches!(self.0.code, Code::InsufficientScope | Code::OrganizationHalted | Code::ConnectorPaused)
    }

    /// The text for the log, when there is more to say than the code.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The answer.
    pub(crate) fn render(self) -> Response<Body> {
        let refusal = *self.0;
        let challenge = challenge(&refusal);
        let failure = Failure {
            error: ErrorBody {
                code: refusal.code,
                message: refusal.message.into_owned(),
                field: refusal.field,
            },
            data: refusal.data,
        };
        let body = serde_json::to_vec(&failure).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(failure.error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = refusal.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(limit) = refusal.limit {
            let policy = format!("{limit};w=60");
            headers.insert(RATELIMIT_POLICY, HeaderValue::try_from(policy).unwrap_or_else(|_| limit.into()));
            headers.insert(RATELIMIT_LIMIT, limit.into());
            headers.insert(RATELIMIT_REMAINING, 0_u32.into());
            headers.insert(RATELIMIT_RESET, refusal.retry_after_seconds.unwrap_or(1).into());
        }
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// What bounds whoever asks, in the words of draft-ietf-httpapi-ratelimit-headers-07 and of those before it.
pub(crate) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
pub(crate) const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
pub(crate) const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// RFC 6750 §3: how to authenticate, or which scope was missing.
fn challenge(refusal: &Refusal) -> Option<HeaderValue> {
    match refusal.code {
        Code::Unauthenticated => Some(HeaderValue::from_static("Bearer realm=\"chancery\"")),
        Code::ApiKeyInvalid => {
            Some(HeaderValue::from_static("Bearer realm=\"chancery\", error=\"invalid_token\""))
        }
        Code::InsufficientScope => {
            let scope = refusal.field.as_deref().unwrap_or_default();
            let text = format!("Bearer realm=\"chancery\", error=\"insufficient_scope\", scope=\"{scope}\"");
            HeaderValue::try_from(text).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn body(response: Response<Body>) -> String {
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_caller_reads_its_text_and_never_ours() {
        let error = ApiError::internal("connection to 10.0.0.7 refused");
        assert_eq!(error.cause(), Some("connection to 10.0.0.7 refused"));
        let response = error.render();
        assert_eq!(response.status(), 500);
        let text = body(response).await;
        assert_eq!(
            text,
            r#"{"error":{"code":"internal","message":"the server failed; the request id finds it in the log"}}"#
        );
    }

    #[tokio::test]
    async fn a_refusal_carries_field_data_and_headers() {
        let error = ApiError::new(Code::RateLimited, "slower").at("key").retry_after(3);
        let response = error.with(&serde_json::json!({"a": 1})).render();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[RETRY_AFTER], "3");
        assert_eq!(
            body(response).await,
            r#"{"error":{"code":"rate_limited","message":"slower","field":"key"},"data":{"a":1}}"#
        );
    }

    #[test]
    fn who_asks_too_often_learns_when_and_how_often_they_may() {
        let response = ApiError::limited("slower", Retry { after_seconds: 7, per_minute: 120 }).render();
        assert_eq!(response.status(), 429);
        let told =
            ["retry-after", "ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
        let told = told.map(|name| response.headers()[name].to_str().unwrap());
        assert_eq!(told, ["7", "120;w=60", "120", "0", "7"]);
    }

    #[test]
    fn a_missing_scope_is_named_in_the_challenge() {
        let response = ApiError::new(Code::InsufficientScope, "").at("agents:read").render();
        assert_eq!(
            response.headers()[WWW_AUTHENTICATE],
            r#"Bearer realm="chancery", error="insufficient_scope", scope="agents:read""#
        );
    }
}
