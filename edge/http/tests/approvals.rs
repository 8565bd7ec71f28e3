//! Escalated intents: who may answer, when it is enough, and what an approval releases.

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
use support::office::{Office, because, enforce, key, person, text};

fn refused(answer: &Answered, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{}", answer.text);
}

#[tokio::test]
async fn two_people_agree_and_the_token_is_good_once() {
    let office = Office::open().await;
    let intent = office.ask(&office.agent_key, 40).await;
    refused(&office.release(&intent, json!({})).await, 409, "approval_pending");

    let inbox =
        office.world.call(&office.approvers[0].key, "GET", "/api/v1/approvals", Value::Null).await.json();
    let asked = &inbox["data"][0];
    assert_eq!(text(asked, "/id"), intent);
    assert_eq!(asked["intent"]["canonical"]["arguments"], json!({"amount": 40}));
    assert_eq!(asked["requester"]["id"], json!(office.agent));
    assert_eq!(asked["reasons"][0]["message"], json!("two people look at transfers"));
    assert_eq!(asked["requirements"], json!([{"approvals": 2, "role": "approver"}]));
    assert_eq!((asked["own"].clone(), asked["status"].clone()), (json!(false), json!("pending")));
    assert_eq!(asked["requester_name"], json!("bot"));

    office.approve_both(&intent).await;
    let inbox =
        office.world.call(&office.approvers[0].key, "GET", "/api/v1/approvals", Value::Null).await.json();
    assert_eq!(inbox["data"], json!([]));
    let shown = office
        .world
        .call(&office.agent_key, "GET", &format!("/api/v1/intents/{intent}"), Value::Null)
        .await
        .json();
    assert_eq!(shown["data"]["approval"]["status"], json!("approved"));
    assert_eq!(shown["data"]["approval"].get("released"), None);

    let released = office.release(&intent, json!({"arguments": {"amount": 40.0}})).await;
    assert_eq!(released.status, 200, "{}", released.text);
    let token = text(&released.json(), "/data/token");
    assert_eq!(released.json()["data"]["decision"]["reasons"][0]["code"], json!("approved"));
    let again = office.release(&intent, json!({})).await;
    assert_eq!(text(&again.json(), "/data/token"), token, "the first answer may not have arrived");

    refused(&office.redeem(&token, 41).await, 403, "token_invalid");
    assert_eq!(office.redeem(&token, 40).await.status, 200);
    refused(&office.redeem(&token, 40).await, 403, "token_replayed");
    let story = ["intent.escalated", "approval.granted", "approval.granted", "intent.released", "token.used"];
    assert_eq!(office.story(&intent).await, story);

    office.world.clock.advance_seconds(301);
    refused(&office.release(&intent, json!({})).await, 409, "intent_released");
    // What was used stays approved, and says so, also when its hour is over.
    office.world.clock.advance_seconds(3_600);
    let read = async |key: &str, path: &str| office.world.call(key, "GET", path, Value::Null).await.json();
    let approver = &office.approvers[0].key;
    let own = read(&office.agent_key, &format!("/api/v1/intents/{intent}")).await;
    let all = read(approver, "/api/v1/approvals?ended=true").await;
    for state in [&own["data"]["approval"], &all["data"][0]] {
        assert_eq!(
            (text(state, "/status"), text(state, "/released/as")),
            ("approved".into(), "token".into())
        );
        assert_eq!(state["released"]["at"], state["answers"][1]["at"], "no time went by between the two");
    }
    let shown = read(approver, &format!("/api/v1/approvals/{intent}")).await;
    let names: Vec<String> =
        (0..2).map(|one| text(&shown, &format!("/data/answers/{one}/member_name"))).collect();
    assert!(names.iter().all(|name| !name.is_empty()), "{shown}");
}

#[tokio::test]
async fn nobody_answers_their_own_request() {
    let office = Office::open().await;
    let world = &office.world;
    let intent = office.ask(&office.agent_key, 1).await;

    // The agent itself, and its owner, whatever role they are given.
    refused(&office.answer(&office.agent_key, &intent, "approve").await, 403, "insufficient_scope");
    let raise = json!({"role": "admin"});
    let path = format!("/api/v1/members/{}", office.operator.id);
    assert_eq!(world.call(&office.org.key, "PATCH", &path, raise).await.status, 200);
    let owner = key(world, &office.org.key, ("member", &office.operator.id)).await;
    refused(&office.answer(&owner, &intent, "approve").await, 403, "self_approval");

    // Whoever the owner makes, and whoever made the owner.
    let puppet = person(world, &owner, "approver").await;
    refused(&office.answer(&puppet.key, &intent, "approve").await, 403, "self_approval");
    refused(&office.answer(&office.org.key, &intent, "approve").await, 403, "self_approval");

    // A stranger to them, with a key that the owner made.
    let stranger = &office.approvers[0];
    let theirs = key(world, &owner, ("member", &stranger.id)).await;
    refused(&office.answer(&theirs, &intent, "approve").await, 403, "self_approval");
    assert_eq!(office.answer(&stranger.key, &intent, "approve").await.status, 200);

    // Somebody whom the owner made an approver after the request.
    let viewer = person(world, &office.org.key, "viewer").await;
    let path = format!("/api/v1/members/{}", viewer.id);
    assert_eq!(world.call(&owner, "PATCH", &path, json!({"role": "approver"})).await.status, 200);
    let late = key(world, &office.org.key, ("member", &viewer.id)).await;
    refused(&office.answer(&late, &intent, "approve").await, 403, "self_approval");

    // Giving the agent away does not make its owner a stranger.
    let give = json!({"owner_id": office.approvers[1].id});
    let given = world.call(&owner, "PATCH", &format!("/api/v1/agents/{}", office.agent), give).await;
    assert_eq!(given.status, 200, "{}", given.text);
    refused(&office.answer(&owner, &intent, "approve").await, 403, "self_approval");
    refused(&office.answer(&office.approvers[1].key, &intent, "approve").await, 403, "self_approval");
    refused(&office.release(&intent, json!({})).await, 409, "approval_pending");
}

#[tokio::test]
async fn one_refusal_ends_it_and_answers_can_be_taken_back_before_that() {
    let office = Office::open().await;
    let [first, second] = &office.approvers;
    let intent = office.ask(&office.agent_key, 2).await;
    refused(&office.answer(&first.key, &intent, "withdraw").await, 409, "not_answered");
    assert_eq!(office.answer(&first.key, &intent, "approve").await.status, 200);
    refused(&office.answer(&first.key, &intent, "approve").await, 409, "already_answered");
    assert_eq!(office.answer(&first.key, &intent, "withdraw").await.status, 200);
    assert_eq!(text(&office.answer(&second.key, &intent, "approve").await.json(), "/data/status"), "pending");
    assert_eq!(text(&office.answer(&first.key, &intent, "reject").await.json(), "/data/status"), "rejected");
    refused(&office.answer(&second.key, &intent, "withdraw").await, 409, "approval_ended");
    refused(&office.release(&intent, json!({})).await, 409, "approval_ended");
}

#[tokio::test]
async fn whoever_asked_takes_it_back_also_once_it_is_approved() {
    let office = Office::open().await;
    let cancel = async |key: &str, intent: &str| {
        office.world.call(key, "POST", &format!("/api/v1/intents/{intent}/cancel"), because()).await
    };
    let intent = office.ask(&office.agent_key, 3).await;
    refused(&cancel(&office.operator.key, &intent).await, 404, "not_found");
    office.approve_both(&intent).await;
    assert_eq!(cancel(&office.agent_key, &intent).await.status, 200);
    refused(&office.release(&intent, json!({})).await, 409, "approval_ended");

    let intent = office.ask(&office.agent_key, 3).await;
    office.approve_both(&intent).await;
    assert_eq!(office.release(&intent, json!({})).await.status, 200);
    refused(&cancel(&office.agent_key, &intent).await, 409, "intent_released");
}

#[tokio::test]
async fn time_that_is_over_is_a_refusal() {
    let office = Office::open().await;
    let intent = office.ask(&office.agent_key, 4).await;
    assert_eq!(office.answer(&office.approvers[0].key, &intent, "approve").await.status, 200);
    office.world.clock.advance_seconds(3600);
    refused(&office.answer(&office.approvers[1].key, &intent, "approve").await, 409, "approval_ended");

    let intent = office.ask(&office.agent_key, 4).await;
    office.approve_both(&intent).await;
    office.world.clock.advance_seconds(3600);
    refused(&office.release(&intent, json!({})).await, 409, "approval_ended");
}

#[tokio::test]
async fn what_was_approved_is_decided_on_again_by_what_is_so_then() {
    let office = Office::open().await;
    let world = &office.world;
    let changed = office.ask(&office.agent_key, 5).await;
    office.approve_both(&changed).await;
    for other in [
        json!({"arguments": {"amount": 6}}),
        json!({"action": "bank.other"}),
        json!({"resource": {"type": "Account", "id": "acc_2"}}),
    ] {
        refused(&office.release(&changed, other).await, 409, "intent_changed");
    }

    // Another asks for what was approved to somebody else.
    let path = format!("/api/v1/intents/{changed}/token");
    refused(&world.call(&office.operator.key, "POST", &path, json!({})).await, 404, "not_found");

    // A halted organization.
    let stop = json!({"reason": "a drill"});
    world.call(&office.org.key, "POST", "/api/v1/emergency/halt", stop.clone()).await;
    refused(&office.release(&changed, json!({})).await, 403, "organization_halted");
    world.call(&office.org.key, "POST", "/api/v1/emergency/resume", stop).await;

    // An approver who is none any more.
    let path = format!("/api/v1/members/{}", office.approvers[1].id);
    world.call(&office.org.key, "PATCH", &path, json!({"role": "viewer"})).await;
    refused(&office.release(&changed, json!({})).await, 403, "intent_denied");
    world.call(&office.org.key, "PATCH", &path, json!({"role": "approver"})).await;

    // A policy that forbids it now.
    let forbid = "forbid (principal, action == Action::\"bank.transfer\", resource);";
    enforce(world, &office.org.key, "closed", forbid).await;
    refused(&office.release(&changed, json!({})).await, 403, "intent_denied");
    let story = office.story(&changed).await;
    assert_eq!(story.iter().filter(|kind| *kind == "intent.release_denied").count(), 2, "{story:?}");
    assert!(!story.contains(&"intent.released".to_owned()), "{story:?}");
}

#[tokio::test]
async fn a_second_person_is_somebody_whom_the_first_did_not_make() {
    let office = Office::open().await;
    let world = &office.world;
    // An admin whom nobody behind the request is related to, and a member they made.
    let admin = person(world, &office.org.key, "admin").await;
    let made = person(world, &admin.key, "approver").await;
    let intent = office.ask(&office.agent_key, 7).await;
    assert_eq!(office.answer(&admin.key, &intent, "approve").await.status, 200);
    refused(&office.answer(&made.key, &intent, "approve").await, 403, "approver_not_distinct");
    let taken = office.answer(&office.approvers[0].key, &intent, "approve").await;
    assert_eq!(text(&taken.json(), "/data/status"), "approved");
    // To refuse, one person is enough.
    let intent = office.ask(&office.agent_key, 7).await;
    assert_eq!(office.answer(&admin.key, &intent, "approve").await.status, 200);
    let taken = office.answer(&made.key, &intent, "reject").await;
    assert_eq!(text(&taken.json(), "/data/status"), "rejected");
}

#[tokio::test]
async fn an_answer_counts_in_no_higher_role_than_it_was_given_in() {
    let office = Office::open().await;
    let world = &office.world;
    let policy = r#"@escalate("admin") forbid (principal, action == Action::"bank.transfer", resource);"#;
    enforce(world, &office.org.key, "an admin too", policy).await;
    let intent = office.ask(&office.agent_key, 9).await;
    let [first, second] = &office.approvers;
    assert_eq!(office.answer(&first.key, &intent, "approve").await.status, 200);
    let path = format!("/api/v1/members/{}", first.id);
    world.clock.advance_seconds(1);
    assert_eq!(world.call(&office.org.key, "PATCH", &path, json!({"role": "admin"})).await.status, 200);
    let taken = office.answer(&second.key, &intent, "approve").await;
    assert_eq!(text(&taken.json(), "/data/status"), "pending", "no admin has agreed yet");
    let admin = person(world, &office.org.key, "admin").await;
    let taken = office.answer(&admin.key, &intent, "approve").await;
    assert_eq!(text(&taken.json(), "/data/status"), "approved");
}

#[tokio::test]
async fn a_test_key_answers_and_releases_nothing_that_is_live() {
    let office = Office::open().await;
    let world = &office.world;
    let intent = office.ask(&office.agent_key, 9).await;
    let of = async |by: &str, kind: &str, id: &str, scopes: &[&str]| {
        let wanted =
            json!({"name": "t", "holder": {"type": kind, "id": id}, "environment": "test", "scopes": scopes});
        let made = world.call(by, "POST", "/api/v1/api-keys", wanted).await;
        assert_eq!(made.status, 201, "{}", made.text);
        world.clock.advance_seconds(1);
        text(&made.json(), "/data/secret")
    };
    let approver = of(&office.org.key, "member", &office.approvers[0].id, &["approvals:decide"]).await;
    let agent = of(&office.operator.key, "agent", &office.agent, &["intents:submit"]).await;
    for how in ["approve", "reject", "withdraw"] {
        refused(&office.answer(&approver, &intent, how).await, 404, "not_found");
    }
    let cancel = format!("/api/v1/intents/{intent}/cancel");
    assert!(!world.call(&agent, "POST", &cancel, because()).await.status.is_success());
    office.approve_both(&intent).await;
    let release = format!("/api/v1/intents/{intent}/token");
    refused(&world.call(&agent, "POST", &release, json!({})).await, 404, "not_found");
    assert_eq!(office.release(&intent, json!({})).await.status, 200);
    refused(&world.call(&agent, "POST", &release, json!({})).await, 404, "not_found");
}

#[tokio::test]
async fn another_organization_sees_nothing_of_it() {
    let office = Office::open().await;
    let other = office.world.found("other").await;
    let intent = office.ask(&office.agent_key, 8).await;
    for (method, path, body) in [
        ("GET", format!("/api/v1/approvals/{intent}"), Value::Null),
        ("POST", format!("/api/v1/approvals/{intent}/approve"), because()),
        ("POST", format!("/api/v1/approvals/{intent}/reject"), because()),
        ("POST", format!("/api/v1/approvals/{intent}/withdraw"), because()),
        ("POST", format!("/api/v1/intents/{intent}/token"), json!({})),
        ("POST", format!("/api/v1/intents/{intent}/cancel"), because()),
        ("GET", format!("/api/v1/intents/{intent}/events"), Value::Null),
    ] {
        refused(&office.world.call(&other.key, method, &path, body).await, 404, "not_found");
    }
    let inbox = office.world.call(&other.key, "GET", "/api/v1/approvals", Value::Null).await.json();
    assert_eq!(inbox["data"], json!([]));
}
