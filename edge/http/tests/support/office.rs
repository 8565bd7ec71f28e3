//! An organization in which people are asked.

use serde_json::{Value, json};

use super::{Answered, Org, World};

/// Everybody may ask for a transfer; two approvers must agree.
const POLICY: &str = r#"
permit (principal, action == Action::"bank.transfer", resource);
@escalate("approver") @approvals("2") @timeout("1h") @message("two people look at transfers")
forbid (principal, action == Action::"bank.transfer", resource);
"#;

fn transfer(amount: u32) -> Value {
    json!({
        "action": "bank.transfer",
        "resource": {"type": "Account", "id": "acc_1"},
        "arguments": {"amount": amount},
        "connector": "bank",
    })
}

pub(crate) fn because() -> Value {
    json!({"reason": "looked at it"})
}

pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A person with their key.
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) key: String,
}

/// An organization: its founder, an operator with an agent, and two approvers.
pub(crate) struct Office {
    pub(crate) world: World,
    pub(crate) org: Org,
    pub(crate) operator: Person,
    pub(crate) approvers: [Person; 2],
    pub(crate) agent: String,
    pub(crate) agent_key: String,
}

impl Office {
    pub(crate) async fn open() -> Self {
        let world = World::start().await;
        let org = world.found("acme").await;
        let action = json!({
            "effect": "write", "resource_type": "Account", "base_risk": 10,
            "arguments": {"type": "object", "properties": {"amount": {"type": "integer"}},
                "required": ["amount"], "additionalProperties": false},
        });
        let put = world.call(&org.key, "PUT", "/api/v1/actions/bank.transfer", action).await;
        assert!(put.status.is_success(), "{}", put.text);
        enforce(&world, &org.key, "transfers", POLICY).await;
        let operator = person(&world, &org.key, "operator").await;
        let approvers =
            [person(&world, &org.key, "approver").await, person(&world, &org.key, "approver").await];
        let made = world.call(&operator.key, "POST", "/api/v1/agents", json!({"name": "bot"})).await;
        let agent = text(&made.json(), "/data/id");
        let agent_key = key(&world, &operator.key, ("agent", &agent)).await;
        world.clock.advance_seconds(1);
        Self { world, org, operator, approvers, agent, agent_key }
    }

    pub(crate) async fn ask(&self, key: &str, amount: u32) -> String {
        let asked = self.world.call(key, "POST", "/api/v1/intents", transfer(amount)).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        text(&asked.json(), "/data/id")
    }

    pub(crate) async fn answer(&self, key: &str, intent: &str, how: &str) -> Answered {
        self.world.call(key, "POST", &format!("/api/v1/approvals/{intent}/{how}"), because()).await
    }

    pub(crate) async fn approve_both(&self, intent: &str) {
        for (person, status) in self.approvers.iter().zip(["pending", "approved"]) {
            let taken = self.answer(&person.key, intent, "approve").await;
            assert_eq!((taken.status.as_u16(), text(&taken.json(), "/data/status").as_str()), (200, status));
        }
    }

    pub(crate) async fn release(&self, intent: &str, with: Value) -> Answered {
        self.world.call(&self.agent_key, "POST", &format!("/api/v1/intents/{intent}/token"), with).await
    }

    pub(crate) async fn redeem(&self, token: &str, amount: u32) -> Answered {
        let wanted = json!({"name": "bank", "holder": {"type": "agent", "id": self.agent}, "environment": "live",
            "scopes": ["tokens:verify"], "audiences": ["bank"]});
        let made = self.world.call(&self.org.key, "POST", "/api/v1/api-keys", wanted).await.json();
        let mut body = transfer(amount);
        body["token"] = token.into();
        body.as_object_mut().unwrap().remove("connector");
        self.world.call(&text(&made, "/data/secret"), "POST", "/api/v1/tokens/verify", body).await
    }

    /// The types of the entries of an intent's story, the oldest first.
    pub(crate) async fn story(&self, intent: &str) -> Vec<String> {
        let path = format!("/api/v1/record?correlation_id={intent}");
        let record = self.world.call(&self.org.key, "GET", &path, Value::Null).await.json();
        let entries = record["data"].as_array().unwrap();
        entries.iter().rev().map(|entry| text(entry, "/type")).collect()
    }
}

pub(crate) async fn person(world: &World, by: &str, role: &str) -> Person {
    let email = format!("{}@example.org", world.clock_micros());
    let made =
        world.call(by, "POST", "/api/v1/members", json!({"name": role, "email": email, "role": role})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = text(&made.json(), "/data/id");
    let key = key(world, by, ("member", &id)).await;
    Person { id, key }
}

/// Writes a policy and puts it in force.
pub(crate) async fn enforce(world: &World, key: &str, name: &str, policy: &str) {
    let made = world.call(key, "POST", "/api/v1/policies", json!({"name": name, "text": policy})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let path = format!("/api/v1/policies/{}/activate", text(&made.json(), "/data/id"));
    let active = world.call(key, "POST", &path, json!({"version": 1})).await;
    assert_eq!(active.status, 200, "{}", active.text);
}

/// A key with all that its holder may have.
pub(crate) async fn key(world: &World, by: &str, (kind, id): (&str, &str)) -> String {
    world.clock.advance_seconds(1);
    let scopes: &[&str] = if kind == "agent" {
        &["intents:submit", "intents:read"]
    } else {
        let me = world.call(by, "GET", &format!("/api/v1/members/{id}"), Value::Null).await.json();
        match text(&me, "/data/role").as_str() {
            "operator" => &["intents:submit", "intents:read", "agents:manage", "agents:read", "keys:manage"],
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
                "members:read",
            ],
        }
    };
    let body =
        json!({"name": "k", "holder": {"type": kind, "id": id}, "environment": "live", "scopes": scopes});
    let made = world.call(by, "POST", "/api/v1/api-keys", body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    text(&made.json(), "/data/secret")
}
