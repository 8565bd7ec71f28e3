//! A system to call: a real HTTP server on a free port of the loopback, which keeps what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use http::{HeaderMap, Response, StatusCode};
use sqlx::postgres::PgConnection;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::tls::{Authority, Tls};

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// Of the intent in `x-intent`, when the request came: the state of its release and the place of the
    /// entry that opened it. Looked up by a watching upstream.
    pub(crate) release: Option<(String, i64)>,
}

/// How it answers a path.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Status(u16, &'static str),
    /// With one after the other, and then with the last.
    Turns(Vec<u16>),
    /// Only who carries this is let in; others get 401.
    Wants(&'static str),
    /// It leads elsewhere.
    Leads(String),
    /// It never answers.
    Hangs,
    /// A token endpoint: it grants a token that begins so and ends with how many it granted, once this
    /// lets it.
    Grants(&'static str, Arc<Semaphore>),
}

#[derive(Clone, Default)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    behaviours: Arc<Mutex<HashMap<String, Behaviour>>>,
    watch: Option<Arc<tokio::sync::Mutex<PgConnection>>>,
}

pub(crate) struct Upstream {
    pub(crate) url: String,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        Self::serve(Shared::default(), None).await
    }

    /// One that looks up, by this connection, how the call that reaches it stands in the record.
    pub(crate) async fn watching(connection: PgConnection) -> Self {
        let watch = Some(Arc::new(tokio::sync::Mutex::new(connection)));
        Self::serve(Shared { watch, ..Shared::default() }, None).await
    }

    /// One that is reached by TLS, with a certificate of this authority.
    pub(crate) async fn secured(authority: &Authority) -> Self {
        Self::serve(Shared::default(), Some(authority)).await
    }

    async fn serve(shared: Shared, authority: Option<&Authority>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let (scheme, task) = match authority.map(|authority| authority.acceptor("127.0.0.1")) {
            None => ("http", tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })),
            Some(acceptor) => {
                let tls = Tls { listener, acceptor };
                ("https", tokio::spawn(async move { axum::serve(tls, router).await.unwrap() }))
            }
        };
        Self { url: format!("{scheme}://{address}"), shared, task }
    }

    /// How it answers a path from here on.
    pub(crate) fn behave(&self, path: &str, behaviour: Behaviour) {
        self.shared.behaviours.lock().unwrap().insert(path.to_owned(), behaviour);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let behaviour = shared.behaviours.lock().unwrap().get(parts.uri.path()).cloned();
    let authorization = parts.headers.get("authorization").map(|it| it.to_str().unwrap().to_owned());
    let release = released(&shared, &parts.headers).await;
    shared.seen.lock().unwrap().push(Seen {
        release,
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let (status, text) = match behaviour.unwrap_or(Behaviour::Status(200, r#"{"done":true}"#)) {
        Behaviour::Status(status, text) => (status, text),
        Behaviour::Turns(mut statuses) => {
            let status = statuses.remove(0);
            if !statuses.is_empty() {
                let path = parts.uri.path().to_owned();
                shared.behaviours.lock().unwrap().insert(path, Behaviour::Turns(statuses));
            }
            (status, "{}")
        }
        Behaviour::Wants(wanted) if authorization.as_deref() == Some(wanted) => (200, r#"{"done":true}"#),
        Behaviour::Wants(_) => (401, "{}"),
        Behaviour::Leads(to) => {
            return Response::builder().status(302).header("location", to).body(Body::empty()).unwrap();
        }
        Behaviour::Hangs => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            (500, "")
        }
        Behaviour::Grants(token, gate) => {
            drop(gate.acquire().await.unwrap());
            let path = parts.uri.to_string();
            let count = shared.seen.lock().unwrap().iter().filter(|seen| seen.path == path).count();
            let granted =
                format!(r#"{{"access_token":"{token}{count}","token_type":"Bearer","expires_in":3600}}"#);
            return Response::new(Body::from(granted));
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

async fn released(shared: &Shared, headers: &HeaderMap) -> Option<(String, i64)> {
    let intent: uuid::Uuid = headers.get("x-intent")?.to_str().unwrap().parse().unwrap();
    let mut connection = shared.watch.as_ref()?.lock().await;
    sqlx::query_as("SELECT state, seq FROM releases WHERE intent_id = $1")
        .bind(intent)
        .fetch_optional(&mut *connection)
        .await
        .unwrap()
}
