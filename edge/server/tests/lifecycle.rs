//! The life of a server, by its real binary on real Postgres: first start, a second one refused,
//! orderly stop, crashes, key files lost and mistaken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use chancery_model::IntentId;
use chancery_server::client::Connection;
use chancery_testkit::Client;
use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{Desk, World, refund};
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
    let key = server.admin_key();
    let elsewhere = folder();
    let export = server.line_with("export CHANCERY_KEY=");
    for number in 1..=5 {
        server.line_with(&format!("  {number}. "));
        let printed = server.line_with(BINARY);
        assert!(!printed.contains(&key), "everybody on the machine can read a program's arguments");
        let script = format!("{export}\n{printed}");
        let output = Command::new("sh").arg("-c").arg(script).current_dir(elsewhere.path()).output().unwrap();
        let told = succeeded(&output);
        assert_eq!(number == 5, told.contains("✓ verified"), "{told}");
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
    let another = succeeded(&run(data.path(), &["org", "admin-key", "acme-ltd", "--json"]));
    let another: Value = serde_json::from_str(&another).unwrap();
    let mut admin = Client::new(server.url.trim_start_matches("http://"), another["admin_key"].as_str());
    let me = admin.get("/api/v1/me").unwrap().data();
    assert_eq!((&me["role"], &me["principal"]["id"]), (&json!("admin"), &another["member"]));
    let newest = admin.get("/api/v1/record?limit=1").unwrap().data();
    let told = (&newest[0]["type"], &newest[0]["payload"]["actor"]["type"]);
    assert_eq!(told, (&json!("api_key.created"), &json!("installation")), "{newest}");
    refused(&run(data.path(), &["org", "admin-key", "nobody"]), "there is no organization `nobody`");
    assert!(server.stop());
    assert!(!data.path().join("postgres/postmaster.pid").exists());

    // Also when no server runs.
    let verified = succeeded(&run(data.path(), &["record", "verify", "--org", "acme-ltd"]));
    assert!(verified.starts_with("✓ acme-ltd: "), "{verified}");
    let told = succeeded(&run(data.path(), &["record", "verify", "--org", "acme-ltd", "--json"]));
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["slug"], &told["organization"]), (&json!("acme-ltd"), &another["id"]));
}

/// The intents that the record holds: id and hash of each, by number.
fn recorded_intents(admin: &mut Client) -> BTreeMap<u64, (String, String)> {
    let (mut intents, mut path) =
        (BTreeMap::new(), "/api/v1/record?type=intent.allowed&limit=1000".to_owned());
    loop {
        let page = admin.get(&path).unwrap().json();
        for entry in page["data"].as_array().unwrap() {
            let place = (support::text(entry, "/refs/intent"), support::text(entry, "/entry_hash"));
            intents.insert(entry["seq"].as_u64().unwrap(), place);
        }
        let Some(next) = page["page"]["next"].as_str() else { return intents };
        path = format!("/api/v1/record?type=intent.allowed&limit=1000&cursor={next}");
    }
}

#[test]
fn a_stop_loses_nothing_that_was_acknowledged() {
    let mut world = World::start();
    let mut admin = world.admin();
    let desk = Desk::open(&mut admin);
    let es256 = json!({"settings": {"token_algorithm": "ES256"}}).to_string();
    admin.send("PATCH", "/api/v1/organization", &[], Some(es256.as_bytes())).unwrap();
    let acknowledged = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (mut client, acknowledged) = (world.server.client(Some(&desk.key)), &acknowledged);
            scope.spawn(move || {
                // Until the server lets go of the connection.
                for number in 0.. {
                    let Ok(answer) = client.post("/api/v1/intents", &refund(thread * 1_000_000 + number))
                    else {
                        break;
                    };
                    // Whatever was taken in is carried out, also during the stop.
                    assert_eq!(answer.status, 200, "{}", answer.json());
                    let data = answer.data();
                    let place = (support::text(&data, "/id"), support::text(&data, "/record/entry_hash"));
                    acknowledged.lock().unwrap().insert(data["record"]["seq"].as_u64().unwrap(), place);
                }
            });
        }
        let until = Instant::now() + PATIENCE;
        while acknowledged.lock().unwrap().len() < 500 {
            assert!(Instant::now() < until, "the load does not get on");
            std::thread::yield_now();
        }
        assert!(world.server.terminate().unwrap());
    });

    // All that was acknowledged is there, and all that is there was acknowledged: nobody who was taken
    // in went away without an answer.
    let acknowledged = acknowledged.into_inner().unwrap();
    let server = world.options.start().unwrap();
    let kept = recorded_intents(&mut server.client(Some(&world.admin_key)));
    assert_eq!(kept, acknowledged);
}

/// The commands of a section's first block, each on one line, without what is said about them.
fn commands(readme: &str, section: &str) -> Vec<String> {
    let section = readme.split(&format!("## {section}\n")).nth(1).unwrap();
    let block = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let whole = block.replace("\\\n", " ");
    let said = |line: &str| line.split(" # ").next().unwrap().trim().to_owned();
    whole.lines().map(said).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_tour_of_the_readme_works_as_it_is_written() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let tour = commands(&readme, "A tour");
    assert_eq!(tour.len(), EXPECTED.len(), "{tour:#?}");
    let world = World::start();
    let elsewhere = folder();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", Path::new(BINARY).parent().unwrap().display());
    let perform = |before: &str, line: &str| {
        let script = format!("{before}\n{line}");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script])
            .current_dir(elsewhere.path())
            .env_clear()
            .env("PATH", &path)
            // Where the tour's server stands, instead of where one usually does.
            .env("CHANCERY_URL", format!("http://{}", world.server.address))
            .env("CHANCERY_DATA_DIR", &world.options.data_dir);
        shell.output().unwrap()
    };
    let key = tour[0].replace("chn_live_…", &world.admin_key);
    assert_ne!(key, tour[0], "the first line does not take the key");
    let mut told = vec![String::new()];
    let word = |told: &[String], line: usize, is_it: fn(&str) -> bool| {
        told.get(line).and_then(|told| told.split_whitespace().find(|word| is_it(word))).map(str::to_owned)
    };
    let filled = |told: &[String], line: &str| {
        let token = word(told, ALLOWED, |word| word.starts_with("eyJ"));
        let intent = word(told, ESCALATED, |word| word.parse::<IntentId>().is_ok());
        line.replace("eyJ…", &token.unwrap_or_default()).replace("0190…", &intent.unwrap_or_default())
    };
    for line in tour.iter().skip(1) {
        let output = perform(&key, &filled(&told, line));
        told.push(succeeded(&output));
    }
    for ((line, told), part) in tour.iter().zip(&told).zip(EXPECTED) {
        assert!(told.contains(part), "`{line}` told no `{part}`:\n{told}");
    }
    // What the comments say of the second time, and of a drill.
    let again = filled(&told, &tour[ALLOWED + 1]);
    refused(&perform(&key, &again), "token_replayed");
    succeeded(&perform(&key, "chancery emergency halt --reason drill"));
    refused(&perform(&key, &tour[ALLOWED]), "organization_halted");
    succeeded(&perform(&key, "chancery emergency resume --reason over"));
    succeeded(&perform(&key, &tour[ALLOWED]));
}

/// What each line of the README's tour tells.
const EXPECTED: &[&str] = &[
    "",
    "admin",
    "",
    "",
    "",
    "allow",
    "billing",
    "",
    "escalate",
    "payments.refund",
    "approved",
    "eyJ",
    "✓ verified",
    "token.used",
];
/// The lines that submit an intent which is allowed, and one that people have to agree to.
const ALLOWED: usize = 5;
const ESCALATED: usize = 8;

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
    let postmaster = || {
        let pid = fs::read_to_string(data.path().join("postgres/postmaster.pid")).ok()?;
        Pid::from_raw(pid.lines().next()?.parse().ok()?)
    };
    let killed = postmaster().unwrap();
    kill_process(killed, Signal::KILL).unwrap();
    let until = Instant::now() + PATIENCE;
    let is_back = async || {
        let ready = to.ask(Method::GET, "/readyz", None).await;
        postmaster().is_some_and(|now| now != killed) && ready.is_ok_and(|answer| answer.status == 200)
    };
    while !is_back().await {
        assert!(Instant::now() < until, "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(create_agent(&to, "after").await, Some(201));
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
