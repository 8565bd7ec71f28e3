//! What stands between the server and who asks: addresses, limits, proxies, pages of other origins.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use axum::body::Body;
use chancery_http::{Edge, Origins, Peer, Proxies, routes};
use http::{HeaderValue, Method, Request};
use support::{Answered, Setup, World};

const PROXY: &str = "10.0.0.1";
const PAGE: &str = "https://app.example.com";

fn edge(https: bool) -> Edge {
    Edge {
        proxies: Proxies::new(vec!["10.0.0.0/8".parse().unwrap()]),
        origins: Origins::new(vec![HeaderValue::from_static(PAGE)]),
        https,
    }
}

async fn world(address_burst: u32, https: bool) -> World {
    World::set_up(Setup { address_burst, edge: edge(https), ..Setup::default() }).await
}

fn request(peer: &str, method: &Method, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).extension(Peer(peer.parse().unwrap()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

async fn asks(world: &World, peer: &str, headers: &[(&str, &str)]) -> Answered {
    world.send(request(peer, &Method::GET, "/api/v1/me", headers)).await
}

/// How many requests get through before the address has asked too often.
async fn passed(world: &World, peer: &str, headers: impl Fn(usize) -> Vec<(&'static str, String)>) -> usize {
    for number in 0..50 {
        let headers = headers(number);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if asks(world, peer, &headers).await.status == 429 {
            return number;
        }
    }
    50
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_when_and_no_other_with_it() {
    let world = world(3, false).await;
    assert_eq!(passed(&world, "192.0.2.1", |_| vec![]).await, 3);
    let refused = asks(&world, "192.0.2.1", &[("origin", PAGE)]).await;
    assert_eq!(refused.code(), "rate_limited");
    for (name, value) in [("retry-after", "1"), ("ratelimit-limit", "60"), ("ratelimit-remaining", "0")] {
        assert_eq!(refused.headers[name], value, "{name}");
    }
    assert_eq!(refused.headers["access-control-allow-origin"], PAGE, "pages read why they are refused");
    assert_eq!(asks(&world, "192.0.2.2", &[]).await.status, 401);
    for path in ["/healthz", "/readyz", "/metrics"] {
        let watched = world.send(request("192.0.2.1", &Method::GET, path, &[])).await;
        assert_eq!(watched.status, 200, "who watches the server is not refused: {path}");
    }
    let lost = world.send(request("192.0.2.1", &Method::GET, "/nowhere", &[])).await;
    assert_eq!(lost.status, 429, "looking for routes counts");
    world.clock.advance_seconds(1);
    assert_eq!(asks(&world, "192.0.2.1", &[]).await.status, 401);
}

#[tokio::test]
async fn no_header_of_a_client_gives_it_another_address() {
    let world = world(3, false).await;
    let spoof = |number: usize| format!("198.51.100.{number}");
    // By themselves, with every header that somebody somewhere believes.
    for (peer, header) in [
        ("192.0.2.10", "x-forwarded-for"),
        ("192.0.2.11", "forwarded"),
        ("192.0.2.12", "x-real-ip"),
        ("192.0.2.13", "true-client-ip"),
        ("192.0.2.14", "cf-connecting-ip"),
        ("192.0.2.15", "x-client-ip"),
    ] {
        let headers = |number| vec![(header, spoof(number))];
        assert_eq!(passed(&world, peer, headers).await, 3, "{header}");
    }
    // Through a proxy of ours, which appends whom it was called by.
    let appended = |client: &'static str| {
        move |number| vec![("x-forwarded-for", format!("{}, {client}", spoof(number)))]
    };
    assert_eq!(passed(&world, PROXY, appended("192.0.2.20")).await, 3);
    assert_eq!(passed(&world, PROXY, appended("2001:db8::1")).await, 3);
    let roaming = |number| vec![("x-forwarded-for", format!("2001:db8:1::{number}"))];
    assert_eq!(passed(&world, PROXY, roaming).await, 3, "a client has 64 bits of addresses");
    let inner = |number| vec![("x-forwarded-for", format!("10.0.0.{number}, 192.0.2.21, 10.0.0.9"))];
    assert_eq!(passed(&world, PROXY, inner).await, 3);
    let lines =
        |number| vec![("x-forwarded-for", spoof(number)), ("x-forwarded-for", "192.0.2.22".to_owned())];
    assert_eq!(passed(&world, PROXY, lines).await, 3);
    // What does not read is the proxy's own.
    let garbled = |number| vec![("x-forwarded-for", format!("{}, unknown", spoof(number)))];
    assert_eq!(passed(&world, "10.0.0.7", garbled).await, 3);
    // And a client that the proxy names is that client.
    let honest = |number| vec![("x-forwarded-for", spoof(number))];
    assert_eq!(passed(&world, PROXY, honest).await, 50);
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_not_do() {
    let world = world(1_000, true).await;
    let mut requests: Vec<(Method, String)> = routes()
        .into_iter()
        .map(|route| (route.method.clone(), route.path.replace(['{', '}'], "")))
        .collect();
    requests.push((Method::GET, "/nowhere".to_owned()));
    requests.push((Method::DELETE, "/api/v1/me".to_owned()));
    requests.push((Method::OPTIONS, "/api/v1/me".to_owned()));
    for (method, path) in requests {
        let preflight = [("origin", PAGE), ("access-control-request-method", "GET")];
        let answer = world.send(request("192.0.2.1", &method, &path, &preflight)).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
            ("vary", "origin"),
        ] {
            assert_eq!(answer.headers[name], value, "{method} {path}: {name}");
        }
        assert!(answer.headers["permissions-policy"].to_str().unwrap().contains("camera=()"), "{path}");
        assert!(answer.headers.get("set-cookie").is_none(), "{method} {path}");
        let preflight = method == Method::OPTIONS;
        assert_eq!(answer.status == 204, preflight, "{method} {path}: {}", answer.status);
    }
}

#[tokio::test]
async fn without_tls_nobody_is_told_to_insist_on_it() {
    let world = world(10, false).await;
    assert_eq!(asks(&world, "192.0.2.1", &[]).await.headers.get("strict-transport-security"), None);
}
