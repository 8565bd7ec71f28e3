//! A system to call: a real HTTP server on a free port of the loopback, which keeps what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use http::{HeaderMap, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// How it answers a path.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Status(u16, &'static str),
    /// Only who carries this is let in; others get 401.
    Wants(&'static str),
    /// It leads elsewhere.
    Leads(String),
    /// It never answers.
    Hangs,
}

#[derive(Clone, Default)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    behaviours: Arc<Mutex<HashMap<String, Behaviour>>>,
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Shared::default();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
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
    shared.seen.lock().unwrap().push(Seen {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let (status, text) = match behaviour.unwrap_or(Behaviour::Status(200, r#"{"done":true}"#)) {
        Behaviour::Status(status, text) => (status, text),
        Behaviour::Wants(wanted) if authorization.as_deref() == Some(wanted) => (200, r#"{"done":true}"#),
        Behaviour::Wants(_) => (401, "{}"),
        Behaviour::Leads(to) => {
            return Response::builder().status(302).header("location", to).body(Body::empty()).unwrap();
        }
        Behaviour::Hangs => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            (500, "")
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}
