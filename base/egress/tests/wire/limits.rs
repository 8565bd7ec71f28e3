//! Limits of time and size, against those who mean to pass them.

use std::io::Write as _;
use std::time::{Duration, Instant};

use chancery_egress::{Cause, Egress, FailureKind, Phase, Sent, Settings};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use tokio::io::AsyncWriteExt as _;

use crate::support::upstream::{ok, read_request};
use crate::support::{Upstream, egress, get, permit, settings, url};

const SHORT: Duration = Duration::from_millis(150);
/// What no limit of these tests comes near, however slow the machine is.
const LONG: Duration = Duration::from_secs(5);

/// Sends a start, then one byte every few milliseconds, for ever.
async fn dripping(start: &'static str, drop: &'static [u8]) -> Upstream {
    Upstream::raw(move |mut stream, _| async move {
        read_request(&mut stream).await;
        let mut outcome = stream.write_all(start.as_bytes()).await;
        while outcome.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            outcome = stream.write_all(drop).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_body_that_drips_ends_at_the_deadline_of_all() {
    let upstream = dripping("HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n", b"x").await;
    let mut permit = permit();
    permit.limits.total = SHORT;
    let started = Instant::now();
    let failure = egress().send(get(url(upstream.address, "/")), &permit).await.unwrap_err();
    assert!((SHORT..LONG).contains(&started.elapsed()));
    assert!(matches!(failure.cause(), Cause::TimedOut(Phase::Body)), "{}", failure.cause());
    assert_eq!((failure.code(), failure.sent()), ("timed_out", Sent::Perhaps));
}

#[tokio::test]
async fn a_head_that_drips_or_does_not_come_ends_at_the_deadline_of_heads() {
    for (start, drop) in [
        ("", &b""[..]),
        ("HTTP/1.1 200 OK\r\nx: ", &b"x"[..]),
        ("HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"),
    ] {
        let upstream = dripping(start, drop).await;
        let mut permit = permit();
        permit.limits.head = SHORT;
        let started = Instant::now();
        let failure = egress().send(get(url(upstream.address, "/")), &permit).await.unwrap_err();
        assert!((SHORT..LONG).contains(&started.elapsed()));
        assert!(matches!(failure.cause(), Cause::TimedOut(Phase::Head)), "{start}: {}", failure.cause());
        assert_eq!(failure.sent(), Sent::Perhaps);
    }
}

#[tokio::test]
async fn redirects_share_one_deadline() {
    let upstream = Upstream::raw(|mut stream, _| async move {
        read_request(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let mut permit = crate::support::following(255);
    permit.limits.total = SHORT;
    let failure = egress().send(get(url(upstream.address, "/")), &permit).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::TimedOut, "{}", failure.cause());
    assert!(upstream.connections() < 10);
}

#[tokio::test]
async fn a_body_is_taken_up_to_its_limit_and_not_beyond() {
    let upstream = Upstream::start(|seen| {
        let (form, length) = seen.path()[1..].split_once('/').unwrap();
        let body = "x".repeat(length.parse().unwrap());
        match form {
            "length" => ok(&body),
            "chunks" => format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            )
            .into_bytes(),
            _ => format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}").into_bytes(),
        }
    })
    .await;
    let mut permit = permit();
    permit.limits.body_bytes = 10_000;
    for form in ["length", "chunks"] {
        let answer =
            egress().send(get(url(upstream.address, &format!("/{form}/10000"))), &permit).await.unwrap();
        assert_eq!(answer.body.len(), 10_000);
        let failure =
            egress().send(get(url(upstream.address, &format!("/{form}/10001"))), &permit).await.unwrap_err();
        assert!(matches!(failure.cause(), Cause::BodyTooLarge { limit: 10_000 }), "{}", failure.cause());
        assert_eq!((failure.code(), failure.sent()), ("answer_too_large", Sent::Perhaps));
    }
}

fn packed(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {}\r\n\r\n", body.len())
            .into_bytes();
    answer.extend(body);
    answer
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn packed_bodies_are_unpacked_and_their_headers_say_so_no_more() {
    let text = "much ado about nothing ".repeat(500);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(text.as_bytes()).unwrap();
    let zlib = zlib.finish().unwrap();
    let (first, second) = text.split_at(700);
    let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    for (encoding, body) in [("gzip", gzip(text.as_bytes())), ("X-GZip", members), ("deflate", zlib)] {
        let answer = packed(encoding, &body);
        let upstream = Upstream::start(move |_| answer.clone()).await;
        let answer = egress().send(get(url(upstream.address, "/")), &permit()).await.unwrap();
        assert_eq!(answer.body, text.as_bytes(), "{encoding}");
        assert!(
            !answer.headers.contains_key("content-encoding")
                && !answer.headers.contains_key("content-length")
        );
        assert_eq!(upstream.seen()[0].header("accept-encoding"), Some("gzip"));
    }
}

#[tokio::test]
async fn what_is_packed_wrongly_or_strangely_is_invalid() {
    let whole = gzip(b"text");
    let mut wrong_sum = whole.clone();
    let last = wrong_sum.len() - 6;
    wrong_sum[last] ^= 1;
    let cut = whole[..whole.len() - 5].to_vec();
    let trailed = [&whole[..], b"garbage"].concat();
    for (encoding, body) in [
        ("gzip", wrong_sum),
        ("gzip", cut),
        ("gzip", trailed),
        ("gzip", b"plain".to_vec()),
        ("br", b"x".to_vec()),
        ("zstd", b"x".to_vec()),
        ("gzip, gzip", gzip(&whole)),
        ("gzip\r\ncontent-encoding: gzip", gzip(&whole)),
        ("compress", b"x".to_vec()),
    ] {
        let answer = packed(encoding, &body);
        let upstream = Upstream::start(move |_| answer.clone()).await;
        let failure = egress().send(get(url(upstream.address, "/")), &permit()).await.unwrap_err();
        assert_eq!(failure.code(), "answer_invalid", "{encoding} {body:?}: {}", failure.cause());
    }
}

#[tokio::test]
async fn a_bomb_stops_at_the_limit() {
    // A gibibyte of zeros, made piece by piece: 1 MiB on the wire, which the limit allows.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = packed("gzip", &encoder.finish().unwrap());
    let upstream = Upstream::start(move |_| bomb.clone()).await;
    let mut permit = permit();
    permit.limits.body_bytes = 2 << 20;
    let failure = egress().send(get(url(upstream.address, "/")), &permit).await.unwrap_err();
    assert!(matches!(failure.cause(), Cause::BodyTooLarge { .. }), "{}", failure.cause());
}

#[tokio::test]
async fn heads_are_bounded_in_bytes_and_lines() {
    let small = Egress::new(Settings { head_bytes: 10_000, head_lines: 20, ..settings() }).unwrap();
    for (lines, length, is_taken) in
        [(19, 100, true), (2, 4_900, true), (25, 10, false), (2, 6_000, false), (2_000, 5_000, false)]
    {
        let lines: String = (0..lines).map(|n| format!("x-{n}: {}\r\n", "v".repeat(length))).collect();
        let head = format!("HTTP/1.1 204 No Content\r\n{lines}\r\n").into_bytes();
        let upstream = Upstream::start(move |_| head.clone()).await;
        let outcome = small.send(get(url(upstream.address, "/")), &permit()).await;
        match outcome {
            Ok(_) => assert!(is_taken),
            Err(failure) => {
                assert!(!is_taken, "{}", failure.cause());
                assert_eq!(failure.code(), "answer_too_large", "{}", failure.cause());
            }
        }
    }
}

#[tokio::test]
async fn an_answer_cut_short_is_no_answer() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "",
    ] {
        let upstream = Upstream::raw(move |mut stream, _| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let failure = egress().send(get(url(upstream.address, "/")), &permit()).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.sent()),
            ("unreachable", Sent::Perhaps),
            "{answer}: {}",
            failure.cause()
        );
    }
}

#[tokio::test]
async fn what_is_not_http_is_invalid() {
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n12",
    ] {
        let upstream = Upstream::raw(move |mut stream, _| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            // Not closed: what is read is the answer, not its end.
            let _ = read_request(&mut stream).await;
        })
        .await;
        let failure = egress().send(get(url(upstream.address, "/")), &permit()).await.unwrap_err();
        assert_eq!(failure.code(), "answer_invalid", "{answer}: {}", failure.cause());
    }
}

#[tokio::test]
async fn the_answer_to_head_is_not_measured_by_what_it_announces() {
    let upstream = Upstream::start(|_| {
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\ncontent-encoding: gzip\r\n\r\n".to_vec()
    })
    .await;
    let mut request = get(url(upstream.address, "/"));
    request.method = http::Method::HEAD;
    assert!(egress().send(request, &permit()).await.unwrap().body.is_empty());
}
