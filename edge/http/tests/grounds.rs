//! A good signature is not enough: whoever can write signing keys can sign. A token is redeemed on
//! the recorded decision that names it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod support;

use http::StatusCode;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use support::{Org, World};

/// Ways in which the decision that allowed a token is not there, and what puts it back.
const GROUNDLESS: [(&str, &str); 5] = [
    (
        "CREATE TEMP TABLE aside AS SELECT * FROM intents; DELETE FROM intents",
        "INSERT INTO intents SELECT * FROM aside; DROP TABLE aside",
    ),
    (
        "UPDATE entries SET kind = 'intent.denied' WHERE kind = 'intent.allowed'",
        "UPDATE entries SET kind = 'intent.allowed' WHERE kind = 'intent.denied'",
    ),
    (
        "UPDATE entries SET refs = replace(refs, '\"token\":\"', '\"token\":\"x') WHERE kind = 'intent.allowed'",
        "UPDATE entries SET refs = replace(refs, '\"token\":\"x', '\"token\":\"') WHERE kind = 'intent.allowed'",
    ),
    // The id is another token's with other claims: whoever has the signing key can make one.
    (
        "UPDATE entries SET refs = replace(refs, '\"claims\":\"', '\"claims\":\"x') WHERE kind = 'intent.allowed'",
        "UPDATE entries SET refs = replace(refs, '\"claims\":\"x', '\"claims\":\"') WHERE kind = 'intent.allowed'",
    ),
    ("UPDATE intents SET seq = seq + 1000", "UPDATE intents SET seq = seq - 1000"),
];

async fn ready() -> (World, Org, String) {
    let world = World::start().await;
    let org = world.found("acme").await;
    let action = json!({"resource_type": "Thing", "description": "d", "effect": "write", "base_risk": 1,
        "arguments": {"type": "object", "properties": {}}});
    world.call(&org.key, "PUT", "/api/v1/actions/things.make", action).await;
    let policy = json!({"name": "all", "text": "permit(principal, action, resource);"});
    let made = world.call(&org.key, "POST", "/api/v1/policies", policy).await.json();
    let path = format!("/api/v1/policies/{}/activate", made["data"]["id"].as_str().unwrap());
    world.call(&org.key, "POST", &path, json!({"version": 1})).await;
    let body = json!({"name": "redeemer", "holder": {"type": "member", "id": org.admin},
        "environment": "live", "scopes": ["tokens:verify"], "audiences": ["acme"]});
    let key = world.call(&org.key, "POST", "/api/v1/api-keys", body).await.json()["data"]["secret"].clone();
    (world, org, key.as_str().unwrap().to_owned())
}

async fn token(world: &World, org: &Org, id: &str) -> Value {
    let intent = json!({"action": "things.make", "resource": {"type": "Thing", "id": id}, "token": true});
    let answer = world.call(&org.key, "POST", "/api/v1/intents", intent).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()["data"]["token"].clone()
}

#[tokio::test]
async fn a_signed_token_without_its_recorded_decision_is_no_token() {
    let (world, org, redeemer) = ready().await;
    let mut superuser = world.superuser().await;
    // By the committer's long way first; after some commits it trusts its memory.
    for remembered in [false, true] {
        for number in 0..if remembered { 20 } else { 0 } {
            token(&world, &org, &format!("more-{number}")).await;
        }
        let id = format!("thing-{remembered}");
        let redeem = json!({"token": token(&world, &org, &id).await, "action": "things.make",
            "resource": {"type": "Thing", "id": id}});
        for (take, give) in GROUNDLESS {
            sqlx::raw_sql(AssertSqlSafe(take.to_owned())).execute(&mut superuser).await.unwrap();
            let answer = world.call(&redeemer, "POST", "/api/v1/tokens/verify", redeem.clone()).await;
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (StatusCode::FORBIDDEN, "token_invalid"),
                "{take}"
            );
            sqlx::raw_sql(AssertSqlSafe(give.to_owned())).execute(&mut superuser).await.unwrap();
        }
        let answer = world.call(&redeemer, "POST", "/api/v1/tokens/verify", redeem.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let answer = world.call(&redeemer, "POST", "/api/v1/tokens/verify", redeem).await;
        assert_eq!(answer.code(), "token_replayed", "{}", answer.text);
    }
}
