//! The way of a request through the whole server, against a real Postgres.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::Body;
use chancery_http::{Access, Bounds, routes};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use support::{BURST, World};

/// A path with every parameter filled in.
fn filled(path: &str) -> String {
    path.replace("{id}", "0198c0de-0000-7000-8000-000000000001")
        .replace("{slug}", "nobody")
        .replace("{name}", "some.action")
        .replace("{version}", "1")
}

fn bare(method: &Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn strangers_get_the_envelope_and_nothing_else() {
    let world = World::start().await;
    for route in routes() {
        let answer = world.send(bare(&route.method, &filled(route.path))).await;
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{route:?}");
        assert_eq!(answer.headers["x-frame-options"], "DENY", "{route:?}");
        assert!(uuid::Uuid::parse_str(answer.headers["x-request-id"].to_str().unwrap()).is_ok(), "{route:?}");
        if route.access == Access::Public {
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{route:?}");
        } else {
            assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "unauthenticated"), "{route:?}");
            assert_eq!(answer.headers["cache-control"], "no-store", "{route:?}");
        }
    }
    let lost = world.send(bare(&Method::GET, "/nowhere")).await;
    assert_eq!((lost.status.as_u16(), &*lost.code()), (404, "not_found"));
    let mistaken = world.send(bare(&Method::DELETE, "/api/v1/agents")).await;
    assert_eq!((mistaken.status.as_u16(), &*mistaken.code()), (405, "method_not_allowed"));
    assert_eq!(mistaken.headers["allow"], "POST,GET,HEAD");
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(world.send(bare(&Method::GET, path)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn guards_come_in_order() {
    let world = World::start().await;
    let org = world.found("acme").await;
    let post = |key: &str, id: &str, body: String| {
        let request = Request::post("/api/v1/agents").header("x-api-key", key).header("x-request-id", id);
        request.header("content-length", body.len()).body(Body::from(body)).unwrap()
    };
    // Size before the key: what is announced too large is not even asked who sends it.
    let large = world.send(post("wrong", "r-1", " ".repeat(5_000))).await;
    assert_eq!((&*large.code(), large.headers["x-request-id"].to_str().unwrap()), ("body_too_large", "r-1"));
    // The key before the body.
    assert_eq!(world.send(post("wrong", "r", "{".to_owned())).await.code(), "api_key_invalid");
    // The scope before the body, and the answer names it.
    let reader = world.key(&org, &["agents:read"]).await;
    let refused = world.send(post(&reader, "r", "{".to_owned())).await;
    assert_eq!(
        (&*refused.code(), &refused.json()["error"]["field"]),
        ("insufficient_scope", &json!("agents:manage"))
    );
    // Then the body: what it is, whether it reads, whether it fits.
    assert_eq!(world.send(post(&org.key, "r", "{}".to_owned())).await.code(), "content_type_unsupported");
    let unfit = world.call(&org.key, "POST", "/api/v1/agents", json!({"name": "a", "owner_id": 7})).await;
    assert_eq!((&*unfit.code(), &unfit.json()["error"]["field"]), ("validation_error", &json!("owner_id")));
    // The limits before the scope.
    for _ in 0..=BURST {
        world.send(post(&reader, "r", String::new())).await;
    }
    let asked = Instant::now();
    let limited = world.send(post(&reader, "r", String::new())).await;
    assert_eq!((limited.status.as_u16(), &*limited.code()), (429, "rate_limited"));
    // Held back: a sleep is never shorter than it was told to be.
    assert!(asked.elapsed() >= Duration::from_millis(100));
    assert_eq!(limited.headers["retry-after"], "1");
    world.clock.advance_seconds(1);
    assert_eq!(world.send(post(&reader, "r", String::new())).await.code(), "insufficient_scope");
}

#[tokio::test]
async fn a_body_is_bounded_in_size_and_in_time() {
    let brief = Duration::from_millis(50);
    let world = World::bounded(Bounds { body_bytes: 64, body_time: brief, ..Bounds::default() }).await;
    let org = world.found("acme").await;
    let post = |key: &str, body: Body| {
        let request = Request::post("/api/v1/agents").header("x-api-key", key);
        request.header("content-type", "application/json").body(body).unwrap()
    };
    // Nothing announces how long it will be.
    let large = world.send(post(&org.key, Body::from(" ".repeat(65)))).await;
    assert_eq!((large.status.as_u16(), &*large.code()), (413, "body_too_large"));
    let fits = format!("{:64}", r#"{"name": "a"}"#);
    assert_eq!(world.send(post(&org.key, Body::from(fits))).await.status, 201);
    // Whole as JSON, but its end does not come.
    let endless = || {
        let end = std::future::pending::<Option<Result<HeaderMap, Infallible>>>();
        Body::new(Full::new(bytes::Bytes::from(r#"{"name": "b"}"#)).with_trailers(end))
    };
    let late = world.send(post(&org.key, endless())).await;
    assert_eq!((late.status.as_u16(), &*late.code()), (408, "request_timeout"));
    // Who may not send one is not waited for.
    assert_eq!(world.send(post("wrong", endless())).await.code(), "api_key_invalid");
    let agents = world.call(&org.key, "GET", "/api/v1/agents", Value::Null).await.json();
    assert_eq!(agents["data"].as_array().unwrap().len(), 1, "{agents}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_told_so_and_does_nothing_afterwards() {
    let brief = Duration::from_millis(300);
    let world = World::bounded(Bounds { request_time: brief, ..Bounds::default() }).await;
    let org = world.found("acme").await;
    let mut other = world.superuser().await;
    sqlx::raw_sql("BEGIN; SELECT FROM heads FOR UPDATE").execute(&mut other).await.unwrap();
    let late = world.call(&org.key, "POST", "/api/v1/agents", json!({"name": "late"})).await;
    assert_eq!((late.status.as_u16(), &*late.code()), (503, "timed_out"));
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    let made = world.call(&org.key, "POST", "/api/v1/agents", json!({"name": "early"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let agents = world.call(&org.key, "GET", "/api/v1/agents", Value::Null).await.json();
    assert_eq!(agents["data"].as_array().unwrap().len(), 1, "{agents}");
    let path = "/api/v1/record?type=agent.created";
    let entries = world.call(&org.key, "GET", path, Value::Null).await.json();
    assert_eq!(entries["data"].as_array().unwrap().len(), 1, "{entries}");
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused_everywhere() {
    let world = World::start().await;
    let org = world.found("acme").await;
    let keys = [world.key(&org, &["tokens:verify"]).await, world.key(&org, &["record:read"]).await];
    for route in routes() {
        let Access::Needs(permission) = route.access else { continue };
        let other = usize::from(permission.as_str() == "tokens:verify");
        let answer = world.call(&keys[other], route.method.as_str(), &filled(route.path), Value::Null).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (403, "insufficient_scope"), "{route:?}");
        assert_eq!(answer.json()["error"]["field"], permission.as_str(), "{route:?}");
    }
}

#[tokio::test]
async fn reads_answer_and_another_organization_is_absent() {
    let world = World::start().await;
    let (ours, theirs) = (world.found("ours").await, world.found("theirs").await);
    let made = world.call(&theirs.key, "POST", "/api/v1/agents", json!({"name": "bot"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert!(made.headers.contains_key("chancery-record-seq"));
    let path = format!("/api/v1/agents/{}", made.json()["data"]["id"].as_str().unwrap());
    assert_eq!(world.call(&theirs.key, "GET", &path, Value::Null).await.status, 200);
    let foreign = world.call(&ours.key, "GET", &path, Value::Null).await;
    let absent = world.call(&ours.key, "GET", &filled("/api/v1/agents/{id}"), Value::Null).await;
    let malformed = world.call(&ours.key, "GET", "/api/v1/agents/x", Value::Null).await;
    assert_eq!((foreign.status.as_u16(), &foreign.text), (404, &absent.text));
    assert_eq!(foreign.text, malformed.text);
    for route in routes() {
        if route.method == Method::GET && !route.path.contains('{') {
            let answer = world.call(&ours.key, "GET", route.path, Value::Null).await;
            let pending = answer.code() == "checkpoint_pending";
            assert!(answer.status == 200 || pending, "{route:?}: {}", answer.text);
        }
    }
    let me = world.call(&ours.key, "GET", "/api/v1/me", Value::Null).await.json();
    assert_eq!(me["data"]["organization_id"], json!(ours.id));
}

#[tokio::test]
async fn every_administrative_change_works_and_the_next_request_knows_it() {
    let world = World::start().await;
    let org = world.found("acme").await;
    let call = async |method: &'static str, path: String, body: Value, status: u16| {
        let answer = world.call(&org.key, method, &path, body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text);
        answer.json()["data"].clone()
    };
    let at = |path: &str| format!("/api/v1{path}");
    let id = |thing: &Value| thing["id"].as_str().unwrap().to_owned();

    call("PATCH", at("/organization"), json!({"settings": {"token_algorithm": "ES256"}}), 200).await;
    call("PATCH", at("/organization"), json!({"settings": {"token_algorithm": "ES256"}}), 409).await;
    let bo = json!({"name": "Bo", "email": "bo@example.org", "role": "viewer"});
    let bo = id(&call("POST", at("/members"), bo, 201).await);
    call("PATCH", at(&format!("/members/{bo}")), json!({"role": "operator"}), 200).await;
    let agent = id(&call("POST", at("/agents"), json!({"name": "bot"}), 201).await);
    call("PATCH", at(&format!("/agents/{agent}")), json!({"owner_id": bo}), 200).await;
    call("POST", at("/policies/packs/payments/apply"), Value::Null, 200).await;
    let actions = call("GET", at("/actions"), Value::Null, 200).await;
    let action = actions[0]["name"].as_str().unwrap().to_owned();
    let delegation = json!({"agent_id": agent, "actions": [action]});
    let delegation = id(&call("POST", at("/delegations"), delegation, 201).await);
    call("POST", at(&format!("/delegations/{delegation}/revoke")), Value::Null, 200).await;
    call("POST", at(&format!("/delegations/{delegation}/revoke")), Value::Null, 409).await;

    let first = call("POST", at("/signing-keys/rotate"), json!({}), 201).await;
    call("POST", at("/signing-keys/rotate"), json!({"immediately": true}), 201).await;
    let keys = world.send(bare(&Method::GET, "/orgs/acme/.well-known/jwks.json")).await;
    assert_eq!(keys.json()["keys"].as_array().unwrap().len(), 2);
    assert_eq!(keys.headers["cache-control"], "public, max-age=60");
    let retire = at(&format!("/signing-keys/{}/retire", id(&first)));
    call("POST", retire.clone(), json!({}), 409).await;
    call("POST", retire, json!({"compromised": "a laptop was stolen"}), 200).await;
    call("POST", at("/tokens/revoke"), json!({"kind": "organization", "reason": "drill"}), 201).await;
    call("POST", at("/tokens/revoke"), json!({"kind": "token", "reason": "drill"}), 400).await;

    let check =
        call("POST", at("/policies/check"), json!({"text": "permit(principal, action, resource)"}), 200);
    assert_eq!(check.await["valid"], false);
    let policies = call("GET", at("/policies"), Value::Null, 200).await;
    let policy = at(&format!("/policies/{}", id(&policies[0])));
    let text = call("GET", format!("{policy}/versions/1"), Value::Null, 200).await["text"].clone();
    let more = format!("{}\n// more", text.as_str().unwrap());
    call("POST", format!("{policy}/versions"), json!({"text": more}), 201).await;
    call("POST", format!("{policy}/activate"), json!({"version": 2}), 200).await;
    call("POST", format!("{policy}/withdraw"), Value::Null, 200).await;
    call("POST", at(&format!("/actions/{action}/retire")), Value::Null, 200).await;

    let holder = json!({"type": "agent", "id": agent});
    let key = json!({"name": "k", "holder": holder, "environment": "test", "scopes": ["intents:submit"]});
    let key = call("POST", at("/api-keys"), key, 201).await;
    let path = at(&format!("/api-keys/{}", id(&key)));
    let secret = key["secret"].as_str().unwrap();
    assert!(!call("GET", path.clone(), Value::Null, 200).await.to_string().contains(secret));
    let rotated = call("POST", format!("{path}/rotate"), json!({"overlap_seconds": 60}), 201).await;
    assert_eq!(world.call(secret, "GET", "/api/v1/me", Value::Null).await.status, 200);
    call("POST", format!("{path}/revoke"), json!({"reason": "done"}), 200).await;
    assert_eq!(world.call(secret, "GET", "/api/v1/me", Value::Null).await.code(), "api_key_invalid");
    let successor = rotated["secret"].as_str().unwrap();
    assert_eq!(world.call(successor, "GET", "/api/v1/me", Value::Null).await.status, 200);

    call("POST", at(&format!("/agents/{agent}/retire")), Value::Null, 200).await;
    assert_eq!(world.call(successor, "GET", "/api/v1/me", Value::Null).await.code(), "api_key_invalid");
    call("DELETE", at(&format!("/members/{bo}")), Value::Null, 200).await;
    call("DELETE", at(&format!("/members/{}", org.admin)), Value::Null, 409).await;
    let members = call("GET", at("/members"), Value::Null, 200).await;
    assert_eq!(members.as_array().unwrap().len(), 2);
    assert!(members.to_string().contains("ada@example.org"));
}

#[tokio::test]
async fn a_halt_says_since_when_and_why() {
    let world = World::start().await;
    let org = world.found("acme").await;
    let order = async |order: &str, body: Value, status: u16| {
        let answer = world.call(&org.key, "POST", &format!("/api/v1/emergency/{order}"), body).await;
        assert_eq!(answer.status.as_u16(), status, "{order}: {}", answer.text);
        answer.json()["data"].clone()
    };
    let read = async |what: &str| {
        world.call(&org.key, "GET", &format!("/api/v1/{what}"), Value::Null).await.json()["data"].clone()
    };
    let of_test = |reason: &str| json!({"reason": reason, "environment": "test"});
    order("halt", json!({"reason": ""}), 400).await;
    for reason in ["an earlier drill", "a drill"] {
        let halted = order("halt", json!({"reason": reason}), 200).await;
        order("halt", json!({"reason": "again"}), 409).await;
        assert_eq!(read("organization").await["halted"], true);
        world.clock.advance_seconds(60);
        let both = order("halt", of_test("both"), 200).await;
        let shown = read("emergency").await;
        assert_eq!(halted["halt"]["reason"], json!(reason));
        assert_eq!(shown["environments"][0]["reason"], json!("both"));
        assert_eq!([&both["halt"], &shown["halt"]], [&halted["halt"]; 2]);
        order("resume", of_test("over"), 200).await;
        let resumed = order("resume", json!({"reason": "over"}), 200).await;
        assert_eq!((&resumed["halted"], resumed.get("halt")), (&json!(false), None));
        assert_eq!(read("emergency").await.get("halt"), None);
    }
}

#[tokio::test]
async fn lists_go_on_where_they_stopped() {
    let world = World::start().await;
    let org = world.found("acme").await;
    for name in ["a", "b", "c"] {
        world.call(&org.key, "POST", "/api/v1/agents", json!({"name": name})).await;
        world.clock.advance_seconds(1);
    }
    let (mut names, mut path) = (Vec::new(), "/api/v1/agents?limit=2".to_owned());
    loop {
        let page = world.call(&org.key, "GET", &path, Value::Null).await.json();
        names.extend(page["data"].as_array().unwrap().iter().map(|agent| agent["name"].clone()));
        let Some(next) = page["page"]["next"].as_str() else { break };
        path = format!("/api/v1/agents?limit=2&cursor={next}");
    }
    assert_eq!(names, ["c", "b", "a"]);
    let made_up = world.call(&org.key, "GET", "/api/v1/agents?cursor=x", Value::Null).await;
    assert_eq!((made_up.status.as_u16(), &*made_up.code()), (400, "cursor_invalid"));
}

#[tokio::test]
async fn meters_name_routes_and_never_what_a_client_chose() {
    let world = World::start().await;
    let org = world.found("acme").await;
    world.call(&org.key, "GET", "/api/v1/agents/canary-in-a-path?canary=in-a-query", Value::Null).await;
    world.send(bare(&Method::from_bytes(b"CANARY").unwrap(), "/canary-elsewhere")).await;
    let text = world.send(bare(&Method::GET, "/metrics")).await.text;
    assert!(
        text.contains(r#"http_requests_total{route="/api/v1/agents/{id}",method="GET",status="4xx"} 1"#),
        "{text}"
    );
    assert!(
        text.contains(r#"http_requests_total{route="unmatched",method="other",status="4xx"} 1"#),
        "{text}"
    );
    assert!(text.contains("http_request_seconds"), "{text}");
    assert!(!text.to_lowercase().contains("canary"), "{text}");
}

/// This process is told of no change, so it stands for any other process too.
#[tokio::test]
async fn a_revoke_and_a_grant_hold_on_the_next_request() {
    let world = World::start().await;
    let org = world.found("acme").await;
    for route in routes() {
        let (Method::GET, false) = (route.method.clone(), route.access == Access::Public) else { continue };
        let scope =
            if let Access::Needs(permission) = route.access { permission.as_str() } else { "record:read" };
        let key = world.key(&org, &[scope]).await;
        let before = world.call(&key, "GET", &filled(route.path), Value::Null).await;
        assert!(![401, 403].contains(&before.status.as_u16()), "{route:?}: {}", before.text);
        let keys = world.call(&org.key, "GET", "/api/v1/api-keys?limit=1", Value::Null).await.json();
        let path = format!("/api/v1/api-keys/{}/revoke", keys["data"][0]["id"].as_str().unwrap());
        world.call(&org.key, "POST", &path, json!({"reason": "drill"})).await;
        let after = world.call(&key, "GET", &filled(route.path), Value::Null).await;
        assert_eq!(after.code(), "api_key_invalid", "{route:?}");
    }
    let bo = json!({"name": "Bo", "email": "bo@example.org", "role": "operator"});
    let bo = world.call(&org.key, "POST", "/api/v1/members", bo).await.json()["data"]["id"].clone();
    let key = json!({"name": "bo", "holder": {"type": "member", "id": bo}, "environment": "live",
        "scopes": ["agents:manage"]});
    let key = world.call(&org.key, "POST", "/api/v1/api-keys", key).await.json();
    let key = key["data"]["secret"].as_str().unwrap();
    let path = format!("/api/v1/members/{}", bo.as_str().unwrap());
    for (role, status) in [("operator", 201), ("viewer", 403), ("operator", 201), ("viewer", 403)] {
        world.call(&org.key, "PATCH", &path, json!({"role": role})).await;
        let made = world.call(key, "POST", "/api/v1/agents", json!({"name": "bot"})).await;
        assert_eq!(made.status.as_u16(), status, "{role}: {}", made.text);
    }
}
