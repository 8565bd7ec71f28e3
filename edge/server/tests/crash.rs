//! `kill -9` of two servers and of their database, under load, again and again: every acknowledged
//! intent is there, no token was good twice, the chain is whole.
//!
//! `CHANCERY_FULL=1` runs 20 rounds; otherwise 4.

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

use chancery_testkit::{Client, ServerProcess};
use serde_json::{Value, json};
use support::{Desk, cluster, folder, redemption, refund, text, twins};

const THREADS: usize = 6;

fn rounds() -> usize {
    if std::env::var_os("CHANCERY_FULL").is_some() { 20 } else { 4 }
}

/// What the load has seen.
#[derive(Default)]
struct Seen {
    /// Intents answered 200.
    acknowledged: Mutex<Vec<String>>,
    /// Tokens with their numbers, each to be redeemed at both servers.
    tokens: Mutex<Vec<(usize, String, String)>>,
    /// How often a token was accepted, by intent.
    accepted: Mutex<HashMap<String, usize>>,
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
        if let Ok(answer) = answer {
            if answer.status == 200 {
                let data = answer.data();
                let id = text(&data, "/id");
                seen.acknowledged.lock().unwrap().push(id.clone());
                seen.tokens.lock().unwrap().push((number, id, text(&data, "/token")));
                seen.answers.fetch_add(1, Ordering::Relaxed);
            } else {
                assert_eq!(answer.status, 503, "{}", answer.json());
            }
        }
    }
}

fn redeem_forever(seen: &Seen, addresses: &Addresses, key: &str) {
    while !seen.stop.load(Ordering::Relaxed) {
        let Some((number, intent, token)) = seen.tokens.lock().unwrap().pop() else {
            thread::yield_now();
            continue;
        };
        let both = addresses.lock().unwrap().clone();
        let tries: Vec<_> = both
            .into_iter()
            .map(|address| {
                let (key, body) = (key.to_owned(), redemption(number, &token));
                thread::spawn(move || Client::new(&address, Some(&key)).post("/api/v1/tokens/verify", &body))
            })
            .collect();
        for answer in tries.into_iter().filter_map(|attempt| attempt.join().unwrap().ok()) {
            match answer.status {
                200 => *seen.accepted.lock().unwrap().entry(intent.clone()).or_default() += 1,
                403 => assert_eq!(answer.code(), "token_replayed"),
                status => assert_eq!(status, 503, "{}", answer.json()),
            }
        }
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

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_accepted_twice() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let folder = folder();
    let mut postgres = runtime.block_on(cluster(folder.path()));
    let twins = twins(folder.path(), &postgres);
    let mut first = twins[0].start().unwrap();
    let admin_key = first.admin_key().unwrap();
    let desk = Desk::open(&mut first.client(Some(&admin_key)));
    let es256 = json!({"settings": {"token_algorithm": "ES256"}}).to_string();
    first
        .client(Some(&admin_key))
        .send("PATCH", "/api/v1/organization", &[], Some(es256.as_bytes()))
        .unwrap();
    let mut servers: [ServerProcess; 2] = [first, twins[1].start().unwrap()];
    let addresses: Addresses = Arc::new(Mutex::new([servers[0].address.clone(), servers[1].address.clone()]));

    let seen = Arc::new(Seen::default());
    let mut load = Vec::new();
    for thread in 0..THREADS {
        let (ours, addresses_now, key) = (Arc::clone(&seen), Arc::clone(&addresses), desk.key.clone());
        load.push(thread::spawn(move || submit_forever(&ours, &addresses_now, &key, thread)));
    }
    for _ in 0..2 {
        let (ours, addresses_now, key) = (Arc::clone(&seen), Arc::clone(&addresses), desk.redeemer.clone());
        load.push(thread::spawn(move || redeem_forever(&ours, &addresses_now, &key)));
    }
    for round in 0..rounds() {
        wait_for(&seen, 100);
        if round % 2 == 0 {
            let one = round / 2 % 2;
            servers[one].kill().unwrap();
            servers[one] = twins[one].start().unwrap();
            addresses.lock().unwrap()[one].clone_from(&servers[one].address);
        } else {
            let pid = rustix::process::Pid::from_raw(postgres.pid()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            runtime.block_on(postgres.exited());
            runtime.block_on(postgres.restart()).unwrap();
        }
    }
    wait_for(&seen, 100);
    seen.stop.store(true, Ordering::Relaxed);
    load.into_iter().for_each(|thread| thread.join().unwrap());

    let mut admin = servers[1].client(Some(&admin_key));
    let acknowledged = std::mem::take(&mut *seen.acknowledged.lock().unwrap());
    for id in &acknowledged {
        assert_eq!(
            admin.get(&format!("/api/v1/intents/{id}")).unwrap().status,
            200,
            "{id} was acknowledged and is lost"
        );
    }
    let accepted = seen.accepted.lock().unwrap();
    assert!(!accepted.is_empty(), "no token was ever redeemed");
    for (intent, times) in &*accepted {
        assert_eq!(*times, 1, "the token of {intent} was accepted {times} times");
    }
    let verified = admin.get("/api/v1/record/verify").unwrap().data();
    assert_eq!(verified["intact"], Value::Bool(true), "{verified}");
    assert!(verified["entries"].as_u64().unwrap() as usize >= acknowledged.len() + accepted.len());
    drop(servers);
    runtime.block_on(postgres.stop()).unwrap();
}
