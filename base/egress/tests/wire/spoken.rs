//! What is said on the wire, over TLS and HTTP/2 too.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chancery_egress::{Cause, Egress, FailureKind, Phase, Sent, Settings};
use futures_util::StreamExt as _;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::tls::Authority;
use crate::support::upstream::{led, ok};
use crate::support::{NameServer, Upstream, egress, following, get, permit, post, refusal, settings, url};

#[tokio::test]
async fn a_request_of_http_1_says_what_it_must() {
    let upstream = Upstream::start(|_| ok("")).await;
    let mut request = post(url(upstream.address, "/a/b?c=d#fragment"), "text");
    request.headers.append("x-two", HeaderValue::from_static("1"));
    request.headers.append("x-two", HeaderValue::from_static("2"));
    egress().send(request, &permit()).await.unwrap();
    let seen = upstream.seen().pop().unwrap();
    assert_eq!(seen.line(), "POST /a/b?c=d HTTP/1.1");
    assert_eq!(seen.header("host"), Some(upstream.address.to_string().as_str()));
    assert_eq!((seen.header("content-length"), &seen.body[..]), (Some("4"), "text"));
    assert_eq!(seen.head.matches("x-two: ").count(), 2);
    assert_eq!(seen.head.matches("host: ").count(), 1);
}

type Asked = Arc<AtomicUsize>;

/// A server of HTTP/2 over TLS for `h2.test`, a way out that trusts it, and how often it was asked.
async fn http2() -> (Upstream, NameServer, Egress, Asked) {
    let authority = Authority::new();
    let acceptor = authority.acceptor(&["h2.test"], &["h2"]);
    let asked = Asked::default();
    let counted = Arc::clone(&asked);
    let upstream = Upstream::raw(move |stream, _| {
        let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| answer_http2(request, Arc::clone(&counted)));
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    })
    .await;
    let name_server = NameServer::always(&[Ipv4Addr::LOCALHOST.into()]).await;
    let egress = Egress::new(Settings {
        name_servers: vec![name_server.address],
        extra_roots_pem: authority.pem(),
        ..settings()
    })
    .unwrap();
    (upstream, name_server, egress, asked)
}

async fn answer_http2(
    request: Request<Incoming>,
    asked: Asked,
) -> Result<Response<BoxBody<Bytes, std::io::Error>>, std::io::Error> {
    asked.fetch_add(1, Ordering::SeqCst);
    let endless = |pause: Duration, size: usize| {
        let frames = futures_util::stream::repeat(()).then(move |()| async move {
            tokio::time::sleep(pause).await;
            Ok(Frame::data(Bytes::from(vec![b'x'; size])))
        });
        BoxBody::new(StreamBody::new(frames))
    };
    let whole = |text: String| Full::new(Bytes::from(text)).map_err(std::io::Error::other).boxed();
    let mut response = Response::new(match request.uri().path() {
        "/drip" => endless(Duration::from_millis(5), 1),
        "/flood" => endless(Duration::ZERO, 16 * 1024),
        "/silent" => return std::future::pending().await,
        _ => {
            let told = format!(
                "{:?} {} {} {:?}",
                request.version(),
                request.method(),
                request.uri(),
                request.headers().get("host")
            );
            whole(told)
        }
    });
    if request.uri().path() == "/heads" {
        for number in 0..60 {
            let name: http::HeaderName = format!("x-{number}").parse().unwrap();
            response.headers_mut().insert(name, HeaderValue::from_str(&"v".repeat(1_000)).unwrap());
        }
    }
    Ok(response)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_spoken_where_it_is_offered_and_its_connection_shared() {
    let (upstream, _names, egress, asked) = http2().await;
    let to = format!("https://h2.test:{}/x?y", upstream.address.port());
    let answer = egress.send(get(&to), &permit()).await.unwrap();
    assert_eq!(answer.body, format!("HTTP/2.0 GET {to} None").as_bytes());
    let all = (0..50).map(|_| {
        let (egress, to) = (egress.clone(), to.clone());
        tokio::spawn(async move { egress.send(get(to), &permit()).await.unwrap() })
    });
    for each in futures_util::future::join_all(all).await {
        each.unwrap();
    }
    assert_eq!((upstream.connections(), asked.load(Ordering::SeqCst)), (1, 51));
}

#[tokio::test]
async fn limits_hold_over_http_2_and_end_its_connection() {
    let (upstream, _names, egress, _) = http2().await;
    let to = |path: &str| get(format!("https://h2.test:{}{path}", upstream.address.port()));
    let mut short = permit();
    short.limits.total = Duration::from_millis(1500);
    short.limits.head = Duration::from_millis(700);
    let failed = async |path: &str| egress.send(to(path), &short).await.unwrap_err();

    let failure = failed("/drip").await;
    assert!(matches!(failure.cause(), Cause::TimedOut(Phase::Body)), "{}", failure.cause());
    let failure = failed("/silent").await;
    assert!(matches!(failure.cause(), Cause::TimedOut(Phase::Head)), "{}", failure.cause());
    let failure = failed("/flood").await;
    assert!(matches!(failure.cause(), Cause::BodyTooLarge { .. }), "{}", failure.cause());
    // The library resets such a stream itself, and does not say why.
    let failure = failed("/heads").await;
    assert_eq!((failure.kind(), failure.sent()), (FailureKind::Unreachable, Sent::Perhaps));
    let before = upstream.connections();
    assert!(egress.send(to("/"), &permit()).await.is_ok());
    assert_eq!(upstream.connections(), before + 1, "an ended answer ends its connection");
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let plain = Upstream::start(|_| ok("")).await;
    let to = url(plain.address, "/");
    let authority = Authority::new();
    let upstream =
        Upstream::with_tls(authority.acceptor(&["127.0.0.1"], &["http/1.1"]), move |_| led(302, &to)).await;
    let egress = Egress::new(Settings { extra_roots_pem: authority.pem(), ..settings() }).unwrap();
    let outcome = egress.send(get(format!("https://{}/", upstream.address)), &following(2)).await;
    assert_eq!(refusal(outcome), chancery_egress::Refusal::Downgrade);
    assert_eq!(plain.connections(), 0);
}
