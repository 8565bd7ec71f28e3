//! What is told of each request: one line, one count, one duration. Names are those of the route
//! table, never the path, the query or anything else that a client chose.

use std::time::Duration;

use chancery_api::Code;
use http::{Method, StatusCode};
use metrics::{Counter, Histogram};

use crate::{Head, RequestId};

/// The meters of one route.
pub(crate) struct Meters {
    by_class: [Counter; 5],
    seconds: Histogram,
}

impl Meters {
    /// The meters of a route, by its path in the route table.
    pub(crate) fn of(method: &'static str, route: &'static str) -> Self {
        let count = |class| metrics::counter!("http_requests_total", "route" => route, "method" => method, "status" => class);
        Self {
            by_class: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(count),
            seconds: metrics::histogram!("http_request_seconds", "route" => route, "method" => method),
        }
    }

    pub(crate) fn observe(&self, status: StatusCode, took: Duration) {
        if let Some(counter) = self.by_class.get(usize::from(status.as_u16() / 100).saturating_sub(1)) {
            counter.increment(1);
        }
        self.seconds.record(took);
    }
}

/// Explains the meters to whoever reads them.
pub(crate) fn describe_meters() {
    metrics::describe_counter!("http_requests_total", "Requests answered, by route and class of status.");
    metrics::describe_histogram!("http_request_seconds", metrics::Unit::Seconds, "Time to answer.");
    chancery_record::meters::describe();
    chancery_execute::meters::describe();
}

/// The word of a method in logs and meters: a client can't make new ones.
pub(crate) fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// What came of a request.
pub(crate) struct Told<'a> {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) id: &'a RequestId,
    pub(crate) head: Option<&'a Head>,
    pub(crate) status: StatusCode,
    pub(crate) took: Duration,
    pub(crate) failure: Option<(Code, Option<String>)>,
}

impl Told<'_> {
    /// Writes the line.
    pub(crate) fn log(&self) {
        let seen = self.head.and_then(Head::seen);
        let (code, cause) =
            self.failure.as_ref().map_or((None, None), |(code, cause)| (Some(code), cause.as_deref()));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "chancery::request",
                    method = self.method,
                    route = self.route,
                    status = self.status.as_u16(),
                    duration_us = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
                    request_id = self.id.as_str(),
                    org = seen.as_ref().map(|seen| tracing::field::display(seen.org)),
                    key = seen.as_ref().map(|seen| tracing::field::display(seen.key)),
                    code = code.map(|code| code.as_str()),
                    cause,
                )
            };
        }
        // What is overloaded, or did not come back from another system, is no failure of this server's.
        match self.status {
            StatusCode::INTERNAL_SERVER_ERROR => line!(error),
            status if status.is_server_error() => line!(warn),
            _ => line!(info),
        }
    }
}
