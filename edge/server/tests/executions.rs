//! `kill -9` of a server at every point of a call that it makes, of its database, and an orderly stop: no
//! call is made that the record does not hold as opened, none is made twice, and none counts as a success
//! that its caller could not have been told of.
//!
//! `CHANCERY_FULL=1` kills 10 times at every point and 20 times under load; otherwise once, and twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use chancery_store::embedded::Embedded;
use chancery_testkit::{Answer, Client, ServerOptions, ServerProcess};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::bank::{Bank, approve, reaching, transfer};
use support::calls::{Record, eventually, told};
use support::upstream::{STAGES, Upstream, answer_of};
use support::{World, cluster, folder, runtime, text, twins};
use tokio::runtime::Runtime;

const CALLERS: usize = 4;
/// A breaker that nothing here opens.
const FAILURES: u32 = 1_000;

/// How often a server is killed at every point, and how often under load.
fn kills() -> (usize, usize) {
    if std::env::var_os("CHANCERY_FULL").is_some() { (10, 20) } else { (1, 2) }
}

/// Where the server listens now, for callers who go on when it is another place.
#[derive(Default)]
struct Place {
    address: Mutex<String>,
    moved: Condvar,
}

impl Place {
    fn is(&self, address: &str) {
        address.clone_into(&mut self.address.lock().unwrap());
        self.moved.notify_all();
    }

    fn now(&self) -> String {
        self.address.lock().unwrap().clone()
    }

    /// Until it is elsewhere, or for a moment.
    fn await_move(&self, from: &str) {
        let address = self.address.lock().unwrap();
        let moment = Duration::from_millis(50);
        drop(self.moved.wait_timeout_while(address, moment, |address| address == from).unwrap());
    }
}

/// What callers know.
#[derive(Default)]
struct Known {
    stop: AtomicBool,
    /// Accounts that a transfer was asked for, each with its own name as the idempotency key.
    asked: Mutex<Vec<String>>,
    /// Intents that were told to have succeeded, with their accounts.
    successes: Mutex<HashMap<String, String>>,
}

impl Known {
    fn note(&self, account: &str, answer: &Answer) -> Option<String> {
        let (intent, state) = told(answer)?;
        if state == "succeeded" {
            assert_eq!(answer.data()["execution"]["answer"].to_string(), answer_of(account));
            self.successes.lock().unwrap().insert(intent, account.to_owned());
        }
        Some(state)
    }
}

/// Asks for one transfer after another, for each until something is known of it.
fn call_forever(known: &Known, place: &Place, key: &str, caller: usize) {
    for number in 0.. {
        let account = format!("load-{caller}-{number}");
        known.asked.lock().unwrap().push(account.clone());
        loop {
            if known.stop.load(Ordering::Relaxed) {
                return;
            }
            let address = place.now();
            let answer = transfer(&mut Client::new(&address, Some(key)), &account);
            match answer.as_ref().ok().map(|answer| (known.note(&account, answer), answer)) {
                Some((Some(_), _)) => break,
                // Lost answers and 503 are what a crash looks like from outside.
                Some((None, answer)) => assert_eq!(answer.status, 503, "{}", answer.json()),
                None => {}
            }
            place.await_move(&address);
        }
    }
}

/// One server over a Postgres of the test's own, with a bank.
struct Scene {
    runtime: Runtime,
    postgres: Embedded,
    options: ServerOptions,
    server: ServerProcess,
    place: Place,
    upstream: Upstream,
    bank: Bank,
    admin_key: String,
    known: Known,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn start() -> Self {
        let (runtime, folder, upstream) = (runtime(), folder(), Upstream::start());
        let postgres = runtime.block_on(cluster(folder.path()));
        let [options, _] = twins(folder.path(), &postgres).map(reaching);
        // Longer than anybody waits here.
        let options = options.with("CHANCERY_SERVER__REQUEST_TIMEOUT_MS", "60000");
        let mut server = options.start().unwrap();
        let admin_key = server.admin_key().unwrap();
        let bank = Bank::open(&mut server.client(Some(&admin_key)), &upstream, FAILURES);
        let place = Place::default();
        place.is(&server.address);
        let known = Known::default();
        Self { runtime, postgres, options, server, place, upstream, bank, admin_key, known, _folder: folder }
    }

    fn admin(&self) -> Client {
        self.server.client(Some(&self.admin_key))
    }

    fn agent(&self) -> Client {
        self.server.client(Some(&self.bank.key))
    }

    fn kill(&mut self) {
        self.server.kill().unwrap();
        self.upstream.release();
        self.server = self.options.start().unwrap();
        self.place.is(&self.server.address);
    }

    fn judge(&self) {
        Record::read(&mut self.admin()).judge(&self.upstream, &self.known.successes.lock().unwrap());
    }

    /// Kills the server while a call is at each point. Gives the payout that was one of them.
    fn kill_at_every_point(&mut self, round: usize) -> String {
        let accounts: Vec<String> =
            STAGES.iter().chain(&["mute"]).map(|stage| format!("{stage}-{round}")).collect();
        let payout = self.bank.payout(&mut self.agent(), &format!("whole-payout-{round}"));
        approve(&mut self.server.client(Some(&self.bank.approver)), &payout);
        thread::scope(|scope| {
            let this = &*self;
            for account in &accounts {
                scope.spawn(move || {
                    let answer = transfer(&mut this.agent(), account);
                    if let Ok(answer) = answer {
                        assert!(account.starts_with("answered"), "{account}: {}", answer.json());
                        assert_eq!(this.known.note(account, &answer).unwrap(), "succeeded");
                    }
                });
            }
            let path = format!("/api/v1/intents/{payout}/execute");
            scope.spawn(move || this.agent().post(&path, &json!({})).unwrap_err());
            this.upstream.await_held(accounts.len() + 1);
            kill_process(Pid::from_raw(this.server.pid().cast_signed()).unwrap(), Signal::KILL).unwrap();
        });
        self.kill();
        self.judge();
        let again: Vec<Answer> =
            accounts.iter().map(|account| transfer(&mut self.agent(), account).unwrap()).collect();
        self.judge();
        for (account, answer) in accounts.iter().zip(&again) {
            let state = self.known.note(account, answer);
            let state = state.unwrap_or_else(|| panic!("{account}: {}", answer.json()));
            let may = if account.starts_with("answered") { &["open", "succeeded"][..] } else { &["open"] };
            assert!(may.contains(&state.as_str()), "{account} is {state}");
        }
        let again = self.agent().post(&format!("/api/v1/intents/{payout}/execute"), &json!({})).unwrap();
        assert_eq!(told(&again), Some((payout.clone(), "open".to_owned())));
        self.known.asked.lock().unwrap().extend(accounts);
        payout
    }

    /// Kills it at moments that nobody chose: other ones in each round.
    fn kill_under_load(&mut self, rounds: usize) {
        let (known, place) = (&self.known, &self.place);
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                let key = &self.bank.key;
                scope.spawn(move || call_forever(known, place, key, caller));
            }
            for round in 0..rounds {
                self.upstream.await_more(11 + (round * 7) % 31);
                self.server.kill().unwrap();
                self.server = self.options.start().unwrap();
                place.is(&self.server.address);
            }
            self.upstream.await_more(CALLERS * 5);
            known.stop.store(true, Ordering::Relaxed);
        });
    }

    /// Waits until all that was opened is closed, at the latest by the sweep.
    fn all_closed(&self) -> Record {
        eventually("all calls are closed", || {
            let record = Record::read(&mut self.admin());
            record.opened.keys().all(|intent| record.closed.contains_key(intent)).then_some(record)
        })
    }

    fn stop(self) {
        drop(self.server);
        self.runtime.block_on(self.postgres.stop()).unwrap();
    }
}

#[test]
fn a_server_killed_at_any_point_of_a_call_calls_nothing_unrecorded_nothing_twice_and_claims_nothing() {
    let mut scene = Scene::start();
    let (points, load) = kills();
    let payouts: Vec<String> = (0..points).map(|round| scene.kill_at_every_point(round)).collect();
    scene.kill_under_load(load);
    scene.judge();
    // Somebody waits for one of them, and hears of its end from the sweep.
    let waited = scene.agent().get(&format!("/api/v1/intents/{}?wait=20", payouts[0])).unwrap();
    assert_eq!(text(&waited.data(), "/execution/status"), "outcome_unknown", "nobody told who waits");

    let record = scene.all_closed();
    record.judge(&scene.upstream, &scene.known.successes.lock().unwrap());
    let seen = scene.upstream.seen();
    let held = |account: &str| STAGES.iter().any(|stage| account.starts_with(stage));
    for one in seen.iter().filter(|one| held(&one.account) && !one.account.starts_with("answered")) {
        let closed = &record.closed[&one.intent];
        assert_eq!((closed.outcome.as_str(), closed.by_caller), ("outcome_unknown", false), "{one:?}");
    }
    assert!(payouts.iter().all(|intent| seen.iter().any(|one| one.intent == *intent)));
    assert!(!seen.iter().any(|one| one.account.starts_with("mute")), "it was killed before its request");
    // Whoever asks again is told what the record says, and nothing is called.
    let (mut agent, asked) = (scene.agent(), scene.known.asked.lock().unwrap().clone());
    let opened: HashSet<&str> = record.opened.values().map(String::as_str).collect();
    for account in asked.iter().filter(|account| opened.contains(account.as_str())) {
        let answer = transfer(&mut agent, account).unwrap();
        let (intent, state) = told(&answer).unwrap_or_else(|| panic!("{account}: {}", answer.json()));
        assert_eq!(state, record.closed[&intent].outcome, "{account}");
        let shown = agent.get(&format!("/api/v1/intents/{intent}")).unwrap().data();
        assert_eq!(text(&shown, "/execution/status"), state, "{account}");
    }
    assert_eq!(scene.upstream.seen().len(), seen.len(), "what was asked again was called again");
    let verified = scene.admin().get("/api/v1/record/verify").unwrap().data();
    assert_eq!(verified["intact"], Value::Bool(true), "{verified}");
    scene.stop();
}

/// The postmaster of a server with its own Postgres.
fn postmaster(world: &World) -> Option<Pid> {
    let pid = fs::read_to_string(world.options.data_dir.join("postgres/postmaster.pid")).ok()?;
    Pid::from_raw(pid.lines().next()?.parse().ok()?)
}

/// The processes of a postmaster.
fn children(of: Pid) -> Vec<Pid> {
    let of = of.as_raw_nonzero().get();
    let listed = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
    listed.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
}

#[test]
fn a_call_outlives_its_database_and_is_closed_in_the_next() {
    let (world, upstream) = (World::start_with(reaching), Upstream::start());
    let bank = Bank::open(&mut world.admin(), &upstream, FAILURES);
    let mut successes = HashMap::new();
    for victim in ["backends", "postmaster"] {
        let account = format!("whole-{victim}");
        let answer = thread::scope(|scope| {
            let call = scope.spawn(|| transfer(&mut world.server.client(Some(&bank.key)), &account));
            upstream.await_held(1);
            let killed = postmaster(&world).unwrap();
            let backends = children(killed);
            if victim == "postmaster" {
                kill_process(killed, Signal::KILL).unwrap();
            }
            // One may have ended by itself.
            backends.into_iter().for_each(|pid| {
                let _ = kill_process(pid, Signal::KILL);
            });
            upstream.release();
            call.join().unwrap().unwrap()
        });
        if let Some((intent, state)) = told(&answer) {
            assert!(["succeeded", "open"].contains(&state.as_str()), "{victim}: {}", answer.json());
            if state == "succeeded" {
                successes.insert(intent, account);
            }
        } else {
            assert_eq!(answer.status, 503, "{victim}: {}", answer.json());
        }
        let mut admin = world.admin();
        let record = eventually("it is closed", || {
            let ready = admin.get("/api/v1/record?limit=1").is_ok_and(|answer| answer.status == 200);
            let record = ready.then(|| Record::read(&mut admin))?;
            record.opened.keys().all(|intent| record.closed.contains_key(intent)).then_some(record)
        });
        record.judge(&upstream, &successes);
        assert!(record.closed.values().all(|closed| closed.outcome == "succeeded"), "{record:?}");
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[test]
fn a_server_that_is_to_stop_ends_its_calls_first_also_those_whose_caller_is_gone() {
    let (mut world, upstream) = (World::start_with(reaching), Upstream::start());
    let bank = Bank::open(&mut world.admin(), &upstream, FAILURES);
    let (address, known) = (world.server.address.clone(), Known::default());
    thread::scope(|scope| {
        let stays = scope.spawn(|| transfer(&mut Client::new(&address, Some(&bank.key)), "whole-stays"));
        // It sends what a caller sends, and goes.
        let gone = support::bank::order("bank.transfer", "whole-gone", "bank").to_string();
        let head = format!(
            "POST /api/v1/intents HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{gone}",
            bank.key,
            gone.len()
        );
        let mut stream = TcpStream::connect(&address).unwrap();
        std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
        upstream.await_held(2);
        drop(stream);
        let stops = scope.spawn(|| world.server.terminate().unwrap());
        eventually("nobody new is let in", || TcpStream::connect(&address).err());
        upstream.release();
        let answer = stays.join().unwrap().unwrap();
        assert_eq!(known.note("whole-stays", &answer).unwrap(), "succeeded");
        assert!(stops.join().unwrap());
    });
    let server = world.options.start().unwrap();
    let record = Record::read(&mut server.client(Some(&world.admin_key)));
    record.judge(&upstream, &known.successes.lock().unwrap());
    assert_eq!(record.closed.len(), 2, "{record:?}");
    assert!(record.closed.values().all(|closed| closed.outcome == "succeeded"), "{record:?}");
}
