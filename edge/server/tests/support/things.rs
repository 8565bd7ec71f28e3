//! One thing of each kind in an organization, and for every route a request that succeeds with them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use chancery_http::Route;
use chancery_testkit::{Answer, Client};
use serde_json::{Value, json};

use super::{Desk, World, key_of, redemption, refund, text};

/// An action that only this organization has.
pub(crate) const OWN_ACTION: &str = "extra.own";

/// Well-formed, and nobody's.
pub(crate) const ABSENT: &str = "01890000-0000-7000-8000-000000000000";

/// A path with every parameter filled with something that is well-formed and absent.
pub(crate) fn absent(route: &Route) -> String {
    route
        .path
        .replace("{id}", ABSENT)
        .replace("{slug}", "no-such-org")
        .replace("{name}", "no.such_name")
        .replace("{version}", "1")
}

/// Calls a route with an empty object where it takes a body.
pub(crate) fn call(client: &mut Client, route: &Route, path: &str) -> Answer {
    send(client, route, path, &json!({}))
}

/// Calls a route, with the body where it takes one.
pub(crate) fn send(client: &mut Client, route: &Route, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let takes = matches!(route.method.as_str(), "POST" | "PUT" | "PATCH");
    client.send(route.method.as_str(), path, &[], takes.then_some(body.as_bytes())).unwrap()
}

/// One thing of each kind that a path names by its id.
pub(crate) struct Things {
    pub(crate) ids: BTreeMap<&'static str, String>,
    pub(crate) desk: Desk,
    /// The token of `refund(1)`, not redeemed yet.
    pub(crate) token: String,
    /// Its `jti`.
    pub(crate) token_id: String,
    pub(crate) escalated: Escalated,
}

/// Escalated intents for each thing that can be done with one, an agent that asked them, and a person who
/// may answer.
pub(crate) struct Escalated {
    pub(crate) asker: String,
    approver: String,
    intents: BTreeMap<&'static str, String>,
}

impl Escalated {
    fn make(admin: &mut Client, world: &World) -> Self {
        let mut person = |name: &str, role: &str, scopes: &[&str]| {
            let wanted = json!({"name": name, "email": format!("{name}@example.org"), "role": role});
            let id = text(&admin.made("/api/v1/members", &wanted).unwrap(), "/id");
            key_of(admin, ("member", &id), scopes, &[])
        };
        let owner =
            person("owner", "operator", &["agents:manage", "keys:manage", "intents:submit", "intents:read"]);
        let [first, second] = ["first", "second"]
            .map(|name| person(name, "approver", &["approvals:read", "approvals:decide", "intents:read"]));
        let mut owner = world.server.client(Some(&owner));
        let agent = text(&owner.made("/api/v1/agents", &json!({"name": "asker"})).unwrap(), "/id");
        let asker = key_of(&mut owner, ("agent", &agent), &["intents:submit", "intents:read"], &[]);
        let mut intents = BTreeMap::new();
        for operation in [
            "approvals.approve",
            "approvals.reject",
            "approvals.withdraw",
            "intents.token",
            "intents.execute",
            "intents.cancel",
        ] {
            let answer = world.server.client(Some(&asker)).post("/api/v1/intents", &large_refund()).unwrap();
            assert_eq!(answer.status, 202, "{}", answer.json());
            intents.insert(operation, text(&answer.data(), "/id"));
        }
        let answers = [
            (&first, "approvals.withdraw"),
            (&first, "intents.token"),
            (&second, "intents.token"),
            (&first, "intents.execute"),
            (&second, "intents.execute"),
        ];
        for (key, of) in answers {
            let path = format!("/api/v1/approvals/{}/approve", intents[of]);
            world.server.client(Some(key)).made(&path, &json!({"reason": "test"})).unwrap();
        }
        Self { asker, approver: first, intents }
    }
}

/// A refund that two people must agree to.
fn large_refund() -> Value {
    let mut refund = refund(7);
    refund["arguments"]["amount"] = json!(2_000);
    refund
}

impl Things {
    pub(crate) fn make(admin: &mut Client, world: &World) -> Self {
        let desk = Desk::open(admin);
        let escalated = Escalated::make(admin, world);
        let mut ids = BTreeMap::new();
        ids.insert("approvals", escalated.intents["approvals.approve"].clone());
        ids.insert("agents", desk.agent.clone());
        let answer = world.server.client(Some(&desk.key)).post("/api/v1/intents", &refund(1)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.json());
        let (intent, token) = (text(&answer.data(), "/id"), text(&answer.data(), "/token"));
        let token_id = text(&admin.get(&format!("/api/v1/intents/{intent}")).unwrap().data(), "/token/jti");
        ids.insert("intents", intent);
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
        let system = system();
        let billing = json!({"name": "billing", "definition": connector(&system)});
        admin.made("/api/v1/connectors", &billing).unwrap();
        let ledger = json!({"name": "ledger", "definition": connector(&system)});
        let connector = text(&admin.made("/api/v1/connectors", &ledger).unwrap(), "/id");
        admin.made(&format!("/api/v1/connectors/{connector}/credentials"), &credential()).unwrap();
        ids.insert("connectors", connector);
        admin.made("/api/v1/signing-keys/rotate", &json!({"immediately": true})).unwrap();
        let keys = admin.get("/api/v1/signing-keys").unwrap().data();
        let previous = keys.as_array().unwrap().iter().find(|key| key["state"] == "previous").unwrap();
        ids.insert("signing-keys", text(previous, "/id"));
        let action = action().to_string();
        let put = format!("/api/v1/actions/{OWN_ACTION}");
        assert_eq!(admin.send("PUT", &put, &[], Some(action.as_bytes())).unwrap().status, 200);
        Self { ids, desk, token, token_id, escalated }
    }

    pub(crate) fn id(&self, kind: &str) -> &str {
        &self.ids[kind]
    }

    /// The route's path, naming these things.
    pub(crate) fn path(&self, route: &Route) -> String {
        let kind = route.path.split('/').nth(3).unwrap_or_default();
        let name = match route.operation {
            "packs.apply" => "messaging",
            "actions.put" => "extra.act",
            _ => OWN_ACTION,
        };
        let path = route.path.replace("{name}", name).replace("{slug}", "default").replace("{version}", "1");
        match self.escalated.intents.get(route.operation).or_else(|| self.ids.get(kind)) {
            Some(id) => path.replace("{id}", id),
            None => {
                assert!(!path.contains("{id}"), "no thing of kind `{kind}` is made here");
                path
            }
        }
    }

    /// A body that each operation takes, by its name.
    pub(crate) fn body(&self, operation: &str) -> Value {
        let permit = "permit(principal, action == Action::\"payments.read\", resource);";
        match operation {
            "organization.change" => json!({"settings": {"escalate_at": 65}}),
            "members.create" => json!({"name": "New", "email": "new@example.org", "role": "viewer"}),
            "members.change" => json!({"role": "approver"}),
            "agents.create" => json!({"name": "new"}),
            "agents.change" => json!({"owner_id": self.id("members")}),
            "api_keys.create" => json!({"name": "k", "holder": {"type": "agent", "id": self.desk.agent},
                                        "environment": "test", "scopes": ["intents:read"]}),
            "api_keys.rotate" => json!({"overlap_seconds": 60}),
            "api_keys.revoke" => json!({"reason": "test"}),
            "delegations.create" => json!({"agent_id": self.desk.agent, "actions": ["payments.capture"]}),
            "actions.put" => action(),
            "policies.create" => json!({"name": "fresh", "text": permit}),
            "policies.add_version" => json!({"text": format!("{permit}\n{permit}")}),
            "policies.activate" => json!({"version": 1}),
            "policies.check" => json!({"text": permit}),
            "connectors.create" => {
                json!({"name": "fresh", "definition": connector("https://fresh.example.org")})
            }
            "connectors.change" => json!({"definition": connector("https://ledger.example.org")}),
            "connectors.write_credential" => credential(),
            "connectors.pause" | "connectors.resume" | "connectors.reset" => json!({"reason": "test"}),
            "signing_keys.retire" => json!({"compromised": "test"}),
            "tokens.revoke" => json!({"kind": "organization", "reason": "test"}),
            "tokens.verify" => redemption(1, &self.token),
            "emergency.halt" | "emergency.resume" => json!({"reason": "test"}),
            "intents.submit" => refund(9),
            "approvals.approve" | "approvals.reject" | "approvals.withdraw" | "intents.cancel" => {
                json!({"reason": "test"})
            }
            "intents.token" | "intents.execute" | "connectors.test" => json!({}),
            "members.remove"
            | "agents.retire"
            | "delegations.revoke"
            | "actions.retire"
            | "policies.withdraw"
            | "packs.apply"
            | "connectors.remove_credentials"
            | "connectors.retire"
            | "signing_keys.rotate" => json!({}),
            _ => panic!("no body for `{operation}`"),
        }
    }
}

fn action() -> Value {
    json!({"resource_type": "Payment", "description": "d", "effect": "read", "base_risk": 1,
           "arguments": {"type": "object"}})
}

fn connector(base_url: &str) -> Value {
    json!({
        "base_url": base_url,
        "operations": {"payments.refund": {
            "method": "POST", "path": "/payments/{resource.id}/refunds", "body": {"amount": "{arguments.amount}"},
        }},
        "test": {"method": "GET", "path": "/"},
    })
}

/// A system to call, which says yes to everything for as long as the tests run: its URL.
fn system() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = [0; 4_096];
            let _ = stream.read(&mut asked);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
        }
    });
    url
}

fn credential() -> Value {
    json!({"kind": "bearer", "token": "test"})
}

/// Whoever each route is for: an agent asks, a connector redeems, everything else is the admin's.
pub(crate) struct Cast {
    pub(crate) admin: Client,
    agent: Client,
    redeemer: Client,
    asker: Client,
    approver: Client,
}

impl Cast {
    pub(crate) fn of(world: &World, things: &Things) -> Self {
        Self {
            admin: world.admin(),
            agent: world.server.client(Some(&things.desk.key)),
            redeemer: world.server.client(Some(&things.desk.redeemer)),
            asker: world.server.client(Some(&things.escalated.asker)),
            approver: world.server.client(Some(&things.escalated.approver)),
        }
    }

    /// Calls a route so that it succeeds.
    pub(crate) fn perform(&mut self, route: &Route, things: &Things) -> Answer {
        let client = match route.operation {
            "intents.submit" => &mut self.agent,
            "tokens.verify" => &mut self.redeemer,
            "intents.token" | "intents.execute" | "intents.cancel" => &mut self.asker,
            "approvals.approve" | "approvals.reject" | "approvals.withdraw" => &mut self.approver,
            _ => &mut self.admin,
        };
        let body = if route.method == "GET" { Value::Null } else { things.body(route.operation) };
        send(client, route, &things.path(route), &body)
    }
}

/// What ends a thing comes after what changes it, and a halt after everything that acts.
pub(crate) fn rank(operation: &str) -> u32 {
    match operation {
        "approvals.approve" | "approvals.reject" | "approvals.withdraw" | "intents.token"
        | "intents.execute" | "intents.cancel" => 4,
        "tokens.verify" | "intents.submit" => 5,
        "actions.put" => 9,
        "api_keys.rotate" => 10,
        "policies.add_version" => 20,
        "connectors.pause" => 50,
        "connectors.resume" => 51,
        "connectors.remove_credentials" => 52,
        "connectors.retire" => 53,
        "tokens.revoke" => 60,
        "signing_keys.retire" => 65,
        "actions.retire" => 70,
        "policies.withdraw" => 71,
        "policies.activate" => 72,
        "api_keys.revoke" => 79,
        "members.remove" => 80,
        "agents.retire" => 81,
        "emergency.halt" => 90,
        "emergency.resume" => 91,
        _ => 30,
    }
}
