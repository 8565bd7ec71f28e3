//! What is said about input that does not fit, of every route.

use std::collections::BTreeSet;

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::{Head, Route, openapi, routes};

/// Values of every JSON type, of which a field takes one at most.
fn values() -> [Value; 12] {
    [
        json!(null),
        json!(true),
        json!(-1),
        json!(1_000_000_000_000_u64),
        json!(1.5),
        json!(""),
        json!("no-such-word"),
        json!([]),
        json!([1]),
        json!([[], {}, null]),
        json!({}),
        json!({"no_such_field": 1}),
    ]
}

/// The schema itself, behind references and alternatives that allow null.
fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return resolve(document, document.pointer(reference.trim_start_matches('#')).unwrap());
    }
    let not_null = |one: &&Value| one["type"] != "null";
    match schema["oneOf"].as_array().and_then(|any| any.iter().find(not_null)) {
        Some(one) => resolve(document, one),
        None => schema,
    }
}

/// Bodies of which one place, at whatever depth, holds a value of each type.
fn bodies(document: &Value, schema: &Value, wrap: &dyn Fn(Value) -> Value, made: &mut Vec<Value>) {
    let schema = resolve(document, schema);
    made.extend(values().map(wrap));
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let place = |value: Value| wrap(Value::Object([(name.clone(), value)].into_iter().collect()));
        bodies(document, inner, &place, made);
    }
    if schema["items"].is_object() {
        bodies(document, &schema["items"], &|value| wrap(json!([value])), made);
    }
}

async fn said(route: &Route, uri: &str, body: &Value) -> Option<String> {
    let request = Request::builder().uri(uri).header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::empty()).unwrap();
    let (head, _) = Head::split(crate::head::tests::id(), request).await.unwrap();
    let refused = (route.read)(&head, &Bytes::from(body.to_string())).err()?.render();
    let answer: Value = serde_json::from_slice(&refused.collect().await.unwrap().to_bytes()).unwrap();
    Some(answer["error"]["message"].as_str().unwrap().to_owned())
}

/// What no client should have to know: the words of the language this is written in.
fn speaks_of_rust(message: &str) -> bool {
    let numbers = ["u8", "u16", "u32", "u64", "i64", "usize", "f64"];
    ["struct ", "enum ", "::", "tuple", "variant", "visitor"].iter().any(|word| message.contains(word))
        || message.split(|c: char| !c.is_alphanumeric()).any(|word| numbers.contains(&word))
}

#[tokio::test]
async fn nothing_that_is_said_about_input_names_a_type_of_this_program() {
    let document: Value = serde_json::from_str(&openapi::document(&routes()).to_json().unwrap()).unwrap();
    let (mut messages, mut taking) = (BTreeSet::new(), 0);
    for route in routes() {
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        let mut made = Vec::new();
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if !schema.is_null() {
            taking += 1;
            bodies(&document, schema, &|value| value, &mut made);
        }
        for body in made {
            messages.extend(said(&route, "/", &body).await.map(|message| (route.operation, message)));
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            for value in ["", "-1", "no-such-word", "1000000000000"] {
                let uri = format!("/?{}={value}", parameter["name"].as_str().unwrap());
                let message = said(&route, &uri, &Value::Null).await;
                messages.extend(message.map(|message| (route.operation, message)));
            }
        }
    }
    assert!(taking > 15 && messages.len() > 100, "{taking} routes take a body, {} messages", messages.len());
    let leaks: Vec<_> = messages.iter().filter(|(_, message)| speaks_of_rust(message)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}
