//! The life of a server, by its real binary on real Postgres: first start, a second one refused,
//! orderly stop, crashes, key files lost and mistaken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use chancery_server::client::Connection;
use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_chancery");
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that Postgres may pass through when root starts it.
fn folder() -> TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o711)).tempdir().unwrap()
}

fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", data_dir)
        .env("CHANCERY_DATA_DIR", data_dir)
        .env("CHANCERY_SERVER__LISTEN", "127.0.0.1:0")
        .env("CHANCERY_LOG__LEVEL", "warn");
    command
}

fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    command(data_dir).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn refused(output: &Output, because: &str) {
    let told = text(&output.stderr);
    assert!(!output.status.success() && told.contains(because), "{told}\n{}", text(&output.stdout));
}

/// A server in a process of its own.
struct Server {
    child: Child,
    lines: Receiver<String>,
    url: String,
}

impl Server {
    fn start(data_dir: &Path) -> Self {
        Self::spawn(command(data_dir).arg("serve"))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
        });
        let mut server = Self { child, lines, url: String::new() };
        let line = server.line_with("chancery serves at ");
        server.url = line.split_whitespace().last().unwrap().to_owned();
        server
    }

    /// The next line that holds a text.
    #[track_caller]
    fn line_with(&self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(until - Instant::now()) {
            if line.contains(part) {
                return line;
            }
        }
        panic!("no line with `{part}`");
    }

    /// The admin's key, shown at the first start.
    fn admin_key(&self) -> String {
        self.line_with("The key of its admin");
        self.line_with("  chn_live_").trim().to_owned()
    }

    fn connect(&self, key: &str) -> Connection {
        Connection::new(&self.url, Some(&key.to_owned().into())).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn stop(mut self) -> bool {
        self.signal(Signal::TERM);
        self.child.wait().unwrap().success()
    }

    fn crash(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn agents(to: &Connection) -> Vec<String> {
    let answer = to.ask(Method::GET, "/api/v1/agents?limit=1000", None).await.unwrap();
    assert_eq!(answer.status, 200, "{:?}", answer.text);
    let names = answer.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| agent["name"].as_str().unwrap().to_owned());
    names.collect()
}

async fn create_agent(to: &Connection, name: &str) -> Option<u16> {
    let answer = to.ask(Method::POST, "/api/v1/agents", Some(&json!({ "name": name }))).await;
    answer.ok().map(|answer| answer.status.as_u16())
}

#[test]
fn the_first_start_prints_commands_that_work_and_the_operators_commands_work_beside_it() {
    let data = folder();
    let server = Server::start(data.path());
    let vkey = server.line_with("its record is signed by").split_whitespace().last().unwrap().to_owned();
    server.admin_key();
    let elsewhere = folder();
    for number in 1..=4 {
        server.line_with(&format!("  {number}. "));
        let printed = server.line_with(BINARY);
        let output =
            Command::new("sh").arg("-c").arg(printed).current_dir(elsewhere.path()).output().unwrap();
        let told = succeeded(&output);
        assert_eq!(number == 4, told.contains("✓ verified"), "{told}");
    }

    refused(&run(data.path(), &["serve"]), "is in use by another running chancery");
    assert_eq!(succeeded(&run(data.path(), &["trust", "export"])).trim(), vkey);
    assert!(succeeded(&run(data.path(), &["org", "create", "Acme Ltd."])).contains("`acme-ltd`"));
    refused(&run(data.path(), &["org", "create", "Other", "--slug", "acme-ltd"]), "taken");
    assert!(succeeded(&run(data.path(), &["kek", "rotate"])).contains("2 keys wrapped anew, 0 already were"));
    assert!(succeeded(&run(data.path(), &["kek", "rotate", "--resume"])).contains("0 keys wrapped anew, 2"));
    assert_eq!(succeeded(&run(data.path(), &["record", "verify"])).matches('✓').count(), 2);
    let key = elsewhere.path().join("agent.key");
    let me = ["me", "show", "--json", "--server", &server.url, "--key-file", key.to_str().unwrap()];
    let me: Value = serde_json::from_str(&succeeded(&run(data.path(), &me))).unwrap();
    assert_eq!(me["data"]["role"], "agent", "what was sealed before the rotation still opens");
    assert!(server.stop());
    assert!(!data.path().join("postgres/postmaster.pid").exists());

    // Also when no server runs.
    let verified = succeeded(&run(data.path(), &["record", "verify", "--org", "acme-ltd"]));
    assert!(verified.contains('✓'), "{verified}");
}

#[tokio::test]
async fn a_stop_loses_nothing_that_was_acknowledged() {
    let data = folder();
    let server = Server::start(data.path());
    let key = server.admin_key();
    let to = server.connect(&key);
    let busy = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        for number in 0.. {
            let name = format!("agent {number}");
            match create_agent(&to, &name).await {
                Some(201) => acknowledged.push(name),
                Some(429) => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => break,
            }
        }
        acknowledged
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    assert!(stopped.await.unwrap());
    let acknowledged = busy.await.unwrap();
    assert!(!acknowledged.is_empty());

    let server = Server::start(data.path());
    let kept = agents(&server.connect(&key)).await;
    assert!(acknowledged.iter().all(|name| kept.contains(name)), "{acknowledged:?}\n{kept:?}");
    assert!(server.stop());
}

#[tokio::test]
async fn crashes_of_either_process_are_recovered() {
    let data = folder();
    let server = Server::start(data.path());
    let key = server.admin_key();
    assert_eq!(create_agent(&server.connect(&key), "before").await, Some(201));
    server.crash();

    let server = Server::start(data.path());
    let to = server.connect(&key);
    assert_eq!(agents(&to).await, ["before"]);
    let pid = fs::read_to_string(data.path().join("postgres/postmaster.pid")).unwrap();
    let postmaster = Pid::from_raw(pid.lines().next().unwrap().parse().unwrap()).unwrap();
    kill_process(postmaster, Signal::KILL).unwrap();
    let until = Instant::now() + PATIENCE;
    while create_agent(&to, "after").await != Some(201) {
        assert!(Instant::now() < until, "it does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(agents(&to).await.contains(&"before".to_owned()));
    assert!(server.stop());
    assert!(succeeded(&run(data.path(), &["record", "verify"])).contains('✓'));
}

#[test]
fn a_lost_or_mistaken_key_file_is_refused_and_nothing_is_made() {
    let (data, other) = (folder(), folder());
    assert!(Server::start(data.path()).stop());
    assert!(Server::start(other.path()).stop());
    let (kek, others) = (data.path().join("chancery.kek"), other.path().join("chancery.kek"));
    let saved = fs::read(&kek).unwrap();

    fs::remove_file(&kek).unwrap();
    refused(&run(data.path(), &["serve"]), "restore it from its backup");
    refused(&run(data.path(), &["org", "create", "Acme"]), "restore it from its backup");
    assert!(!kek.exists());

    fs::copy(&others, &kek).unwrap();
    refused(&run(data.path(), &["serve"]), "made under another key file");

    fs::write(&kek, &saved).unwrap();
    fs::set_permissions(&kek, Permissions::from_mode(0o644)).unwrap();
    refused(&run(data.path(), &["serve"]), "chmod 600");
    fs::set_permissions(&kek, Permissions::from_mode(0o600)).unwrap();

    // As it was before a rotation: what was wrapped since does not open.
    succeeded(&run(data.path(), &["kek", "rotate"]));
    let rotated = fs::read(&kek).unwrap();
    fs::write(&kek, &saved).unwrap();
    refused(&run(data.path(), &["serve"]), "not the one this database was made with");
    fs::write(&kek, rotated).unwrap();
    assert!(Server::start(data.path()).stop());
}

#[test]
fn a_database_elsewhere_is_bound_to_its_key_file() {
    let (first, second, cluster) = (folder(), folder(), folder());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = chancery_store::embedded::EmbeddedOptions {
        data_dir: cluster.path().to_owned(),
        binaries: None,
        superuser_password: "elsewhere".into(),
        settings: vec![],
    };
    let postgres = runtime.block_on(chancery_store::embedded::Embedded::start(options)).unwrap();
    let socket = postgres.superuser().get_socket().unwrap().display().to_string().replace('/', "%2F");
    let url = format!("postgres://chancery_superuser:elsewhere@{socket}:5432/books");
    let serve = |data: &TempDir| {
        let mut command = command(data.path());
        command.arg("serve").env("DATABASE_URL", &url);
        command
    };
    let server = Server::spawn(&mut serve(&first));
    server.admin_key();
    assert!(server.stop());
    // Another data directory has no key file: none is made for a database that holds data.
    refused(&serve(&second).output().unwrap(), "restore it from its backup");
    let third = folder();
    assert!(Server::start(third.path()).stop());
    fs::copy(third.path().join("chancery.kek"), second.path().join("chancery.kek")).unwrap();
    refused(&serve(&second).output().unwrap(), "the key file belongs to the installation");
    // With the right one it is a second server's.
    fs::copy(first.path().join("chancery.kek"), second.path().join("chancery.kek")).unwrap();
    let (one, two) = (Server::spawn(&mut serve(&first)), Server::spawn(&mut serve(&second)));
    assert!(one.stop() && two.stop());
    runtime.block_on(postgres.stop()).unwrap();
}
