//! Rotating the signing key while everyone mints: there is always one active key, and no token that
//! the published key set does not verify.
//!
//! `CHANCERY_FULL=1` mints 32 × 10,000 tokens; otherwise 8 × 100.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::PublicKey;
use chancery_testkit::Client;
use serde_json::{Value, json};
use support::{Desk, World, refund, text};

fn scale() -> (usize, usize) {
    if std::env::var_os("CHANCERY_FULL").is_some() { (32, 10_000) } else { (8, 100) }
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

fn published(client: &mut Client) -> HashMap<String, PublicKey> {
    let set = client.get("/orgs/default/.well-known/jwks.json").unwrap().json();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|jwk| (text(jwk, "/kid"), PublicKey::from_jwk(jwk).unwrap())).collect()
}

#[test]
fn every_token_verifies_and_one_key_is_active() {
    let world = World::start();
    let mut admin = world.admin();
    let desk = Desk::open(&mut admin);
    let es256 = json!({"settings": {"token_algorithm": "ES256"}}).to_string();
    admin.send("PATCH", "/api/v1/organization", &[], Some(es256.as_bytes())).unwrap();
    let (threads, mints) = scale();
    let (total, minted) = (threads * mints, Arc::new(AtomicUsize::new(0)));
    // So many rotations, spread over the mints: what is tested is the race, not starvation.
    let step = (total / 400).max(50);
    let rotating = {
        let (minted, mut admin) = (Arc::clone(&minted), world.admin());
        thread::spawn(move || {
            let mut rotations = 0;
            for next in (step..total).step_by(step) {
                while minted.load(Ordering::Relaxed) < next {
                    thread::yield_now();
                }
                let answer = admin.post("/api/v1/signing-keys/rotate", &json!({})).unwrap();
                rotations += usize::from(answer.status == 201);
                let keys = admin.get("/api/v1/signing-keys").unwrap().data();
                let active = keys.as_array().unwrap().iter().filter(|key| key["state"] == "active").count();
                assert_eq!(active, 1, "{keys}");
            }
            rotations
        })
    };
    let minting: Vec<_> = (0..threads)
        .map(|thread| {
            let (mut client, minted) = (world.server.client(Some(&desk.key)), Arc::clone(&minted));
            thread::spawn(move || mint(&mut client, thread, mints, &minted))
        })
        .collect();
    let tokens: Vec<String> = minting.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert!(rotating.join().unwrap() > 0, "the key was never rotated");
    assert_eq!(tokens.len(), threads * mints);
    let keys = published(&mut world.server.client(None));
    let mut used: HashMap<String, usize> = HashMap::new();
    for token in &tokens {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let header: Value =
            serde_json::from_slice(&BASE64URL.decode(signed.split('.').next().unwrap()).unwrap()).unwrap();
        let kid = text(&header, "/kid");
        let key = keys.get(&kid).unwrap_or_else(|| panic!("`{kid}` is not published"));
        assert!(
            key.verify(signed.as_bytes(), &BASE64URL.decode(signature).unwrap()),
            "a token does not verify"
        );
        *used.entry(kid).or_default() += 1;
    }
    assert!(used.len() > 1, "all tokens were signed with one key: nothing was raced");
}
