//! Executing where something is in the way: tokens to be fetched first, slow systems, other servers, and
//! calls that nobody closed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_egress::Limits;
use chancery_model::Clock as _;
use chancery_record::{RecordError, releases};
use futures_util::future::join_all;
use serde_json::{Value, json};
use support::bank::{Bank, CANARY, bearer, failed, text};
use support::tls::Authority;
use support::upstream::{Behaviour, Upstream};
use support::{Setup, World};
use tokio::sync::Semaphore;

/// Waits for something that comes soon, or never.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < patience, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A bank that wants a token of a token endpoint, which is open while the semaphore has a permit.
async fn behind_tokens() -> (Bank, Upstream, Arc<Semaphore>) {
    let authority = Authority::new();
    let world = World::set_up(Setup { roots_pem: authority.pem(), ..Setup::default() }).await;
    let tokens = Upstream::secured(&authority).await;
    let gate = Arc::new(Semaphore::new(1));
    tokens.behave("/oauth/token", Behaviour::Grants("granted-", Arc::clone(&gate)));
    let credential = json!({"kind": "oauth2_client_credentials", "token_url": format!("{}/oauth/token", tokens.url),
        "client_id": "us", "client_secret": CANARY, "scope": "transfers"});
    let bank = Bank::on(world, json!({"concurrency": 64}), credential).await;
    (bank, tokens, gate)
}

#[tokio::test]
async fn of_many_calls_that_need_a_token_one_fetches_it() {
    let (bank, tokens, gate) = behind_tokens().await;
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Wants("Bearer granted-1"));
    let closed = gate.acquire().await.unwrap();
    let callers = join_all((0..50).map(|_| bank.ask("bank.transfer", "a", None)));
    let mut superuser = bank.world.superuser().await;
    let opened = async {
        until("fifty calls are opened", async || {
            let opened: i64 = sqlx::query_scalar("SELECT count(*) FROM releases WHERE state = 'open'")
                .fetch_one(&mut superuser)
                .await
                .unwrap();
            opened == 50
        })
        .await;
        drop(closed);
    };
    let (answers, ()) = tokio::join!(callers, opened);
    assert!(answers.iter().all(|answer| answer.status == 200), "{:?}", answers[0]);
    assert!(answers.iter().all(|answer| !answer.text.contains("granted-")));
    assert_eq!((tokens.seen().len(), bank.upstream.seen().len()), (1, 50));
    let asked = &tokens.seen()[0];
    assert_eq!(asked.body, "grant_type=client_credentials&scope=transfers");
    assert!(asked.headers["authorization"].to_str().unwrap().starts_with("Basic "));
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_fetched_anew_once() {
    let (bank, tokens, _gate) = behind_tokens().await;
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Wants("Bearer granted-2"));
    assert_eq!(bank.ask("bank.transfer", "a", None).await.status, 200);
    assert_eq!((tokens.seen().len(), bank.upstream.seen().len()), (2, 2));
    assert_eq!(bank.ask("bank.transfer", "a", None).await.status, 200);
    assert_eq!((tokens.seen().len(), bank.upstream.seen().len()), (2, 3), "the new one is kept");

    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Wants("nobody has it"));
    failed(&bank.ask("bank.transfer", "a", None).await, 502, "execution_failed");
    assert_eq!((tokens.seen().len(), bank.upstream.seen().len()), (3, 5));
}

#[tokio::test]
async fn a_client_that_is_refused_a_token_closes_its_call_as_failed() {
    let (bank, tokens, _gate) = behind_tokens().await;
    for (status, code) in [(401, "token_refused"), (400, "token_refused"), (503, "token_unavailable")] {
        let said = r#"{"error":"invalid_client","error_description":"canary-of-the-endpoint"}"#;
        tokens.behave("/oauth/token", Behaviour::Status(status, said));
        let answer = bank.ask("bank.transfer", "a", None).await;
        let intent = failed(&answer, 502, "execution_failed");
        assert_eq!(answer.json()["data"]["execution"]["code"], json!(code));
        let entries = bank.entries(&intent).await;
        assert_eq!(
            entries.iter().map(|it| text(it, "/type")).collect::<Vec<_>>(),
            ["intent.allowed", "intent.closed"]
        );
        assert_eq!(entries[1]["payload"]["outcome"], json!("failed"));
        assert_eq!(entries[1]["payload"]["code"], json!(code));
        for told in [answer.text, json!(entries).to_string()] {
            assert!(!told.contains(CANARY) && !told.contains("canary-of"), "{told}");
        }
    }
    assert!(bank.upstream.seen().is_empty(), "without a token nothing is sent");
}

#[tokio::test]
async fn no_connector_goes_beyond_the_limits_of_the_server() {
    let calls = Limits { total: Duration::from_millis(200), body_bytes: 16, ..Limits::default() };
    let world = World::set_up(Setup { calls, ..Setup::default() }).await;
    let bank = Bank::on(world, json!({"timeout_ms": 60_000, "max_answer_bytes": 1_000_000}), bearer()).await;
    bank.upstream.behave("/v1/accounts/long", Behaviour::Status(200, r#"{"longer":"than sixteen"}"#));
    let answer = bank.ask("bank.balance", "long", None).await;
    failed(&answer, 504, "outcome_unknown");
    assert_eq!(answer.json()["data"]["execution"]["code"], json!("answer_too_large"));
    bank.upstream.behave("/v1/accounts/slow", Behaviour::Hangs);
    let answer = bank.ask("bank.balance", "slow", None).await;
    failed(&answer, 504, "outcome_unknown");
    assert_eq!(answer.json()["data"]["execution"]["code"], json!("timed_out"));
}

#[tokio::test]
async fn what_comes_back_is_handed_on_as_it_is() {
    let bank = Bank::open(json!({})).await;
    for (account, text) in [("exact", r#"{"b": 1.50, "a": [1, 1e3]}"#), ("much", r#"[1,2,3,4,5,6,7,8]"#)] {
        bank.upstream.behave(&format!("/v1/accounts/{account}"), Behaviour::Status(200, text));
        let answer = bank.ask("bank.balance", account, Some(account)).await;
        assert!(answer.text.contains(&format!(r#""answer":{text}"#)), "{}", answer.text);
        let again = bank.ask("bank.balance", account, Some(account)).await;
        assert!(again.text.contains(&format!(r#""answer":{text}"#)), "{}", again.text);
    }
    // What a client could stumble over is no part of our JSON.
    let deep: &'static str = format!("{}{}", "[".repeat(100), "]".repeat(100)).leak();
    for (account, text) in [("deep", deep), ("number", "1e999"), ("none", "<html>")] {
        bank.upstream.behave(&format!("/v1/accounts/{account}"), Behaviour::Status(500, text));
        let answer = bank.ask("bank.balance", account, None).await;
        failed(&answer, 502, "execution_failed");
        let execution = &answer.json()["data"]["execution"];
        assert_eq!(BASE64.decode(execution["answer_base64"].as_str().unwrap()).unwrap(), text.as_bytes());
    }
}

#[tokio::test]
async fn what_a_redirect_made_of_a_write_tells_nothing_of_it() {
    let bank = Bank::open(json!({"redirects": 1})).await;
    let to = format!("{}/v1/ping", bank.upstream.url);
    for (account, status) in [("a", 200), ("b", 404)] {
        bank.upstream.behave(&format!("/v1/accounts/{account}/transfers"), Behaviour::Leads(to.clone()));
        bank.upstream.behave("/v1/ping", Behaviour::Status(status, "{}"));
        let answer = bank.ask("bank.transfer", account, None).await;
        failed(&answer, 504, "outcome_unknown");
        assert_eq!(answer.json()["data"]["execution"]["code"], json!("redirected"));
        bank.upstream.behave(&format!("/v1/accounts/{account}"), Behaviour::Leads(to.clone()));
        let read = bank.ask("bank.balance", account, None).await;
        assert_eq!(read.status.as_u16(), if status == 200 { 200 } else { 502 }, "{}", read.text);
    }
}

#[tokio::test]
async fn a_slow_system_takes_no_place_from_another() {
    let bank = Bank::open(json!({"concurrency": 2})).await;
    bank.connect(("till", "/v2"), json!({"concurrency": 2}), bearer()).await;
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Hangs);
    let slow = join_all((0..2).map(|_| bank.ask("bank.transfer", "a", None)));
    let others = async {
        until("two calls hang", async || bank.upstream.seen().len() == 2).await;
        failed(&bank.ask("bank.transfer", "a", None).await, 503, "connector_busy");
        failed(&bank.ask("bank.balance", "a", None).await, 503, "connector_busy");
        let quick = join_all((0..20).map(async |_| {
            let asked = ("till", "bank.balance", "a");
            assert_eq!(bank.ask_at(&bank.world, asked, None).await.status, 200);
        }));
        tokio::time::timeout(Duration::from_secs(10), quick).await.expect("the other system waits");
    };
    tokio::select! {
        _ = slow => panic!("a system that hangs answered"),
        () = others => {}
    }
    assert_eq!(bank.upstream.seen().len(), 22, "who was refused sent nothing");
}

#[tokio::test]
async fn what_one_server_learns_of_a_system_the_other_goes_by() {
    let breaker = json!({"failures": 4, "window_seconds": 600, "open_seconds": 60, "probes": 1});
    let bank = Bank::open(json!({"breaker": breaker, "retries": {"attempts": 1}})).await;
    let second = bank.world.beside(Setup::default()).await;
    let asked = ("bank", "bank.transfer", "a");
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Status(500, "{}"));
    for world in [&bank.world, &second, &bank.world, &second] {
        failed(&bank.ask_at(world, asked, None).await, 502, "execution_failed");
    }
    for world in [&bank.world, &second] {
        failed(&bank.ask_at(world, asked, None).await, 503, "connector_unavailable");
    }
    assert_eq!(bank.upstream.seen().len(), 4);

    bank.world.clock.advance_seconds(60);
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Hangs);
    let probe = bank.ask_at(&second, asked, None);
    let others = async {
        until("the probe is sent", async || bank.upstream.seen().len() == 5).await;
        for world in [&bank.world, &second] {
            failed(&bank.ask_at(world, asked, None).await, 503, "connector_unavailable");
        }
    };
    tokio::select! {
        _ = probe => panic!("a system that hangs answered"),
        () = others => {}
    }
    let path = format!("/api/v1/connectors/{}/reset", bank.connector);
    let reset = bank.world.call(&bank.org.key, "POST", &path, json!({"reason": "mended"})).await;
    assert_eq!(reset.status, 200, "{}", reset.text);
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Status(200, "{}"));
    assert_eq!(bank.ask_at(&second, asked, None).await.status, 200);
}

#[tokio::test]
async fn a_call_that_nobody_closes_in_its_time_has_an_unknown_outcome_for_good() {
    let bank = Bank::open(json!({"timeout_ms": 3_000})).await;
    let world = &bank.world;
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Hangs);
    let late = bank.ask("bank.transfer", "a", Some("k"));
    let sweeping = async {
        until("the call is sent", async || bank.upstream.seen().len() == 1).await;
        let record =
            world.call(&bank.org.key, "GET", "/api/v1/record?type=intent.allowed", Value::Null).await;
        let intent = text(&record.json(), "/data/0/correlation_id");
        let shown = async || bank.intent(&intent).await["data"]["execution"]["status"].clone();
        assert_eq!(shown().await, json!("open"));
        let orphans = async || releases::orphans(world.store(), world.clock.now()).await.unwrap();
        // As long as it may take, and the time that it is given on top.
        world.clock.advance_seconds(17);
        assert!(orphans().await.is_empty());
        assert_eq!(shown().await, json!("open"));
        world.clock.advance_seconds(1);
        assert_eq!(shown().await, json!("outcome_unknown"), "its time is over, whoever swept");
        assert_eq!(bank.story(&intent).await, ["intent.allowed"]);

        let [orphan] = orphans().await.try_into().unwrap();
        world.recorder().close_orphan(orphan).await.unwrap();
        assert!(orphans().await.is_empty());
        assert!(matches!(world.recorder().close_orphan(orphan).await, Err(RecordError::Released)));
        intent
    };
    // The call ends after all, when its outcome stands as unknown: that is not changed, and nothing is told.
    let (answer, intent) = tokio::join!(late, sweeping);
    assert_eq!(failed(&answer, 504, "outcome_unknown"), intent);
    let entries = bank.entries(&intent).await;
    assert_eq!(entries.len(), 2, "closed once: {entries:?}");
    assert_eq!(entries[1]["payload"]["outcome"], json!("outcome_unknown"));
    assert_eq!(entries[1]["payload"].get("attempts"), None, "by the sweep");
    failed(&bank.ask("bank.transfer", "a", Some("k")).await, 504, "outcome_unknown");
    assert_eq!(bank.upstream.seen().len(), 1);
}
