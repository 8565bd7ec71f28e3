//! Every way to name another organization's thing, among 1,000 organizations: in a path, in a body, in
//! a query. The answer is the one for a thing that does not exist, and nothing happens there.

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
use chancery_http::routes;
use chancery_testkit::Client;
use serde_json::{Value, json};
use support::things::{ABSENT, OWN_ACTION, Things, absent, send};
use support::{Desk, World, redemption, refund, text};

/// Organizations that stand in the same database.
const ORGANIZATIONS: usize = 1000;

/// An organization with one thing of each kind, and another that asks for them.
struct Neighbours {
    world: World,
    things: Things,
    admin: Client,
    stranger: Client,
    desk: Desk,
}

impl Neighbours {
    fn start() -> Self {
        let world = World::start();
        world.crowd(ORGANIZATIONS);
        let mut admin = world.admin();
        let things = Things::make(&mut admin, &world);
        let mut stranger = world.server.client(Some(&world.organization("Stranger")));
        let desk = Desk::open(&mut stranger);
        Self { world, things, admin, stranger, desk }
    }

    /// Everything that an admin can read of the first organization, but for how often keys were used.
    fn all(&mut self) -> Vec<(String, Value)> {
        let lists = routes().into_iter().filter(|route| {
            route.method == "GET" && route.path.starts_with("/api/v1/") && !route.path.contains('{')
        });
        let mut all = Vec::new();
        for route in lists.filter(|route| !["me.show", "record.verify"].contains(&route.operation)) {
            let mut read = self.admin.get(route.path).unwrap().json();
            if let Some(keys) = read["data"].as_array_mut().filter(|_| route.operation == "api_keys.list") {
                for key in keys.iter_mut().filter_map(Value::as_object_mut) {
                    key.remove("uses");
                    key.remove("last_used_at");
                }
            }
            // Checkpoints come when they come; what they are over is in the list of entries.
            if route.operation != "record.checkpoint" {
                all.push((route.path.to_owned(), read));
            }
        }
        all
    }

    fn is_unharmed(&mut self, before: &[(String, Value)]) {
        assert_eq!(self.all(), before, "the stranger changed something");
        let mut redeemer = self.world.server.client(Some(&self.things.desk.redeemer));
        let body = redemption(1, &self.things.token);
        assert_eq!(redeemer.post("/api/v1/tokens/verify", &body).unwrap().status, 200);
    }
}

/// What two requests that differ in one name are answered, without what is new in every answer.
fn timeless(mut answer: Value, name: &str) -> Value {
    fn forget(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for new in ["id", "correlation_id", "record", "before", "created_at"] {
                    members.remove(new);
                }
                members.values_mut().for_each(forget);
            }
            Value::Array(items) => items.iter_mut().for_each(forget),
            _ => {}
        }
    }
    forget(&mut answer);
    serde_json::from_str(&answer.to_string().replace(name, "NAME")).unwrap()
}

#[test]
fn another_organizations_things_are_absent() {
    let mut here = Neighbours::start();
    let before = here.all();
    let mut covered = 0;
    for route in routes().iter().filter(|route| route.path.contains("{id}")) {
        let body = if route.method == "GET" { Value::Null } else { here.things.body(route.operation) };
        let mut ask = |path: &str| {
            let answer = send(&mut here.stranger, route, path, &body);
            (answer.status, answer.json())
        };
        let theirs = ask(&here.things.path(route));
        let nothing = ask(&absent(route));
        assert_eq!(theirs, nothing, "{} {}", route.method, route.path);
        assert_eq!(theirs.0, 404, "{} {}: {}", route.method, route.path, theirs.1);
        covered += 1;
    }
    assert!(covered > 15, "only {covered} routes were walked");
    let mut named: Vec<_> =
        routes().into_iter().filter(|route| route.path.starts_with("/api/v1/actions/{name}")).collect();
    named.sort_by_key(|route| route.operation == "actions.put");
    assert_eq!(named.len(), 3);
    for route in &named {
        let body = if route.method == "GET" { Value::Null } else { here.things.body(route.operation) };
        let mut ask = |name: &str| {
            let answer = send(&mut here.stranger, route, &route.path.replace("{name}", name), &body);
            (answer.status, timeless(answer.json(), name))
        };
        let (theirs, nothing) = (ask(OWN_ACTION), ask("no.such_name"));
        if route.operation == "actions.put" {
            // A name is free in each organization: it defines an action of its own.
            assert_eq!((theirs.0, nothing.0), (200, 200), "{}", theirs.1);
        } else {
            assert_eq!(theirs, nothing, "{}", route.operation);
            assert_eq!(theirs.0, 404, "{}: {}", route.operation, theirs.1);
        }
    }
    here.is_unharmed(&before);
}

#[test]
fn another_organizations_ids_in_a_body_are_absent() {
    let mut here = Neighbours::start();
    let before = here.all();
    let id = |kind: &str| here.things.id(kind).to_owned();
    let (member, agent, key) = (id("members"), id("agents"), id("api-keys"));
    let own_agent = format!("/api/v1/agents/{}", here.desk.agent);
    let holder = |kind: &'static str| move |id: &str| json!({"name": "k", "holder": {"type": kind, "id": id}, "environment": "live", "scopes": ["intents:read"]});
    type Body<'a> = Box<dyn Fn(&str) -> Value + 'a>;
    let named: [(&str, &str, &str, Body<'_>, u16); 8] = [
        ("POST", "/api/v1/agents", &member, Box::new(|id| json!({"name": "a", "owner_id": id})), 409),
        ("PATCH", &own_agent, &member, Box::new(|id| json!({"owner_id": id})), 409),
        ("POST", "/api/v1/api-keys", &member, Box::new(holder("member")), 409),
        ("POST", "/api/v1/api-keys", &agent, Box::new(holder("agent")), 409),
        (
            "POST",
            "/api/v1/delegations",
            &agent,
            Box::new(|id| json!({"agent_id": id, "actions": ["payments.read"]})),
            404,
        ),
        // Of tokens there is no list: known or not, it is noted.
        (
            "POST",
            "/api/v1/tokens/revoke",
            &here.things.token_id,
            Box::new(|id| json!({"kind": "token", "id": id, "reason": "test"})),
            201,
        ),
        (
            "POST",
            "/api/v1/tokens/revoke",
            &key,
            Box::new(|id| json!({"kind": "key", "id": id, "reason": "test"})),
            404,
        ),
        (
            "POST",
            "/api/v1/tokens/revoke",
            &agent,
            Box::new(|id| json!({"kind": "agent", "id": id, "reason": "test"})),
            404,
        ),
    ];
    for (method, path, theirs, body, status) in named {
        let mut ask = |id: &str| {
            let answer =
                here.stranger.send(method, path, &[], Some(body(id).to_string().as_bytes())).unwrap();
            (answer.status, timeless(answer.json(), id))
        };
        let (told, nothing) = (ask(theirs), ask(ABSENT));
        assert_eq!(told, nothing, "{method} {path}");
        assert_eq!(told.0, status, "{method} {path}: {}", told.1);
    }
    let mut agent = here.world.server.client(Some(&here.desk.key));
    let mut ask = |id: &str| {
        let mut intent = refund(3);
        intent["on_behalf_of"] = json!(id);
        let answer = agent.post("/api/v1/intents", &intent).unwrap();
        (answer.status, timeless(answer.json(), id))
    };
    let (told, nothing) = (ask(&member), ask(ABSENT));
    assert_eq!(told, nothing);
    assert_eq!(told.0, 403, "{}", told.1);
    // A token of theirs, at a redeemer of the same audience.
    let mut redeemer = here.world.server.client(Some(&here.desk.redeemer));
    let answer = redeemer.post("/api/v1/tokens/verify", &redemption(1, &here.things.token)).unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (403, "token_invalid"));
    here.is_unharmed(&before);
}

#[test]
fn another_organizations_ids_in_a_query_or_a_header_are_absent() {
    let mut here = Neighbours::start();
    let same = [("idempotency-key", "the-same")];
    let body = refund(5).to_string();
    let mut theirs = here.world.server.client(Some(&here.things.desk.key));
    let first = theirs.send("POST", "/api/v1/intents", &same, Some(body.as_bytes())).unwrap().data();
    let before = here.all();
    let mut ours = here.world.server.client(Some(&here.desk.key));
    let second = ours.send("POST", "/api/v1/intents", &same, Some(body.as_bytes())).unwrap();
    assert_eq!(second.status, 200, "{}", second.json());
    assert_ne!(second.data()["id"], first["id"], "another organization's answer was given");

    let story = |id: &str| format!("/api/v1/record?correlation_id={id}");
    let told = here.stranger.get(&story(here.things.id("intents"))).unwrap();
    let nothing = here.stranger.get(&story(ABSENT)).unwrap();
    assert_eq!((told.status, told.json()), (nothing.status, nothing.json()));
    assert_eq!((told.status, told.data()), (200, json!([])));
    assert_ne!(here.admin.get(&story(here.things.id("intents"))).unwrap().data(), json!([]));

    let mut covered = 0;
    for list in routes().iter().filter(|route| route.operation.ends_with(".list")) {
        let page = here.admin.get(&format!("{}?limit=1", list.path)).unwrap();
        let Some(cursor) = page.json()["page"]["next"].as_str().map(str::to_owned) else { continue };
        // One that no list ever gave out, right beside it.
        let mut beside = BASE64URL.decode(&cursor).unwrap();
        let last = beside.last_mut().unwrap();
        *last = if *last == b'0' { b'1' } else { b'0' };
        let mut after = |cursor: &str| here.stranger.get(&format!("{}?cursor={cursor}", list.path)).unwrap();
        let (told, nothing) = (after(&cursor), after(&BASE64URL.encode(beside)));
        assert_eq!((told.status, told.json()), (nothing.status, nothing.json()), "{}", list.operation);
        assert_eq!(told.status, 200, "{}: {}", list.operation, told.json());
        let own = here.stranger.get(list.path).unwrap().data();
        let own = own.as_array().unwrap();
        assert!(told.data().as_array().unwrap().iter().all(|row| own.contains(row)), "{}", list.operation);
        covered += 1;
    }
    assert!(covered >= 6, "only {covered} lists went on");
    assert_eq!(text(&before[0].1, "/data/slug"), "default");
    here.is_unharmed(&before);
}
