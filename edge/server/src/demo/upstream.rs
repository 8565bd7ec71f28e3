//! The payment gateway: a real HTTP server on a free port of the loopback, which keeps what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use chancery_crypto::{Random, SystemRandom};
use chancery_evidence::Hex;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Where it leads whoever reads a payment: the metadata service of most clouds, which hands out credentials.
pub(super) const METADATA: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";

/// What it was asked.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    /// The value of the header `idempotency-key`.
    pub(super) key: String,
    /// Whether it knew who called.
    pub(super) known: bool,
}

/// The gateway.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    /// What authenticates there: another in each telling.
    pub(super) credential: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Desk {
    wanted: Arc<HeaderValue>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let random: &dyn Random = &SystemRandom;
        let credential = format!("gateway-{}", Hex(random.bytes::<24>()));
        let wanted = Arc::new(HeaderValue::try_from(format!("Bearer {credential}"))?);
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(answer).with_state(Desk { wanted, seen: Arc::clone(&seen) });
        let task = tokio::spawn(async move {
            // It ends with the story.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, credential, seen, task })
    }

    /// What it was asked so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(State(desk): State<Desk>, request: Request) -> Response<Body> {
    let header = |name: &str| request.headers().get(name);
    let known = request.headers().get(AUTHORIZATION) == Some(&*desk.wanted);
    let seen = Seen {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        key: header("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned(),
        known,
    };
    desk.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    let (status, text) = match (known, request.method()) {
        (false, _) => (StatusCode::UNAUTHORIZED, r#"{"error":"who are you?"}"#),
        (true, &Method::POST) => (StatusCode::CREATED, r#"{"refund":"re_1","state":"done"}"#),
        (true, _) => (StatusCode::FOUND, ""),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::FOUND {
        response.headers_mut().insert(LOCATION, HeaderValue::from_static(METADATA));
    }
    response
}
