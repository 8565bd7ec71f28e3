//! An organization with a bank to call, and an agent that may.

use http::Request;
use serde_json::{Value, json};

use super::upstream::Upstream;
use super::{Answered, Org, World};

/// What must appear nowhere.
pub(crate) const CANARY: &str = "canary-Xp7qUe-credential";

pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// That an answer is this failure. Gives the id of its intent.
pub(crate) fn failed(answer: &Answered, status: u16, code: &str) -> String {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{}", answer.text);
    text(&answer.json(), "/data/id")
}

/// A credential that is the canary.
pub(crate) fn bearer() -> Value {
    json!({"kind": "bearer", "token": CANARY})
}

pub(crate) struct Bank {
    pub(crate) world: World,
    pub(crate) org: Org,
    pub(crate) upstream: Upstream,
    /// The id of the connector `bank`.
    pub(crate) connector: String,
    pub(crate) agent_key: String,
}

impl Bank {
    pub(crate) async fn open(limits: Value) -> Self {
        Self::on(World::start().await, limits, bearer()).await
    }

    pub(crate) async fn on(world: World, limits: Value, credential: Value) -> Self {
        let upstream = Upstream::start().await;
        let org = world.found("acme").await;
        let amount = json!({"type": "object", "properties": {"amount": {"type": "integer"}},
            "required": ["amount"], "additionalProperties": false});
        for (name, effect) in [("bank.transfer", "write"), ("bank.balance", "read")] {
            let action = json!({"effect": effect, "resource_type": "Account", "base_risk": 10,
                "arguments": if effect == "read" { json!({"type": "object"}) } else { amount.clone() }});
            let put = world.call(&org.key, "PUT", &format!("/api/v1/actions/{name}"), action).await;
            assert!(put.status.is_success(), "{}", put.text);
        }
        let policy = "permit (principal, action, resource);";
        let made =
            world.call(&org.key, "POST", "/api/v1/policies", json!({"name": "all", "text": policy})).await;
        let path = format!("/api/v1/policies/{}/activate", text(&made.json(), "/data/id"));
        assert_eq!(world.call(&org.key, "POST", &path, json!({"version": 1})).await.status, 200);
        let made = world.call(&org.key, "POST", "/api/v1/agents", json!({"name": "bot"})).await.json();
        let wanted = json!({"name": "k", "holder": {"type": "agent", "id": made["data"]["id"]},
            "environment": "live", "scopes": ["intents:submit", "intents:read"]});
        let made = world.call(&org.key, "POST", "/api/v1/api-keys", wanted).await.json();
        let agent_key = text(&made, "/data/secret");
        let mut bank = Self { agent_key, world, org, upstream, connector: String::new() };
        bank.connector = bank.connect(("bank", "/v1"), limits, credential).await;
        bank.world.clock.advance_seconds(1);
        bank
    }

    /// Another connector, to a part of the same system.
    pub(crate) async fn connect(
        &self,
        (name, part): (&str, &str),
        limits: Value,
        credential: Value,
    ) -> String {
        let mut definition = json!({
            "base_url": format!("{}{part}", self.upstream.url),
            "operations": {
                "bank.transfer":
                    {"method": "POST", "path": "/accounts/{resource.id}/transfers", "body": "arguments"},
                "bank.balance": {"method": "GET", "path": "/accounts/{resource.id}"},
            },
            "test": {"method": "GET", "path": "/ping"},
        });
        definition.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        let body = json!({"name": name, "definition": definition});
        let made = self.world.call(&self.org.key, "POST", "/api/v1/connectors", body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let connector = text(&made.json(), "/data/id");
        let path = format!("/api/v1/connectors/{connector}/credentials");
        let written = self.world.call(&self.org.key, "POST", &path, credential).await;
        assert_eq!(written.status, 201, "{}", written.text);
        connector
    }

    pub(crate) async fn ask(&self, action: &str, account: &str, idempotency: Option<&str>) -> Answered {
        self.ask_at(&self.world, ("bank", action, account), idempotency).await
    }

    /// The same through any connector, at any server over this database.
    pub(crate) async fn ask_at(
        &self,
        world: &World,
        (connector, action, account): (&str, &str, &str),
        idempotency: Option<&str>,
    ) -> Answered {
        let arguments = if action == "bank.transfer" { json!({"amount": 40}) } else { json!({}) };
        let body = json!({"action": action, "resource": {"type": "Account", "id": account},
            "arguments": arguments, "connector": connector, "execute": true});
        let mut request = Request::builder()
            .method("POST")
            .uri("/api/v1/intents")
            .header("authorization", format!("Bearer {}", self.agent_key))
            .header("content-type", "application/json");
        if let Some(key) = idempotency {
            request = request.header("idempotency-key", key);
        }
        let answer = world.send(request.body(body.to_string().into()).unwrap()).await;
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
        answer
    }

    pub(crate) async fn intent(&self, id: &str) -> Value {
        self.world.call(&self.agent_key, "GET", &format!("/api/v1/intents/{id}"), Value::Null).await.json()
    }

    /// The entries of an intent's story, the oldest first.
    pub(crate) async fn entries(&self, intent: &str) -> Vec<Value> {
        let path = format!("/api/v1/record?correlation_id={intent}");
        let record = self.world.call(&self.org.key, "GET", &path, Value::Null).await.json();
        record["data"].as_array().unwrap().iter().rev().cloned().collect()
    }

    /// Their types.
    pub(crate) async fn story(&self, intent: &str) -> Vec<String> {
        self.entries(intent).await.iter().map(|entry| text(entry, "/type")).collect()
    }
}
