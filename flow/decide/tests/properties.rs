//! What holds for all policies and all requests, and an oracle: Cedar over the whole set at once,
//! with the request read by Cedar's own JSON reader against the generated schema.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod support;

use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision as Answer, Entities, EntityUid, PolicySet, Request, Schema,
};
use chancery_decide::Effect;
use chancery_model::{Environment, ijson};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use support::{Ask, agent, catalogue, compile, member};

/// Passes the parser; fails wherever it is evaluated.
const ERROR: &str = "context.absent == 1";

fn scope() -> impl Strategy<Value = String> {
    let principals = vec![
        "principal".to_owned(),
        "principal is Agent".to_owned(),
        "principal is Member".to_owned(),
        format!("principal == Agent::\"{}\"", agent()),
    ];
    let actions = vec![
        "action",
        "action == Action::\"invoices.pay\"",
        "action == Action::\"servers.delete\"",
        "action in Action::\"read\"",
        "action in [Action::\"write\", Action::\"destructive\"]",
        "action in [Action::\"invoices.read\", Action::\"invoices.pay\"]",
    ];
    let resources = vec![
        "resource",
        "resource is Invoice",
        "resource is Server",
        "resource == Invoice::\"r1\"",
        "resource == Server::\"r1\"",
        "resource in Invoice::\"r1\"",
        "resource is Invoice in Invoice::\"r2\"",
    ];
    (select(principals), select(actions), select(resources)).prop_map(|(p, a, r)| format!("({p}, {a}, {r})"))
}

fn condition() -> impl Strategy<Value = &'static str> {
    select(vec![
        "true",
        "context.environment == \"live\"",
        "context.risk >= 35",
        "principal.role == \"agent\"",
        "principal has owner",
        "context has on_behalf_of",
        "context.arguments has amount && context.arguments.amount.greaterThan(decimal(\"49.5\"))",
        "context.facts has first_time && context.facts.first_time",
        "context.now.toTime() > duration(\"12h\")",
        "action in Action::\"destructive\"",
    ])
}

fn policy() -> impl Strategy<Value = String> {
    let kind = select(vec!["permit", "permit", "forbid", "@escalate(\"approver\") forbid"]);
    (kind, scope(), condition())
        .prop_map(|(kind, scope, condition)| format!("{kind}{scope} when {{ {condition} }};"))
}

fn policies() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(policy(), 0..12)
}

fn ask() -> impl Strategy<Value = Ask> {
    let target =
        select(vec![("invoices.read", "Invoice"), ("invoices.pay", "Invoice"), ("servers.delete", "Server")]);
    let resource = select(vec!["r1", "r2"]);
    (target, resource, 0_u32..1_000_000, any::<[bool; 4]>(), 0_i64..86_400).prop_map(
        |((action, resource_type), resource_id, amount, [live, member, behalf, first_time], second)| {
            let paying = action == "invoices.pay";
            let sent = if paying {
                format!("{{\"amount\":{}}}", f64::from(amount) / 10_000.0)
            } else {
                "{}".to_owned()
            };
            let ask = Ask {
                resource_id: resource_id.to_owned(),
                context: if paying {
                    json!({"first_time": first_time, "touches_production": live})
                } else {
                    Value::Null
                },
                environment: if live { Environment::Live } else { Environment::Test },
                now: support::NOON.plus_seconds(second),
                ..Ask::of(action, resource_type, ijson::parse(sent.as_bytes()).unwrap())
            };
            match (member, behalf) {
                (true, _) => Ask { subject: Ask::member_subject(), ..ask },
                (false, true) => ask.on_behalf(),
                (false, false) => ask,
            }
        },
    )
}

fn texts(policies: &[String]) -> Vec<&str> {
    policies.iter().map(String::as_str).collect()
}

fn typed(value: &Value) -> Value {
    let decimal = value.get("amount").and_then(Value::as_f64).and_then(ijson::decimal_text);
    decimal.map_or_else(|| value.clone(), |text| json!({ "amount": text }))
}

/// What the whole set answers to one principal, sliced by nothing.
fn unsliced(policies: &[String], ask: &Ask, principal: &str, risk: u8) -> Effect {
    let catalogue = catalogue();
    let (schema, _) = Schema::from_cedarschema_str(catalogue.schema_text()).unwrap();
    let set = PolicySet::from_str(&policies.concat()).unwrap();
    let permits = PolicySet::from_policies(
        set.policies().filter(|policy| policy.effect() == cedar_policy::Effect::Permit).cloned(),
    )
    .unwrap();
    let owner = json!({"__entity": {"type": "Member", "id": member().to_string()}});
    let entities = Entities::from_json_value(
        json!([
            {"uid": {"type": "Agent", "id": agent().to_string()}, "attrs": {"role": "agent", "owner": owner}, "parents": []},
            {"uid": {"type": "Member", "id": member().to_string()}, "attrs": {"role": "operator"}, "parents": []},
        ]),
        Some(&schema),
    )
    .unwrap();
    let first_time = ask.context.get("first_time");
    let mut context = json!({
        "arguments": typed(&ask.arguments),
        "facts": first_time.map_or(json!({}), |fact| json!({"first_time": fact})),
        "environment": ask.environment.as_str(),
        "risk": risk,
        "now": ask.now.to_string().replace("456Z", "Z"),
    });
    if ask.on_behalf_of.is_some() {
        context["on_behalf_of"] = owner;
    }
    let action = EntityUid::from_str(&format!("Action::\"{}\"", ask.action)).unwrap();
    let context = Context::from_json_value(context, Some((&schema, &action))).unwrap();
    let resource = EntityUid::from_str(&format!("{}::\"{}\"", ask.resource_type, ask.resource_id)).unwrap();
    let principal = EntityUid::from_str(principal).unwrap();
    let request = Request::new(principal, action, resource, context, Some(&schema)).unwrap();
    let whole = Authorizer::new().is_authorized(&request, &set, &entities);
    let permitted =
        Authorizer::new().is_authorized(&request, &permits, &entities).decision() == Answer::Allow;
    let lifted =
        whole.diagnostics().reason().all(|id| set.policy(id).unwrap().annotation("escalate").is_some());
    match whole.decision() {
        _ if whole.diagnostics().errors().next().is_some() => Effect::Deny,
        Answer::Allow => Effect::Allow,
        Answer::Deny if permitted && lifted => Effect::Escalate,
        Answer::Deny => Effect::Deny,
    }
}

fn oracle(policies: &[String], ask: &Ask, risk: u8) -> Effect {
    let member_uid = format!("Member::\"{}\"", member());
    let asker = match ask.subject.principal {
        chancery_model::Principal::Agent(id) => format!("Agent::\"{id}\""),
        chancery_model::Principal::Member(_) => member_uid.clone(),
    };
    let effect = unsliced(policies, ask, &asker, risk);
    match ask.on_behalf_of {
        None => effect,
        Some(_) => effect.max(unsliced(policies, ask, &member_uid, risk)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn slices_decide_as_the_whole_set(policies in policies(), broken in any::<bool>(), at in scope(), ask in ask()) {
        let mut policies = policies;
        if broken {
            policies.push(format!("forbid{at} when {{ {ERROR} }};"));
        }
        let decision = ask.decide(&compile(&[], &texts(&policies)));
        prop_assert_eq!(decision.effect, oracle(&policies, &ask, decision.risk.score), "{:#?}", decision);
    }

    #[test]
    fn an_error_anywhere_is_never_an_allow(policies in policies(), place in any::<prop::sample::Index>(), kind in select(vec!["permit", "forbid", "@escalate(\"admin\") forbid"]), installation in any::<bool>(), ask in ask()) {
        let mut policies = policies;
        let broken = format!("{} (principal, action, resource) when {{ {ERROR} }};", if installation { "forbid" } else { kind });
        let decision = if installation {
            ask.decide(&compile(&[&broken], &texts(&policies)))
        } else {
            policies.insert(place.index(policies.len() + 1), broken);
            ask.decide(&compile(&[], &texts(&policies)))
        };
        prop_assert_eq!(decision.effect, Effect::Deny);
        prop_assert!(decision.requirements.is_empty());
    }

    #[test]
    fn another_forbid_never_loosens(policies in policies(), scope in scope(), condition in condition(), ask in ask(), installation in any::<bool>()) {
        let before = ask.decide(&compile(&[], &texts(&policies))).effect;
        let forbid = format!("forbid{scope} when {{ {condition} }};");
        let mut all = texts(&policies);
        let after = if installation { ask.decide(&compile(&[&forbid], &all)) } else { all.push(&forbid); ask.decide(&compile(&[], &all)) };
        prop_assert!(after.effect >= before, "{:?} then {:?}", before, after.effect);
    }

    #[test]
    fn acting_for_someone_never_gives_more_than_acting_alone(policies in policies(), ask in ask()) {
        let blind = |policy: &String| !policy.contains("on_behalf_of");
        let policies: Vec<_> = policies.into_iter().filter(blind).collect();
        let compiled = compile(&[], &texts(&policies));
        let agent = Ask { subject: Ask::default().subject, on_behalf_of: None, delegation: chancery_decide::Delegation::NotAsked, ..ask };
        let alone = agent.decide(&compiled).effect;
        prop_assert!(agent.on_behalf().decide(&compiled).effect >= alone);
    }

    #[test]
    fn a_decision_is_the_same_every_time(policies in policies(), ask in ask()) {
        let text = |policies: &[String]| serde_json::to_string(&ask.decide(&compile(&[], &texts(policies)))).unwrap();
        prop_assert_eq!(text(&policies), text(&policies));
    }

    #[test]
    fn no_stated_fact_lowers_the_score(
        base in prop::option::of(0_u8..=100),
        facts in prop::collection::btree_map(select(vec!["requires_privileged_access", "touches_production", "contains_sensitive_data", "policy_compliant"]), any::<bool>(), 0..5),
        ask in ask(),
    ) {
        let mut context: serde_json::Map<_, _> = facts.into_iter().map(|(name, stated)| (name.to_owned(), json!(stated))).collect();
        if let Some(base) = base {
            context.insert("base_risk_score".to_owned(), json!(base));
        }
        let compiled = compile(&[], &[]);
        let silent = Ask { context: Value::Null, ..ask.clone() }.decide(&compiled).risk.score;
        let stated = Ask { context: Value::Object(context), ..ask }.decide(&compiled).risk.score;
        prop_assert!(silent <= stated && stated <= 100);
    }
}
