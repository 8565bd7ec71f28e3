//! Waiting for what becomes of an intent, at a server that did not decide it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chancery_config::{Config, Sources};
use chancery_crypto::SystemRandom;
use chancery_model::{ManualClock, Timestamp};
use chancery_server::assemble::{Running, Surroundings};
use chancery_server::founding::Founding;
use chancery_server::sweep::sweep;
use chancery_testkit::{Answer, Client};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use support::bank::{Bank, approve, reaching};
use support::upstream::Upstream;
use support::{Twins, folder, found_with, key_of, runtime, text};

/// What news takes at most from one server to who waits at another.
const SOON: Duration = Duration::from_secs(1);
/// How long requests may take at these servers: less than some of them would wait.
const REQUEST: Duration = Duration::from_secs(5);

/// A stream of events that is being read.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(address: &str, key: &str, intent: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!(
            "GET /api/v1/intents/{intent}/events HTTP/1.1\r\nhost: {address}\r\n\
             authorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut events = Self(BufReader::new(stream));
        assert_eq!(events.line().unwrap(), "HTTP/1.1 200 OK");
        while events.line().is_some_and(|line| !line.is_empty()) {}
        events
    }

    /// The next line, whatever it is; `None` at the end.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.0.read_line(&mut line).unwrap() > 0).then(|| line.trim_end().to_owned())
    }

    /// The state of the approval in the next event; `None` at the end.
    fn next(&mut self) -> Option<String> {
        loop {
            if let Some(data) = self.line()?.strip_prefix("data: ") {
                let intent: Value = serde_json::from_str(data).unwrap();
                return Some(text(&intent, "/approval/status"));
            }
        }
    }
}

/// Two servers, and a bank at both.
struct Scene {
    twins: Twins,
    bank: Bank,
    _upstream: Upstream,
}

impl Scene {
    fn start() -> Self {
        let (upstream, milliseconds) = (Upstream::start(), REQUEST.as_millis().to_string());
        let twins = Twins::start_with(|_, options| {
            reaching(options).with("CHANCERY_SERVER__REQUEST_TIMEOUT_MS", &milliseconds)
        });
        let bank = Bank::open(&mut twins.admin(0), &upstream, 3);
        Self { twins, bank, _upstream: upstream }
    }

    fn payout(&self, server: usize) -> String {
        self.bank.payout(&mut self.twins.client(server, &self.bank.key), "a")
    }

    fn wait(&self, server: usize, key: &str, intent: &str, seconds: u32) -> (Answer, Instant) {
        let path = format!("/api/v1/intents/{intent}?wait={seconds}");
        (self.twins.client(server, key).get(&path).unwrap(), Instant::now())
    }
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.json());
}

#[test]
fn who_waits_hears_within_a_second_what_people_decide_at_another_server() {
    let scene = Scene::start();
    let Scene { twins, bank, .. } = &scene;
    for (here, there) in [(0, 1), (1, 0), (0, 1)] {
        let intent = scene.payout(here);
        thread::scope(|scope| {
            let waits = scope.spawn(|| scene.wait(there, &bank.key, &intent, 20));
            let mut events = Events::open(&twins.servers[there].address, &bank.key, &intent);
            assert_eq!(events.next().unwrap(), "pending");
            approve(&mut twins.client(here, &bank.approver), &intent);
            let decided = Instant::now();
            assert_eq!(events.next().unwrap(), "approved");
            assert!(decided.elapsed() < SOON, "the stream took {:?}", decided.elapsed());
            assert_eq!(events.next(), None, "nothing becomes of it any more by itself");
            let (answer, heard) = waits.join().unwrap();
            assert_eq!((answer.status, text(&answer.data(), "/approval/status")), (200, "approved".into()));
            assert!(heard.saturating_duration_since(decided) < SOON, "{:?}", heard - decided);
        });
        // Who comes later does not wait, and a stream is one event.
        let before = Instant::now();
        assert_eq!(scene.wait(there, &bank.key, &intent, 20).0.status, 200);
        assert!(before.elapsed() < SOON);
        let mut events = Events::open(&twins.servers[there].address, &bank.key, &intent);
        assert_eq!((events.next().as_deref(), events.next()), (Some("approved"), None));
    }

    let revoked_keys_learn_nothing = || {
        let mut owner = twins.client(0, &bank.owner);
        let key = key_of(&mut owner, ("agent", &bank.agent), &["intents:read"], &[]);
        let id = text(&twins.client(0, &key).get("/api/v1/me").unwrap().data(), "/key/id");
        let intent = scene.payout(0);
        thread::scope(|scope| {
            let waits = scope.spawn(|| scene.wait(1, &key, &intent, 20));
            let mut events = Events::open(&twins.servers[1].address, &key, &intent);
            assert_eq!(events.next().unwrap(), "pending");
            let path = format!("/api/v1/api-keys/{id}/revoke");
            twins.admin(0).made(&path, &json!({"reason": "test"})).unwrap();
            approve(&mut twins.client(0, &bank.approver), &intent);
            assert_eq!(events.next(), None, "the stream of a revoked key told more");
            refused(&waits.join().unwrap().0, 401, "api_key_invalid");
        });
    };
    revoked_keys_learn_nothing();

    // Nothing happens: the present state, in the time that was asked for or that requests may take.
    let intent = scene.payout(0);
    for (seconds, least) in [(1, Duration::from_secs(1)), (20, Duration::from_secs(2))] {
        let before = Instant::now();
        let (answer, heard) = scene.wait(1, &bank.key, &intent, seconds);
        assert_eq!(answer.status, 200, "after {:?}: {}", before.elapsed(), answer.json());
        assert_eq!(text(&answer.data(), "/approval/status"), "pending");
        assert!((least..REQUEST).contains(&(heard - before)), "{:?}", heard - before);
    }

    let stranger = found_with(&twins.options[0], "Other");
    for server in [0, 1] {
        let before = Instant::now();
        refused(&scene.wait(server, &stranger, &intent, 20).0, 404, "not_found");
        let events = format!("/api/v1/intents/{intent}/events");
        refused(&twins.client(server, &stranger).get(&events).unwrap(), 404, "not_found");
        assert!(before.elapsed() < SOON, "there is nothing to wait for");
    }
    scene.twins.stop();
}

#[test]
fn an_escalation_that_nobody_answers_is_ended_once_by_time_and_who_waits_hears_of_it() {
    let (runtime, folder, upstream) = (runtime(), folder(), Upstream::start());
    let mut config = Config::defaults(&folder.path().join("data"));
    let environment = Sources::of_process(None).environment;
    config.database.binaries = environment.get("PG_BIN").filter(|path| !path.is_empty()).map(Into::into);
    config.server.listen = ([127, 0, 0, 1], 0).into();
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    let around = Surroundings { clock: Arc::clone(&clock) as _, random: Arc::new(SystemRandom) };
    let running = runtime.block_on(Running::start(&config, around)).unwrap();
    let founded = runtime.block_on(running.books.found(Founding::new("Acme", None).unwrap())).unwrap();
    let address = running.address.to_string();
    let client = |key: &str| Client::new(&address, Some(key));
    let mut admin = client(founded.admin_key.expose_secret());
    clock.advance_seconds(1);
    let bank = Bank::open(&mut admin, &upstream, 3);
    clock.advance_seconds(1);
    let intent = bank.payout(&mut client(&bank.key), "a");
    let look = || sweep(&running.books.store, &running.books.recorder);
    let story = |admin: &mut Client| -> Vec<String> {
        let record = admin.get(&format!("/api/v1/record?correlation_id={intent}")).unwrap().data();
        record.as_array().unwrap().iter().rev().map(|entry| text(entry, "/type")).collect()
    };

    clock.advance_seconds(59);
    assert_eq!(runtime.block_on(look()).unwrap(), 0, "too early");
    assert_eq!(story(&mut admin), ["intent.escalated"]);
    let mut events = Events::open(&address, &bank.key, &intent);
    assert_eq!(events.next().unwrap(), "pending");
    clock.advance_seconds(1);
    // The server's own look is a third.
    let (one, two) = runtime.block_on(async { tokio::join!(look(), look()) });
    assert!(one.unwrap() + two.unwrap() <= 1);
    assert_eq!((events.next().as_deref(), events.next()), (Some("expired"), None));
    assert_eq!(story(&mut admin), ["intent.escalated", "approval.expired"]);
    let late = client(&bank.approver)
        .post(&format!("/api/v1/approvals/{intent}/approve"), &json!({"reason": "late"}))
        .unwrap();
    refused(&late, 409, "approval_ended");
    let execute = format!("/api/v1/intents/{intent}/execute");
    refused(&client(&bank.key).post(&execute, &json!({})).unwrap(), 409, "approval_ended");
    assert!(upstream.seen().is_empty());
    runtime.block_on(running.stop()).unwrap();
}
