//! `kill -9` of two servers and of their database, under load, again and again: every acknowledged
//! intent stands where it was said to stand, no token was good twice, the chain is whole.
//!
//! `CHANCERY_FULL=1` kills a server 20 times and Postgres, with all of its processes, 20 times;
//! otherwise each twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use chancery_store::embedded::Embedded;
use chancery_testkit::{Answer, Client, ServerOptions, ServerProcess};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use support::{Desk, cluster, folder, redemption, refund, runtime, text, twins};
use tokio::runtime::Runtime;

const SUBMITTERS: usize = 6;
const REDEEMERS: usize = 2;

/// How often a server is killed, and how often Postgres.
fn kills() -> usize {
    if std::env::var_os("CHANCERY_FULL").is_some() { 20 } else { 2 }
}

/// Something that was answered with its place in the record.
struct Acknowledged {
    kind: &'static str,
    intent: String,
    seq: u64,
    entry_hash: String,
}

impl Acknowledged {
    fn of(kind: &'static str, intent: &str, answer: &Answer) -> Self {
        let data = answer.data();
        let seq = data["record"]["seq"].as_u64().unwrap();
        Self { kind, intent: intent.to_owned(), seq, entry_hash: text(&data, "/record/entry_hash") }
    }
}

/// A token, how often it was accepted, and how often nobody knows.
struct Token {
    number: usize,
    intent: String,
    text: String,
    accepted: usize,
    lost: usize,
}

impl Token {
    fn note(&mut self, accepted: Option<bool>) {
        self.accepted += usize::from(accepted == Some(true));
        self.lost += usize::from(accepted.is_none());
    }
}

/// What the load has seen.
#[derive(Default)]
struct Seen {
    acknowledged: Mutex<Vec<Acknowledged>>,
    /// Tokens not presented yet.
    fresh: Mutex<Vec<Token>>,
    /// Tokens that were presented, at both servers at once, whatever was answered.
    presented: Mutex<Vec<Token>>,
    answers: AtomicUsize,
    stop: AtomicBool,
}

/// Where the servers listen now.
type Addresses = Arc<Mutex<[String; 2]>>;

fn submit_forever(seen: &Seen, addresses: &Addresses, key: &str, thread: usize) {
    let mut number = thread * 1_000_000;
    while !seen.stop.load(Ordering::Relaxed) {
        number += 1;
        let address = addresses.lock().unwrap()[number % 2].clone();
        let answer = Client::new(&address, Some(key)).post("/api/v1/intents", &refund(number));
        // Lost answers and 503 are what a crash looks like from outside.
        let Ok(answer) = answer else { continue };
        if answer.status != 200 {
            assert_eq!(answer.status, 503, "{}", answer.json());
            continue;
        }
        let (intent, token) = (text(&answer.data(), "/id"), text(&answer.data(), "/token"));
        seen.acknowledged.lock().unwrap().push(Acknowledged::of("intent.allowed", &intent, &answer));
        seen.fresh.lock().unwrap().push(Token { number, intent, text: token, accepted: 0, lost: 0 });
        seen.answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// Presents a token and says whether it was accepted; `None` when the answer does not tell.
fn present(seen: &Seen, address: &str, key: &str, token: &Token) -> Option<bool> {
    let body = redemption(token.number, &token.text);
    let answer = Client::new(address, Some(key)).post("/api/v1/tokens/verify", &body).ok()?;
    match (answer.status, answer.code().as_str()) {
        (200, _) => {
            let acknowledged = Acknowledged::of("token.used", &token.intent, &answer);
            seen.acknowledged.lock().unwrap().push(acknowledged);
            Some(true)
        }
        (403, "token_replayed") => Some(false),
        (status, _) => {
            assert_eq!(status, 503, "{}", answer.json());
            None
        }
    }
}

fn redeem_forever(seen: &Seen, addresses: &Addresses, key: &str) {
    while !seen.stop.load(Ordering::Relaxed) {
        let Some(mut token) = seen.fresh.lock().unwrap().pop() else {
            thread::yield_now();
            continue;
        };
        let both = addresses.lock().unwrap().clone();
        let told = thread::scope(|scope| {
            let token = &token;
            both.each_ref()
                .map(|address| scope.spawn(move || present(seen, address, key, token)))
                .map(|attempt| attempt.join().unwrap())
        });
        told.into_iter().for_each(|accepted| token.note(accepted));
        seen.presented.lock().unwrap().push(token);
    }
}

/// Waits until the load has got on by this much: the crash then falls into the middle of it.
fn wait_for(seen: &Seen, more: usize) {
    let (from, until) = (seen.answers.load(Ordering::Relaxed), Instant::now() + Duration::from_secs(60));
    while seen.answers.load(Ordering::Relaxed) < from + more {
        assert!(Instant::now() < until, "the load does not get on");
        thread::yield_now();
    }
}

/// `kill -9` of Postgres as a whole, at one moment: the postmaster is held so that it can neither notice
/// nor start anything, then all its processes are killed, the committers' backends too, then itself.
async fn kill_postgres(postgres: &mut Embedded) {
    let kill = |pid: i32, signal| kill_process(Pid::from_raw(pid).unwrap(), signal);
    let mut superuser = PgConnection::connect_with(&postgres.superuser()).await.unwrap();
    kill(postgres.pid(), Signal::STOP).unwrap();
    let all = sqlx::query_scalar("SELECT pid FROM pg_stat_activity");
    let processes: Vec<i32> = all.fetch_all(&mut superuser).await.unwrap();
    assert!(processes.len() > 6, "too few processes for two servers under load: {processes:?}");
    for pid in processes {
        // One may have ended by itself.
        let _ = kill(pid, Signal::KILL);
    }
    kill(postgres.pid(), Signal::KILL).unwrap();
    postgres.exited().await;
    postgres.restart().await.unwrap();
}

/// Two servers over one database, and load on both.
struct Scene {
    runtime: Runtime,
    postgres: Embedded,
    twins: [ServerOptions; 2],
    servers: [ServerProcess; 2],
    addresses: Addresses,
    admin_key: String,
    redeemer: String,
    seen: Arc<Seen>,
    load: Vec<thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn start() -> Self {
        let (runtime, folder) = (runtime(), folder());
        let postgres = runtime.block_on(cluster(folder.path()));
        let twins = twins(folder.path(), &postgres);
        let mut first = twins[0].start().unwrap();
        let admin_key = first.admin_key().unwrap();
        let mut admin = first.client(Some(&admin_key));
        let desk = Desk::open(&mut admin);
        // No token expires before it is presented for the last time.
        let settings =
            json!({"settings": {"token_algorithm": "ES256", "token_ttl_seconds": 900}}).to_string();
        let changed = admin.send("PATCH", "/api/v1/organization", &[], Some(settings.as_bytes())).unwrap();
        assert_eq!(changed.status, 200, "{}", changed.json());
        let servers = [first, twins[1].start().unwrap()];
        let addresses: Addresses =
            Arc::new(Mutex::new(servers.each_ref().map(|server| server.address.clone())));
        let seen = Arc::new(Seen::default());
        let mut load = Vec::new();
        for thread in 0..SUBMITTERS {
            let (seen, now, key) = (Arc::clone(&seen), Arc::clone(&addresses), desk.key.clone());
            load.push(thread::spawn(move || submit_forever(&seen, &now, &key, thread)));
        }
        for _ in 0..REDEEMERS {
            let (seen, now, key) = (Arc::clone(&seen), Arc::clone(&addresses), desk.redeemer.clone());
            load.push(thread::spawn(move || redeem_forever(&seen, &now, &key)));
        }
        Self {
            runtime,
            postgres,
            twins,
            servers,
            addresses,
            admin_key,
            redeemer: desk.redeemer,
            seen,
            load,
            _folder: folder,
        }
    }

    fn kill_server(&mut self, one: usize) {
        self.servers[one].kill().unwrap();
        self.servers[one] = self.twins[one].start().unwrap();
        self.addresses.lock().unwrap()[one].clone_from(&self.servers[one].address);
    }

    fn admin(&self) -> Client {
        self.servers[1].client(Some(&self.admin_key))
    }

    /// Every token again: what was accepted is refused, and what was not is accepted once at most.
    fn present_all_again(&self) {
        let mut tokens = std::mem::take(&mut *self.seen.presented.lock().unwrap());
        assert!(tokens.iter().any(|token| token.accepted == 1), "no token was ever redeemed");
        let part = tokens.len().div_ceil(SUBMITTERS);
        thread::scope(|scope| {
            for tokens in tokens.chunks_mut(part) {
                scope.spawn(|| {
                    for (turn, token) in tokens.iter_mut().enumerate() {
                        for server in [turn % 2, (turn + 1) % 2] {
                            let address = &self.servers[server].address;
                            let accepted = present(&self.seen, address, &self.redeemer, token);
                            assert!(accepted.is_some(), "everything runs now, so every answer tells");
                            token.note(accepted);
                        }
                        let Token { intent, accepted, lost, .. } = token;
                        let once = *accepted == 1 || (*accepted == 0 && *lost > 0);
                        assert!(
                            once,
                            "the token of {intent} was accepted {accepted} times, {lost} answers lost"
                        );
                    }
                });
            }
        });
    }

    /// The whole record: type, intent and hash, by number.
    fn record(&self) -> HashMap<u64, (String, Option<String>, String)> {
        let (mut admin, mut entries) = (self.admin(), HashMap::new());
        let mut path = "/api/v1/record?limit=1000".to_owned();
        loop {
            let page = admin.get(&path).unwrap().json();
            for entry in page["data"].as_array().unwrap() {
                let intent = entry["refs"]["intent"].as_str().map(str::to_owned);
                let told = (text(entry, "/type"), intent, text(entry, "/entry_hash"));
                entries.insert(entry["seq"].as_u64().unwrap(), told);
            }
            let Some(next) = page["page"]["next"].as_str() else { return entries };
            path = format!("/api/v1/record?limit=1000&cursor={next}");
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_accepted_twice() {
    let mut scene = Scene::start();
    for round in 0..kills() {
        wait_for(&scene.seen, 100);
        scene.kill_server(round % 2);
        wait_for(&scene.seen, 100);
        scene.runtime.block_on(kill_postgres(&mut scene.postgres));
    }
    wait_for(&scene.seen, 100);
    scene.seen.stop.store(true, Ordering::Relaxed);
    std::mem::take(&mut scene.load).into_iter().for_each(|thread| thread.join().unwrap());

    scene.present_all_again();
    let record = scene.record();
    let acknowledged = scene.seen.acknowledged.lock().unwrap();
    for said in &*acknowledged {
        let stands = record.get(&said.seq);
        let expected = (said.kind.to_owned(), Some(said.intent.clone()), said.entry_hash.clone());
        assert_eq!(stands, Some(&expected), "{} was acknowledged as entry {}", said.intent, said.seq);
    }
    let verified = scene.admin().get("/api/v1/record/verify").unwrap().data();
    assert_eq!(verified["intact"], Value::Bool(true), "{verified}");
    assert_eq!(verified["entries"].as_u64().unwrap(), record.len() as u64);
    drop(acknowledged);
    drop(scene.servers);
    scene.runtime.block_on(scene.postgres.stop()).unwrap();
}
