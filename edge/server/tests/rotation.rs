//! Rotating the signing key at two servers while everyone mints at both: there is always exactly one
//! active key, and no token that the published key set does not verify.
//!
//! `CHANCERY_FULL=1` mints 32 × 10,000 tokens by ES256 and 32 × 100 by RS256; otherwise 8 × 100 and 8 × 20.

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
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::PublicKey;
use chancery_testkit::Client;
use serde_json::{Value, json};
use support::{Twins, refund, text};

fn is_full() -> bool {
    std::env::var_os("CHANCERY_FULL").is_some()
}

/// How much of everything.
struct Scale {
    algorithm: &'static str,
    threads: usize,
    mints: usize,
    /// In all, over both servers.
    rotations: usize,
}

fn mint(client: &mut Client, thread: usize, mints: usize, minted: &AtomicUsize) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut number = 0;
    while tokens.len() < mints {
        number += 1;
        let answer = client.post("/api/v1/intents", &refund(thread * 1_000_000 + number)).unwrap();
        match answer.status {
            200 => {
                tokens.push(text(&answer.data(), "/token"));
                minted.fetch_add(1, Ordering::Relaxed);
            }
            // The key was rotated three times while this request ran: it says so and did nothing.
            status => {
                assert_eq!((status, answer.code().as_str()), (503, "organization_busy"), "{}", answer.json())
            }
        }
    }
    tokens
}

/// Ends whoever goes on until the minting is over, also when that fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Rotates at every `step` mints, so that what is tested is the race and not starvation. Gives how often.
fn rotate(
    admin: &mut Client,
    (minted, over): (&AtomicUsize, &AtomicBool),
    (total, step): (usize, usize),
) -> usize {
    let mut rotations = 0;
    for next in (step..total).step_by(step) {
        while minted.load(Ordering::Relaxed) < next {
            if over.load(Ordering::Relaxed) {
                return rotations;
            }
            thread::yield_now();
        }
        let answer = admin.post("/api/v1/signing-keys/rotate", &json!({"immediately": true})).unwrap();
        match answer.status {
            201 => rotations += 1,
            // Both servers rotate at the same moment; the other was first, again and again.
            status => {
                assert_eq!((status, answer.code().as_str()), (503, "organization_busy"), "{}", answer.json())
            }
        }
    }
    rotations
}

/// Looks into the database all the while: whatever is committed has one active key of each algorithm.
fn watch(twins: &Twins, over: &AtomicBool) -> usize {
    let mut superuser = twins.superuser();
    let mut looks = 0;
    while !over.load(Ordering::Relaxed) {
        let counts =
            "SELECT algorithm, count(*) FILTER (WHERE state = 'active') FROM signing_keys GROUP BY algorithm";
        let counts: Vec<(String, i64)> =
            twins.runtime.block_on(sqlx::query_as(counts).fetch_all(&mut superuser)).unwrap();
        for (algorithm, active) in counts {
            assert_eq!(active, 1, "active keys of {algorithm}");
        }
        looks += 1;
    }
    looks
}

fn published(client: &mut Client) -> HashMap<String, PublicKey> {
    let set = client.get("/orgs/default/.well-known/jwks.json").unwrap().json();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|jwk| (text(jwk, "/kid"), PublicKey::from_jwk(jwk).unwrap())).collect()
}

/// Verifies every token with the published keys; gives how many keys signed them.
fn verify(tokens: &[String], keys: &HashMap<String, PublicKey>, algorithm: &str) -> usize {
    let mut used: HashMap<String, usize> = HashMap::new();
    for token in tokens {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let header: Value =
            serde_json::from_slice(&BASE64URL.decode(signed.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!(header["alg"], algorithm);
        let kid = text(&header, "/kid");
        let key = keys.get(&kid).unwrap_or_else(|| panic!("`{kid}` is not published"));
        assert!(
            key.verify(signed.as_bytes(), &BASE64URL.decode(signature).unwrap()),
            "a token does not verify"
        );
        *used.entry(kid).or_default() += 1;
    }
    used.len()
}

fn race(scale: &Scale) {
    let twins = Twins::start();
    let change = json!({"settings": {"token_algorithm": scale.algorithm}}).to_string();
    let changed = twins.admin(0).send("PATCH", "/api/v1/organization", &[], Some(change.as_bytes())).unwrap();
    // RS256 is what it was: the default.
    assert!(changed.status == 200 || changed.code() == "unchanged", "{}", changed.json());
    // There is a key to look at from the first look on.
    twins.token(0);
    let (total, minted, over) = (scale.threads * scale.mints, AtomicUsize::new(0), AtomicBool::new(false));
    let step = 2 * total / scale.rotations;
    let tokens: Vec<String> = thread::scope(|scope| {
        let ending = Over(&over);
        let watching = scope.spawn(|| watch(&twins, &over));
        let rotating = [0, 1].map(|server| {
            let (mut admin, told) = (twins.admin(server), (&minted, &over));
            scope.spawn(move || rotate(&mut admin, told, (total, step)))
        });
        let minting: Vec<_> = (0..scale.threads)
            .map(|thread| {
                let (mut client, minted) = (twins.client(thread % 2, &twins.desk.key), &minted);
                scope.spawn(move || mint(&mut client, thread + 1, scale.mints, minted))
            })
            .collect();
        let tokens = minting.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let rotations = rotating.map(|thread| thread.join().unwrap());
        assert!(rotations.iter().all(|times| *times > 0), "rotations at the servers: {rotations:?}");
        drop(ending);
        let looks = watching.join().unwrap();
        assert!(looks > rotations[0] + rotations[1], "only {looks} looks at the keys");
        tokens
    });
    assert_eq!(tokens.len(), total);
    for server in &twins.servers {
        let used = verify(&tokens, &published(&mut server.client(None)), scale.algorithm);
        assert!(used > 2, "{used} keys signed all tokens: nothing was raced");
    }
    twins.stop();
}

#[test]
fn every_token_verifies_and_one_key_is_active() {
    let (threads, mints, rotations) = if is_full() { (32, 10_000, 400) } else { (8, 100, 16) };
    race(&Scale { algorithm: "ES256", threads, mints, rotations });
}

#[test]
fn the_same_holds_for_rsa_which_is_the_default() {
    let (threads, mints, rotations) = if is_full() { (32, 100, 32) } else { (8, 20, 8) };
    race(&Scale { algorithm: "RS256", threads, mints, rotations });
}
