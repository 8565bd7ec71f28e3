use proptest::prelude::*;
use serde_json::{Map, json};
use url::Url;

use super::*;

const ORIGIN: &str = "https://api.example.org:8443";

fn definition() -> Definition {
    Definition::parse(&json!({
        "base_url": format!("{ORIGIN}/v1"),
        "operations": {
            "a.call": {
                "method": "POST",
                "path": "/x/{arguments.a}/pre{arguments.b}.post/{resource.id}",
                "query": {"plain": "yes & no", "q": "{arguments.a}", "o": "{arguments.gone}", "r&=": "({arguments.b})"},
                "headers": {"x-intent": "{intent.id}", "x-a": "<{arguments.h}>", "x-gone": "{arguments.gone}"},
                "body": {"a": "{arguments.a}", "all": ["{arguments.b}", {"gone": "{arguments.gone}"}], "t": "{arguments.a}!"},
                "timeout_ms": 250,
            },
            "a.send": {"method": "PUT", "path": "/", "body": "arguments"},
            "a.dots": {"method": "GET", "path": "/up/.{arguments.a}/down"},
            "a.list": {"method": "GET", "path": "/{arguments.a}/"},
        },
        "max_answer_bytes": 77,
        "test": {"method": "HEAD", "path": "/ping/"},
    }))
    .unwrap()
}

fn rendered(action: &str, resource: &str, arguments: &Value) -> Result<Rendered, RenderError> {
    definition().render(&Call {
        action: &action.parse().unwrap(),
        resource_type: &"Thing".parse().unwrap(),
        resource_id: &resource.parse().unwrap(),
        arguments,
        intent: IntentId::from_uuid(uuid::Uuid::from_u128(7)),
    })
}

#[test]
fn an_intent_is_one_call() {
    let arguments = json!({"a": "x y", "b": 12.5, "h": true});
    let call = rendered("a.call", "r/1", &arguments).unwrap();
    assert_eq!(
        call.url,
        "https://api.example.org:8443/v1/x/x%20y/pre12.5.post/r%2F1?plain=yes%20%26%20no&q=x%20y&r%26%3D=%2812.5%29"
    );
    assert_eq!(&call.body[..], br#"{"a":"x y","all":[12.5,{}],"t":"x y!"}"#);
    let header = |name: &str| call.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("x-intent"), Some("00000000-0000-0000-0000-000000000007"));
    assert_eq!((header("x-a"), header("x-gone")), (Some("<true>"), None));
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(call.headers.len(), 3);
    assert_eq!((call.method.as_str(), call.idempotent), ("POST", false));
    assert_eq!((call.timeout, call.max_answer_bytes), (Duration::from_millis(250), 77));
    assert!(!format!("{call:?}").contains("x%20y"));

    let sent = rendered("a.send", "r", &json!({"b": 1, "a": [2, {"z": 1, "y": null}]})).unwrap();
    assert_eq!(&sent.body[..], br#"{"a":[2,{"y":null,"z":1}],"b":1}"#, "the canonical form");
    assert_eq!(sent.url, format!("{ORIGIN}/v1/"));
    assert_eq!(rendered("a.other", "r", &json!({})).unwrap_err(), RenderError::NoOperation);
    let probe = definition().render_probe().unwrap();
    assert_eq!((probe.method.as_str(), &*probe.url), ("HEAD", "https://api.example.org:8443/v1/ping/"));
}

#[test]
fn a_value_can_not_move_in_a_path() {
    for value in ["", ".", ".."] {
        let refused = rendered("a.list", "r", &json!({"a": value})).unwrap_err();
        assert!(matches!(refused, RenderError::Unfit { .. }), "{value}: {refused}");
    }
    // What neither the template nor the value is, both together would be.
    assert!(rendered("a.dots", "r", &json!({"a": "."})).is_err());
    assert_eq!(rendered("a.dots", "r", &json!({"a": "a"})).unwrap().url, format!("{ORIGIN}/v1/up/.a/down"));
    for (value, segment) in [
        ("../../admin", "..%2F..%2Fadmin"),
        ("..\\..\\admin", "..%5C..%5Cadmin"),
        ("%2e%2e", "%252e%252e"),
        ("a?b=c#d", "a%3Fb%3Dc%23d"),
        ("@evil.example", "%40evil.example"),
        ("a\r\nHost: b", "a%0D%0AHost%3A%20b"),
        ("\u{ff0f}..", "%EF%BC%8F.."),
        ("...", "..."),
    ] {
        let call = rendered("a.list", "r", &json!({"a": value})).unwrap();
        assert_eq!(call.url, format!("{ORIGIN}/v1/{segment}/"), "{value}");
        assert_eq!(Url::parse(&call.url).unwrap().as_str(), call.url, "{value}");
    }
    for value in [json!({"b": 1}), json!([1]), Value::Null] {
        let refused = rendered("a.list", "r", &json!({"a": value})).unwrap_err();
        assert!(matches!(refused, RenderError::NotText { .. }), "{refused}");
    }
    assert!(matches!(rendered("a.list", "r", &json!({})), Err(RenderError::Missing { .. })));
    assert!(rendered("a.list", "r", &json!({"a": "x".repeat(9_000)})).is_err());
}

#[test]
fn a_value_can_not_end_a_header() {
    let call = |h: &str| rendered("a.call", "r", &json!({"a": "a", "b": "b", "h": h}));
    for value in
        ["a\r\nx-admin: 1", "a\nb", "a\rb", "a\0b", "a\tb", "\u{7f}", "\u{e9}", "a\u{85}b", "\u{2028}"]
    {
        let refused = call(value).unwrap_err();
        assert!(matches!(refused, RenderError::Unfit { .. }), "{value:?}");
        assert!(!refused.to_string().contains("admin"), "an error quotes a value: {refused}");
    }
    assert!(call(&"x".repeat(9_000)).is_err());
    assert_eq!(call("a b").unwrap().headers["x-a"], "<a b>");
}

/// Any text, and often that which means something to somebody who reads URLs, headers or JSON.
fn text() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "/",
        "\\",
        "..",
        ".",
        "%2e",
        "%2F",
        "?",
        "#",
        "&",
        "=",
        "@",
        ":",
        "//evil.example",
        "\r\n",
        "\0",
        "\t",
        "{arguments.b}",
        "}",
        "{",
        "\"",
        "\",\"",
        "\u{ad}",
        "\u{200b}",
        "\u{ff0e}",
        ";",
        "+",
        " ",
        "\u{1f600}",
    ]);
    prop_oneof![
        any::<String>(),
        prop::collection::vec(prop_oneof![hostile.prop_map(str::to_owned), "[a-z]{0,3}"], 0..6)
            .prop_map(|parts| parts.concat()),
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => text().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => (-(1i64 << 53)..(1i64 << 53)).prop_map(Value::from),
        1 => Just(json!(0.125)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![4 => scalar(), 1 => Just(Value::Null)];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..3)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// What fits, and now and then anything at all.
fn mostly(fitting: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop_oneof![9 => fitting, 1 => value()]
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next().unwrap()).to_digit(16).unwrap() as u8;
        bytes.push(if byte == b'%' { digit() << 4 | digit() } else { byte });
    }
    String::from_utf8(bytes).unwrap()
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| ijson::canonical(value).unwrap(), str::to_owned)
}

proptest! {
    #[test]
    fn whatever_is_asked_goes_to_the_pinned_host_along_the_templates_path(
        a in mostly(scalar()), b in mostly(scalar()), h in mostly("[ -~]{0,12}".prop_map(Value::from)), gone in prop::option::of(mostly(scalar())), resource in text(),
    ) {
        let Ok(resource) = resource.parse::<ResourceId>() else { return Ok(()) };
        let mut arguments = json!({"a": a, "b": b, "h": h});
        if let Some(gone) = &gone {
            arguments["gone"] = gone.clone();
        }
        let Ok(call) = rendered("a.call", resource.as_str(), &arguments) else { return Ok(()) };
        let url = Url::parse(&call.url).unwrap();
        prop_assert_eq!(url.as_str(), &call.url, "another reader would write it otherwise");
        prop_assert_eq!(url.origin().ascii_serialization(), ORIGIN);
        prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
        let segments: Vec<&str> = url.path_segments().unwrap().collect();
        prop_assert_eq!(segments.len(), 5);
        prop_assert_eq!((segments[0], segments[1]), ("v1", "x"));
        prop_assert_eq!(decoded(segments[2]), shown(&a));
        prop_assert_eq!(decoded(segments[3]), format!("pre{}.post", shown(&b)));
        prop_assert_eq!(decoded(segments[4]), resource.as_str());
        let mut pairs = vec![("plain".to_owned(), "yes & no".to_owned())];
        pairs.extend(gone.as_ref().map(|gone| ("o".to_owned(), shown(gone))));
        pairs.push(("q".to_owned(), shown(&a)));
        pairs.push(("r&=".to_owned(), format!("({})", shown(&b))));
        pairs.sort();
        let query: Vec<_> = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        prop_assert_eq!(query, pairs);
        let names = ["x-intent", "x-a", "content-type"].len() + usize::from(gone.is_some());
        prop_assert_eq!(call.headers.len(), names);
        let header = format!("<{}>", shown(&h));
        prop_assert_eq!(call.headers["x-a"].as_bytes(), header.as_bytes());
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        let rest = gone.map_or(json!({}), |gone| json!({"gone": gone}));
        prop_assert_eq!(body, json!({"a": a, "all": [b, rest], "t": format!("{}!", shown(&a))}));
    }

    #[test]
    fn a_refusal_tells_nothing_of_what_was_sent(secret in "[a-z]{8}[\r\n\u{e9}]") {
        let refused = rendered("a.call", "r", &json!({"a": "a", "b": "b", "h": secret})).unwrap_err();
        let told = format!("{refused} {refused:?}");
        prop_assert!(!told.contains(&secret[..8]), "it is told");
    }
}
