//! Names, who answers for whom, and acting on behalf of others.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use serde_json::{Value, json};
use support::{Answered, Org, World};

async fn made(world: &World, key: &str, path: &str, body: Value) -> Value {
    let answer = world.call(key, "POST", path, body).await;
    assert!([200, 201].contains(&answer.status.as_u16()), "{path}: {}", answer.text);
    answer.json()["data"].clone()
}

fn path(of: &str, thing: &Value) -> String {
    format!("/api/v1/{of}/{}", thing["id"].as_str().unwrap())
}

/// A member with a role, and a key of theirs with these scopes.
async fn member(world: &World, org: &Org, role: &str, scopes: &[&str]) -> (Value, String) {
    let person = json!({"name": role, "email": format!("{role}@example.org"), "role": role});
    let person = made(world, &org.key, "/api/v1/members", person).await;
    let key = json!({"name": "k", "holder": {"type": "member", "id": person["id"]}, "environment": "live",
        "scopes": scopes});
    let key = made(world, &org.key, "/api/v1/api-keys", key).await["secret"].as_str().unwrap().to_owned();
    (person, key)
}

#[track_caller]
fn refused(answer: &Answered, status: u16, code: &str, field: &str) {
    assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{}", answer.text);
    assert_eq!(answer.json()["error"]["field"], field, "{}", answer.text);
}

#[tokio::test]
async fn names_change_with_an_entry_and_a_persons_name_stays_out_of_it() {
    let world = World::start().await;
    let org = world.found("acme").await;
    let agent = made(&world, &org.key, "/api/v1/agents", json!({"name": "bot"})).await;
    let (person, _) = member(&world, &org, "viewer", &["agents:read"]).await;
    let things = [
        ("/api/v1/organization".to_owned(), "settings", json!({"escalate_at": 60}), "organization.renamed"),
        (path("agents", &agent), "owner_id", person["id"].clone(), "agent.renamed"),
        (path("members", &person), "role", json!("operator"), "member.renamed"),
    ];
    for (at, other, value, kind) in &things {
        let change = |body: Value| world.call(&org.key, "PATCH", at, body);
        let renamed = change(json!({"name": "Zoë Fresh"})).await;
        assert_eq!(renamed.status, 200, "{at}: {}", renamed.text);
        assert_eq!(renamed.json()["data"]["name"], "Zoë Fresh");
        let shown = world.call(&org.key, "GET", at, Value::Null).await.json();
        assert_eq!(shown["data"]["name"], "Zoë Fresh", "{at}");
        assert_eq!(change(json!({"name": "Zoë Fresh"})).await.code(), "unchanged", "{at}");
        refused(&change(json!({})).await, 400, "validation_error", "name");
        let both = json!({"name": "Both", (*other): value});
        refused(&change(both).await, 400, "validation_error", "name");
        for bad in ["", "a\nb", &"n".repeat(201)] {
            refused(&change(json!({"name": bad})).await, 400, "validation_error", "name");
        }
        let newest = world.call(&org.key, "GET", "/api/v1/record?limit=1", Value::Null).await.json();
        assert_eq!(newest["data"][0]["type"], *kind, "{at}");
        let says = newest["data"][0]["payload"].to_string();
        assert_eq!(says.contains("Zoë Fresh"), *kind != "member.renamed", "{says}");
    }
    let email = world.call(&org.key, "GET", &things[2].0, Value::Null).await.json();
    assert_eq!(email["data"]["email"], "viewer@example.org", "a name is changed, and nothing else of them");
    world.call(&org.key, "DELETE", &things[2].0, Value::Null).await;
    let gone = world.call(&org.key, "PATCH", &things[2].0, json!({"name": "Late"})).await;
    assert_eq!((gone.status.as_u16(), &*gone.code()), (409, "member_removed"));
    let lost = world.call(
        &org.key,
        "PATCH",
        "/api/v1/members/0198c0de-0000-7000-8000-000000000001",
        json!({"name": "N"}),
    );
    assert_eq!(lost.await.code(), "not_found");
}

#[tokio::test]
async fn who_answers_for_an_agent_is_decided_by_who_decides_about_members() {
    let world = World::start().await;
    let org = world.found("acme").await;
    let (operator, key) = member(&world, &org, "operator", &["agents:manage"]).await;
    let narrow = world.key(&org, &["agents:manage"]).await;
    let own = made(&world, &key, "/api/v1/agents", json!({"name": "own", "owner_id": operator["id"]})).await;
    assert_eq!(own["owner_id"], operator["id"]);
    let theirs = made(&world, &org.key, "/api/v1/agents", json!({"name": "theirs"})).await;
    for (key, owner) in [(&key, json!(org.admin)), (&narrow, operator["id"].clone())] {
        let put_on = world.call(key, "POST", "/api/v1/agents", json!({"name": "x", "owner_id": owner})).await;
        refused(&put_on, 403, "insufficient_scope", "members:manage");
    }
    let give = world.call(&key, "PATCH", &path("agents", &own), json!({"owner_id": org.admin})).await;
    refused(&give, 403, "insufficient_scope", "members:manage");
    let take = world.call(&key, "PATCH", &path("agents", &theirs), json!({"owner_id": operator["id"]})).await;
    refused(&take, 403, "insufficient_scope", "members:manage");
    let renamed = world.call(&key, "PATCH", &path("agents", &theirs), json!({"name": "renamed"})).await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    let given = world.call(&org.key, "PATCH", &path("agents", &own), json!({"owner_id": org.admin})).await;
    assert_eq!(given.status, 200, "{}", given.text);
    let agents = world.call(&org.key, "GET", "/api/v1/agents", Value::Null).await.json();
    assert_eq!(agents["data"].as_array().unwrap().len(), 2, "{agents}");
}

#[tokio::test]
async fn a_delegation_gives_no_more_than_its_maker_may_do_now() {
    let world = World::start().await;
    let org = world.found("acme").await;
    made(&world, &org.key, "/api/v1/policies/packs/payments/apply", Value::Null).await;
    let (person, key) = member(&world, &org, "admin", &["delegations:manage"]).await;
    let agent = made(&world, &org.key, "/api/v1/agents", json!({"name": "bot"})).await;
    let bot = json!({"name": "k", "holder": {"type": "agent", "id": agent["id"]}, "environment": "live",
        "scopes": ["intents:submit"]});
    let bot = made(&world, &org.key, "/api/v1/api-keys", bot).await["secret"].as_str().unwrap().to_owned();
    let delegation = json!({"agent_id": agent["id"], "actions": ["payments.refund"]});
    made(&world, &key, "/api/v1/delegations", delegation.clone()).await;
    let ask = async || {
        let asked = json!({
            "action": "payments.refund", "resource": {"type": "Payment", "id": "pay_1"},
            "arguments": {"amount": 40, "currency": "EUR", "reason": "duplicate"},
            "connector": "billing", "on_behalf_of": person["id"],
        });
        let answer = world.call(&bot, "POST", "/api/v1/intents", asked).await;
        answer.json()["data"]["decision"]["reasons"].to_string()
    };
    for (role, may) in [("operator", true), ("viewer", false), ("approver", false), ("admin", true)] {
        world.call(&org.key, "PATCH", &path("members", &person), json!({"role": role})).await;
        let reasons = ask().await;
        assert_eq!(!reasons.contains("delegation_missing"), may, "{role}: {reasons}");
        // Who may not decide who may do what makes none at all.
        let another = world.call(&key, "POST", "/api/v1/delegations", delegation.clone()).await;
        assert_eq!(another.status == 201, role == "admin", "{role}: {}", another.text);
    }
    let for_another = json!({"agent_id": person["id"], "actions": ["payments.refund"]});
    let refused = world.call(&key, "POST", "/api/v1/delegations", for_another).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (404, "not_found"), "a member is no agent");
}
