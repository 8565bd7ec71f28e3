//! Signing keys through the whole server: rotated in good time, and forged in the database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::{Algorithm, SigningKey};
use chancery_mint::signing_keys::PUBLISHED_SECONDS;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use support::{Org, World};

fn refund() -> Value {
    json!({
        "action": "payments.refund",
        "resource": {"type": "Payment", "id": "pay_1"},
        "arguments": {"amount": 40, "currency": "EUR", "reason": "duplicate"},
    })
}

/// An organization whose admin asks and whose connector redeems.
async fn office(world: &World) -> (Org, String) {
    let org = world.found("acme").await;
    world.call(&org.key, "POST", "/api/v1/policies/packs/payments/apply", Value::Null).await;
    let settings = json!({"settings": {"token_algorithm": "ES256"}});
    world.call(&org.key, "PATCH", "/api/v1/organization", settings).await;
    let bot = world.call(&org.key, "POST", "/api/v1/agents", json!({"name": "bot"})).await.json();
    let mut keys = Vec::new();
    for (scope, audiences) in [("intents:submit", json!([])), ("tokens:verify", json!(["billing"]))] {
        let wanted = json!({"name": "k", "holder": {"type": "agent", "id": bot["data"]["id"]},
            "environment": "live", "scopes": [scope], "audiences": audiences});
        let made = world.call(&org.key, "POST", "/api/v1/api-keys", wanted).await.json();
        keys.push(made["data"]["secret"].as_str().unwrap().to_owned());
    }
    let redeemer = keys.pop().unwrap();
    (Org { key: keys.pop().unwrap(), ..org }, redeemer)
}

async fn token(world: &World, asker: &str) -> String {
    let mut asked = refund();
    asked["connector"] = json!("billing");
    let answer = world.call(asker, "POST", "/api/v1/intents", asked).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["data"]["token"].as_str().unwrap().to_owned()
}

async fn redeem(world: &World, redeemer: &str, token: &str) -> (u16, String) {
    let mut body = refund();
    body["token"] = json!(token);
    let answer = world.call(redeemer, "POST", "/api/v1/tokens/verify", body).await;
    (answer.status.as_u16(), if answer.status == 200 { String::new() } else { answer.code() })
}

/// A token's own claims, signed with another key under another name.
fn signed_again(token: &str, key: &SigningKey, kid: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    let header = json!({"alg": "ES256", "kid": kid, "typ": "authority+jwt"}).to_string();
    let signed = format!("{}.{claims}", BASE64URL.encode(header));
    let signature = BASE64URL.encode(key.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn a_key_that_somebody_wrote_into_the_database_signs_nothing_that_is_redeemed() {
    let world = World::start().await;
    let (asker, redeemer) = office(&world).await;
    let token = token(&world, &asker.key).await;
    let (key, kid) = (SigningKey::generate(Algorithm::Es256).unwrap(), "acme.ffffffffffff");
    let insert = format!(
        "INSERT INTO signing_keys SELECT org_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '{kid}', algorithm,
             'previous', 2, '{}', sealed, created_at, activated_at, now() FROM signing_keys",
        key.public().to_jwk(kid)
    );
    let mut superuser = world.superuser().await;
    sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut superuser).await.unwrap();
    // Claims that a recorded decision stands behind: nothing but the key is wrong.
    let forged = signed_again(&token, &key, kid);
    assert_eq!(redeem(&world, &redeemer, &forged).await, (403, "token_invalid".to_owned()));
    let set = world.call("", "GET", "/orgs/acme/.well-known/jwks.json", Value::Null).await;
    assert_eq!(set.json()["keys"].as_array().unwrap().len(), 1, "{}", set.text);
    assert!(!set.text.contains(kid), "{}", set.text);
    assert_eq!(redeem(&world, &redeemer, &token).await, (200, String::new()));
}

#[tokio::test]
async fn a_rotation_in_good_time_publishes_first_and_signs_later() {
    let world = World::start().await;
    let admin = world.found("acme").await;
    let rotate =
        async |body: Value| world.call(&admin.key, "POST", "/api/v1/signing-keys/rotate", body).await;
    let first = rotate(json!({})).await.json();
    assert_eq!(first["data"]["state"], "active", "there is nothing to wait for: {first}");
    let waiting = rotate(json!({})).await;
    assert_eq!(waiting.status, 201, "{}", waiting.text);
    let waiting = waiting.json()["data"].clone();
    assert_eq!((&waiting["state"], &waiting["activated_at"]), (&json!("next"), &Value::Null));
    assert!(waiting["activates_at"].is_string(), "{waiting}");
    let again = rotate(json!({})).await;
    assert_eq!((again.status.as_u16(), &*again.code()), (409, "signing_key_waiting"), "{}", again.text);
    let set = world.call("", "GET", "/orgs/acme/.well-known/jwks.json", Value::Null).await.json();
    let published: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert_eq!(published.len(), 2);
    assert!(published.contains(&&waiting["kid"]));

    world.clock.advance_seconds(PUBLISHED_SECONDS);
    let activated = rotate(json!({})).await;
    assert_eq!(activated.status, 201, "{}", activated.text);
    assert_eq!(
        (&activated.json()["data"]["id"], &activated.json()["data"]["state"]),
        (&waiting["id"], &json!("active"))
    );
    let kinds = world.call(&admin.key, "GET", "/api/v1/record?limit=3", Value::Null).await.json();
    let kinds: Vec<_> = kinds["data"].as_array().unwrap().iter().map(|entry| entry["type"].clone()).collect();
    assert_eq!(kinds, ["signing_key.activated", "signing_key.created", "signing_key.created"]);
    let fresh = rotate(json!({"immediately": true})).await.json();
    assert_eq!((&fresh["data"]["state"], &fresh["data"]["generation"]), (&json!("active"), &json!(3)));
}
