//! The catalogue: which schemas it takes, and the Cedar schema it makes of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

mod support;

use chancery_decide::{
    ActionDefinition, Catalogue, Effect, Pack, ParseCache, Policies, Thresholds, evaluate,
};
use serde_json::{Value, json};
use support::{Ask, sources};

fn definition(change: Value) -> ActionDefinition {
    let mut base = json!({
        "name": "things.touch", "resource_type": "Thing", "description": "Touch.", "effect": "write",
        "base_risk": 1, "arguments": {"type": "object"}
    });
    base.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(base).unwrap()
}

fn error(change: Value) -> String {
    Catalogue::build(vec![definition(change.clone())]).map(|_| change).unwrap_err().to_string()
}

fn argument(schema: Value) -> Value {
    json!({"arguments": {"type": "object", "properties": {"x": schema}}})
}

#[test]
fn schemas_outside_the_subset_are_refused_by_place_and_rule() {
    for (schema, expected) in [
        (json!({"oneOf": []}), "`/arguments/properties/x/type`: must be one of"),
        (json!({"type": "null"}), "`/arguments/properties/x/type`: must be one of"),
        (json!({"type": ["string", "null"]}), "`/arguments/properties/x/type`: must be one of"),
        (json!({"enum": ["a", 1]}), "`/arguments/properties/x/type`: must be one of"),
        (json!({"$ref": "https://example.com/x"}), "must be one of"),
        (
            json!({"type": "string", "$ref": "#"}),
            "`/arguments/properties/x/$ref`: of type string, only these",
        ),
        (json!({"type": "string", "maximum": 1}), "x/maximum`: of type string, only these"),
        (json!({"type": "string", "format": "iri"}), "x/format`: must be one of date, date-time"),
        (json!({"type": "string", "pattern": "("}), "things.touch"),
        (json!({"type": "string", "pattern": "(a)\\1"}), "things.touch"),
        (json!({"type": "string", "minLength": "x"}), "things.touch"),
        (json!({"type": "array"}), "x/items`: an array needs"),
        (json!({"type": "array", "items": {"type": "null"}}), "x/items/type`: must be one of"),
        (json!({"type": "object", "additionalProperties": true}), "x/additionalProperties`: must be false"),
        (json!({"type": "object", "patternProperties": {}}), "x/patternProperties`: of type object"),
        (json!({"type": "object", "required": ["y"]}), "x/required`: `y` is not among"),
        (json!({"type": "object", "properties": {"a\"b": {"type": "string"}}}), "a property name is"),
        (json!(true), "`/arguments/properties/x`: a schema must be an object"),
    ] {
        let error = error(argument(schema.clone()));
        assert!(
            error.starts_with("action `things.touch`, ") && error.contains(expected),
            "{schema}: {error}"
        );
    }
    let deep = (0..9).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
    assert!(error(argument(deep)).contains("nested deeper"));
}

#[test]
fn definitions_that_could_mislead_are_refused() {
    for (change, expected) in [
        (json!({"name": "destructive"}), "`/name`: is the name of a group"),
        (json!({"base_risk": 101}), "`/base_risk`: must be 0 to 100"),
        (json!({"resource_type": "decimal"}), "`/resource_type`: is a reserved word"),
        (json!({"resource_type": "if"}), "`/resource_type`: is a reserved word"),
        (json!({"arguments": {"type": "string"}}), "`/arguments/type`: must be `object`"),
        (
            json!({"context": {"type": "object", "properties": {"policy_compliant": {"type": "boolean"}}}}),
            "`/context/properties/policy_compliant`: is a fact that every action has",
        ),
    ] {
        assert!(error(change.clone()).contains(expected), "{}", error(change));
    }
    let twice = Catalogue::build(vec![definition(json!({})), definition(json!({}))]).unwrap_err();
    assert_eq!(twice.to_string(), "action `things.touch`, `/name`: defined twice");
    assert!(serde_json::from_value::<ActionDefinition>(json!({"name": "a", "extra": 1})).is_err());
}

#[test]
fn every_format_that_is_taken_is_enforced() {
    for format in ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"] {
        let definitions = vec![definition(argument(json!({"type": "string", "format": format})))];
        let catalogue = Catalogue::build(definitions).unwrap();
        let policies = Policies::compile(
            catalogue.into(),
            &[],
            &sources(&["permit(principal, action, resource);"]),
            &ParseCache::default(),
        )
        .unwrap();
        let ask = Ask::of("things.touch", "Thing", json!({"x": "no such thing!"}));
        assert_eq!(evaluate(&policies, Thresholds::DEFAULT, &ask.facts()).effect, Effect::Deny, "{format}");
    }
}

#[test]
fn a_hostile_pattern_stalls_nothing() {
    let catalogue =
        Catalogue::build(vec![definition(argument(json!({"type": "string", "pattern": "^(a+)+$"})))])
            .unwrap();
    let policies = Policies::compile(catalogue.into(), &[], &[], &ParseCache::default()).unwrap();
    let ask = Ask::of("things.touch", "Thing", json!({"x": format!("{}!", "a".repeat(50_000))}));
    let decision = evaluate(&policies, Thresholds::DEFAULT, &ask.facts());
    assert_eq!(decision.reasons[0].code, "invalid_arguments");
}

#[test]
fn names_that_look_like_syntax_are_only_names() {
    let definitions = vec![definition(json!({
        "name": "permit.forbid", "arguments": {"type": "object", "properties": {"in": {"type": "string"}, "a-b": {"type": "integer"}}}
    }))];
    let text = "permit(principal, action == Action::\"permit.forbid\", resource) when \
        { context.arguments has \"a-b\" && context.arguments[\"a-b\"] == 1 && context.arguments has \"in\" };";
    let catalogue = Catalogue::build(definitions).unwrap();
    chancery_decide::check_policy(text, &catalogue, chancery_decide::Layer::Organization).unwrap();
    let policies =
        Policies::compile(catalogue.into(), &[], &sources(&[text]), &ParseCache::default()).unwrap();
    let ask = Ask::of("permit.forbid", "Thing", json!({"a-b": 1, "in": ""}));
    assert_eq!(evaluate(&policies, Thresholds::DEFAULT, &ask.facts()).effect, Effect::Allow);
}

#[test]
fn the_order_of_definitions_changes_nothing() {
    let forward = Catalogue::build(support::definitions()).unwrap();
    let backward = Catalogue::build(support::definitions().into_iter().rev().collect()).unwrap();
    assert_eq!(forward.schema_hash(), backward.schema_hash());
    assert_eq!(forward.content_hash(), backward.content_hash());
    assert_eq!(forward.schema_hash().len(), 64);
    assert!(Catalogue::build(Vec::new()).unwrap().iter().next().is_none());
}

#[test]
fn the_schema_of_the_packs() {
    let definitions = Pack::builtin().iter().flat_map(|pack| pack.actions.clone()).collect();
    insta::assert_snapshot!(Catalogue::build(definitions).unwrap().schema_text());
}
