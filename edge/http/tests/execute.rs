//! Executing: the call that an intent stands for, made once, with a credential that nobody sees.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use support::bank::{Bank, CANARY, bearer, failed, text};
use support::upstream::{Behaviour, Upstream};
use support::{Setup, World};

#[tokio::test]
async fn a_permitted_intent_is_called_once_and_told_again() {
    let bank = Bank::open(json!({})).await;
    bank.upstream.behave("/v1/accounts/a%2Fb/transfers", Behaviour::Status(201, r#"{"transfer":"t1"}"#));
    let answer = bank.ask("bank.transfer", "a/b", Some("once")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let data = answer.json()["data"].clone();
    assert_eq!(data["execution"]["status"], json!("succeeded"));
    assert_eq!(data["execution"]["http_status"], json!(201));
    assert_eq!(data["execution"]["answer"], json!({"transfer": "t1"}));
    assert_eq!(data.get("token"), None);

    let seen = bank.upstream.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].method.as_str(), seen[0].path.as_str()), ("POST", "/v1/accounts/a%2Fb/transfers"));
    assert_eq!(seen[0].body, r#"{"amount":40}"#);
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {CANARY}"));

    let intent = text(&data, "/id");
    let again = bank.ask("bank.transfer", "a/b", Some("once")).await;
    assert_eq!((again.status.as_u16(), text(&again.json(), "/data/id")), (200, intent.clone()));
    assert_eq!(again.json()["data"]["execution"]["answer"], json!({"transfer": "t1"}));
    assert_eq!(bank.upstream.seen().len(), 1);
    assert_eq!(bank.story(&intent).await, ["intent.allowed", "intent.closed"]);
    let later = bank.intent(&intent).await;
    assert_eq!(later["data"]["execution"]["status"], json!("succeeded"));
    let record = format!("/api/v1/record?correlation_id={intent}&type=intent.closed");
    let record = bank.world.call(&bank.org.key, "GET", &record, Value::Null).await.json();
    for told in [&data, &again.json()["data"], &later["data"]] {
        assert_eq!(told["execution"]["closed_at"], record["data"][0]["time"], "it ended once");
    }
}

#[tokio::test]
async fn only_what_the_system_says_is_a_success_and_only_what_may_be_is_tried_again() {
    let bank = Bank::open(json!({"retries": {"attempts": 3}, "timeout_ms": 2_000})).await;
    for (account, status) in [("no", 422), ("ill", 500), ("busy", 503)] {
        bank.upstream.behave(&format!("/v1/accounts/{account}/transfers"), Behaviour::Status(status, "{}"));
        let intent = failed(&bank.ask("bank.transfer", account, None).await, 502, "execution_failed");
        assert_eq!(bank.intent(&intent).await["data"]["execution"]["status"], json!("failed"));
    }
    assert_eq!(bank.upstream.seen().len(), 3, "a transfer is never sent twice");
    bank.upstream.behave("/v1/accounts/gone/transfers", Behaviour::Status(504, "{}"));
    failed(&bank.ask("bank.transfer", "gone", None).await, 504, "outcome_unknown");
    bank.upstream.behave("/v1/accounts/slow/transfers", Behaviour::Hangs);
    let intent = failed(&bank.ask("bank.transfer", "slow", Some("k")).await, 504, "outcome_unknown");
    failed(&bank.ask("bank.transfer", "slow", Some("k")).await, 504, "outcome_unknown");
    assert_eq!(bank.story(&intent).await, ["intent.allowed", "intent.closed"]);
    assert_eq!(bank.upstream.seen().len(), 5);

    bank.upstream.behave("/v1/accounts/busy", Behaviour::Status(503, "{}"));
    failed(&bank.ask("bank.balance", "busy", None).await, 502, "execution_failed");
    let balances = bank.upstream.seen().iter().filter(|it| it.method == "GET").count();
    assert!((2..=3).contains(&balances), "within its attempts and the budget: {balances}");
}

#[tokio::test]
async fn what_an_earlier_try_may_have_done_is_no_failure() {
    let bank = Bank::open(json!({"retries": {"attempts": 2, "budget_percent": 100}})).await;
    for (account, turns, told) in [
        ("a", vec![504, 503], Some((504, "outcome_unknown"))),
        ("b", vec![502, 404], Some((504, "outcome_unknown"))),
        ("c", vec![503, 404], Some((502, "execution_failed"))),
        ("d", vec![504, 200], None),
    ] {
        bank.upstream.behave(&format!("/v1/accounts/{account}"), Behaviour::Turns(turns));
        let before = bank.upstream.seen().len();
        let answer = bank.ask("bank.balance", account, None).await;
        match told {
            Some((status, code)) => drop(failed(&answer, status, code)),
            None => assert_eq!(answer.status, 200, "{}", answer.text),
        }
        assert_eq!(bank.upstream.seen().len(), before + 2, "{account}");
    }
}

#[tokio::test]
async fn a_system_leads_nowhere_else() {
    let bank = Bank::open(json!({"redirects": 1})).await;
    let other = Upstream::start().await;
    for (account, to) in [
        ("meta", "http://169.254.169.254/latest/meta-data".to_owned()),
        ("other", format!("{}/v1/ping", other.url)),
    ] {
        bank.upstream.behave(&format!("/v1/accounts/{account}"), Behaviour::Leads(to));
        let answer = bank.ask("bank.balance", account, None).await;
        assert!(!answer.status.is_success(), "{}", answer.text);
        assert_ne!(answer.json()["data"]["execution"]["status"], json!("succeeded"));
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn what_can_not_be_called_is_told_before_anything_is_recorded() {
    let bank = Bank::open(json!({})).await;
    let ask = async |connector: Value| {
        let body = json!({"action": "bank.balance", "resource": {"type": "Account", "id": "a"},
            "connector": connector, "execute": true});
        bank.world.call(&bank.agent_key, "POST", "/api/v1/intents", body).await
    };
    failed(&ask(Value::Null).await, 400, "validation_error");
    failed(&ask(json!("nobody")).await, 409, "not_executable");
    let path = format!("/api/v1/connectors/{}/pause", bank.connector);
    bank.world.call(&bank.org.key, "POST", &path, json!({"reason": "drill"})).await;
    failed(&ask(json!("bank")).await, 403, "connector_paused");
    assert!(bank.upstream.seen().is_empty());
    let record =
        bank.world.call(&bank.org.key, "GET", "/api/v1/record?type=intent.allowed", Value::Null).await;
    assert_eq!(record.json()["data"], json!([]));
}

#[tokio::test]
async fn a_connector_is_tested_and_an_older_credential_serves_while_the_two_overlap() {
    let bank = Bank::open(json!({})).await;
    let path = format!("/api/v1/connectors/{}", bank.connector);
    let test =
        async || bank.world.call(&bank.org.key, "POST", &format!("{path}/test"), Value::Null).await.json();
    assert_eq!(test().await["data"]["works"], json!(true));
    bank.upstream.behave("/v1/ping", Behaviour::Status(401, "{}"));
    assert_eq!(
        test().await["data"],
        json!({"works": false, "http_status": 401, "code": "refused_by_system"})
    );

    for (order, then) in [("pause", 403), ("resume", 200)] {
        let because = json!({"reason": "a drill"});
        let ordered = bank.world.call(&bank.org.key, "POST", &format!("{path}/{order}"), because).await;
        assert_eq!(ordered.status, 200, "{}", ordered.text);
        let tested = bank.world.call(&bank.org.key, "POST", &format!("{path}/test"), Value::Null).await;
        assert_eq!(tested.status, then, "{order}: {}", tested.text);
        let asked = bank.ask("bank.balance", "a", None).await;
        assert_eq!(asked.status, then, "{order}: {}", asked.text);
        assert!(then == 200 || asked.text.contains("the connector is paused"), "{}", asked.text);
    }

    let newer = json!({"kind": "bearer", "token": "not-yet-known-there", "overlap_seconds": 3_600});
    let written = bank.world.call(&bank.org.key, "POST", &format!("{path}/credentials"), newer).await;
    assert_eq!(written.status, 201, "{}", written.text);
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Wants("Bearer canary-Xp7qUe-credential"));
    assert_eq!(bank.ask("bank.transfer", "a", None).await.status, 200);
    bank.world.clock.advance_seconds(3_601);
    failed(&bank.ask("bank.transfer", "a", None).await, 502, "execution_failed");

    // Taken away, nothing is called, rather than without.
    let removed = bank.world.call(&bank.org.key, "DELETE", &format!("{path}/credentials"), Value::Null).await;
    assert_eq!(removed.status, 200, "{}", removed.text);
    let before = bank.upstream.seen().len();
    failed(&bank.ask("bank.balance", "a", None).await, 409, "not_executable");
    let refused = bank.world.call(&bank.org.key, "POST", &format!("{path}/test"), Value::Null).await;
    failed(&refused, 409, "not_executable");
    assert_eq!(bank.upstream.seen().len(), before);
    let written = bank.world.call(&bank.org.key, "POST", &format!("{path}/credentials"), bearer()).await;
    assert_eq!(written.status, 201, "{}", written.text);
    assert_eq!(bank.ask("bank.balance", "a", None).await.status, 200);
}

#[tokio::test]
async fn a_system_that_fails_is_left_alone_and_then_tried_by_the_configured_probes() {
    let breaker = json!({"failures": 5, "window_seconds": 600, "open_seconds": 1_800, "probes": 2});
    let callers: usize = if std::env::var_os("CHANCERY_FULL").is_some() { 1_000 } else { 100 };
    let world = World::set_up(Setup { burst: 2_000, ..Setup::default() }).await;
    let limits = json!({"breaker": breaker, "concurrency": 256, "retries": {"attempts": 1}});
    let bank = Bank::on(world, limits, bearer()).await;
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Status(500, "{}"));
    bank.upstream.behave("/v1/accounts/mine/transfers", Behaviour::Status(404, "{}"));
    for _ in 0..10 {
        failed(&bank.ask("bank.transfer", "mine", None).await, 502, "execution_failed");
    }
    for _ in 0..5 {
        failed(&bank.ask("bank.transfer", "a", None).await, 502, "execution_failed");
    }
    failed(&bank.ask("bank.transfer", "a", None).await, 503, "connector_unavailable");
    assert_eq!(bank.upstream.seen().len(), 15);
    let path = format!("/api/v1/connectors/{}", bank.connector);
    let state = async || {
        let shown = bank.world.call(&bank.org.key, "GET", &path, Value::Null).await.json();
        text(&shown, "/data/breakers/0/state")
    };
    assert_eq!(state().await, "open");

    bank.world.clock.advance_seconds(1_800);
    assert_eq!(state().await, "half_open");
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Hangs);
    let mut callers: FuturesUnordered<_> =
        (0..callers).map(|_| bank.ask("bank.transfer", "a", None)).collect();
    // The probes hang; everybody else is answered.
    while callers.len() > 2 {
        let answer = tokio::time::timeout(std::time::Duration::from_secs(60), callers.next()).await;
        let answer = answer.expect("more than the probes wait for their system").unwrap();
        assert!(
            ["connector_unavailable", "connector_busy"].contains(&answer.code().as_str()),
            "{}",
            answer.text
        );
    }
    assert_eq!(bank.upstream.seen().len(), 17, "of all callers two are let through");
    drop(callers);

    let reset =
        bank.world.call(&bank.org.key, "POST", &format!("{path}/reset"), json!({"reason": "mended"})).await;
    assert_eq!(reset.status, 200, "{}", reset.text);
    bank.upstream.behave("/v1/accounts/a/transfers", Behaviour::Status(200, "{}"));
    assert_eq!(bank.ask("bank.transfer", "a", None).await.status, 200);
}
