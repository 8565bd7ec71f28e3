//! Whether a request may have left, at each point where it can end.

use std::time::Duration;

use chancery_egress::{Egress, FailureKind, Sent, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::tls::Authority;
use crate::support::upstream::{ok, read_request};
use crate::support::{Upstream, closed_port, egress, get, permit, post, settings, url};

#[tokio::test]
async fn nobody_listens() {
    let failure = egress().send(get(url(closed_port(), "/")), &permit()).await.unwrap_err();
    assert_eq!((failure.kind(), failure.sent()), (FailureKind::Unreachable, Sent::No), "{}", failure.cause());
}

#[tokio::test]
async fn tls_fails() {
    let upstream = Upstream::raw(|mut stream, _| async move {
        let _ = stream.read_u8().await;
    })
    .await;
    let to = format!("https://{}/", upstream.address);
    let failure = egress().send(get(to), &permit()).await.unwrap_err();
    assert_eq!((failure.kind(), failure.sent()), (FailureKind::Unreachable, Sent::No), "{}", failure.cause());
}

#[tokio::test]
async fn tls_does_not_answer() {
    let upstream = Upstream::raw(|mut stream, _| async move {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    })
    .await;
    let mut permit = permit();
    permit.limits.connect = Duration::from_millis(150);
    let failure = egress().send(get(format!("https://{}/", upstream.address)), &permit).await.unwrap_err();
    assert_eq!((failure.kind(), failure.sent()), (FailureKind::TimedOut, Sent::No), "{}", failure.cause());
    permit.limits.connect = Duration::from_secs(10);
    permit.limits.total = Duration::from_millis(150);
    let failure = egress().send(get(format!("https://{}/", upstream.address)), &permit).await.unwrap_err();
    assert_eq!((failure.kind(), failure.sent()), (FailureKind::TimedOut, Sent::No), "{}", failure.cause());
}

#[tokio::test]
async fn the_certificate_is_not_trusted_or_another_hosts() {
    let authority = Authority::new();
    let upstream = Upstream::with_tls(authority.acceptor(&["127.0.0.1"], &[]), |_| ok("")).await;
    let elsewhere = Upstream::with_tls(authority.acceptor(&["other.test"], &[]), |_| ok("")).await;
    let trusting = Egress::new(Settings { extra_roots_pem: authority.pem(), ..settings() }).unwrap();
    let to = |upstream: &Upstream| get(format!("https://{}/", upstream.address));
    assert!(trusting.send(to(&upstream), &permit()).await.is_ok());
    for outcome in
        [egress().send(to(&upstream), &permit()).await, trusting.send(to(&elsewhere), &permit()).await]
    {
        let failure = outcome.unwrap_err();
        assert_eq!(
            (failure.kind(), failure.sent()),
            (FailureKind::Unreachable, Sent::No),
            "{}",
            failure.cause()
        );
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn the_connection_closes_before_or_after_the_head_was_read() {
    for reads in [false, true] {
        let upstream = Upstream::raw(move |mut stream, _| async move {
            if reads {
                read_request(&mut stream).await;
            }
        })
        .await;
        let failure = egress().send(post(url(upstream.address, "/"), "x"), &permit()).await.unwrap_err();
        // Where it closes before anything is written, it may be known in time or not: `No` only if so.
        assert_eq!(failure.kind(), FailureKind::Unreachable, "{}", failure.cause());
        if reads {
            assert_eq!(failure.sent(), Sent::Perhaps);
        }
        assert_eq!(upstream.connections(), 1, "nothing is sent twice");
    }
}

#[tokio::test]
async fn a_kept_connection_that_breaks_after_the_request_is_not_tried_again() {
    let upstream = Upstream::raw(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(&ok("first")).await.unwrap();
        // Takes the second request, and says nothing.
        read_request(&mut stream).await;
    })
    .await;
    let egress = egress();
    let to = url(upstream.address, "/");
    assert_eq!(egress.send(get(&to), &permit()).await.unwrap().body, "first");
    let failure = egress.send(post(&to, "once"), &permit()).await.unwrap_err();
    assert_eq!(
        (failure.kind(), failure.sent()),
        (FailureKind::Unreachable, Sent::Perhaps),
        "{}",
        failure.cause()
    );
    assert_eq!(upstream.connections(), 1, "nothing is sent twice");
}

#[tokio::test]
async fn a_kept_connection_that_closed_meanwhile_is_replaced() {
    let (closed, mut is_closed) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Upstream::raw(move |mut stream, _| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(&ok("")).await.unwrap();
            stream.shutdown().await.unwrap();
            // Our end closes in answer.
            let _ = stream.read_u8().await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let egress = egress();
    for round in 1..=20 {
        egress.send(post(url(upstream.address, "/"), "x"), &permit()).await.unwrap();
        is_closed.recv().await.unwrap();
        assert_eq!(upstream.connections(), round);
    }
}

#[tokio::test]
async fn a_failure_tells_a_stranger_its_code_and_the_log_the_rest() {
    let failure = egress().send(get("http://10.0.0.1/secret?token=canary"), &permit()).await.unwrap_err();
    assert_eq!(failure.to_string(), "egress_refused");
    assert!(std::error::Error::source(&failure).is_none());
    assert_eq!(failure.cause().to_string(), "refused: `10.0.0.1` is a private address");
    assert!(!format!("{failure:?}").contains("canary"));
}
