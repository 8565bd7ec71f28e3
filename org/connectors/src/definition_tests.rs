use chancery_decide::ActionEffect;
use serde_json::json;

use super::*;

fn refund() -> Value {
    json!({
        "method": "POST",
        "path": "/payments/{resource.id}/refunds",
        "query": {"dry": "{arguments.dry}"},
        "headers": {"Idempotency-Key": "{intent.id}", "x-note": "{arguments.note}"},
        "body": {"amount": "{arguments.amount}", "lines": "{arguments.lines}"},
    })
}

fn whole() -> Value {
    json!({
        "base_url": "https://api.example.org/v1",
        "operations": {"payments.refund": refund()},
        "test": {"method": "GET", "path": "/ping"},
    })
}

/// The definition with one thing changed, by its pointer; `null` removes nothing but stands there.
fn with(pointer: &str, value: Value) -> Value {
    let mut changed = whole();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    changed.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name, value);
    changed
}

fn refused(definition: &Value) -> String {
    Definition::parse(definition).expect_err(&definition.to_string()).pointer
}

#[test]
fn what_is_absent_has_its_default_and_is_written_out() {
    let definition = Definition::parse(&whole()).unwrap();
    let limits = definition.limits();
    assert_eq!((limits.timeout_ms, limits.max_answer_bytes, limits.concurrency), (30_000, 1_048_576, 16));
    assert_eq!((limits.breaker.failures, limits.breaker.open_seconds, limits.redirects), (5, 1_800, 0));
    assert_eq!(limits.retries.attempts, 2);
    let refund = definition.operation(&"payments.refund".parse().unwrap()).unwrap();
    assert!(!refund.is_idempotent(), "a POST is not by itself");
    // What is stored reads back as itself, and says everything.
    let text = definition.to_text().unwrap();
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read, definition.to_value());
    assert_eq!(read["breaker"]["window_seconds"], json!(600));
    assert_eq!(read["operations"]["payments.refund"]["headers"]["idempotency-key"], json!("{intent.id}"));
    assert_eq!(Definition::parse(&read).unwrap(), definition);
}

#[test]
fn only_what_may_be_done_twice_by_its_method_is_idempotent_unless_said() {
    for (method, idempotent) in
        [("GET", true), ("HEAD", true), ("PUT", true), ("DELETE", true), ("POST", false), ("PATCH", false)]
    {
        for said in [None, Some(true), Some(false)] {
            let mut operation = json!({"method": method, "path": "/"});
            if let Some(said) = said {
                operation["idempotent"] = said.into();
            }
            let definition = Definition::parse(&with("/operations/a.b", operation)).unwrap();
            let operation = definition.operation(&"a.b".parse().unwrap()).unwrap();
            assert_eq!(operation.is_idempotent(), said.unwrap_or(idempotent), "{method} {said:?}");
        }
    }
}

#[test]
fn each_part_that_breaks_its_rule_is_named() {
    let at = |rest: &str| format!("/operations/payments.refund/{rest}");
    for (pointer, value) in [
        ("/base_url".to_owned(), json!("https://user@api.example.org")),
        ("/base_url".to_owned(), json!(7)),
        ("/unknown".to_owned(), json!(1)),
        ("/timeout_ms".to_owned(), json!(99)),
        ("/timeout_ms".to_owned(), json!(120_001)),
        ("/timeout_ms".to_owned(), json!("1000")),
        ("/max_answer_bytes".to_owned(), json!(16 * 1024 * 1024 + 1)),
        ("/concurrency".to_owned(), json!(0)),
        ("/concurrency".to_owned(), json!(257)),
        ("/redirects".to_owned(), json!(4)),
        ("/operations".to_owned(), json!([])),
        ("/operations/1bad".to_owned(), refund()),
        ("/operations/a.b".to_owned(), json!(["GET", "/"])),
        ("/test/method".to_owned(), json!("POST")),
        ("/test/path".to_owned(), json!("/{resource.id}")),
        (at("method"), json!("get")),
        (at("method"), json!("TRACE")),
        (at("path"), json!("payments")),
        (at("path"), json!("/a//b")),
        (at("path"), json!("/a/../b")),
        (at("path"), json!("/a/./b")),
        (at("path"), json!("/a?b=1")),
        (at("path"), json!("/a#b")),
        (at("path"), json!("/a%2fb")),
        (at("path"), json!("/a\\b")),
        (at("path"), json!("/a b")),
        (at("path"), json!("/\u{e9}")),
        (at("path"), json!("/{{a}}")),
        (at("path"), json!("/{arguments}")),
        (at("query"), json!([])),
        (at("query/q"), json!(7)),
        (at("query/q"), json!("{nobody.knows}")),
        (at("headers/host"), json!("a")),
        (at("headers/Authorization"), json!("Bearer {arguments.token}")),
        (at("headers/Content-Length"), json!("1")),
        (at("headers/transfer-encoding"), json!("chunked")),
        (at("headers/Cookie"), json!("a=b")),
        (at("headers/Connection"), json!("close")),
        (at("headers/proxy-anything"), json!("a")),
        (at("headers/x-http-method-override"), json!("DELETE")),
        (at("headers/x-forwarded-prefix"), json!("/admin")),
        (at("headers/x-original-host"), json!("admin.example")),
        (at("headers/a b"), json!("x")),
        (at("headers/x-a"), json!("a\r\nb: c")),
        (at("headers/x-a"), json!("\u{e9}")),
        (at("headers/IDEMPOTENCY-KEY"), json!("x")),
        (at("body"), json!("{arguments.amount}")),
        (at("body"), json!(7)),
        (at("body/amount"), json!("{arguments.amount")),
        (at("body/deep"), json!({"list": [1, "{wrong}"]})),
        (at("idempotent"), json!("yes")),
        (at("timeout_ms"), json!(0)),
        (at("unknown"), json!(1)),
    ] {
        let found = refused(&with(&pointer, value.clone()));
        assert!(found.starts_with(&pointer) || pointer.contains("IDEMPOTENCY"), "{pointer} {value}: {found}");
    }
    assert_eq!(refused(&json!({"base_url": "https://a.example"})), "/operations");
    assert_eq!(refused(&with("/breaker", json!({"failures": 0}))), "/breaker/failures");
    assert_eq!(refused(&with("/retries", json!({"attempts": 5}))), "/retries/attempts");
    assert_eq!(refused(&with("/retries", json!({"tries": 1}))), "/retries/tries");
    let deep = with(&at("body/deep"), json!({"list": [1, "{wrong}"]}));
    assert_eq!(refused(&deep), at("body/deep/list/1"));
    let get = json!({"method": "GET", "path": "/", "body": "arguments"});
    assert_eq!(refused(&with("/operations/a.b", get)), "/operations/a.b/body");
    let long = json!({"method": "PUT", "path": "/", "body": {"x": vec!["y".repeat(4_000); 70]}});
    assert_eq!(refused(&with("/operations/a.b", long)), "");
}

#[test]
fn templates_are_held_to_the_actions_own_arguments() {
    let action = ActionDefinition {
        name: "payments.refund".parse().unwrap(),
        resource_type: "Payment".parse().unwrap(),
        description: String::new(),
        effect: ActionEffect::Write,
        base_risk: 1,
        arguments: json!({
            "type": "object",
            "required": ["amount", "to"],
            "properties": {
                "amount": {"type": "number"}, "dry": {"type": "boolean"}, "note": {"type": "string"},
                "lines": {"type": "array", "items": {"type": "string"}},
                "to": {"type": "object", "properties": {"iban": {"type": "string"}}, "required": ["iban"]},
            },
        }),
        context: None,
    };
    let catalogue = [action];
    let fits = |pointer: &str, value: &str| {
        let at = format!("/operations/payments.refund/{pointer}");
        let definition = Definition::parse(&with(&at, json!(value))).unwrap();
        definition.fits(&catalogue).map_err(|invalid| {
            assert_eq!(invalid.pointer, at, "{value}");
            invalid.rule
        })
    };
    assert_eq!(Definition::parse(&whole()).unwrap().fits(&catalogue), Ok(()));
    for (pointer, value) in [
        ("path", "/{arguments.to.iban}/{arguments.amount}"),
        ("query/q", "{arguments.note}"),
        ("headers/x-a", "{arguments.to.iban} {resource.type}"),
        ("body/a", "{arguments.to}"),
    ] {
        assert_eq!(fits(pointer, value), Ok(()), "{pointer} {value}");
    }
    for (pointer, value, says) in [
        ("path", "/{arguments.amuont}", "is no argument"),
        ("path", "/{arguments.note}", "may be absent"),
        ("path", "/{arguments.to}", "an object or an array"),
        ("query/q", "{arguments.lines}", "an object or an array"),
        ("query/q", "{arguments.to.bic}", "is no argument"),
        ("headers/x-a", "{arguments.nobody}", "is no argument"),
        ("body/a", "{arguments.amount.inside}", "is no argument"),
        ("body/a", "text {arguments.lines}", "an object or an array"),
    ] {
        let rule = fits(pointer, value).expect_err(value);
        assert!(rule.contains(says), "{pointer} {value}: {rule}");
    }
}
