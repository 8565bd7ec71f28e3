//! Who shares connections, and which are kept.

use std::time::Duration;

use chancery_egress::{Egress, PoolKey, PoolLimits, Settings};
use tokio::io::AsyncWriteExt as _;

use crate::support::upstream::{ok, read_request};
use crate::support::{Upstream, egress, get, permit, settings, url};

fn of(organization: u128, policy: u128) -> chancery_egress::Permit {
    chancery_egress::Permit { pool: PoolKey { organization, policy }, ..permit() }
}

#[tokio::test]
async fn connections_are_kept_for_their_own_pool_alone() {
    let upstream = Upstream::start(|_| ok("")).await;
    let egress = egress();
    let to = url(upstream.address, "/");
    for _ in 0..3 {
        egress.send(get(&to), &of(1, 1)).await.unwrap();
    }
    assert_eq!(upstream.connections(), 1);
    egress.send(get(&to), &of(2, 1)).await.unwrap();
    egress.send(get(&to), &of(1, 2)).await.unwrap();
    assert_eq!(upstream.connections(), 3);
    egress.send(get(&to), &of(1, 1)).await.unwrap();
    assert_eq!(upstream.connections(), 3);
    crate::support::egress().send(get(&to), &of(1, 1)).await.unwrap();
    assert_eq!(upstream.connections(), 4, "other rules share nothing");
}

#[tokio::test]
async fn an_answer_that_was_not_read_whole_takes_its_connection_with_it() {
    let upstream = Upstream::start(|seen| match seen.path() {
        "/large" => ok(&"x".repeat(100_000)),
        "/led" => b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 5\r\n\r\n12345".to_vec(),
        "/packed" => b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx".to_vec(),
        _ => ok(""),
    })
    .await;
    let egress = egress();
    egress.send(get(url(upstream.address, "/")), &permit()).await.unwrap();
    for (round, path) in ["/large", "/packed"].into_iter().enumerate() {
        egress.send(get(url(upstream.address, path)), &permit()).await.unwrap_err();
        egress.send(get(url(upstream.address, "/")), &permit()).await.unwrap();
        assert_eq!(upstream.connections(), round + 2, "{path}");
    }
}

#[tokio::test]
async fn a_connection_that_waited_too_long_is_closed_without_anybody_asking() {
    let (told, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Upstream::raw(move |mut stream, _| {
        let told = told.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(&ok("")).await.unwrap();
            assert!(read_request(&mut stream).await.is_none());
            told.send(()).unwrap();
        }
    })
    .await;
    let pool = PoolLimits { idle: Duration::from_millis(50), ..PoolLimits::default() };
    let egress = Egress::new(Settings { pool, ..settings() }).unwrap();
    egress.send(get(url(upstream.address, "/")), &permit()).await.unwrap();
    ends.recv().await.unwrap();
}

#[tokio::test]
async fn no_more_wait_than_may() {
    let (told, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Upstream::raw(move |mut stream, number| {
        let told = told.clone();
        async move {
            while read_request(&mut stream).await.is_some() {
                stream.write_all(&ok("")).await.unwrap();
            }
            told.send(number).unwrap();
        }
    })
    .await;
    let pool = PoolLimits { most: 3, ..PoolLimits::default() };
    let egress = Egress::new(Settings { pool, ..settings() }).unwrap();
    for organization in 0..6 {
        egress.send(get(url(upstream.address, "/")), &of(organization, 0)).await.unwrap();
    }
    // The three that waited longest made room.
    let mut ended = [ends.recv().await.unwrap(), ends.recv().await.unwrap(), ends.recv().await.unwrap()];
    ended.sort_unstable();
    assert_eq!(ended, [1, 2, 3]);
    assert!(ends.try_recv().is_err());
    for organization in 3..6 {
        egress.send(get(url(upstream.address, "/")), &of(organization, 0)).await.unwrap();
    }
    assert_eq!(upstream.connections(), 6);
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_any_more_closes_its_connection() {
    let (told, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Upstream::raw(move |mut stream, _| {
        let told = told.clone();
        async move {
            read_request(&mut stream).await;
            told.send("asked").unwrap();
            assert!(read_request(&mut stream).await.is_none());
            told.send("closed").unwrap();
        }
    })
    .await;
    let egress = egress();
    let (to, permit) = (url(upstream.address, "/"), permit());
    let mut asking = Box::pin(egress.send(get(to), &permit));
    let asked = tokio::select! {
        told = ends.recv() => told,
        _ = &mut asking => None,
    };
    assert_eq!(asked, Some("asked"));
    drop(asking);
    assert_eq!(ends.recv().await, Some("closed"));
}
