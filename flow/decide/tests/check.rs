//! Policies are checked strictly when they are written.

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
    CompileError, Layer, MAX_POLICY_BYTES, ParseCache, Policies, PolicyCheck, check_policy,
};
use support::{catalogue, sources};

const GOOD: &str = "permit(principal, action, resource);";

fn problems(text: &str, layer: Layer) -> Vec<String> {
    match check_policy(text, &catalogue(), layer) {
        Ok(check) => panic!("{text}: {check:?}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_good_text_is_counted() {
    let text = "// one\npermit(principal, action, resource);\n@escalate(\"approver\") @id(\"x\") @description(\"d\")\n\
        forbid(principal, action, resource) when { context.risk > 5 };\nforbid(principal is Agent, action == Action::\"servers.delete\", resource);";
    assert_eq!(
        check_policy(text, &catalogue(), Layer::Organization),
        Ok(PolicyCheck { permits: 1, forbids: 1, escalations: 1 })
    );
}

#[test]
fn problems_have_a_place_and_say_what_to_do() {
    let pay = "permit(principal, action == Action::\"invoices.pay\", resource)";
    for (text, expected) in [
        ("", "1:1: no policy in the text"),
        ("permit(principal, action, resource)", "unexpected end of input"),
        ("\n\n  permit(principal, action, ressource);", "3:29: "),
        ("permit(principal == ?principal, action, resource);", "1:1: a template is not a policy"),
        ("\n@owner(\"me\")\npermit(principal, action, resource);", "2:1: unknown annotation `@owner`"),
        ("@escalate(\"approver\") permit(principal, action, resource);", "belongs on a forbid"),
        ("@escalate(\"agent\") forbid(principal, action, resource);", "`approver` or `admin`"),
        ("@escalate(\"viewer\") forbid(principal, action, resource);", "`approver` or `admin`"),
        ("@escalate(\"Approver\") forbid(principal, action, resource);", "`approver` or `admin`"),
        ("@escalate forbid(principal, action, resource);", "`approver` or `admin`"),
        ("@approvals(\"2\") forbid(principal, action, resource);", "nothing without `@escalate`"),
        ("@escalate(\"admin\") @approvals(\"0\") forbid(principal, action, resource);", "1 to 20"),
        ("@escalate(\"admin\") @approvals(\"21\") forbid(principal, action, resource);", "1 to 20"),
        ("@escalate(\"admin\") @approvals(\"two\") forbid(principal, action, resource);", "1 to 20"),
        ("@escalate(\"admin\") @timeout(\"31d\") forbid(principal, action, resource);", "`@timeout`"),
        ("@escalate(\"admin\") @timeout(\"59s\") forbid(principal, action, resource);", "`@timeout`"),
        ("@escalate(\"admin\") @timeout(\"4\") forbid(principal, action, resource);", "`@timeout`"),
        ("@escalate(\"admin\") @timeout(\"+4h\") forbid(principal, action, resource);", "`@timeout`"),
        (
            "@escalate(\"admin\") @timeout(\"99999999999d\") forbid(principal, action, resource);",
            "`@timeout`",
        ),
        ("@message(\"\") forbid(principal, action, resource);", "`@message`"),
        ("permit(principal, action == Action::\"invoices.burn\", resource);", "invoices.burn"),
        ("permit(principal is Robot, action, resource);", "Robot"),
        (
            "permit(principal in Agent::\"a\", action, resource is Server) when { action == Action::\"invoices.pay\" };",
            "",
        ),
        (&format!("{pay} when {{ context.arguments.count > 3 }};"), "count"),
        (&format!("{pay}\nwhen {{\n  context.arguments.amount > 3\n}};"), "3:"),
        (&format!("{pay} when {{ context.arguments.nothing }};"), "nothing"),
        (&format!("{pay} when {{ context.connector == \"x\" }};"), "connector"),
        (&format!("{pay} when {{ principal has owner && principal.owner.role == \"admin\" }};"), ""),
        // Could never apply.
        (&format!("{pay} when {{ false }};"), "1:1: "),
        (&format!("{pay} when {{ principal is Agent && principal is Member }};"), "1:1: "),
        (&format!("{pay} when {{ context has nothing }};"), "1:1: "),
        ("permit(principal, action == Action::\"invoices.pay\", resource is Server);", ""),
        (&format!("{pay} when {{ context.environment == \"te\u{202e}st\" }};"), ""),
    ] {
        let found = problems(text, Layer::Organization);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{text}: {found:?}");
        assert!(!found.iter().any(|problem| problem.contains("policy0")), "{found:?}");
    }
}

#[test]
fn a_field_that_is_missing_is_named_with_its_place_and_neither_text_names_a_policy_by_its_number() {
    let text = "permit(principal, action == Action::\"invoices.pay\", resource)\nwhen { context.arguments.nothing > 1 };";
    let told = problems(text, Layer::Organization);
    assert_eq!(
        told,
        ["2:8: attribute `arguments.nothing` in context for Action::\"invoices.pay\" not found"]
    );
    let text = text.replace("context.arguments.nothing > 1", "context.risk == \"high\"");
    let found = check_policy(&text, &catalogue(), Layer::Organization).unwrap_err();
    let hint = found[0].hint.as_deref().unwrap();
    assert!(hint.starts_with("both operands to a `==` expression"), "{hint}");
}

#[test]
fn every_problem_is_told_in_the_order_of_the_text() {
    let text = "permit(principal is Robot, action, resource);\npermit(principal, action == Action::\"nope\", resource);";
    let found = problems(text, Layer::Organization);
    assert!(
        found.len() >= 2 && found[0].starts_with("1:") && found.last().unwrap().starts_with("2:"),
        "{found:?}"
    );
}

#[test]
fn the_installation_only_forbids_and_only_by_what_every_organization_has() {
    for good in [
        "forbid(principal, action in Action::\"destructive\", resource) when { context.environment == \"live\" };",
        "@escalate(\"admin\") forbid(principal is Agent, action, resource) when { context.risk >= 90 };",
        "forbid(principal, action, resource) unless { context has connector };",
    ] {
        assert!(check_policy(good, &catalogue(), Layer::Installation).is_ok(), "{good}");
    }
    for (bad, expected) in [
        (GOOD, "can only forbid"),
        ("forbid(principal, action == Action::\"invoices.pay\", resource);", "invoices.pay"),
        ("forbid(principal, action, resource is Invoice);", "Invoice"),
        ("forbid(principal, action, resource) when { context.arguments.amount > 1 };", "arguments"),
        ("forbid(principal, action, resource is AnyResourceOfAnyOrganization);", "reserved word"),
    ] {
        let found = problems(bad, Layer::Installation);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{bad}: {found:?}");
    }
}

#[test]
fn sizes_have_limits() {
    let large = format!("{GOOD}{}", " ".repeat(MAX_POLICY_BYTES));
    assert!(problems(&large, Layer::Organization)[0].contains("at most"));
    let many = vec![GOOD.repeat(10); 50];
    let mut texts: Vec<_> = many.iter().map(String::as_str).collect();
    let cache = ParseCache::default();
    assert!(Policies::compile(catalogue(), &[], &sources(&texts), &cache).is_ok());
    texts.push(GOOD);
    let error = Policies::compile(catalogue(), &[], &sources(&texts), &cache).unwrap_err();
    assert_eq!(error, CompileError::TooMany);
}

#[test]
fn what_was_not_checked_does_not_compile() {
    let cache = ParseCache::default();
    let error = Policies::compile(catalogue(), &sources(&[GOOD]), &[], &cache).unwrap_err();
    assert_eq!(error, CompileError::InstallationPermit { id: "p0".to_owned() });
    let error = Policies::compile(catalogue(), &[], &sources(&[GOOD, "permit("]), &cache).unwrap_err();
    assert!(error.to_string().starts_with("policy `p1`: 1:"), "{error}");
}
