//! Deciding alone: 100 policies over 10 actions, 1,000 agents, the request read from JSON each time.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use chancery_decide::{
    ActionDefinition, Catalogue, Delegation, Effect, Facts, ParseCache, Policies, PolicySource, Subject,
    Thresholds, evaluate,
};
use chancery_model::{AgentId, Environment, MemberId, OrgId, Principal, Role, Timestamp, ijson};
use serde_json::json;

const ACTIONS: usize = 10;
const POLICIES: usize = 100;
const AGENTS: u64 = 1_000;
const DECISIONS: usize = 200_000;

fn definitions() -> anyhow::Result<Vec<ActionDefinition>> {
    let action = |n: usize| {
        json!({
            "name": format!("things.act{n}"), "resource_type": format!("Thing{}", n % 3), "description": "Act.",
            "effect": "write", "base_risk": 20,
            "arguments": {
                "type": "object", "required": ["amount", "currency"],
                "properties": {
                    "amount": {"type": "number", "minimum": 0}, "currency": {"type": "string", "maxLength": 3},
                    "note": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}
                }
            }
        })
    };
    (0..ACTIONS).map(|n| Ok(serde_json::from_value(action(n))?)).collect()
}

/// One permit and nine forbids for each action; every fifth forbid is about all of them.
fn policies() -> Vec<PolicySource> {
    let text = |n: usize| {
        let action = format!("Action::\"things.act{}\"", n % ACTIONS);
        match n / ACTIONS {
            0 => format!("permit(principal, action == {action}, resource);"),
            5 => format!("forbid(principal, action, resource) when {{ context.risk > 9{} }};", n % ACTIONS),
            k => format!(
                "@escalate(\"approver\") forbid(principal is Agent, action == {action}, resource) when \
                 {{ context.arguments.amount.greaterThan(decimal(\"{k}000.5\")) && context.arguments.currency == \"EUR\" }};"
            ),
        }
    };
    let source = |n: usize| PolicySource {
        id: n.to_string(),
        version: 1,
        name: format!("policy {n}"),
        text: text(n).into(),
    };
    (0..POLICIES).map(source).collect()
}

/// The times of deciding alone, request parsing included, in microseconds: mean, median and 99th percentile.
pub(crate) fn measure() -> anyhow::Result<[f64; 3]> {
    let catalogue = Arc::new(Catalogue::build(definitions()?)?);
    let policies = Policies::compile(catalogue, &[], &policies(), &ParseCache::default())
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let id = |n: u64| {
        let mut b = [0; 10];
        b.iter_mut().zip(n.to_be_bytes()).for_each(|(to, from)| *to = from);
        b
    };
    let agents: Vec<_> = (0..AGENTS).map(|n| AgentId::new(Timestamp::from_micros(1), id(n))).collect();
    let owner = MemberId::new(Timestamp::from_micros(1), id(0));
    let empty = json!({});
    let mut micros = Vec::with_capacity(DECISIONS);
    for n in 0..DECISIONS {
        let action = format!("things.act{}", n % ACTIONS);
        let resource_type = format!("Thing{}", n % ACTIONS % 3);
        let body = format!(r#"{{"amount":{}.25,"currency":"EUR","note":"n{n}","tags":["a","b"]}}"#, n % 900);
        let started = Instant::now();
        let arguments = ijson::parse(body.as_bytes())?;
        let facts = Facts {
            org: OrgId::new(Timestamp::from_micros(1), id(0)),
            subject: Subject {
                principal: Principal::Agent(*agents.get(n % agents.len()).context("no agents")?),
                role: Role::Agent,
                owner: Some(owner),
            },
            on_behalf_of: None,
            delegation: Delegation::NotAsked,
            action: &action,
            resource_type: &resource_type,
            resource_id: "thing-1",
            arguments: &arguments,
            context: &empty,
            environment: Environment::Live,
            connector: Some("things"),
            agreed: &[],
            now: Timestamp::from_micros(1_767_614_400_123_456),
        };
        let decision = evaluate(&policies, Thresholds::DEFAULT, &facts);
        micros.push(started.elapsed().as_secs_f64() * 1_000_000.0);
        ensure!(black_box(decision).effect == Effect::Allow, "a decision is not allow");
    }
    let mean = micros.iter().sum::<f64>() / f64::from(u32::try_from(micros.len())?);
    micros.sort_by(f64::total_cmp);
    let at = |percent: usize| micros.get(micros.len() * percent / 100).copied().unwrap_or_default();
    Ok([mean, at(50), at(99)])
}
