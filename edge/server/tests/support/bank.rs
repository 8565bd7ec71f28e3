//! An organization that executes: connectors to an upstream, an agent, its owner, and who may approve.

use chancery_testkit::{Answer, Client, ServerOptions};
use serde_json::{Value, json};

use super::upstream::Upstream;
use super::{key_of, text};

/// Transfers are allowed; an approver must agree to a payout.
const POLICY: &str = r#"
permit (principal, action == Action::"bank.transfer", resource);
permit (principal, action == Action::"bank.payout", resource);
@escalate("approver") @approvals("1") @timeout("1m") @message("somebody looks at payouts")
forbid (principal, action == Action::"bank.payout", resource);
"#;

/// How long a call of a bank's connectors may take.
pub(crate) const TIMEOUT_MS: u64 = 3_000;

/// A server that may call an upstream of the test.
pub(crate) fn reaching(options: ServerOptions) -> ServerOptions {
    options.with("CHANCERY_EGRESS__ALLOW", "127.0.0.1").with("CHANCERY_EGRESS__ALLOW_PLAIN_HTTP", "127.0.0.1")
}

pub(crate) struct Bank {
    /// The agent, and its key.
    pub(crate) agent: String,
    pub(crate) key: String,
    /// A key of the agent's owner, who manages it.
    pub(crate) owner: String,
    /// Somebody's who may approve.
    pub(crate) approver: String,
    /// The connector `bank`.
    pub(crate) connector: String,
}

impl Bank {
    /// Opens it with connectors `bank`, and `gate`, which first fetches a token that never comes.
    /// Their breakers open after so many failures.
    pub(crate) fn open(admin: &mut Client, upstream: &Upstream, failures: u32) -> Self {
        let action = json!({"effect": "write", "resource_type": "Account", "base_risk": 10,
            "arguments": {"type": "object", "properties": {"amount": {"type": "integer"}},
                "required": ["amount"], "additionalProperties": false}});
        for name in ["bank.transfer", "bank.payout"] {
            let path = format!("/api/v1/actions/{name}");
            let put = admin.send("PUT", &path, &[], Some(action.to_string().as_bytes())).unwrap();
            assert!((200..300).contains(&put.status), "{}", put.json());
        }
        let policy = admin.made("/api/v1/policies", &json!({"name": "bank", "text": POLICY})).unwrap();
        let path = format!("/api/v1/policies/{}/activate", text(&policy, "/id"));
        admin.made(&path, &json!({"version": 1})).unwrap();
        let bearer = json!({"kind": "bearer", "token": "secret"});
        let connector = make_connector(admin, "bank", (&upstream.url, failures), &bearer);
        let fetched = json!({"kind": "oauth2_client_credentials", "token_url": format!("{}/token", upstream.mute),
            "client_id": "bank", "client_secret": "secret"});
        make_connector(admin, "gate", (&upstream.url, failures), &fetched);

        let mut person = |role: &str, scopes: &[&str]| {
            let wanted = json!({"name": role, "email": format!("{role}@bank.example.org"), "role": role});
            let id = text(&admin.made("/api/v1/members", &wanted).unwrap(), "/id");
            key_of(admin, ("member", &id), scopes, &[])
        };
        let owner = person("operator", &["agents:manage", "keys:manage", "intents:submit", "intents:read"]);
        let approver = person("approver", &["approvals:read", "approvals:decide", "intents:read"]);
        let mut manager = admin.with_key(&owner);
        let agent = text(&manager.made("/api/v1/agents", &json!({"name": "teller"})).unwrap(), "/id");
        let key = key_of(&mut manager, ("agent", &agent), &["intents:submit", "intents:read"], &[]);
        Self { agent, key, owner, approver, connector }
    }

    /// An escalated payout; gives the intent.
    pub(crate) fn payout(&self, agent: &mut Client, account: &str) -> String {
        let mut asked = order("bank.payout", account, "bank");
        asked["execute"] = json!(false);
        let answer = agent.post("/api/v1/intents", &asked).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.json());
        text(&answer.data(), "/id")
    }
}

fn make_connector(
    admin: &mut Client,
    name: &str,
    (url, failures): (&str, u32),
    credential: &Value,
) -> String {
    let operation = json!({"method": "POST", "path": "/{resource.id}/transfers", "body": "arguments",
        "headers": {"x-intent": "{intent.id}"}});
    let definition = json!({
        "base_url": format!("{url}/accounts"), "timeout_ms": TIMEOUT_MS, "concurrency": 64,
        "operations": {"bank.transfer": operation.clone(), "bank.payout": operation},
        "breaker": {"failures": failures, "window_seconds": 600, "open_seconds": 600},
    });
    let made = admin.made("/api/v1/connectors", &json!({"name": name, "definition": definition})).unwrap();
    let id = text(&made, "/id");
    admin.made(&format!("/api/v1/connectors/{id}/credentials"), credential).unwrap();
    id
}

/// What is asked so that it is executed.
pub(crate) fn order(action: &str, account: &str, connector: &str) -> Value {
    json!({"action": action, "resource": {"type": "Account", "id": account}, "arguments": {"amount": 40},
        "connector": connector, "execute": true})
}

/// Has a transfer executed, with the account's name as its idempotency key.
pub(crate) fn transfer(agent: &mut Client, account: &str) -> anyhow::Result<Answer> {
    let connector = if account.starts_with("mute") { "gate" } else { "bank" };
    let body = order("bank.transfer", account, connector).to_string();
    agent.send("POST", "/api/v1/intents", &[("idempotency-key", account)], Some(body.as_bytes()))
}

/// Agrees to an intent.
pub(crate) fn approve(approver: &mut Client, intent: &str) {
    let path = format!("/api/v1/approvals/{intent}/approve");
    let taken = approver.made(&path, &json!({"reason": "looked at it"})).unwrap();
    assert_eq!(text(&taken, "/status"), "approved");
}
