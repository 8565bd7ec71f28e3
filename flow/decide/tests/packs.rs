//! The packs: each alone and all in one organization, and what they decide.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod support;

use std::sync::Arc;

use chancery_decide::{
    Catalogue, Effect, Layer, Pack, ParseCache, Policies, PolicySource, Thresholds, check_policy, evaluate,
};
use chancery_model::Timestamp;
use serde_json::{Value, json};
use support::Ask;

fn all_packs() -> Policies {
    let packs = Pack::builtin();
    let catalogue = Catalogue::build(packs.iter().flat_map(|pack| pack.actions.clone()).collect()).unwrap();
    let source = |pack: &Pack| PolicySource {
        id: pack.name.clone(),
        version: 1,
        name: pack.title.clone(),
        text: pack.policies.into(),
    };
    let sources: Vec<_> = packs.iter().map(source).collect();
    for source in &sources {
        check_policy(&source.text, &catalogue, Layer::Organization).unwrap();
    }
    Policies::compile(Arc::new(catalogue), &[], &sources, &ParseCache::default()).unwrap()
}

#[test]
fn each_pack_stands_alone_and_is_found_by_name() {
    assert_eq!(Pack::builtin().len(), 5);
    for pack in Pack::builtin() {
        let catalogue = Catalogue::build(pack.actions.clone()).unwrap();
        check_policy(pack.policies, &catalogue, Layer::Organization)
            .unwrap_or_else(|p| panic!("{}: {p:?}", pack.name));
        assert_eq!(Pack::find(&pack.name), Some(pack));
    }
    assert_eq!(Pack::find("nothing"), None);
}

fn decide(policies: &Policies, ask: &Ask) -> (Effect, Vec<u8>) {
    let decision = evaluate(policies, Thresholds::DEFAULT, &ask.facts());
    (decision.effect, decision.requirements.iter().map(|requirement| requirement.approvals).collect())
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_the_packs_decide_for_an_agent() {
    let policies = all_packs();
    let refund = |amount: f64, reason: &str| {
        Ask::of("payments.refund", "Payment", json!({"amount": amount, "currency": "EUR", "reason": reason}))
    };
    let deploy = |arguments: Value| Ask::of("changes.deploy", "Service", arguments);
    let production = json!({"version": "v1.2.3", "target": "production"});
    let night = Timestamp::parse("2026-01-05T20:00:00Z").unwrap();
    let export = |kind: &str, rows: u32, columns: &[&str]| {
        Ask::of(
            "data.export",
            "Dataset",
            json!({
                "columns": columns, "rows": rows, "purpose": "monthly report",
                "destination": {"kind": kind, "address": "https://example.com/in"}
            }),
        )
    };
    let send = |arguments: Value| {
        let mut all =
            json!({"channel": "whatsapp", "purpose": "reply", "text": "hello", "within_window": true});
        all.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        Ask::of("messages.send", "Conversation", all)
    };
    let broadcast = |channel: &str, recipients: u32, opt_in_only: bool| {
        Ask::of(
            "messages.broadcast",
            "Audience",
            json!({
                "channel": channel, "template": "t", "recipients": recipients, "opt_in_only": opt_in_only
            }),
        )
    };
    let migrate = |arguments: Value| {
        let mut all = json!({"migration": "m1", "target": "production", "statements": ["alter"]});
        all.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        Ask::of("changes.migrate", "Database", all)
    };
    let read = |class: &str| Ask::of("documents.read", "Document", json!({"classification": class}));
    use Effect::{Allow, Deny, Escalate};
    for (ask, effect, approvals) in [
        (refund(100.0, "duplicate"), Allow, &[][..]),
        (refund(100.01, "duplicate"), Escalate, &[1]),
        (refund(1000.0, "duplicate"), Escalate, &[1]),
        (refund(1000.01, "duplicate"), Escalate, &[2]),
        (refund(10000.01, "duplicate"), Deny, &[]),
        (refund(25.0, "goodwill"), Allow, &[]),
        (refund(25.01, "goodwill"), Deny, &[]),
        (
            Ask::of(
                "payments.refund",
                "Payment",
                json!({"amount": 1, "currency": "XYZ", "reason": "duplicate"}),
            ),
            Deny,
            &[],
        ),
        (
            Ask::of(
                "payments.payout",
                "PayoutAccount",
                json!({"amount": 5, "currency": "EUR", "reference": "r"}),
            ),
            Escalate,
            &[2],
        ),
        (
            Ask {
                context: json!({"new_beneficiary": true}),
                ..Ask::of(
                    "payments.payout",
                    "PayoutAccount",
                    json!({"amount": 5000, "currency": "EUR", "reference": "r"}),
                )
            },
            Deny,
            &[],
        ),
        (deploy(json!({"version": "1.2.3", "target": "staging"})), Allow, &[]),
        (deploy(production.clone()), Escalate, &[1]),
        (deploy(json!({"version": "1.2.3", "target": "production", "canary_percent": 10})), Allow, &[]),
        (Ask { now: night, ..deploy(production) }, Escalate, &[1, 2]),
        (Ask::of("changes.scale", "Service", json!({"replicas": 0})), Deny, &[]),
        (Ask::of("changes.scale", "Service", json!({"replicas": 101})), Escalate, &[1]),
        (migrate(json!({})), Escalate, &[2]),
        (migrate(json!({"statements": ["drop"]})), Deny, &[]),
        (migrate(json!({"statements": ["drop"], "backup": "b1"})), Escalate, &[2]),
        (Ask::of("changes.drop", "Database", json!({})), Deny, &[]),
        (export("internal", 10, &["name"]), Allow, &[]),
        (export("internal", 10_001, &["name"]), Escalate, &[1]),
        (export("partner", 10, &["name"]), Deny, &[]),
        (export("partner", 10, &["name"]).on_behalf(), Escalate, &[1]),
        (export("public", 10, &["name"]), Deny, &[]),
        (export("internal", 10, &["name", "password"]), Deny, &[]),
        (
            Ask { context: json!({"personal_data": true}), ..export("internal", 10, &["name"]) },
            Escalate,
            &[2],
        ),
        (Ask::of("data.query", "Dataset", json!({"columns": ["cvv"], "limit": 1})), Deny, &[]),
        (Ask::of("data.delete", "Dataset", json!({"rows": 1})), Deny, &[]),
        (send(json!({})), Allow, &[]),
        (send(json!({"within_window": false})), Deny, &[]),
        (send(json!({"within_window": false, "template": "t"})), Deny, &[]),
        (send(json!({"within_window": false, "template": "t", "opt_in": "o"})), Allow, &[]),
        (send(json!({"purpose": "marketing"})), Deny, &[]),
        (send(json!({"purpose": "marketing", "opt_in": "o"})), Escalate, &[1]),
        (send(json!({"attachments": ["https://example.com/a.pdf"]})), Escalate, &[1]),
        (broadcast("email", 100, true), Escalate, &[1]),
        (broadcast("email", 100, false), Deny, &[]),
        (broadcast("email", 5000, true), Escalate, &[2]),
        (broadcast("sms", 10_001, true), Deny, &[]),
        (read("internal"), Allow, &[]),
        (read("confidential"), Escalate, &[1]),
        (read("confidential").on_behalf(), Allow, &[]),
        (read("secret"), Deny, &[]),
        (Ask::of("documents.search", "Collection", json!({"query": "q", "limit": 101})), Deny, &[]),
    ] {
        assert_eq!(decide(&policies, &ask), (effect, approvals.to_vec()), "{} {}", ask.action, ask.arguments);
    }
}
