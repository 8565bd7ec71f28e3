//! An organization to decide in: three actions, two principals, and facts that a test changes.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part")]

use std::sync::Arc;

use chancery_decide::{
    ActionDefinition, Catalogue, Decision, Delegation, Facts, Layer, ParseCache, Policies, PolicySource,
    Subject, Thresholds, check_policy, evaluate,
};
use chancery_model::{AgentId, Environment, MemberId, OrgId, Principal, Role, Timestamp};
use serde_json::{Value, json};

/// 2026-01-05T12:00:00.123456Z, a Monday.
pub const NOON: Timestamp = Timestamp::from_micros(1_767_614_400_123_456);
/// Thresholds that are never reached, to see the policies alone.
pub const NEVER: (u8, u8) = (101, 101);

pub fn agent() -> AgentId {
    AgentId::new(Timestamp::from_micros(1), [1; 10])
}

pub fn member() -> MemberId {
    MemberId::new(Timestamp::from_micros(2), [2; 10])
}

pub fn definitions() -> Vec<ActionDefinition> {
    serde_json::from_value(json!([
        {
            "name": "invoices.read", "resource_type": "Invoice", "description": "Read.", "effect": "read",
            "base_risk": 0, "arguments": {"type": "object"}
        },
        {
            "name": "invoices.pay", "resource_type": "Invoice", "description": "Pay.", "effect": "write",
            "base_risk": 20,
            "arguments": {
                "type": "object",
                "required": ["amount"],
                "properties": {
                    "amount": {"type": "number", "minimum": 0},
                    "count": {"type": "integer", "maximum": 100},
                    "urgent": {"type": "boolean"},
                    "note": {"type": "string", "maxLength": 10, "pattern": "^[a-z]*$"},
                    "kind": {"enum": ["one", "two"]},
                    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
                    "to": {
                        "type": "object", "required": ["iban"],
                        "properties": {"iban": {"type": "string"}, "days": {"type": "integer"}}
                    }
                }
            },
            "context": {"type": "object", "properties": {"first_time": {"type": "boolean"}}}
        },
        {
            "name": "servers.delete", "resource_type": "Server", "description": "Delete.",
            "effect": "destructive", "base_risk": 40, "arguments": {"type": "object"}
        }
    ]))
    .unwrap()
}

pub fn catalogue() -> Arc<Catalogue> {
    Arc::new(Catalogue::build(definitions()).unwrap())
}

pub fn sources(texts: &[&str]) -> Vec<PolicySource> {
    texts
        .iter()
        .enumerate()
        .map(|(index, text)| PolicySource {
            id: format!("p{index}"),
            version: 1,
            name: format!("policy {index}"),
            text: Arc::from(*text),
        })
        .collect()
}

/// Compiles without the check on write, so that erroring policies get through.
pub fn compile(installation: &[&str], organization: &[&str]) -> Policies {
    Policies::compile(catalogue(), &sources(installation), &sources(organization), &ParseCache::default())
        .unwrap()
}

/// Like [`compile`], after the check on write.
pub fn checked(installation: &[&str], organization: &[&str]) -> Policies {
    for (layer, texts) in [(Layer::Installation, installation), (Layer::Organization, organization)] {
        for text in texts {
            check_policy(text, &catalogue(), layer).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        }
    }
    compile(installation, organization)
}

/// A request: an agent pays 50 in the test environment unless a test changes it.
#[derive(Clone, Debug)]
pub struct Ask {
    pub subject: Subject,
    pub on_behalf_of: Option<Subject>,
    pub delegation: Delegation,
    pub action: String,
    pub resource_type: String,
    pub resource_id: String,
    pub arguments: Value,
    pub context: Value,
    pub environment: Environment,
    pub connector: Option<String>,
    pub now: Timestamp,
    pub thresholds: (u8, u8),
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            subject: Subject {
                principal: Principal::Agent(agent()),
                role: Role::Agent,
                owner: Some(member()),
            },
            on_behalf_of: None,
            delegation: Delegation::NotAsked,
            action: "invoices.pay".to_owned(),
            resource_type: "Invoice".to_owned(),
            resource_id: "r1".to_owned(),
            arguments: json!({"amount": 50}),
            context: Value::Null,
            environment: Environment::Test,
            connector: None,
            now: NOON,
            thresholds: NEVER,
        }
    }
}

impl Ask {
    pub fn member_subject() -> Subject {
        Subject { principal: Principal::Member(member()), role: Role::Operator, owner: None }
    }

    pub fn on_behalf(self) -> Self {
        Self { on_behalf_of: Some(Self::member_subject()), delegation: Delegation::Covers, ..self }
    }

    pub fn amount(amount: f64) -> Self {
        Self { arguments: json!({ "amount": amount }), ..Self::default() }
    }

    pub fn of(action: &str, resource_type: &str, arguments: Value) -> Self {
        Self {
            action: action.to_owned(),
            resource_type: resource_type.to_owned(),
            arguments,
            ..Self::default()
        }
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            org: OrgId::new(Timestamp::from_micros(3), [3; 10]),
            subject: self.subject,
            on_behalf_of: self.on_behalf_of,
            delegation: self.delegation,
            action: &self.action,
            resource_type: &self.resource_type,
            resource_id: &self.resource_id,
            arguments: &self.arguments,
            context: &self.context,
            environment: self.environment,
            connector: self.connector.as_deref(),
            agreed: &[],
            now: self.now,
        }
    }

    pub fn decide(&self, policies: &Policies) -> Decision {
        let (escalate_at, deny_at) = self.thresholds;
        evaluate(policies, Thresholds::new(escalate_at, deny_at).unwrap(), &self.facts())
    }
}

/// The decision in one line: `deny forbidden @policy_organization`.
pub fn brief(decision: &Decision) -> String {
    let effect = serde_json::to_value(decision.effect).unwrap();
    let codes: Vec<_> = decision.reasons.iter().map(|reason| reason.code).collect();
    let last = decision.gates.last().unwrap();
    format!("{} {} @{}", effect.as_str().unwrap(), codes.join("+"), last.gate)
}
