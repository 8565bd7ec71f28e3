//! The verdict: every rule of the gates, one line each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod support;

use chancery_decide::{Delegation, Effect, Outcome, Subject, Thresholds};
use chancery_model::{Environment, MemberId, Principal, Role, Timestamp};
use serde_json::{Value, json};
use support::{Ask, agent, brief, checked, compile, member};

const PERMIT: &str = "permit(principal, action, resource);";
const FORBID: &str = "@message(\"not here\") forbid(principal, action, resource);";
const ESCALATE: &str = "@escalate(\"approver\") @approvals(\"2\") @timeout(\"4h\") @message(\"ask\") \
    forbid(principal, action == Action::\"invoices.pay\", resource);";
/// Passes the strict check, and overflows where the risk is above zero.
const OVERFLOW_FORBID: &str =
    "forbid(principal, action, resource) when { context.risk + 9223372036854775807 < 0 };";
const OVERFLOW_PERMIT: &str =
    "permit(principal, action, resource) when { context.risk + 9223372036854775807 < 0 };";

#[test]
fn policies_make_the_verdict() {
    let none: &[&str] = &[];
    for (installation, organization, expected) in [
        (none, none, "deny no_permit @policy_organization"),
        (none, &[PERMIT][..], "allow permitted @risk"),
        (none, &[PERMIT, FORBID], "deny forbidden @policy_organization"),
        (none, &[FORBID], "deny forbidden @policy_organization"),
        (none, &[PERMIT, ESCALATE], "escalate approval_required+permitted @risk"),
        (none, &[ESCALATE], "deny no_permit @policy_organization"),
        (none, &[PERMIT, ESCALATE, FORBID], "deny forbidden @policy_organization"),
        (none, &[PERMIT, OVERFLOW_FORBID], "deny policy_error @policy_organization"),
        (none, &[PERMIT, OVERFLOW_PERMIT], "deny policy_error @policy_organization"),
        (none, &[PERMIT, ESCALATE, OVERFLOW_FORBID], "deny policy_error @policy_organization"),
        (&[FORBID], &[PERMIT], "deny forbidden @policy_installation"),
        (&[OVERFLOW_FORBID], &[PERMIT], "deny policy_error @policy_installation"),
        (
            &["@escalate(\"admin\") forbid(principal, action in Action::\"write\", resource);"],
            &[PERMIT],
            "escalate approval_required+permitted @risk",
        ),
        (
            &["@escalate(\"admin\") forbid(principal, action in Action::\"write\", resource);"],
            none,
            "deny no_permit @policy_organization",
        ),
        (
            &["forbid(principal, action in Action::\"destructive\", resource);"],
            &[PERMIT],
            "allow permitted @risk",
        ),
    ] {
        let decision = Ask::default().decide(&checked(installation, organization));
        assert_eq!(brief(&decision), expected, "{installation:?} {organization:?}");
    }
}

#[test]
fn cedar_itself_would_allow_what_an_erroring_forbid_forbids() {
    // The trap this crate is built around: without the look at the errors this is an allow.
    let decision = Ask::default().decide(&checked(&[], &[PERMIT, OVERFLOW_FORBID]));
    assert_eq!(decision.effect, Effect::Deny);
    assert_eq!(decision.policies[0].id.as_ref(), "p1");
    // With nothing to overflow it says what Cedar says.
    let harmless = Ask::of("invoices.read", "Invoice", json!({}));
    assert_eq!(harmless.decide(&checked(&[], &[PERMIT, OVERFLOW_FORBID])).effect, Effect::Allow);
}

#[test]
fn gates_fail_in_order_and_end_the_trace() {
    let ask = Ask::default;
    for (ask, expected, gates) in [
        (Ask::of("invoices.burn", "Invoice", json!({})), "deny unknown_action @catalogue", 1),
        (Ask::of("not an action", "Invoice", json!({})), "deny unknown_action @catalogue", 1),
        (Ask::of("write", "Invoice", json!({})), "deny unknown_action @catalogue", 1),
        (Ask::of("invoices.pay", "Server", json!({"amount": 1})), "deny wrong_resource_type @catalogue", 1),
        (Ask::of("invoices.pay", "Invoice", json!({})), "deny invalid_arguments @arguments", 2),
        (Ask { context: json!({"unknown": 1}), ..ask() }, "deny invalid_context @context", 3),
        (Ask { context: json!({"base_risk_score": 101}), ..ask() }, "deny invalid_context @context", 3),
        (Ask { context: json!({"base_risk_score": -1}), ..ask() }, "deny invalid_context @context", 3),
        (Ask { context: json!([]), ..ask() }, "deny invalid_context @context", 3),
        (Ask { delegation: Delegation::Missing, ..ask() }, "deny delegation_missing @delegation", 4),
        (Ask { delegation: Delegation::Covers, ..ask() }, "deny delegation_missing @delegation", 4),
        (
            Ask { delegation: Delegation::NotAsked, ..ask().on_behalf() },
            "deny delegation_missing @delegation",
            4,
        ),
        (
            Ask { delegation: Delegation::Missing, ..ask().on_behalf() },
            "deny delegation_missing @delegation",
            4,
        ),
        (
            Ask { on_behalf_of: Some(ask().subject), ..ask().on_behalf() },
            "deny delegation_missing @delegation",
            4,
        ),
        (ask(), "allow permitted @risk", 7),
        (ask().on_behalf(), "allow permitted @risk", 7),
    ] {
        let decision = ask.decide(&checked(&[], &[PERMIT]));
        assert_eq!(brief(&decision), expected, "{ask:?}");
        assert_eq!(decision.gates.len(), gates, "{ask:?}");
        let failed = decision.gates.iter().filter(|gate| gate.outcome == Outcome::Fail).count();
        assert_eq!(failed, usize::from(decision.effect == Effect::Deny));
    }
}

#[test]
fn argument_errors_name_place_and_rule_but_never_the_value() {
    let secret = "hunter2-hunter2";
    for (arguments, expected) in [
        (json!({}), "arguments: `/amount` is missing"),
        (json!({"amount": 1, "to": {"days": 1}}), "arguments: `/to/iban` is missing"),
        (json!({"amount": secret}), "arguments: `/amount` breaks `type`: \"number\""),
        (json!({"amount": -1}), "arguments: `/amount` breaks `minimum`: 0"),
        (json!({"amount": 1, "note": secret}), "arguments: `/note` breaks `maxLength`: 10"),
        (json!({"amount": 1, "note": "UPPER"}), "arguments: `/note` breaks `pattern`: \"^[a-z]*$\""),
        (json!({"amount": 1, "kind": secret}), "arguments: `/kind` breaks `enum`: [\"one\",\"two\"]"),
        (json!({"amount": 1, "count": 101}), "arguments: `/count` breaks `maximum`: 100"),
        (json!({"amount": 1, "count": 1.5}), "arguments: `/count` breaks `type`: \"integer\""),
        (json!({"amount": 1, "tags": ["a", "b", "c", "d"]}), "arguments: `/tags` breaks `maxItems`: 3"),
        (json!({"amount": 1, "tags": [secret, 1]}), "arguments: `/tags/1` breaks `type`: \"string\""),
        (
            json!({"amount": 1, "to": {"iban": "x", secret: 1}}),
            "arguments: `/to` breaks `additionalProperties`: false",
        ),
        (json!({"amount": 1, secret: 1}), "arguments: `/` breaks `additionalProperties`: false"),
        (json!({"amount": null}), "arguments: `/amount` breaks `type`: \"number\""),
        (
            json!({"amount": 0.00001}),
            "arguments: a number breaks `type`: decimals have at most four fractional digits",
        ),
        (
            json!({"amount": 1e15}),
            "arguments: a number breaks `type`: decimals have at most four fractional digits",
        ),
        (
            json!({"amount": 1, "count": 1.0}),
            "arguments: a number breaks `type`: decimals have at most four fractional digits",
        ),
        (Value::Null, "arguments: `/` breaks `type`: \"object\""),
    ] {
        let ask = Ask { arguments: arguments.clone(), ..Ask::default() };
        let decision = ask.decide(&checked(&[], &[PERMIT]));
        assert_eq!(decision.reasons[0].message, expected, "{arguments}");
        assert!(!serde_json::to_string(&decision).unwrap().contains(secret));
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn policies_see_the_arguments_and_the_facts() {
    for (condition, arguments, context, allowed) in [
        ("context.arguments.amount.lessThan(decimal(\"50.1\"))", json!({"amount": 50}), Value::Null, true),
        ("context.arguments.amount.lessThan(decimal(\"50.1\"))", json!({"amount": 50.1}), Value::Null, false),
        (
            "context.arguments.amount.lessThan(decimal(\"50.1\"))",
            json!({"amount": 50.0999}),
            Value::Null,
            true,
        ),
        (
            "context.arguments has count && context.arguments.count > 3",
            json!({"amount": 1, "count": 4}),
            Value::Null,
            true,
        ),
        (
            "context.arguments has count && context.arguments.count > 3",
            json!({"amount": 1}),
            Value::Null,
            false,
        ),
        (
            "context.arguments has urgent && context.arguments.urgent",
            json!({"amount": 1, "urgent": true}),
            Value::Null,
            true,
        ),
        (
            "context.arguments has tags && context.arguments.tags.contains(\"x\")",
            json!({"amount": 1, "tags": ["y", "x"]}),
            Value::Null,
            true,
        ),
        (
            "context.arguments has tags && context.arguments.tags.isEmpty()",
            json!({"amount": 1, "tags": []}),
            Value::Null,
            true,
        ),
        (
            "context.arguments has to.days && context.arguments.to.days == 2",
            json!({"amount": 1, "to": {"iban": "i", "days": 2}}),
            Value::Null,
            true,
        ),
        (
            "context.arguments has to.days && context.arguments.to.days == 2",
            json!({"amount": 1, "to": {"iban": "i"}}),
            Value::Null,
            false,
        ),
        (
            "context.facts has first_time && context.facts.first_time",
            json!({"amount": 1}),
            json!({"first_time": true}),
            true,
        ),
        ("context.environment == \"test\"", json!({"amount": 1}), Value::Null, true),
        ("context has connector", json!({"amount": 1}), Value::Null, false),
        ("context.risk == 35", json!({"amount": 1}), json!({"touches_production": true}), true),
        ("context.now == datetime(\"2026-01-05T12:00:00.123Z\")", json!({"amount": 1}), Value::Null, true),
        ("context.now.toTime() > duration(\"12h\")", json!({"amount": 1}), Value::Null, true),
        ("context has on_behalf_of", json!({"amount": 1}), Value::Null, false),
        ("resource == Invoice::\"r1\"", json!({"amount": 1}), Value::Null, true),
        ("resource == Invoice::\"r2\"", json!({"amount": 1}), Value::Null, false),
        (
            "principal is Agent && principal has owner && principal.role == \"agent\"",
            json!({"amount": 1}),
            Value::Null,
            true,
        ),
        ("action in Action::\"write\"", json!({"amount": 1}), Value::Null, true),
    ] {
        let text = format!(
            "permit(principal, action == Action::\"invoices.pay\", resource) when {{ {condition} }};"
        );
        let ask = Ask { arguments, context, ..Ask::default() };
        assert_eq!(
            ask.decide(&checked(&[], &[&text])).effect == Effect::Allow,
            allowed,
            "{condition} {ask:?}"
        );
    }
    let owned = format!(
        "permit(principal is Agent, action, resource) when {{ principal has owner && principal.owner == Member::\"{}\" }};",
        member()
    );
    assert_eq!(Ask::default().decide(&checked(&[], &[&owned])).effect, Effect::Allow);
}

#[test]
fn acting_for_a_member_needs_both_to_be_permitted() {
    let agents = "permit(principal is Agent, action, resource);";
    let members = "permit(principal is Member, action, resource);";
    let not_members = "forbid(principal is Member, action, resource);";
    let members_ask = "@escalate(\"approver\") forbid(principal is Member, action, resource);";
    let agent_by_id = format!("permit(principal == Agent::\"{}\", action, resource);", agent());
    for (policies, expected) in [
        (&[agents][..], "deny no_permit @policy_organization"),
        (&[members], "deny no_permit @policy_organization"),
        (&[agents, members], "allow permitted+permitted @risk"),
        (&[PERMIT], "allow permitted @risk"),
        (&[PERMIT, not_members], "deny forbidden @policy_organization"),
        (&[PERMIT, members_ask], "escalate approval_required+permitted @risk"),
        (&[members, &agent_by_id], "allow permitted+permitted @risk"),
        (
            &[
                "permit(principal, action, resource) when { context has on_behalf_of && context.on_behalf_of.role == \"operator\" };",
            ],
            "allow permitted @risk",
        ),
    ] {
        let decision = Ask::default().on_behalf().decide(&checked(&[], policies));
        assert_eq!(brief(&decision), expected, "{policies:?}");
    }
    let for_another = Subject {
        principal: Principal::Member(MemberId::new(Timestamp::from_micros(9), [9; 10])),
        ..Ask::member_subject()
    };
    let one = format!("permit(principal == Member::\"{}\", action, resource);", member());
    let ask = Ask { on_behalf_of: Some(for_another), ..Ask::default().on_behalf() };
    assert_eq!(ask.decide(&checked(&[], &[agents, &one])).effect, Effect::Deny);
}

#[test]
fn what_an_escalation_asks_is_listed_and_merged() {
    let plain = "@escalate(\"admin\") forbid(principal, action, resource);";
    let mut ask = Ask { thresholds: (20, 101), ..Ask::default() };
    let decision = ask.decide(&checked(&[], &[PERMIT, ESCALATE, plain]));
    let asked: Vec<_> = decision
        .requirements
        .iter()
        .map(|r| (r.role, r.approvals, r.timeout_seconds, r.message.as_deref(), r.policy.is_some()))
        .collect();
    assert_eq!(
        asked,
        [
            (Role::Approver, 2, 4 * 3600, Some("ask"), true),
            (Role::Admin, 1, 24 * 3600, None, true),
            (Role::Approver, 1, 24 * 3600, None, false),
        ]
    );
    let outcomes: Vec<_> = decision.gates.iter().map(|gate| (gate.gate, gate.outcome)).collect();
    assert_eq!(outcomes[5..], [("policy_organization", Outcome::Escalate), ("risk", Outcome::Escalate)]);
    assert_eq!(decision.policies.len(), 3);
    // A refusal asks nobody for anything.
    ask.thresholds = (20, 20);
    assert!(ask.decide(&checked(&[], &[PERMIT, ESCALATE, plain])).requirements.is_empty());
}

#[test]
fn the_risk_score_has_thresholds() {
    for (thresholds, expected) in [
        ((21, 101), "allow permitted @risk"),
        ((20, 101), "escalate risk_needs_approval+permitted @risk"),
        ((20, 21), "escalate risk_needs_approval+permitted @risk"),
        ((20, 20), "deny risk_too_high @risk"),
        ((0, 0), "deny risk_too_high @risk"),
    ] {
        let ask = Ask { thresholds, ..Ask::default() };
        assert_eq!(brief(&ask.decide(&checked(&[], &[PERMIT]))), expected, "{thresholds:?}");
    }
    assert!(Thresholds::new(2, 1).is_err() && Thresholds::new(0, 102).is_err());
    assert!(serde_json::from_value::<Thresholds>(json!({"escalate_at": 2, "deny_at": 1})).is_err());
}

#[test]
fn stated_facts_raise_the_score_and_never_lower_it() {
    let live = |context: Value| {
        let ask =
            Ask { environment: Environment::Live, context, ..Ask::of("servers.delete", "Server", json!({})) };
        let risk = ask.decide(&checked(&[], &[PERMIT])).risk;
        (risk.score, risk.factors.iter().map(|factor| factor.name).collect::<Vec<_>>().join(" "))
    };
    for (context, score, factors) in [
        (Value::Null, 65, "base_risk destructive live_environment"),
        (json!({"base_risk_score": 0}), 65, "base_risk destructive live_environment"),
        (json!({"base_risk_score": 50}), 75, "stated_risk destructive live_environment"),
        (json!({"base_risk_score": 100}), 100, "stated_risk destructive live_environment"),
        (json!({"policy_compliant": true}), 65, "base_risk destructive live_environment"),
        (
            json!({"policy_compliant": false}),
            95,
            "base_risk destructive live_environment not_policy_compliant",
        ),
        (
            json!({"touches_production": false, "contains_sensitive_data": false}),
            65,
            "base_risk destructive live_environment",
        ),
        (
            json!({"requires_privileged_access": true}),
            80,
            "base_risk destructive live_environment requires_privileged_access",
        ),
        (
            json!({"touches_production": true, "contains_sensitive_data": true}),
            95,
            "base_risk destructive live_environment touches_production contains_sensitive_data",
        ),
    ] {
        assert_eq!(live(context.clone()), (score, factors.to_owned()), "{context}");
    }
}

#[test]
fn equal_texts_in_both_layers_and_twice_in_one_decide_once() {
    let decision = Ask::default().decide(&compile(&[ESCALATE], &[PERMIT, PERMIT, ESCALATE]));
    let named: Vec<_> = decision.policies.iter().map(|p| (p.id.as_ref(), p.layer)).collect();
    use chancery_decide::Layer::{Installation, Organization};
    assert_eq!(named, [("p0", Installation), ("p2", Organization), ("p0", Organization)]);
    assert_eq!(decision.requirements.len(), 2);
}

#[test]
fn a_decision_reads_well_as_json() {
    let ask = Ask { thresholds: (70, 95), ..Ask::default() };
    insta::assert_json_snapshot!(ask.decide(&checked(&[], &[PERMIT, ESCALATE])));
}

#[test]
fn a_decision_is_written_in_canonical_form() {
    let asks = [
        Ask::default(),
        Ask { thresholds: (0, 100), ..Ask::default() },
        Ask { thresholds: (0, 0), ..Ask::default() },
    ];
    for (ask, policies) in asks.iter().zip([&[PERMIT, ESCALATE][..], &[PERMIT], &[PERMIT, FORBID]]) {
        let decision = ask.decide(&checked(&[], policies));
        assert_eq!(decision.to_canonical().unwrap(), chancery_model::ijson::canonical(&decision).unwrap());
    }
}
