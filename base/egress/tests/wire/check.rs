//! Saying whether a URL may be asked for, without asking.

use std::net::Ipv4Addr;
use std::time::Duration;

use chancery_egress::{Egress, Reach, Rules, Settings, Verdict};
use tokio::time::Instant;

use crate::support::dns::Say;
use crate::support::{NameServer, Upstream, loopback_rules, settings};

#[tokio::test]
async fn a_check_says_why_and_connects_to_nobody() {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let recording = Upstream::recording(listener);
    let name_server = NameServer::start(|name| match name {
        "inside.test" => Say::Addresses(vec![Ipv4Addr::LOCALHOST.into()]),
        "public.test" => Say::Addresses(vec![Ipv4Addr::new(8, 8, 8, 8).into()]),
        _ => Say::NoSuchName,
    })
    .await;
    let with = |rules: Rules| {
        Egress::new(Settings { rules, name_servers: vec![name_server.address], ..settings() }).unwrap()
    };
    let (strict, open) = (with(Rules::default()), with(loopback_rules()));
    let port = recording.address.port();
    let said = async |egress: &Egress, url: &str, reach| {
        egress.check(url, reach, Instant::now() + Duration::from_secs(10)).await.verdict.to_string()
    };
    let inside = format!("https://inside.test:{port}/secret");
    assert_eq!(said(&strict, &inside, Reach::Allowed).await, "refused: `127.0.0.1` is a loopback address");
    assert_eq!(said(&open, &inside, Reach::Allowed).await, format!("allowed: 127.0.0.1:{port}"));
    assert_eq!(said(&open, &inside, Reach::Public).await, "refused: `127.0.0.1` is a loopback address");
    assert_eq!(said(&strict, "https://public.test/", Reach::Public).await, "allowed: 8.8.8.8:443");
    assert_eq!(
        said(&strict, "http://public.test/", Reach::Public).await,
        "refused: plain HTTP is not allowed there"
    );
    assert_eq!(
        said(&strict, "https://u@public.test/", Reach::Public).await,
        "refused: the URL holds a user's name before the host"
    );
    let report =
        strict.check("https://gone.test/", Reach::Public, Instant::now() + Duration::from_secs(10)).await;
    assert!(matches!(report.verdict, Verdict::Unresolved(_)) && !report.is_allowed());
    assert_eq!(report.target.unwrap().to_string(), "https://gone.test:443");
    assert_eq!(recording.connections(), 0);
}
