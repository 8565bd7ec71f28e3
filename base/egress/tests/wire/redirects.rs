//! Redirects: judged like the first request, and told no secret.

use chancery_egress::{FailureKind, Outgoing, Pins, Reason, Refusal, Sent};
use http::{HeaderValue, Method};

use crate::support::upstream::{led, ok};
use crate::support::{Upstream, egress, following, get, permit, post, refusal, url};

#[tokio::test]
async fn a_redirect_is_an_answer_unless_it_is_to_be_followed() {
    let upstream = Upstream::start(|seen| if seen.path() == "/a" { led(302, "/b") } else { ok("b") }).await;
    let answer = egress().send(get(url(upstream.address, "/a")), &permit()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.redirects), (302, 0));
    let answer = egress().send(get(url(upstream.address, "/a")), &following(1)).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.redirects, &answer.body[..]), (200, 1, &b"b"[..]));
}

#[tokio::test]
async fn a_redirect_to_what_must_not_be_reached_is_refused_and_the_request_was_sent() {
    let refused_after_one = async |to: &'static str| {
        let upstream = Upstream::start(|_| led(307, to)).await;
        let failure = egress().send(get(url(upstream.address, "/")), &following(3)).await.unwrap_err();
        assert_eq!((failure.kind(), failure.sent()), (FailureKind::Refused, Sent::Perhaps), "{to}");
        refusal(Err(failure))
    };
    for (to, reason) in [
        ("http://169.254.169.254/latest/meta-data", Reason::Metadata),
        ("http://[fd00:ec2::254]/", Reason::Metadata),
        ("http://[::ffff:169.254.169.254]/", Reason::Metadata),
        ("http://0xa9fea9fe/", Reason::Metadata),
        ("http://10.0.0.1/", Reason::Private),
        ("//192.168.1.1/", Reason::Private),
        ("http://0.0.0.0/", Reason::ThisHost),
    ] {
        let Refusal::Address { reason: found, .. } = refused_after_one(to).await else { panic!("{to}") };
        assert_eq!(found, reason, "{to}");
    }
    for to in [
        "http://localhost/",
        "http://metadata.google.internal/",
        "ftp://a.example/",
        "javascript:1",
        "http:\\\\a.example/",
        "/\\a.example/",
        "http://u:p@a.example/",
        "//u@a.example/",
        "file:///etc/passwd",
        "gopher://a.example/",
        "http://a.example./",
    ] {
        assert!(matches!(refused_after_one(to).await, Refusal::Target(_)), "{to}");
    }
}

#[tokio::test]
async fn credentials_stay_with_their_origin_and_do_not_come_back() {
    let other = Upstream::start(|seen| {
        let back = seen.path().strip_prefix("/to?").map(str::to_owned);
        back.map_or_else(|| ok("other"), |back| led(302, &back))
    })
    .await;
    let there = other.address;
    let upstream = Upstream::start(move |seen| match seen.path() {
        "/same" => led(302, "/end"),
        "/out" => led(302, &url(there, "/end")),
        "/round" => led(302, &url(there, &format!("/to?http://{}/end", seen.header("host").unwrap()))),
        _ => ok("end"),
    })
    .await;
    let request = |path| {
        let mut request = get(url(upstream.address, path));
        request.headers.insert("authorization", HeaderValue::from_static("Bearer canary-1"));
        request.headers.insert("cookie", HeaderValue::from_static("s=canary-2"));
        request.headers.insert("accept", HeaderValue::from_static("text/plain"));
        request.credential_headers.insert("x-api-key", HeaderValue::from_static("canary-3"));
        request.credential_headers.insert("x-signature", HeaderValue::from_static("canary-4"));
        request
    };
    let canaries = |text: &str| text.matches("canary").count();

    egress().send(request("/same"), &following(3)).await.unwrap();
    assert!(upstream.seen().iter().all(|seen| canaries(&seen.head) == 4), "the same origin keeps them");

    egress().send(request("/out"), &following(3)).await.unwrap();
    let seen = other.seen();
    assert_eq!(
        (canaries(&seen[0].head), seen[0].header("accept")),
        (0, Some("text/plain")),
        "{}",
        seen[0].head
    );
    assert_eq!(seen[0].header("referer"), None);

    egress().send(request("/round"), &following(3)).await.unwrap();
    let last = upstream.seen().pop().unwrap();
    assert_eq!((last.path(), canaries(&last.head)), ("/end", 0), "what left its origin does not come back");
}

#[tokio::test]
async fn methods_and_bodies_change_as_they_must() {
    let upstream = Upstream::start(|seen| {
        if seen.path() == "/end" { ok("") } else { led(seen.path()[1..].parse().unwrap(), "/end") }
    })
    .await;
    for (method, status, becomes, body) in [
        ("POST", 301, "GET", ""),
        ("POST", 302, "GET", ""),
        ("POST", 303, "GET", ""),
        ("PUT", 303, "GET", ""),
        ("PUT", 301, "PUT", "body"),
        ("DELETE", 302, "DELETE", "body"),
        ("POST", 307, "POST", "body"),
        ("POST", 308, "POST", "body"),
        ("PATCH", 307, "PATCH", "body"),
    ] {
        let mut request = Outgoing {
            method: method.parse::<Method>().unwrap(),
            ..post(url(upstream.address, &format!("/{status}")), "body")
        };
        request.headers.insert("content-type", HeaderValue::from_static("text/plain"));
        egress().send(request, &following(1)).await.unwrap();
        let last = upstream.seen().pop().unwrap();
        assert_eq!(
            (last.line().split(' ').next().unwrap(), &last.body[..]),
            (becomes, body),
            "{method} {status}"
        );
        assert_eq!(last.header("content-type").is_some(), !body.is_empty(), "{method} {status}");
    }
}

#[tokio::test]
async fn a_loop_ends_at_the_most_that_is_followed() {
    let upstream = Upstream::start(|_| led(302, "/again")).await;
    let outcome = egress().send(get(url(upstream.address, "/")), &following(5)).await;
    assert_eq!(refusal(outcome), Refusal::Redirects(5));
    assert_eq!(upstream.seen().len(), 6);
}

#[tokio::test]
async fn a_redirect_to_nowhere_or_to_two_places_is_refused() {
    for location in ["", "location: /a\r\nlocation: /b\r\n", "location: /\u{e4}\r\n"] {
        let head = format!("HTTP/1.1 302 Found\r\n{location}content-length: 0\r\n\r\n").into_bytes();
        let upstream = Upstream::start(move |_| head.clone()).await;
        let outcome = egress().send(get(url(upstream.address, "/")), &following(1)).await;
        assert!(matches!(refusal(outcome), Refusal::Location), "{location}");
    }
}

#[tokio::test]
async fn a_redirect_off_the_pins_is_refused_before_anybody_connects() {
    let other = Upstream::start(|_| ok("")).await;
    let to = url(other.address, "/");
    let upstream = Upstream::start(move |_| led(302, &to)).await;
    let mut permit = following(3);
    permit.pins = Pins::to([upstream.address.to_string().parse().unwrap()]);
    assert_eq!(refusal(egress().send(get(url(upstream.address, "/")), &permit).await), Refusal::NotPinned);
    assert_eq!(other.connections(), 0);
}
