//! A commit whose answer does not come: written or not, the caller is told the truth, and nothing
//! is done twice. A proxy before Postgres cuts the committer's connection at its commit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod support;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::StatusCode;
use serde_json::{Value, json};
use support::{Answered, Org, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// It never reaches the database.
    Message = 1,
    /// The database does it, and its answer is lost.
    Answer = 2,
}

/// Before the database, on a socket of its own.
struct Proxy {
    folder: tempfile::TempDir,
    armed: Arc<AtomicU8>,
    refusing: Arc<AtomicUsize>,
    cuts: Arc<AtomicUsize>,
    to: Arc<Mutex<PathBuf>>,
}

impl Proxy {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let proxy = Self {
            folder,
            armed: Arc::default(),
            refusing: Arc::default(),
            cuts: Arc::default(),
            to: Arc::default(),
        };
        let (armed, refusing) = (Arc::clone(&proxy.armed), Arc::clone(&proxy.refusing));
        let (cuts, to) = (Arc::clone(&proxy.cuts), Arc::clone(&proxy.to));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let less = |count: usize| count.checked_sub(1);
                if refusing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
                    continue;
                }
                let path = to.lock().unwrap().clone();
                tokio::spawn(carry(client, path, Arc::clone(&armed), Arc::clone(&cuts)));
            }
        });
        proxy
    }

    /// Loses the next commit, and refuses this many connections after it.
    fn lose(&self, lost: Lost, refuse: usize) {
        self.refusing.store(refuse, Ordering::SeqCst);
        self.armed.store(lost as u8, Ordering::SeqCst);
    }

    fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

/// Carries a connection until it is cut.
async fn carry(mut client: UnixStream, to: PathBuf, armed: Arc<AtomicU8>, cuts: Arc<AtomicUsize>) {
    let mut server = UnixStream::connect(to).await.unwrap();
    let (mut asked, mut answered) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let message = &asked[..length];
                let lost = if is_commit(message) { armed.swap(0, Ordering::SeqCst) } else { 0 };
                if lost > 0 {
                    cuts.fetch_add(1, Ordering::SeqCst);
                }
                if lost == Lost::Message as u8 {
                    return;
                }
                server.write_all(message).await.unwrap();
                if lost == Lost::Answer as u8 {
                    // The answer comes when it is done.
                    let _ = server.read(&mut answered).await;
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Whether a message of the protocol commits a batch: `COMMIT` as a simple query, or the values of the
/// statement that is a transaction of its own. The other statements with values come after a BEGIN
/// in the same test only where the commit itself is awaited.
fn is_commit(message: &[u8]) -> bool {
    let simple = message.starts_with(b"Q") && message.windows(6).any(|part| part == b"COMMIT");
    simple || (message.starts_with(b"B") && ONE_MESSAGE.with(std::cell::Cell::get))
}

thread_local! {
    /// Whether the values of a statement are a commit: the tests have one thread each.
    static ONE_MESSAGE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

async fn world() -> (World, Proxy, Org) {
    let proxy = Proxy::start();
    let world = World::over(|mut logins| {
        let real = logins.appender.get_socket().unwrap().join(".s.PGSQL.5432");
        *proxy.to.lock().unwrap() = real;
        logins.appender = logins.appender.socket(proxy.folder.path());
        logins
    })
    .await;
    let org = world.found("acme").await;
    let action = json!({"resource_type": "Thing", "description": "d", "effect": "write", "base_risk": 1,
        "arguments": {"type": "object", "properties": {}}});
    let put = world.call(&org.key, "PUT", "/api/v1/actions/things.make", action).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    let text = "permit(principal, action, resource);";
    let made = world.call(&org.key, "POST", "/api/v1/policies", json!({"name": "all", "text": text})).await;
    let id = made.json()["data"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/policies/{id}/activate");
    let put = world.call(&org.key, "POST", &path, json!({"version": 1})).await;
    assert_eq!(put.status, StatusCode::OK, "{}", put.text);
    (world, proxy, org)
}

async fn submit(world: &World, key: &str, id: &str) -> Answered {
    let intent = json!({"action": "things.make", "resource": {"type": "Thing", "id": id}, "token": true});
    world.call(key, "POST", "/api/v1/intents", intent).await
}

async fn kinds(world: &World, org: &Org) -> Vec<String> {
    let record = world.call(&org.key, "GET", "/api/v1/record?limit=1000", Value::Null).await.json();
    let entries = record["data"].as_array().unwrap().clone();
    entries.iter().map(|entry| entry["type"].as_str().unwrap().to_owned()).collect()
}

/// Every way and every loss, with the database out of reach for a moment after it.
async fn each(mut check: impl AsyncFnMut(&World, &Proxy, &Org, (bool, Lost))) {
    for one_message in [false, true] {
        let (world, proxy, org) = world().await;
        // The first makes the signing key, which moves the epoch.
        let answer = submit(&world, &org.key, "first").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        for lost in [Lost::Message, Lost::Answer] {
            check(&world, &proxy, &org, (one_message, lost)).await;
            ONE_MESSAGE.with(|cell| cell.set(false));
        }
    }
}

/// Brings the committer to where its next commit goes the one way or the other: a mutation of this
/// process moves the tip without it, and after some commits it trusts its memory again.
async fn prepare(world: &World, org: &Org, one_message: bool) {
    let agent = world.call(&org.key, "POST", "/api/v1/agents", json!({"name": "a"})).await;
    assert_eq!(agent.status, StatusCode::CREATED, "{}", agent.text);
    if one_message {
        for number in 0..20 {
            let answer = submit(world, &org.key, &format!("again-{number}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        }
    }
    ONE_MESSAGE.with(|cell| cell.set(one_message));
}

#[tokio::test]
async fn an_intent_is_recorded_once_and_answered() {
    let mut round = 0;
    each(async |world, proxy, org, (one_message, lost)| {
        round += 1;
        prepare(world, org, one_message).await;
        let (before, cuts) = (kinds(world, org).await, proxy.cuts());
        proxy.lose(lost, 2);
        let answer = submit(world, &org.key, &format!("lost-{round}")).await;
        assert_eq!(proxy.cuts(), cuts + 1, "nothing was cut: {lost:?}");
        assert_eq!(answer.status, StatusCode::OK, "{lost:?}: {}", answer.text);
        let after = kinds(world, org).await;
        let decided = |kinds: &[String]| kinds.iter().filter(|kind| *kind == "intent.allowed").count();
        assert_eq!(decided(&after), decided(&before) + 1, "{lost:?}");
        let verified = world.call(&org.key, "GET", "/api/v1/record/verify", Value::Null).await.json();
        assert_eq!(verified["data"]["intact"], true, "{verified}");
    })
    .await;
}

#[tokio::test]
async fn a_token_is_used_once_and_its_user_is_told() {
    let mut round = 0;
    each(async |world, proxy, org, (one_message, lost)| {
        round += 1;
        let id = format!("token-{round}");
        let token = submit(world, &org.key, &id).await.json()["data"]["token"].clone();
        let body = json!({"name": "redeemer", "holder": {"type": "member", "id": org.admin},
            "environment": "live", "scopes": ["tokens:verify"], "audiences": ["acme"]});
        let key = world.call(&org.key, "POST", "/api/v1/api-keys", body).await.json()["data"]["secret"]
            .as_str()
            .unwrap()
            .to_owned();
        prepare(world, org, one_message).await;
        let redeem =
            json!({"token": token, "action": "things.make", "resource": {"type": "Thing", "id": id}});
        let cuts = proxy.cuts();
        proxy.lose(lost, 2);
        let first = world.call(&key, "POST", "/api/v1/tokens/verify", redeem.clone()).await;
        assert_eq!(first.status, StatusCode::OK, "{lost:?}: {}", first.text);
        assert!(proxy.cuts() == cuts + 1, "nothing was cut: {lost:?}");
        let second = world.call(&key, "POST", "/api/v1/tokens/verify", redeem).await;
        assert_eq!(second.code(), "token_replayed", "{}", second.text);
    })
    .await;
}
