//! An organization to act in, with everybody's keys, and the model of it.

use std::collections::HashMap;

use http::Request;
use serde_json::{Value, json};

use super::model::{Holder, Makers, Member, Model, Who};
use super::watch::Watch;
use crate::support::upstream::Upstream;
use crate::support::{Answered, Org, World};

pub(crate) const CREDENTIAL: &str = "the-bank-knows-us";
pub(crate) const ACCOUNTS: [&str; 2] = ["one", "two"];
pub(crate) const ACTIONS: [&str; 4] = ["bank.transfer", "bank.pay", "bank.balance", "bank.close"];
/// The people: founder, the agent's owner, two approvers, an admin, whom they made, and a viewer.
const ROLES: [(&str, Who); 6] =
    [("operator", 0), ("approver", 0), ("approver", 0), ("admin", 0), ("approver", 4), ("viewer", 0)];

const POLICY: &str = r#"
permit (principal, action in [Action::"bank.transfer", Action::"bank.pay", Action::"bank.balance"], resource);
@escalate("approver") @approvals("2") @timeout("1h")
forbid (principal, action == Action::"bank.transfer", resource);
"#;
const CLOSED: &str =
    r#"forbid (principal, action in [Action::"bank.transfer", Action::"bank.pay"], resource);"#;
const STRICTER: &str = r#"@escalate("admin") @approvals("1") @timeout("30m")
forbid (principal, action == Action::"bank.transfer", resource);"#;

pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) maker: Who,
    pub(crate) makers: Makers,
}

impl Key {
    /// The installation made it.
    fn founding(org: &Org) -> Self {
        Self { text: org.key.clone(), maker: 0, makers: Makers::from([0]) }
    }
}

pub(crate) struct Office<'a> {
    pub(crate) world: &'a World,
    pub(crate) upstream: Upstream,
    pub(crate) org: Org,
    pub(crate) stranger: Org,
    pub(crate) agent: String,
    pub(crate) connector: String,
    pub(crate) definition: Definition,
    pub(crate) policies: [String; 2],
    pub(crate) keys: HashMap<Holder, Vec<Key>>,
    pub(crate) redeemer: String,
    pub(crate) model: Model,
    pub(crate) watch: Watch,
    pub(crate) told: super::act::Told,
    document: Value,
}

/// What of a connector's definition changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) prefix: &'static str,
    pub(crate) transfers: bool,
}

pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl<'a> Office<'a> {
    pub(crate) async fn open(world: &'a World) -> Self {
        let number = world.clock_micros();
        let upstream = Upstream::watching(world.superuser().await).await;
        let org = world.found(&format!("office-{number}")).await;
        let stranger = world.found(&format!("other-{number}")).await;
        let documented = world.call(&org.key, "GET", "/openapi.json", Value::Null).await.json();
        let founder = Member {
            id: org.admin.to_string(),
            role: "admin",
            created_by: None,
            granted: (0, None),
            removed: false,
        };
        let mut office = Self {
            keys: HashMap::from([
                (Holder::Member(0), vec![Key::founding(&org)]),
                (Holder::Stranger, vec![Key::founding(&stranger)]),
            ]),
            model: Model { members: vec![founder], agent: (1, 1), ..Model::default() },
            world,
            upstream,
            org,
            stranger,
            agent: String::new(),
            connector: String::new(),
            definition: Definition { prefix: "/v1", transfers: true },
            policies: Default::default(),
            redeemer: String::new(),
            watch: Watch::default(),
            told: super::act::Told::default(),
            document: documented,
        };
        office.furnish().await;
        let before = office.record(0).await;
        office.watch.skip(&before);
        office
    }

    async fn furnish(&mut self) {
        let founder = self.org.key.clone();
        for name in ACTIONS {
            let effect = if name == "bank.balance" { "read" } else { "write" };
            let action = json!({"effect": effect, "resource_type": "Account", "base_risk": 10,
                "arguments": {"type": "object", "properties": {"amount": {"type": "integer"}},
                    "required": ["amount"], "additionalProperties": false}});
            self.must(&founder, "PUT", &format!("/api/v1/actions/{name}"), action).await;
        }
        for (at, policy) in [POLICY, CLOSED, STRICTER].into_iter().enumerate() {
            let body = json!({"name": format!("p{at}"), "text": policy});
            let made = self.must(&founder, "POST", "/api/v1/policies", body).await;
            let path = format!("/api/v1/policies/{}", text(&made, "/data/id"));
            match at {
                0 => drop(
                    self.must(&founder, "POST", &format!("{path}/activate"), json!({"version": 1})).await,
                ),
                _ => self.policies[at - 1] = path,
            }
        }
        for (role, by) in ROLES {
            self.hire(role, by).await;
        }
        let owner = self.keys[&Holder::Member(1)][0].text.clone();
        let made = self.must(&owner, "POST", "/api/v1/agents", json!({"name": "bot"})).await;
        self.agent = text(&made, "/data/id");
        self.cut_key((1, 0), Holder::Agent).await;
        let body = json!({"name": "bank", "definition": self.defined()});
        let made = self.must(&founder, "POST", "/api/v1/connectors", body).await;
        self.connector = format!("/api/v1/connectors/{}", text(&made, "/data/id"));
        let credential = json!({"kind": "bearer", "token": CREDENTIAL});
        self.must(&founder, "POST", &format!("{}/credentials", self.connector), credential).await;
        let body = json!({"name": "bank", "holder": {"type": "member", "id": self.org.admin},
            "environment": "live", "scopes": ["tokens:verify"], "audiences": ["bank"]});
        let made = self.must(&founder, "POST", "/api/v1/api-keys", body).await;
        self.redeemer = text(&made, "/data/secret");
        self.world.clock.advance_seconds(60);
    }

    async fn hire(&mut self, role: &'static str, by: Who) {
        let email = format!("{}@example.org", self.world.clock_micros());
        let key = self.keys[&Holder::Member(by)][0].text.clone();
        let body = json!({"name": role, "email": email, "role": role});
        let made = self.must(&key, "POST", "/api/v1/members", body).await;
        let who = self.model.members.len();
        self.model.members.push(Member {
            id: text(&made, "/data/id"),
            role,
            created_by: Some(by),
            granted: (self.now(), Some(by)),
            removed: false,
        });
        self.cut_key((0, 0), Holder::Member(who)).await;
    }

    /// A key with all that its holder may have, made by a member with one of their keys.
    pub(crate) async fn cut_key(&mut self, (maker, with): (Who, usize), holder: Holder) -> Answered {
        self.world.clock.advance_seconds(1);
        let (kind, id, role) = match holder {
            Holder::Member(who) => {
                ("member", self.model.members[who].id.clone(), self.model.members[who].role)
            }
            _ => ("agent", self.agent.clone(), "agent"),
        };
        let scopes: &[&str] = match role {
            "agent" => &["intents:submit", "intents:read"],
            "operator" => &["intents:submit", "intents:read", "agents:manage", "keys:manage"],
            "approver" => &["approvals:read", "approvals:decide", "intents:read"],
            "viewer" => &["approvals:read"],
            _ => &[
                "approvals:read",
                "approvals:decide",
                "intents:submit",
                "intents:read",
                "members:manage",
                "agents:manage",
                "keys:manage",
                "delegations:manage",
                "policies:manage",
                "connectors:manage",
            ],
        };
        let body = json!({"name": "k", "holder": {"type": kind, "id": id}, "environment": "live",
            "scopes": scopes});
        let held = &self.keys[&Holder::Member(maker)];
        let with = &held[with % held.len()];
        let (key, mut makers) = (with.text.clone(), with.makers.clone());
        makers.insert(maker);
        let made = self.ask(&key, ("POST", "/api/v1/api-keys", ""), body, None).await;
        if made.status == 201 {
            let key = Key { text: text(&made.json(), "/data/secret"), maker, makers };
            self.keys.entry(holder).or_default().push(key);
        }
        made
    }

    pub(crate) fn defined(&self) -> Value {
        let Definition { prefix, transfers } = self.definition;
        let headers = json!({"x-intent": "{intent.id}"});
        let post =
            |path: &str| json!({"method": "POST", "path": path, "body": "arguments", "headers": headers});
        let mut operations = json!({
            "bank.pay": post("/accounts/{resource.id}/payments"),
            "bank.close": post("/accounts/{resource.id}/close"),
            "bank.balance": {"method": "GET", "path": "/accounts/{resource.id}", "headers": headers},
        });
        if transfers {
            operations["bank.transfer"] = post("/accounts/{resource.id}/transfers");
        }
        json!({"base_url": format!("{}{prefix}", self.upstream.url), "operations": operations})
    }

    pub(crate) fn now(&self) -> i64 {
        use chancery_model::Clock as _;
        self.world.clock.now().as_seconds()
    }

    async fn must(&self, key: &str, method: &str, path: &str, body: Value) -> Value {
        let answer = self.world.call(key, method, path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.text);
        answer.json()
    }

    /// A request to a documented route, whose answer is one of those that are documented for it.
    pub(crate) async fn ask(
        &self,
        key: &str,
        (method, route, id): (&str, &str, &str),
        body: Value,
        idempotency: Option<&str>,
    ) -> Answered {
        let mut request = Request::builder()
            .method(method)
            .uri(route.replace("{id}", id))
            .header("authorization", format!("Bearer {key}"));
        if let Some(idempotency) = idempotency {
            request = request.header("idempotency-key", idempotency);
        }
        let request = if body.is_null() {
            request.body(String::new().into())
        } else {
            request.header("content-type", "application/json").body(body.to_string().into())
        };
        let answer = self.world.send(request.unwrap()).await;
        assert!(!answer.text.contains(CREDENTIAL), "{}", answer.text);
        let status = answer.status.as_str();
        let responses = &self.document["paths"][route][method.to_ascii_lowercase()]["responses"];
        let documented = &responses[status]["description"];
        let known = if answer.status.is_success() {
            documented.is_string()
        } else {
            let code = answer.code();
            documented.as_str().is_some_and(|codes| codes.split(", ").any(|known| known == code))
        };
        assert!(known, "{method} {route} is not documented to answer {status}: {}", answer.text);
        assert_ne!(answer.status, 500, "{}", answer.text);
        assert_ne!(answer.code(), "organization_busy", "nobody else changes anything");
        answer
    }

    /// The entries of the record after a place, the oldest first.
    pub(crate) async fn record(&self, after: u64) -> Vec<Value> {
        let path = "/api/v1/record?limit=100";
        let record = self.must(&self.org.key, "GET", path, Value::Null).await;
        let entries = record["data"].as_array().unwrap();
        let mut new: Vec<Value> =
            entries.iter().filter(|entry| entry["seq"].as_u64().unwrap() > after).cloned().collect();
        new.reverse();
        new
    }
}
