//! Which pages of other origins may call (CORS: Fetch standard, § 3.2).

use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

/// The origins that may, each as browsers write it: `https://app.example.com`. None by default.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<HeaderValue>);

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const SENT: HeaderValue =
    HeaderValue::from_static("authorization, content-type, idempotency-key, x-api-key, x-request-id");
const SHOWN: HeaderValue = HeaderValue::from_static(
    "chancery-record-seq, ratelimit-limit, ratelimit-policy, ratelimit-remaining, ratelimit-reset, \
     retry-after, www-authenticate, x-request-id",
);
/// How long a browser remembers, in seconds: an origin that is taken off the list is out after that.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

impl Origins {
    /// Exactly these: no patterns, and never `*` or `null`, which is everybody.
    #[must_use]
    pub const fn new(origins: Vec<HeaderValue>) -> Self {
        Self(origins)
    }

    /// The origin of a request, if it is one of them.
    fn allowed<'h>(&self, headers: &'h HeaderMap) -> Option<&'h HeaderValue> {
        let mut given = headers.get_all(ORIGIN).iter();
        let first = given.next()?;
        (given.next().is_none() && self.0.contains(first)).then_some(first)
    }

    /// The answer to a page that asks whether it may call.
    pub(crate) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks || self.allowed(request.headers()).is_none() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
        headers.insert(ACCESS_CONTROL_MAX_AGE, REMEMBERED);
        Some(response)
    }

    /// What lets a page of an allowed origin read its answer. Cookies never come with it: the answer does not
    /// say `Access-Control-Allow-Credentials`.
    pub(crate) fn grant(&self, request: &HeaderMap) -> Grant {
        let origin = self.allowed(request).cloned();
        Grant { origin, varies: !self.0.is_empty() }
    }
}

/// What an answer says to pages.
pub(crate) struct Grant {
    origin: Option<HeaderValue>,
    varies: bool,
}

impl Grant {
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "https://app.example.com";

    fn asked(method: &str, headers: &[(&str, &str)]) -> (Option<StatusCode>, Option<String>) {
        let origins = Origins::new(vec![HeaderValue::from_static(OURS)]);
        let mut request = Request::builder().method(method).uri("/api/v1/me");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let mut answer = HeaderMap::new();
        origins.grant(request.headers()).write(&mut answer);
        assert_eq!(answer[VARY], "origin", "a cache must not give one origin's answer to another");
        assert!(!answer.contains_key("access-control-allow-credentials"));
        let granted = answer.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|it| it.to_str().unwrap().to_owned());
        (origins.preflight(&request).map(|answer| answer.status()), granted)
    }

    #[test]
    fn only_the_exact_origin_is_let_in() {
        let preflight = ("access-control-request-method", "POST");
        let ours = Some(OURS.to_owned());
        assert_eq!(
            asked("OPTIONS", &[("origin", OURS), preflight]),
            (Some(StatusCode::NO_CONTENT), ours.clone())
        );
        assert_eq!(asked("GET", &[("origin", OURS)]), (None, ours.clone()));
        assert_eq!(asked("OPTIONS", &[("origin", OURS)]), (None, ours), "that is no preflight");
        for other in [
            "null",
            "*",
            "",
            "https://app.example.com/",
            "https://app.example.com.evil.example",
            "https://evil.example/https://app.example.com",
            "http://app.example.com",
            "https://APP.example.com",
            "https://app.example.com:443",
            "https://xapp.example.com",
            "https://app.example.com, https://evil.example",
        ] {
            assert_eq!(asked("OPTIONS", &[("origin", other), preflight]), (None, None), "{other}");
        }
        assert_eq!(asked("GET", &[("origin", OURS), ("origin", "https://evil.example")]), (None, None));
        assert_eq!(asked("GET", &[]), (None, None));
    }

    #[test]
    fn without_a_list_nobody_is_let_in_and_answers_do_not_vary() {
        let request = Request::builder().header("origin", OURS).body(()).unwrap();
        let mut answer = HeaderMap::new();
        Origins::default().grant(request.headers()).write(&mut answer);
        assert!(answer.is_empty());
    }
}
