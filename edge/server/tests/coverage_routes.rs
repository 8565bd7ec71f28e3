//! Every route, called as everyone who must be refused, in a halted organization, and every mutation,
//! looked for in the record.
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
use support::things::{Cast, Things, absent, call, rank};
use support::{World, key_of, redemption, refund, text};

fn needed(route: &Route) -> Option<Permission> {
    match route.access {
        Access::Needs(permission) => Some(permission),
        _ => None,
    }
}

fn scopes() -> Vec<&'static str> {
    Permission::ALL.iter().map(|permission| permission.as_str()).collect()
}

/// A key with every scope, of a member who was an admin and now has this role: only the role stands in
/// its way.
fn demoted(admin: &mut Client, role: &str) -> String {
    let person = json!({"name": role, "email": format!("{role}@example.org"), "role": "admin"});
    let id = text(&admin.made("/api/v1/members", &person).unwrap(), "/id");
    let key = key_of(admin, ("member", &id), &scopes(), &["a"]);
    if role != "admin" {
        let lowered = json!({"role": role}).to_string();
        let answer =
            admin.send("PATCH", &format!("/api/v1/members/{id}"), &[], Some(lowered.as_bytes())).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
    key
}

#[test]
fn whoever_must_be_refused_is_refused_on_every_route() {
    let world = World::start();
    let mut admin = world.admin();
    let me = admin.get("/api/v1/me").unwrap().data();
    let member = text(&me, "/principal/id");
    let all = scopes();
    let revoked = key_of(&mut admin, ("member", &member), &all, &["a"]);
    let revoked_id = text(&world.server.client(Some(&revoked)).get("/api/v1/me").unwrap().data(), "/key/id");
    admin.made(&format!("/api/v1/api-keys/{revoked_id}/revoke"), &json!({"reason": "lost"})).unwrap();

    let mut nobody = world.server.client(None);
    let mut mistyped = world.server.client(Some(&format!("{}x", world.admin_key)));
    let mut revoked = world.server.client(Some(&revoked));
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
        covered += 1;
    }
    assert!(covered > 35, "only {covered} routes were walked");
}

const EVERYONE: &str = "viewer operator approver admin agent";
const PEOPLE: &str = "viewer operator approver admin";
const ADMIN: &str = "admin";

/// Which roles each route is open to: what `policies/roles.cedar` is meant to say.
const OPEN_TO: &[(&str, &str)] = &[
    ("me.show", EVERYONE),
    ("organization.show", PEOPLE),
    ("organization.change", ADMIN),
    ("members.create", ADMIN),
    ("members.list", PEOPLE),
    ("members.show", PEOPLE),
    ("members.change", ADMIN),
    ("members.remove", ADMIN),
    ("agents.create", "operator admin"),
    ("agents.list", PEOPLE),
    ("agents.show", PEOPLE),
    ("agents.change", "operator admin"),
    ("agents.retire", "operator admin"),
    ("api_keys.create", "operator admin"),
    ("api_keys.list", PEOPLE),
    ("api_keys.show", PEOPLE),
    ("api_keys.rotate", "operator admin"),
    ("api_keys.revoke", "operator admin"),
    ("delegations.create", ADMIN),
    ("delegations.list", PEOPLE),
    ("delegations.revoke", ADMIN),
    ("actions.list", PEOPLE),
    ("actions.show", PEOPLE),
    ("actions.put", ADMIN),
    ("actions.retire", ADMIN),
    ("policies.create", ADMIN),
    ("policies.list", PEOPLE),
    ("policies.check", PEOPLE),
    ("policies.show", PEOPLE),
    ("policies.add_version", ADMIN),
    ("policies.show_version", PEOPLE),
    ("policies.activate", ADMIN),
    ("policies.withdraw", ADMIN),
    ("packs.list", PEOPLE),
    ("packs.apply", ADMIN),
    ("connectors.create", ADMIN),
    ("connectors.list", PEOPLE),
    ("connectors.show", PEOPLE),
    ("connectors.change", ADMIN),
    ("connectors.write_credential", ADMIN),
    ("connectors.remove_credentials", ADMIN),
    ("connectors.test", ADMIN),
    ("connectors.reset", ADMIN),
    ("connectors.retire", ADMIN),
    ("connectors.pause", ADMIN),
    ("connectors.resume", ADMIN),
    ("signing_keys.list", PEOPLE),
    ("signing_keys.rotate", ADMIN),
    ("signing_keys.retire", ADMIN),
    ("intents.submit", "operator admin agent"),
    ("intents.list", EVERYONE),
    ("intents.evidence", EVERYONE),
    ("intents.show", EVERYONE),
    ("intents.events", EVERYONE),
    ("intents.token", "operator admin agent"),
    ("intents.execute", "operator admin agent"),
    ("intents.cancel", "operator admin agent"),
    ("approvals.list", PEOPLE),
    ("approvals.show", PEOPLE),
    ("approvals.approve", "approver admin"),
    ("approvals.reject", "approver admin"),
    ("approvals.withdraw", "approver admin"),
    ("tokens.verify", "operator admin agent"),
    ("tokens.revoke", ADMIN),
    ("record.list", PEOPLE),
    ("record.verify", PEOPLE),
    ("record.checkpoint", PEOPLE),
    ("emergency.show", PEOPLE),
    ("emergency.halt", ADMIN),
    ("emergency.resume", ADMIN),
];

#[test]
fn each_role_may_call_what_the_table_says_and_nothing_else() {
    let world = World::start();
    let mut admin = world.admin();
    let people = PEOPLE.split(' ').map(|role| (role, demoted(&mut admin, role)));
    let mut keys: Vec<(&str, String)> = people.collect();
    let agent = text(&admin.made("/api/v1/agents", &json!({"name": "bot"})).unwrap(), "/id");
    // A key never has a scope that its holder's role lacks, so an agent's can't have all of them.
    let scopes = ["intents:submit", "intents:read", "tokens:verify"];
    keys.push(("agent", key_of(&mut admin, ("agent", &agent), &scopes, &["a"])));
    let mut found = Vec::new();
    for route in routes().iter().filter(|route| route.access != Access::Public) {
        let path = absent(route);
        let mut open_to = Vec::new();
        for (role, key) in &keys {
            let answer = call(&mut world.server.client(Some(key)), route, &path);
            assert_ne!(answer.status, 401, "{} as {role}: {}", route.operation, answer.json());
            if answer.code() == "insufficient_scope" {
                assert_eq!(answer.status, 403, "{} as {role}", route.operation);
            } else {
                open_to.push(*role);
            }
        }
        found.push((route.operation, open_to.join(" ")));
    }
    let said: Vec<_> = OPEN_TO.iter().map(|(operation, roles)| (*operation, (*roles).to_owned())).collect();
    assert_eq!(found, said);
}

/// Which entry each operation leaves.
const ENTRIES: &[(&str, &str)] = &[
    ("organization.change", "settings.changed"),
    ("members.create", "member.created"),
    ("members.change", "member.role_changed"),
    ("members.remove", "member.removed"),
    ("agents.create", "agent.created"),
    ("agents.change", "agent.owner_changed"),
    ("agents.retire", "agent.retired"),
    ("api_keys.create", "api_key.created"),
    ("api_keys.rotate", "api_key.rotated"),
    ("api_keys.revoke", "api_key.revoked"),
    ("delegations.create", "delegation.created"),
    ("delegations.revoke", "delegation.revoked"),
    ("actions.put", "action.defined"),
    ("actions.retire", "action.retired"),
    ("policies.create", "policy.created"),
    ("policies.add_version", "policy.version_added"),
    ("policies.activate", "policy.activated"),
    ("policies.withdraw", "policy.withdrawn"),
    ("packs.apply", "pack.applied"),
    ("connectors.create", "connector.created"),
    ("connectors.change", "connector.changed"),
    ("connectors.write_credential", "connector.credential_written"),
    ("connectors.remove_credentials", "connector.credential_removed"),
    ("connectors.test", "connector.tested"),
    ("connectors.reset", "connector.breaker_reset"),
    ("connectors.retire", "connector.retired"),
    ("connectors.pause", "connector.paused"),
    ("connectors.resume", "connector.resumed"),
    ("signing_keys.rotate", "signing_key.created"),
    ("signing_keys.retire", "signing_key.retired"),
    ("intents.submit", "intent.allowed"),
    ("intents.token", "intent.released"),
    ("intents.execute", "intent.closed"),
    ("intents.cancel", "approval.cancelled"),
    ("approvals.approve", "approval.granted"),
    ("approvals.reject", "approval.rejected"),
    ("approvals.withdraw", "approval.withdrawn"),
    ("tokens.verify", "token.used"),
    ("tokens.revoke", "tokens.revoked"),
    ("emergency.halt", "organization.halted"),
    ("emergency.resume", "organization.resumed"),
];

/// Operations that are not reads by method but change nothing.
const UNRECORDED: &[(&str, &str)] = &[("policies.check", "validates a text and keeps nothing")];

#[test]
fn every_mutation_leaves_an_entry() {
    let world = World::start();
    let mut admin = world.admin();
    let things = Things::make(&mut admin, &world);
    let mut cast = Cast::of(&world, &things);
    let mut newest = || {
        let entries = admin.get("/api/v1/record?limit=1").unwrap().data();
        (entries[0]["seq"].as_u64().unwrap(), text(&entries, "/0/type"))
    };
    let entries: BTreeMap<&str, &str> = ENTRIES.iter().copied().collect();
    let mut mutations: Vec<Route> = routes().into_iter().filter(|route| route.method != "GET").collect();
    assert_eq!(mutations.len(), ENTRIES.len() + UNRECORDED.len());
    mutations.sort_by_key(|route| rank(route.operation));
    for route in &mutations {
        let operation = route.operation;
        let before = newest();
        let answer = cast.perform(route, &things);
        assert!(answer.status < 300, "{operation}: {} {}", answer.status, answer.json());
        let after = newest();
        if UNRECORDED.iter().any(|(known, _)| *known == operation) {
            assert_eq!(before, after, "{operation} is listed as changing nothing");
        } else {
            let kind = entries.get(operation).unwrap_or_else(|| panic!("`{operation}` leaves which entry?"));
            // What is executed is opened before and closed after.
            let entries = if operation == "intents.execute" { 2 } else { 1 };
            assert_eq!(after, (before.0 + entries, (*kind).to_owned()), "{operation}");
        }
    }
}

/// What is refused in a halted organization, and as what. Everything else answers: whoever stopped it
/// can look, take rights away, and start it again.
const HALTED: &[(&str, &str)] = &[
    ("intents.token", "organization_halted"),
    ("intents.execute", "organization_halted"),
    ("intents.submit", "organization_halted"),
    ("tokens.verify", "organization_halted"),
    ("emergency.halt", "halt_unchanged"),
];

#[test]
fn a_halted_organization_does_not_act_and_everything_else_answers() {
    let world = World::start();
    let mut admin = world.admin();
    let things = Things::make(&mut admin, &world);
    let mut cast = Cast::of(&world, &things);
    admin.made("/api/v1/emergency/halt", &json!({"reason": "a drill"})).unwrap();
    let mut walked = routes();
    walked.sort_by_key(|route| (route.method != "GET", rank(route.operation)));
    let mut found = Vec::new();
    for route in &walked {
        // An order to resume comes last: until then it is halted.
        let state = admin.get("/api/v1/organization").unwrap().data();
        assert_eq!(state["halted"], json!(true), "before {}", route.operation);
        let answer = cast.perform(route, &things);
        if answer.status >= 300 {
            found.push((route.operation, answer.code()));
        }
    }
    let said: Vec<_> = HALTED.iter().map(|(operation, code)| (*operation, (*code).to_owned())).collect();
    found.sort_by_key(|(operation, _)| HALTED.iter().position(|(known, _)| known == operation));
    assert_eq!(found, said);
}

#[test]
fn a_halted_organization_can_be_resumed() {
    let world = World::start();
    let mut admin = world.admin();
    let things = Things::make(&mut admin, &world);
    let mut agent = world.server.client(Some(&things.desk.key));
    let mut redeemer = world.server.client(Some(&things.desk.redeemer));
    admin.made("/api/v1/emergency/halt", &json!({"reason": "a drill"})).unwrap();
    let before = admin.get("/api/v1/record?limit=1").unwrap().data();
    let halted = |answer: Answer| {
        assert_eq!((answer.status, answer.code().as_str()), (403, "organization_halted"));
        // Nor is any of it said on the way out.
        assert_eq!(answer.data(), Value::Null);
    };
    halted(agent.post("/api/v1/intents", &refund(2)).unwrap());
    halted(redeemer.post("/api/v1/tokens/verify", &redemption(1, &things.token)).unwrap());
    assert_eq!(admin.get("/api/v1/record?limit=1").unwrap().data(), before);
    admin.made("/api/v1/emergency/resume", &json!({"reason": "the drill is over"})).unwrap();
    let redeemed = redeemer.post("/api/v1/tokens/verify", &redemption(1, &things.token)).unwrap();
    assert_eq!(redeemed.status, 200, "a refusal had consumed the token: {}", redeemed.json());
    assert_eq!(agent.post("/api/v1/intents", &refund(2)).unwrap().status, 200);
}
