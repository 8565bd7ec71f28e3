//! Whose hand a key is in: who made it could hold it, and make the next one with it in its holder's name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use serde_json::{Value, json};
use support::Answered;
use support::office::{Office, because, key, person, text};

fn is_own(answer: &Answered) {
    let told = (answer.status.as_u16(), answer.code());
    assert_eq!(told, (403, "self_approval".to_owned()), "{}", answer.text);
}

/// An agent of a member's, made with this key of theirs; its key.
async fn agent_made_with(office: &Office, made_with: &str) -> String {
    let made = office.world.call(made_with, "POST", "/api/v1/agents", json!({"name": "puppet"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    key(&office.world, made_with, ("agent", &text(&made.json(), "/data/id"))).await
}

#[tokio::test]
async fn no_key_answers_that_one_behind_the_request_had_a_hand_in() {
    let office = Office::open().await;
    let world = &office.world;
    let mallory = person(world, &office.org.key, "admin").await;
    let ada = person(world, &office.org.key, "admin").await;
    let intent = office.ask(&agent_made_with(&office, &mallory.key).await, 40).await;

    let first = key(world, &mallory.key, ("member", &ada.id)).await;
    is_own(&office.answer(&first, &intent, "approve").await);
    let second = key(world, &first, ("member", &ada.id)).await;
    is_own(&office.answer(&second, &intent, "approve").await);
    let third = key(world, &second, ("member", &office.approvers[0].id)).await;
    is_own(&office.answer(&third, &intent, "approve").await);

    // Through a member of Mallory's making, whose key is of Mallory's making, too.
    let puppet = person(world, &mallory.key, "admin").await;
    let of_a_puppet = key(world, &puppet.key, ("member", &office.approvers[1].id)).await;
    is_own(&office.answer(&of_a_puppet, &intent, "approve").await);

    // A rotated key is the hand of who rotated it.
    let keys = world.call(&office.org.key, "GET", "/api/v1/api-keys?limit=100", Value::Null).await.json();
    let held = keys["data"].as_array().unwrap();
    let held = held.iter().find(|key| key["holder"]["id"] == json!(ada.id)).unwrap();
    let rotate = format!("/api/v1/api-keys/{}/rotate", text(held, "/id"));
    let rotated = world.call(&second, "POST", &rotate, json!({"overlap_seconds": 60})).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    is_own(&office.answer(&text(&rotated.json(), "/data/secret"), &intent, "approve").await);

    assert_eq!(office.answer(&ada.key, &intent, "approve").await.status, 200, "her own key is hers");
}

#[tokio::test]
async fn nobody_answers_who_had_a_hand_in_the_key_it_was_asked_with() {
    let office = Office::open().await;
    let world = &office.world;
    let mallory = person(world, &office.org.key, "admin").await;
    let ada = person(world, &office.org.key, "admin").await;
    // In the operator's name, who knows nothing of it.
    let held = json!({"name": "k", "holder": {"type": "member", "id": office.operator.id}, "environment": "live",
        "scopes": ["intents:submit", "intents:read", "agents:manage", "keys:manage"]});
    let held = world.call(&mallory.key, "POST", "/api/v1/api-keys", held).await.json();
    let held = text(&held, "/data/secret");
    let intent = office.ask(&agent_made_with(&office, &held).await, 40).await;
    is_own(&office.answer(&mallory.key, &intent, "approve").await);
    assert_eq!(office.answer(&ada.key, &intent, "approve").await.status, 200);
    assert_eq!(office.answer(&office.approvers[0].key, &intent, "approve").await.status, 200);
}

#[tokio::test]
async fn an_answer_counts_no_more_once_its_key_is_revoked() {
    let office = Office::open().await;
    let world = &office.world;
    let intent = office.ask(&office.agent_key, 40).await;
    office.approve_both(&intent).await;
    let keys = world.call(&office.org.key, "GET", "/api/v1/api-keys?limit=100", Value::Null).await.json();
    let held = keys["data"].as_array().unwrap();
    let held = held.iter().find(|key| key["holder"]["id"] == json!(office.approvers[0].id)).unwrap();
    let revoke = format!("/api/v1/api-keys/{}/revoke", text(held, "/id"));
    assert_eq!(world.call(&office.org.key, "POST", &revoke, because()).await.status, 200);
    let refused = office.release(&intent, json!({})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (403, "intent_denied"),
        "{}",
        refused.text
    );
    assert_eq!(office.story(&intent).await.last().map(String::as_str), Some("intent.release_denied"));
}
