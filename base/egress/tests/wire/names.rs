//! Names that lead where they should not.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chancery_egress::{Cause, Egress, FailureKind, Phase, Reason, Refusal, Rules, Sent, Settings};

use crate::support::dns::Say;
use crate::support::upstream::ok;
use crate::support::{NameServer, Upstream, get, loopback_rules, permit, refusal, settings};

const GOOD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
/// Loopback too, so that a connection to it would succeed and be seen; not allowed by the rules here.
const BAD: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);

fn only_good() -> Rules {
    let good = || vec!["127.0.0.1/32".parse().unwrap()];
    Rules { allow: good(), allow_plain_http: good(), ..Rules::default() }
}

fn through(name_server: &NameServer, rules: Rules) -> Egress {
    Egress::new(Settings { rules, name_servers: vec![name_server.address], ..settings() }).unwrap()
}

/// Two upstreams at one port: the good address and the bad one.
async fn two_upstreams() -> (Upstream, Upstream) {
    loop {
        let good = Upstream::start(|_| {
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec()
        })
        .await;
        if let Ok(listener) = tokio::net::TcpListener::bind((BAD, good.address.port())).await {
            return (good, Upstream::recording(listener));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_flips_a_thousand_times_never_leads_to_the_refused_address() {
    let (good, bad) = two_upstreams().await;
    let flips = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&flips);
    let name_server = NameServer::start(move |_| {
        // The two questions of one resolution may get different answers, too.
        let flip = counted.fetch_add(1, Ordering::Relaxed);
        Say::Addresses(vec![if flip.is_multiple_of(3) { BAD.into() } else { GOOD }])
    })
    .await;
    let egress = through(&name_server, only_good());
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..1000 {
        match egress.send(get(format!("http://flip.test:{}/", good.address.port())), &permit()).await {
            Ok(answer) => {
                assert_eq!(answer.peer, good.address);
                answered += 1;
            }
            Err(failure) => {
                assert_eq!(
                    (failure.kind(), failure.sent()),
                    (FailureKind::Refused, Sent::No),
                    "{:?}",
                    failure.cause()
                );
                refused += 1;
            }
        }
    }
    assert!(answered > 100 && refused > 100, "{answered} answered, {refused} refused");
    assert_eq!(bad.connections(), 0);
    assert_eq!(good.connections(), answered);
    assert!(flips.load(Ordering::Relaxed) >= 2000);
}

#[tokio::test]
async fn one_bad_address_among_good_ones_refuses_the_name() {
    let (good, bad) = two_upstreams().await;
    let port = good.address.port();
    for (addresses, reason) in [
        (vec![GOOD, BAD.into()], Reason::Loopback),
        (vec![BAD.into(), GOOD], Reason::Loopback),
        (vec![GOOD, "fd00::1".parse().unwrap()], Reason::Private),
        (vec![GOOD, "64:ff9b::7f00:1".parse().unwrap()], Reason::Nat64),
        (vec![GOOD, "169.254.169.254".parse().unwrap()], Reason::Metadata),
        (vec![GOOD, "::ffff:10.0.0.1".parse().unwrap()], Reason::Private),
    ] {
        let name_server = NameServer::always(&addresses).await;
        let outcome =
            through(&name_server, only_good()).send(get(format!("http://a.test:{port}/")), &permit()).await;
        let Refusal::Address { reason: found, .. } = refusal(outcome) else { panic!("another refusal") };
        assert_eq!(found, reason, "{addresses:?}");
    }
    assert_eq!((good.connections(), bad.connections()), (0, 0));
}

#[tokio::test]
async fn the_next_address_is_tried_where_one_does_not_answer() {
    let upstream = Upstream::start(|_| ok("here")).await;
    // The port is the same at both, and nobody listens at the second.
    let name_server = NameServer::always(&["127.0.0.77".parse().unwrap(), GOOD]).await;
    let egress = through(&name_server, loopback_rules());
    let url = format!("http://two.test:{}/", upstream.address.port());
    assert_eq!(egress.send(get(url), &permit()).await.unwrap().body, "here");
}

#[tokio::test]
async fn names_are_whole_and_each_is_asked_for_once_in_both_families() {
    let upstream = Upstream::start(|_| ok("")).await;
    let name_server = NameServer::always(&[GOOD]).await;
    let egress = through(&name_server, loopback_rules());
    egress.send(get(format!("http://whole.test:{}/", upstream.address.port())), &permit()).await.unwrap();
    assert_eq!(name_server.questions(), 2);
}

#[tokio::test]
async fn what_does_not_resolve_is_unreachable_and_was_not_sent() {
    let name_server = NameServer::start(|name| match name {
        "gone.test" => Say::NoSuchName,
        _ => Say::Addresses(Vec::new()),
    })
    .await;
    let egress = through(&name_server, loopback_rules());
    for url in ["http://gone.test/", "http://empty.test/"] {
        let failure = egress.send(get(url), &permit()).await.unwrap_err();
        assert_eq!((failure.kind(), failure.sent()), (FailureKind::Unreachable, Sent::No), "{url}");
    }
}

#[tokio::test]
async fn a_name_server_that_is_silent_ends_at_the_deadline() {
    let name_server = NameServer::start(|_| Say::Nothing).await;
    let egress = through(&name_server, loopback_rules());
    let mut permit = permit();
    permit.limits.connect = std::time::Duration::from_millis(200);
    let failure = egress.send(get("http://silent.test/"), &permit).await.unwrap_err();
    assert!(matches!(failure.cause(), Cause::TimedOut(Phase::Resolve)), "{}", failure.cause());
    assert_eq!(failure.sent(), Sent::No);
}

#[tokio::test]
async fn a_single_label_is_refused_unless_listed() {
    let upstream = Upstream::start(|_| ok("")).await;
    let name_server = NameServer::always(&[GOOD]).await;
    let url = format!("http://intranet:{}/", upstream.address.port());
    let outcome = through(&name_server, loopback_rules()).send(get(&url), &permit()).await;
    assert_eq!(refusal(outcome), Refusal::SingleLabel);
    assert_eq!(name_server.questions(), 0);
    let mut rules = loopback_rules();
    rules.allow.push("intranet".parse().unwrap());
    assert!(through(&name_server, rules).send(get(&url), &permit()).await.is_ok());
}
