//! The way of every request through the server, in order: request id, address, size, time, guard
//! (authenticate, enter, limits, permission), body, handler, answer, log. The guard to the handler
//! are in `route.rs`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::{MethodFilter, on};
use chancery_api::Code;
use chancery_screen::Entry;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use crate::head::REQUEST_ID;
use crate::observe::{Meters, Told, describe_meters, method_word};
use crate::restraint::Restraint;
use crate::route::{Outcome, Runner, too_large};
use crate::{ApiError, App, Head, Peer, RequestId, Route};

/// What bounds a request.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// How long the whole may take.
    pub request_time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            body_bytes: 256 * 1024,
            body_time: Duration::from_secs(10),
            request_time: Duration::from_secs(30),
        }
    }
}

/// The server of these routes. The recorder of metrics must be installed before.
pub fn router(app: &Arc<App>, routes: Vec<Route>) -> Router {
    describe_meters();
    let mut router = Router::new();
    let restraint = Arc::new(Restraint::new());
    for route in routes {
        let Ok(filter) = MethodFilter::try_from(route.method.clone()) else { continue };
        let path = route.path;
        let mounted = Mounted::new(method_word(&route.method), path, route.run, &restraint);
        router = router.route(path, on(filter, mounted.handler(app)));
    }
    let lost = || ApiError::new(Code::NotFound, "there is no such route");
    let lost = Mounted::refusing(lost, &restraint);
    let mistaken = || ApiError::new(Code::MethodNotAllowed, "this route takes only the methods in `Allow`");
    let mistaken = Mounted::refusing(mistaken, &restraint);
    router.method_not_allowed_fallback(mistaken.handler(app)).fallback(lost.handler(app))
}

struct Mounted {
    method: &'static str,
    route: &'static str,
    /// What its client's address may ask for how often; `None` for what watches the server.
    entry: Option<Entry>,
    meters: Meters,
    run: Runner,
    restraint: Arc<Restraint>,
}

impl Mounted {
    fn new(method: &'static str, route: &'static str, run: Runner, restraint: &Arc<Restraint>) -> Arc<Self> {
        let restraint = Arc::clone(restraint);
        Arc::new(Self {
            method,
            route,
            entry: entry(route),
            meters: Meters::of(method, route),
            run,
            restraint,
        })
    }

    fn refusing(refuse: fn() -> ApiError, restraint: &Arc<Restraint>) -> Arc<Self> {
        let run: Runner = Box::new(move |_, _, _| Box::pin(async move { Err(refuse()) }));
        Self::new("other", "unmatched", run, restraint)
    }

    fn handler(
        self: Arc<Self>,
        app: &Arc<App>,
    ) -> impl Fn(Request) -> std::pin::Pin<Box<dyn Future<Output = Response<Body>> + Send>>
    + Clone
    + Send
    + Sync
    + 'static {
        let app = Arc::clone(app);
        move |request| Box::pin(serve(Arc::clone(&app), Arc::clone(&self), request))
    }
}

/// Which limit of addresses holds for a route.
fn entry(route: &str) -> Option<Entry> {
    match route {
        "/healthz" | "/readyz" | "/metrics" => None,
        route if route.starts_with("/auth/") || route.starts_with("/public/") => Some(Entry::Door),
        _ => Some(Entry::Usual),
    }
}

async fn serve(app: Arc<App>, mounted: Arc<Mounted>, request: Request) -> Response<Body> {
    let started = Instant::now();
    let id = RequestId::of(request.headers(), &*app.clock, &*app.random);
    let grant = app.edge.origins.grant(request.headers());
    let (head, outcome) = match admit(&app, &mounted, &request) {
        Ok(None) => answer(&app, &mounted, &id, request).await,
        Ok(Some(preflight)) => (None, Ok(preflight)),
        Err(error) => (None, Err(error)),
    };
    let took = started.elapsed();
    if outcome.as_ref().is_err_and(|error| error.code() == Code::RateLimited) {
        mounted.restraint.hold(&*app.random).await;
    }
    let (mut response, failure) = render(outcome);
    dress(response.headers_mut(), &id, app.edge.https);
    grant.write(response.headers_mut());
    let status = response.status();
    mounted.meters.observe(status, took);
    let (method, route) = (mounted.method, mounted.route);
    Told { method, route, id: &id, head: head.as_deref(), status, took, failure }.log();
    response
}

/// Takes the request from its address' bucket. What a page asks before it calls is answered here.
fn admit(app: &App, mounted: &Mounted, request: &Request) -> Result<Option<Response<Body>>, ApiError> {
    if let Some(entry) = mounted.entry {
        let limited = |retry| ApiError::limited("too many requests from this address", retry);
        app.limits.check_address(entry, client(app, request)).map_err(limited)?;
    }
    Ok(app.edge.origins.preflight(request))
}

/// The client's address. Without a listener in front all are one.
fn client(app: &App, request: &Request) -> IpAddr {
    let peer = request.extensions().get().map_or(Ipv4Addr::UNSPECIFIED.into(), |Peer(address)| *address);
    app.edge.proxies.client(peer, request.headers())
}

async fn answer(
    app: &Arc<App>,
    mounted: &Mounted,
    id: &RequestId,
    request: Request,
) -> (Option<Arc<Head>>, Outcome) {
    let (head, body) = match split(app, id, request).await {
        Ok((head, body)) => (Arc::new(head), body),
        Err(error) => return (None, Err(error)),
    };
    let run = (mounted.run)(Arc::clone(app), Arc::clone(&head), body);
    let outcome = tokio::time::timeout(app.bounds.request_time, run).await;
    (Some(head), outcome.unwrap_or_else(|_| Err(timed_out())))
}

async fn split(app: &App, id: &RequestId, request: Request) -> Result<(Head, Body), ApiError> {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > app.bounds.body_bytes as u64) {
        return Err(too_large(app.bounds.body_bytes));
    }
    Head::split(id.clone(), request).await
}

fn timed_out() -> ApiError {
    ApiError::new(Code::TimedOut, "the request took too long; look up what became of it before repeating it")
}

fn render(outcome: Outcome) -> (Response<Body>, Option<(Code, Option<String>)>) {
    match outcome {
        Ok(response) => (response, None),
        Err(error) => {
            let failure = (error.code(), error.cause().map(str::to_owned));
            (error.render(), Some(failure))
        }
    }
}

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// What no page of ours needs, nor anything that gets into one.
const NO_FEATURES: &str = "accelerometer=(), browsing-topics=(), camera=(), display-capture=(), \
     geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), \
     serial=(), usb=()";

/// What every answer carries.
fn dress(headers: &mut HeaderMap, id: &RequestId, https: bool) {
    headers.insert(REQUEST_ID, id.header());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static(NO_FEATURES));
    headers.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    if https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
