//! Every route, called as everyone who must be refused, and every mutation, looked for in the record.
//!
//! The routes are walked from the router's own table: a new route is covered or fails here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::BTreeMap;

use chancery_http::{Access, Route, routes};
use chancery_model::Permission;
use chancery_testkit::{Answer, Client};
use serde_json::{Value, json};
use support::{Desk, World, key_of, redemption, refund, text};

/// A path with every parameter filled with something that is well-formed and absent.
fn absent(route: &Route) -> String {
    route
        .path
        .replace("{id}", "01890000-0000-7000-8000-000000000000")
        .replace("{slug}", "no-such-org")
        .replace("{name}", "no.such_name")
}

fn call(client: &mut Client, route: &Route, path: &str) -> Answer {
    let body = matches!(route.method.as_str(), "POST" | "PUT" | "PATCH").then_some(&b"{}"[..]);
    client.send(route.method.as_str(), path, &[], body).unwrap()
}

fn needed(route: &Route) -> Option<Permission> {
    match route.access {
        Access::Needs(permission) => Some(permission),
        _ => None,
    }
}

#[test]
fn whoever_must_be_refused_is_refused_on_every_route() {
    let world = World::start();
    let mut admin = world.admin();
    let me = admin.get("/api/v1/me").unwrap().data();
    let member = text(&me, "/principal/id");
    let all: Vec<&str> = Permission::ALL.iter().map(|p| p.as_str()).collect();
    let demoted_member = admin
        .made("/api/v1/members", &json!({"name": "Dee", "email": "dee@example.org", "role": "admin"}))
        .unwrap();
    let demoted_id = text(&demoted_member, "/id");
    let demoted = key_of(&mut admin, ("member", &demoted_id), &all, &["a"]);
    let lowered = json!({"role": "viewer"}).to_string();
    let answer =
        admin.send("PATCH", &format!("/api/v1/members/{demoted_id}"), &[], Some(lowered.as_bytes())).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    let revoked = key_of(&mut admin, ("member", &member), &all, &["a"]);
    let revoked_id = text(&world.server.client(Some(&revoked)).get("/api/v1/me").unwrap().data(), "/key/id");
    admin.made(&format!("/api/v1/api-keys/{revoked_id}/revoke"), &json!({"reason": "lost"})).unwrap();

    let mut nobody = world.server.client(None);
    let mut mistyped = world.server.client(Some(&format!("{}x", world.admin_key)));
    let mut revoked = world.server.client(Some(&revoked));
    let mut demoted = world.server.client(Some(&demoted));
    let viewer_may = |permission: Permission| permission.as_str().ends_with(":read");
    let mut covered = 0;
    for route in routes().iter().filter(|route| route.access != Access::Public) {
        let path = absent(route);
        let name = format!("{} {path}", route.method);
        let refused = |answer: &Answer, status: u16, code: &str| {
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{name}: {}", answer.json());
        };
        refused(&call(&mut nobody, route, &path), 401, "unauthenticated");
        refused(&call(&mut mistyped, route, &path), 401, "api_key_invalid");
        refused(&call(&mut revoked, route, &path), 401, "api_key_invalid");
        let Some(permission) = needed(route) else { continue };
        let others: Vec<&str> = all.iter().copied().filter(|scope| *scope != permission.as_str()).collect();
        let audiences: &[&str] = if others.contains(&"tokens:verify") { &["a"] } else { &[] };
        let narrow = key_of(&mut admin, ("member", &member), &others, audiences);
        let answer = call(&mut admin.with_key(&narrow), route, &path);
        refused(&answer, 403, "insufficient_scope");
        assert_eq!(answer.json().pointer("/error/field"), Some(&json!(permission.as_str())), "{name}");
        if !viewer_may(permission) {
            refused(&call(&mut demoted, route, &path), 403, "insufficient_scope");
        }
        covered += 1;
    }
    assert!(covered > 35, "only {covered} routes were walked");
}

#[test]
fn another_organizations_things_are_absent() {
    let world = World::start();
    let mut admin = world.admin();
    let things = Things::make(&mut admin, &world);
    let mut stranger = world.server.client(Some(&world.organization("Stranger")));
    let mut covered = 0;
    for route in routes().iter().filter(|route| route.path.contains("{id}")) {
        let kind = route.path.split('/').nth(3).unwrap();
        let id = things.ids.get(kind).unwrap_or_else(|| panic!("no thing of kind `{kind}` is made here"));
        let body = bodies(&things).get(route.operation).cloned().unwrap_or(json!({}));
        let body = body.to_string();
        let mut ask = |path: &str| {
            let body = (route.method != "GET" && route.method != "DELETE").then_some(body.as_bytes());
            let answer = stranger.send(route.method.as_str(), path, &[], body).unwrap();
            (answer.status, answer.json())
        };
        let theirs = ask(&route.path.replace("{id}", id));
        let nothing = ask(&absent(route));
        assert_eq!(theirs, nothing, "{} {}", route.method, route.path);
        assert_eq!(theirs.0, 404, "{} {}: {}", route.method, route.path, theirs.1);
        covered += 1;
    }
    assert!(covered > 12, "only {covered} routes were walked");
    assert_eq!(stranger.get("/api/v1/agents").unwrap().data(), json!([]));
    assert_eq!(stranger.get("/api/v1/intents").unwrap().data(), json!([]));
}

/// One thing of each kind that a path names by its id.
struct Things {
    ids: BTreeMap<&'static str, String>,
    desk: Desk,
    action: &'static str,
}

impl Things {
    fn make(admin: &mut Client, world: &World) -> Self {
        let desk = Desk::open(admin);
        let mut ids = BTreeMap::new();
        ids.insert("agents", desk.agent.clone());
        let answer = world.server.client(Some(&desk.key)).post("/api/v1/intents", &refund(1)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.json());
        ids.insert("intents", text(&answer.data(), "/id"));
        let member = admin
            .made("/api/v1/members", &json!({"name": "Mo", "email": "mo@example.org", "role": "operator"}))
            .unwrap();
        ids.insert("members", text(&member, "/id"));
        let me = admin.get("/api/v1/me").unwrap().data();
        let key = json!({"name": "spare", "holder": me["principal"], "environment": "live", "scopes": ["agents:read"]});
        ids.insert("api-keys", text(&admin.made("/api/v1/api-keys", &key).unwrap(), "/id"));
        let policies = admin.get("/api/v1/policies").unwrap().data();
        ids.insert("policies", text(&policies, "/0/id"));
        let delegation = admin
            .made("/api/v1/delegations", &json!({"agent_id": desk.agent, "actions": ["payments.read"]}))
            .unwrap();
        ids.insert("delegations", text(&delegation, "/id"));
        admin.made("/api/v1/signing-keys/rotate", &json!({})).unwrap();
        let keys = admin.get("/api/v1/signing-keys").unwrap().data();
        let previous = keys.as_array().unwrap().iter().find(|key| key["state"] == "previous").unwrap();
        ids.insert("signing-keys", text(previous, "/id"));
        Self { ids, desk, action: "payments.read" }
    }
}

/// A body that each operation takes, by its name.
fn bodies(things: &Things) -> BTreeMap<&'static str, Value> {
    let id = |kind: &str| things.ids[kind].clone();
    let action = json!({"resource_type": "Payment", "description": "d", "effect": "read", "base_risk": 1,
                        "arguments": {"type": "object"}});
    let text = format!("permit(principal, action == Action::\"{}\", resource);", things.action);
    BTreeMap::from([
        ("organization.change", json!({"settings": {"escalate_at": 65}})),
        ("members.create", json!({"name": "New", "email": "new@example.org", "role": "viewer"})),
        ("members.change", json!({"role": "approver"})),
        ("members.remove", json!({})),
        ("agents.create", json!({"name": "new"})),
        ("agents.change", json!({"owner_id": id("members")})),
        ("agents.retire", json!({})),
        (
            "api_keys.create",
            json!({"name": "k", "holder": {"type": "agent", "id": things.desk.agent},
                                   "environment": "test", "scopes": ["intents:read"]}),
        ),
        ("api_keys.rotate", json!({"overlap_seconds": 60})),
        ("api_keys.revoke", json!({"reason": "test"})),
        ("delegations.create", json!({"agent_id": things.desk.agent, "actions": ["payments.capture"]})),
        ("delegations.revoke", json!({})),
        ("actions.put", action),
        ("actions.retire", json!({})),
        ("policies.create", json!({"name": "fresh", "text": text})),
        ("policies.add_version", json!({"text": format!("{text}\n{text}")})),
        ("policies.activate", json!({"version": 1})),
        ("policies.withdraw", json!({})),
        ("policies.check", json!({"text": text})),
        ("packs.apply", json!({})),
        ("signing_keys.rotate", json!({})),
        ("signing_keys.retire", json!({"compromised": "test"})),
        ("tokens.revoke", json!({"kind": "organization", "reason": "test"})),
        ("emergency.halt", json!({"reason": "test"})),
        ("emergency.resume", json!({"reason": "test"})),
        ("intents.submit", refund(7)),
    ])
}

/// Operations that are not reads by method but change nothing.
const UNRECORDED: &[(&str, &str)] = &[("policies.check", "validates a text and keeps nothing")];

#[test]
fn every_mutation_leaves_an_entry() {
    let world = World::start();
    let mut admin = world.admin();
    let things = Things::make(&mut admin, &world);
    let mut agent = world.server.client(Some(&things.desk.key));
    let mut redeemer = world.server.client(Some(&things.desk.redeemer));
    let bodies = bodies(&things);
    let newest = |admin: &mut Client| {
        let entries = admin.get("/api/v1/record?limit=1").unwrap().data();
        (entries[0]["seq"].as_u64().unwrap(), entries[0]["type"].as_str().unwrap().to_owned())
    };
    let mut mutations: Vec<Route> = routes().into_iter().filter(|route| route.method != "GET").collect();
    // What ends a thing comes after what changes it, and a halt after everything that acts.
    mutations.sort_by_key(|route| rank(route.operation));
    for route in &mutations {
        let operation = route.operation;
        let kind = route.path.split('/').nth(3).unwrap_or_default();
        let mut path =
            route.path.replace("{name}", if operation == "packs.apply" { "messaging" } else { "extra.act" });
        if let Some(id) = things.ids.get(kind) {
            path = path.replace("{id}", id);
        }
        let before = newest(&mut admin);
        let answer = match operation {
            "intents.submit" => agent.post(&path, &refund(9)).unwrap(),
            "tokens.verify" => {
                let token = text(&agent.made("/api/v1/intents", &refund(8)).unwrap(), "/token");
                redeemer.post(&path, &redemption(8, &token)).unwrap()
            }
            _ => {
                let body =
                    bodies.get(operation).unwrap_or_else(|| panic!("no body for `{operation}`")).to_string();
                let body = (route.method != "DELETE").then_some(body.as_bytes());
                admin.send(route.method.as_str(), &path, &[], body).unwrap()
            }
        };
        assert!(answer.status < 300, "{operation}: {} {}", answer.status, answer.json());
        let after = newest(&mut admin);
        if UNRECORDED.iter().any(|(known, _)| *known == operation) {
            assert_eq!(before, after, "{operation} is listed as changing nothing");
        } else {
            assert!(after.0 > before.0, "{operation} left no entry (the newest is {after:?})");
        }
    }
}

fn rank(operation: &str) -> u32 {
    match operation {
        "emergency.halt" => 90,
        "emergency.resume" => 91,
        "members.remove" => 80,
        "agents.retire" => 81,
        "api_keys.revoke" => 79,
        "api_keys.rotate" => 10,
        "actions.put" => 9,
        "actions.retire" => 70,
        "policies.withdraw" => 71,
        "policies.add_version" => 20,
        "policies.activate" => 72,
        "tokens.revoke" => 60,
        "tokens.verify" => 5,
        "intents.submit" => 5,
        "signing_keys.retire" => 65,
        _ => 30,
    }
}

#[test]
fn a_halted_organization_does_not_act_and_can_be_resumed() {
    let world = World::start();
    let mut admin = world.admin();
    let desk = Desk::open(&mut admin);
    let mut agent = world.server.client(Some(&desk.key));
    let mut redeemer = world.server.client(Some(&desk.redeemer));
    let token = text(&agent.made("/api/v1/intents", &refund(1)).unwrap(), "/token");
    admin.made("/api/v1/emergency/halt", &json!({"reason": "a drill"})).unwrap();
    let refused = [
        agent.post("/api/v1/intents", &refund(2)).unwrap(),
        redeemer.post("/api/v1/tokens/verify", &redemption(1, &token)).unwrap(),
    ];
    for answer in refused {
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (403, "organization_halted"),
            "{}",
            answer.json()
        );
    }
    assert_eq!(admin.get("/api/v1/record").unwrap().status, 200);
    admin.made("/api/v1/emergency/resume", &json!({"reason": "the drill is over"})).unwrap();
    assert_eq!(redeemer.post("/api/v1/tokens/verify", &redemption(1, &token)).unwrap().status, 200);
    assert_eq!(agent.post("/api/v1/intents", &refund(2)).unwrap().status, 200);
}
