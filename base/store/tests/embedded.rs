//! The embedded cluster against real Postgres binaries: made, stopped, killed, left over, in the way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chancery_store::embedded::{Embedded, EmbeddedError, EmbeddedOptions};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

fn options(data_dir: &Path) -> EmbeddedOptions {
    EmbeddedOptions {
        data_dir: data_dir.to_owned(),
        binaries: None,
        superuser_password: "correct horse".into(),
        settings: vec![("fsync".to_owned(), "off".to_owned())],
    }
}

async fn ask(options: &PgConnectOptions, query: &str) -> String {
    let mut connection = PgConnection::connect_with(options).await.unwrap();
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(&mut connection).await.unwrap()
}

async fn tell(options: &PgConnectOptions, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
    Ok(())
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

const KEEP: &str = "CREATE TABLE kept AS SELECT 'here' AS value";
const READ: &str = "SELECT value FROM kept";

#[tokio::test]
async fn keeps_what_was_committed_over_stop_restart_and_start() {
    let dir = TempDir::new().unwrap();
    let mut embedded = Embedded::start(options(dir.path())).await.unwrap();
    tell(&embedded.superuser(), KEEP).await.unwrap();
    let (first, exited) = (embedded.pid(), embedded.exited());
    embedded.restart().await.unwrap();
    exited.await;
    assert_ne!(embedded.pid(), first);
    assert_eq!(ask(&embedded.superuser(), READ).await, "here");

    let pid = embedded.pid();
    embedded.stop().await.unwrap();
    assert!(test_kill_process(Pid::from_raw(pid).unwrap()).is_err());
    assert!(!dir.path().join("postgres/postmaster.pid").exists(), "a clean stop");

    let embedded = Embedded::start(options(dir.path())).await.unwrap();
    assert_eq!(ask(&embedded.superuser(), READ).await, "here");
    embedded.stop().await.unwrap();
}

#[tokio::test]
async fn is_private_quiet_and_durable() {
    let dir = TempDir::new().unwrap();
    let embedded =
        Embedded::start(EmbeddedOptions { settings: vec![], ..options(dir.path()) }).await.unwrap();
    let superuser = embedded.superuser();
    for (setting, value) in [
        ("listen_addresses", ""),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
    ] {
        assert_eq!(ask(&superuser, &format!("SHOW {setting}")).await, value, "{setting}");
    }
    let socket_dir = fs::metadata(dir.path().join("postgres-socket")).unwrap();
    assert_eq!(socket_dir.mode() & 0o777, 0o700);
    if is_root() {
        let process = fs::metadata(format!("/proc/{}", embedded.pid())).unwrap();
        assert_ne!(process.uid(), 0);
        assert_eq!(process.uid(), socket_dir.uid());
    }
    let environment = fs::read_to_string(format!("/proc/{}/environ", embedded.pid())).unwrap_or_default();
    assert!(!environment.contains("CARGO"), "the server's environment is not passed on");

    tell(&superuser, "CREATE TABLE t (c text UNIQUE); INSERT INTO t VALUES ('canary')").await.unwrap();
    let mut connection = PgConnection::connect_with(&superuser).await.unwrap();
    let twice = sqlx::query("INSERT INTO t VALUES ($1)").bind("canary").execute(&mut connection).await;
    assert!(twice.is_err());
    assert!(tell(&superuser, "SELECT 'canary' FROM nowhere").await.is_err());
    let log = fs::read_to_string(dir.path().join("postgres.log")).unwrap();
    assert!(log.contains("duplicate key") && log.contains("nowhere"), "{log}");
    assert!(!log.contains("canary"), "{log}");
    assert!(!dir.path().join("postgres.password").exists());
    embedded.stop().await.unwrap();
}

#[tokio::test]
async fn one_owner_and_joiners_with_the_password() {
    let dir = TempDir::new().unwrap();
    let password = "correct horse".into();
    let none = Embedded::join(dir.path(), &password).await.unwrap_err();
    assert!(matches!(none, EmbeddedError::NotRunning { .. }), "{none}");

    let embedded = Embedded::start(options(dir.path())).await.unwrap();
    let second = Embedded::start(options(dir.path())).await.unwrap_err();
    assert!(matches!(second, EmbeddedError::InUse { .. }), "{second}");
    let stop = Embedded::stop_abandoned(dir.path()).await.unwrap_err();
    assert!(matches!(stop, EmbeddedError::InUse { .. }), "{stop}");

    let joined = Embedded::join(dir.path(), &password).await.unwrap();
    assert_eq!(ask(&joined, "SELECT current_user::text").await, "chancery_superuser");
    let refused = Embedded::join(dir.path(), &"wrong".into()).await.unwrap_err();
    assert!(matches!(refused, EmbeddedError::PasswordRefused), "{refused}");

    embedded.stop().await.unwrap();
    let other_key = EmbeddedOptions { superuser_password: "wrong".into(), ..options(dir.path()) };
    let refused = Embedded::start(other_key).await.unwrap_err();
    assert!(matches!(refused, EmbeddedError::PasswordRefused), "{refused}");
    Embedded::start(options(dir.path())).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_postmaster_is_noticed_and_restarted() {
    let dir = TempDir::new().unwrap();
    let mut embedded = Embedded::start(options(dir.path())).await.unwrap();
    tell(&embedded.superuser(), KEEP).await.unwrap();
    for _ in 0..3 {
        let exited = embedded.exited();
        kill(embedded.pid());
        exited.await;
        embedded.restart().await.unwrap();
        assert_eq!(ask(&embedded.superuser(), READ).await, "here");
    }
    embedded.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_left_running_is_stopped_and_started_fresh() {
    let dir = TempDir::new().unwrap();
    let embedded = Embedded::start(options(dir.path())).await.unwrap();
    let (pid, superuser) = (embedded.pid(), embedded.superuser());
    tell(&superuser, KEEP).await.unwrap();
    // As a server does that is killed in the middle of something.
    let busy = tokio::spawn(async move { tell(&superuser, "SELECT pg_sleep(600)").await });
    embedded.abandon();

    let embedded = Embedded::start(options(dir.path())).await.unwrap();
    assert_ne!(embedded.pid(), pid);
    assert!(busy.await.unwrap().is_err(), "the old one is gone");
    assert_eq!(ask(&embedded.superuser(), READ).await, "here");

    embedded.abandon();
    Embedded::stop_abandoned(dir.path()).await.unwrap();
    let none = Embedded::join(dir.path(), &"correct horse".into()).await.unwrap_err();
    assert!(matches!(none, EmbeddedError::NotRunning { .. }), "{none}");
}

#[tokio::test]
async fn backends_that_outlive_their_postmaster_are_ended() {
    let dir = TempDir::new().unwrap();
    let embedded = Embedded::start(options(dir.path())).await.unwrap();
    let (pid, superuser) = (embedded.pid(), embedded.superuser());
    tell(&superuser, KEEP).await.unwrap();
    let waiting = superuser.clone();
    // Counting never looks whether the postmaster lives.
    let busy = tokio::spawn(async move {
        tell(&waiting, "SELECT count(*) FROM generate_series(1, 1000) a, generate_series(1, 1000000000) b")
            .await
    });
    while ask(
        &superuser,
        "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE 'SELECT count(*) FROM gen%'",
    )
    .await
        == "0"
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    embedded.abandon();
    kill(pid);

    let embedded = Embedded::start(options(dir.path())).await.unwrap();
    assert!(busy.await.unwrap().is_err());
    assert_eq!(ask(&embedded.superuser(), READ).await, "here");
    embedded.stop().await.unwrap();
}

#[tokio::test]
async fn stale_files_that_name_a_living_stranger_do_not_hinder() {
    let dir = TempDir::new().unwrap();
    Embedded::start(options(dir.path())).await.unwrap().stop().await.unwrap();
    // One of the cluster's own user, whom Postgres would take for a postmaster.
    let owner = fs::metadata(dir.path().join("postgres")).unwrap().uid();
    let mut stranger = Command::new("sleep").arg("600").uid(owner).spawn().unwrap();
    let pid = stranger.id();
    let pid_file =
        format!("{pid}\n{}\n1\n5432\n/nowhere\n\n1 1\nready\n", dir.path().join("postgres").display());
    fs::write(dir.path().join("postgres/postmaster.pid"), pid_file).unwrap();
    fs::write(dir.path().join("postgres-socket/.s.PGSQL.5432.lock"), format!("{pid}\n")).unwrap();
    fs::write(dir.path().join("postgres-socket/.s.PGSQL.5432"), "").unwrap();
    let none = Embedded::join(dir.path(), &"correct horse".into()).await.unwrap_err();
    assert!(matches!(none, EmbeddedError::NotRunning { .. }), "{none}");
    let started = Embedded::start(options(dir.path())).await;
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger is left alone");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    started.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_works() {
    let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let long = dir.path().join("x".repeat(120)).join("it's, long");
    fs::create_dir_all(&long).unwrap();
    let embedded = Embedded::start(options(&long)).await.unwrap();
    assert_eq!(ask(&embedded.superuser(), "SELECT 'yes'").await, "yes");
    let joined = Embedded::join(&long, &"correct horse".into()).await.unwrap();
    let socket_dir = joined.get_socket().unwrap().clone();
    assert!(!socket_dir.starts_with(&long));
    assert_eq!(fs::metadata(&socket_dir).unwrap().mode() & 0o777, 0o700);
    embedded.stop().await.unwrap();
    fs::remove_dir(socket_dir).unwrap();
}

#[tokio::test]
async fn a_closed_folder_above_is_named() {
    if !is_root() {
        return;
    }
    let closed = fs::Permissions::from_mode(0o700);
    let dir = tempfile::Builder::new().permissions(closed).tempdir().unwrap();
    let error = Embedded::start(options(&dir.path().join("data"))).await.unwrap_err();
    assert!(
        matches!(&error, EmbeddedError::NotTraversable { directory, .. } if directory == dir.path()),
        "{error}"
    );
    assert!(error.to_string().contains("chmod o+x"), "{error}");
    assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700, "what is not ours stays as it is");
}

#[tokio::test]
async fn an_interrupted_initialisation_is_started_over() {
    let dir = TempDir::new().unwrap();
    // Cut off at several points on the way.
    for millis in [20, 150, 400] {
        let start = Embedded::start(options(dir.path()));
        if let Ok(Ok(embedded)) = tokio::time::timeout(Duration::from_millis(millis), start).await {
            embedded.stop().await.unwrap();
        }
    }
    fs::create_dir_all(dir.path().join("postgres.unfinished/base")).unwrap();
    let embedded = Embedded::start(options(dir.path())).await.unwrap();
    assert_eq!(ask(&embedded.superuser(), "SELECT 'yes'").await, "yes");
    embedded.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_that_stands_in_the_way_is_deleted() {
    let dir = TempDir::new().unwrap();
    let cluster = dir.path().join("postgres");
    fs::create_dir(&cluster).unwrap();
    fs::write(cluster.join("precious"), "").unwrap();
    let error = Embedded::start(options(dir.path())).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NotACluster { .. }), "{error}");
    assert!(cluster.join("precious").exists());
}

#[tokio::test]
async fn a_cluster_that_does_not_come_up_says_why() {
    let dir = TempDir::new().unwrap();
    let bad = EmbeddedOptions {
        settings: vec![("no_such_setting".to_owned(), "1".to_owned())],
        ..options(dir.path())
    };
    let error = Embedded::start(bad).await.unwrap_err();
    assert!(
        matches!(&error, EmbeddedError::NotReady { detail, .. } if detail.contains("no_such_setting")),
        "{error}"
    );
    Embedded::start(options(dir.path())).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn dropping_it_stops_it() {
    let dir = TempDir::new().unwrap();
    let embedded = Embedded::start(options(dir.path())).await.unwrap();
    let exited = embedded.exited();
    drop(embedded);
    exited.await;
}
