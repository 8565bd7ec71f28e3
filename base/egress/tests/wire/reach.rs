//! What rules, reach and pins let through.

use std::net::Ipv4Addr;

use chancery_egress::{Egress, Pins, Reach, Reason, Refusal, Rules, Sent, Settings, Target};

use crate::support::upstream::ok;
use crate::support::{NameServer, Upstream, egress, get, loopback_rules, permit, refusal, settings, url};

fn with(rules: Rules) -> Egress {
    Egress::new(Settings { rules, ..settings() }).unwrap()
}

#[tokio::test]
async fn every_spelling_of_loopback_is_refused_and_nobody_connects() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let recording = Upstream::recording(listener);
    let port = recording.address.port();
    let egress = with(Rules::default());
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "0x7F.0.0.0x1",
        "127.0.0.1.",
        "127.000.000.001",
        "%31%32%37.0.0.1",
        "①②⑦.⓪.⓪.①",
        "１２７.０.０.１",
        "127。0。0。1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "0",
        "[::]",
        "127.255.255.254",
    ] {
        let Ok(target) = Target::parse(&format!("https://{host}:{port}/")) else { continue };
        let refused =
            refusal(egress.send(chancery_egress::Outgoing { target, ..get("https://a.b") }, &permit()).await);
        assert!(matches!(refused, Refusal::Address { .. }), "{host}: {refused}");
    }
    assert_eq!(recording.connections(), 0);
}

#[tokio::test]
async fn what_the_operator_allows_is_reached_by_whom_it_is_allowed_to() {
    let upstream = Upstream::start(|_| ok("inside")).await;
    let egress = egress();
    let url = url(upstream.address, "/");
    assert_eq!(egress.send(get(&url), &permit()).await.unwrap().body, "inside");
    let mut public = permit();
    public.reach = Reach::Public;
    let Refusal::Address { reason, .. } = refusal(egress.send(get(&url), &public).await) else { panic!() };
    assert_eq!(
        reason,
        Reason::Loopback,
        "a warm connection of the same pool is not handed to a shorter reach"
    );
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn plain_http_is_refused_where_it_is_not_allowed() {
    let upstream = Upstream::start(|_| ok("")).await;
    let rules = Rules { allow_plain_http: vec!["*.test".parse().unwrap()], ..loopback_rules() };
    let name_server = NameServer::always(&[Ipv4Addr::LOCALHOST.into()]).await;
    let egress =
        Egress::new(Settings { rules, name_servers: vec![name_server.address], ..settings() }).unwrap();
    let port = upstream.address.port();
    assert_eq!(refusal(egress.send(get(url(upstream.address, "/")), &permit()).await), Refusal::PlainHttp);
    assert_eq!(
        refusal(egress.send(get(format!("http://a.example:{port}/")), &permit()).await),
        Refusal::PlainHttp
    );
    assert!(egress.send(get(format!("http://a.test:{port}/")), &permit()).await.is_ok());
    // By address it is known only once the name is resolved.
    let rules = Rules { allow_plain_http: vec!["10.0.0.0/8".parse().unwrap()], ..loopback_rules() };
    let egress =
        Egress::new(Settings { rules, name_servers: vec![name_server.address], ..settings() }).unwrap();
    assert_eq!(
        refusal(egress.send(get(format!("http://a.test:{port}/")), &permit()).await),
        Refusal::PlainHttp
    );
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn our_own_listener_is_refused_whatever_is_allowed() {
    let upstream = Upstream::start(|_| ok("")).await;
    let port = upstream.address.port();
    for listener in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}"), format!("[::]:{port}")] {
        let rules = Rules { listeners: vec![listener.parse().unwrap()], ..loopback_rules() };
        let Refusal::Address { reason, .. } =
            refusal(with(rules).send(get(url(upstream.address, "/")), &permit()).await)
        else {
            panic!()
        };
        assert_eq!(reason, Reason::OwnListener, "{listener}");
    }
    let rules = Rules { listeners: vec!["127.0.0.1:1".parse().unwrap()], ..loopback_rules() };
    assert!(with(rules).send(get(url(upstream.address, "/")), &permit()).await.is_ok());
}

#[tokio::test]
async fn a_request_goes_to_no_host_but_those_it_is_bound_to() {
    let upstream = Upstream::start(|_| ok("")).await;
    let mut bound = permit();
    bound.pins = Pins::to(["127.0.0.1:1".parse().unwrap(), "api.example.com".parse().unwrap()]);
    let failure = egress().send(get(url(upstream.address, "/")), &bound).await.unwrap_err();
    assert_eq!(failure.sent(), Sent::No);
    assert_eq!(refusal(Err(failure)), Refusal::NotPinned);
    bound.pins = Pins::to([upstream.address.to_string().parse().unwrap()]);
    assert!(egress().send(get(url(upstream.address, "/")), &bound).await.is_ok());
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn headers_and_methods_that_are_not_the_callers_are_refused() {
    let upstream = Upstream::start(|_| ok("")).await;
    for name in ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "expect"] {
        let mut request = get(url(upstream.address, "/"));
        request.headers.insert(name, "x".parse().unwrap());
        assert!(matches!(refusal(egress().send(request, &permit()).await), Refusal::Header(_)), "{name}");
    }
    for method in ["CONNECT", "TRACE"] {
        let mut request = get(url(upstream.address, "/"));
        request.method = method.parse().unwrap();
        assert_eq!(refusal(egress().send(request, &permit()).await), Refusal::Method, "{method}");
    }
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn ports_of_other_protocols_are_refused() {
    for port in [22, 25, 6667] {
        let outcome = egress().send(get(format!("http://127.0.0.1:{port}/")), &permit()).await;
        assert_eq!(refusal(outcome), Refusal::Port(port));
    }
}
