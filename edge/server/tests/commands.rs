//! The command line as a stranger to it uses it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::json;
use support::{World, folder, options};

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_folder_named_by_mistake_does_not_become_an_installation() {
    let folder = folder();
    let nowhere = folder.path().join("nowhere");
    for arguments in [
        &["trust", "export"][..],
        &["record", "verify"],
        &["kek", "rotate"],
        &["kek", "drop"],
        &["org", "admin-key", "default"],
    ] {
        let output = options(&nowhere).command(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?} succeeded: {}", words(&output));
        assert!(words(&output).contains("there is no installation in"), "{arguments:?}: {}", words(&output));
        assert!(!nowhere.exists(), "{arguments:?} made something");
    }
}

#[test]
fn every_list_lists_and_a_client_without_a_key_says_what_it_lacks() {
    let world = World::start();
    let server = format!("http://{}", world.server.address);
    let client = |arguments: &[&str], key: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.args(arguments).args(["--server", &server]).env_remove("CHANCERY_KEY");
        key.map(|key| command.env("CHANCERY_KEY", key));
        command.output().unwrap()
    };
    for things in [
        "agents",
        "keys",
        "delegations",
        "signing-keys",
        "members",
        "packs",
        "actions",
        "policies",
        "connectors",
        "intents",
        "record",
    ] {
        let output = client(&[things, "list"], Some(&world.admin_key));
        assert!(output.status.success(), "{things}: {}", words(&output));
    }
    let revoked =
        client(&["tokens", "revoke", "--all", "--reason", "restored from backup"], Some(&world.admin_key));
    assert!(revoked.status.success(), "{}", words(&revoked));
    let shown = client(&["emergency", "show"], Some(&world.admin_key));
    assert!(shown.status.success() && words(&shown).contains("connectors"), "{}", words(&shown));
    assert!(client(&["packs", "apply", "payments"], Some(&world.admin_key)).status.success());
    let policy = world.folder.path().join("policy.cedar");
    for (text, valid) in [("permit(principal, action, resource);", true), ("permit(principal, action", false)]
    {
        std::fs::write(&policy, text).unwrap();
        let output = client(&["policies", "check", &policy.to_string_lossy()], Some(&world.admin_key));
        assert_eq!(output.status.success(), valid, "{text}: {}", words(&output));
        assert_eq!(words(&output).contains("1:"), !valid, "{text}: {}", words(&output));
        assert_eq!(words(&output).contains("it is valid"), valid, "{text}: {}", words(&output));
    }
    let (definition, secret) =
        (world.folder.path().join("connector.json"), world.folder.path().join("secret.json"));
    std::fs::write(&definition, r#"{"base_url": "https://ledger.example.org", "operations": {}}"#).unwrap();
    let made = client(
        &["connectors", "create", "ledger", &definition.to_string_lossy(), "--json"],
        Some(&world.admin_key),
    );
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let id = support::text(&made, "/data/id");
    for (text, taken) in [("canary", false), (r#"{"kind": "bearer", "token": "canary"}"#, true)] {
        std::fs::write(&secret, text).unwrap();
        let written =
            client(&["connectors", "credential", &id, &secret.to_string_lossy()], Some(&world.admin_key));
        assert_eq!(written.status.success(), taken, "{}", words(&written));
        assert!(!words(&written).contains("canary"), "the client shows a secret: {}", words(&written));
    }
    for arguments in [
        &["connectors", "pause", &id, "--reason", "a drill"][..],
        &["connectors", "resume", &id, "--reason", "over"],
        &["connectors", "change", &id, "--name", "books"],
        &["connectors", "remove-credentials", &id],
        &["connectors", "show", &id],
        &["connectors", "retire", &id],
    ] {
        let output = client(arguments, Some(&world.admin_key));
        assert!(output.status.success(), "{arguments:?}: {}", words(&output));
    }
    let output = client(&["me", "show"], None);
    assert!(!output.status.success() && words(&output).contains("CHANCERY_KEY"), "{}", words(&output));
}

#[test]
fn the_connector_of_the_documents_fits_the_pack_of_the_tour() {
    let desk = Desk::open();
    desk.done(None, "packs apply payments");
    let documented = include_str!("../../../docs/connectors.md");
    let (_, example) = documented.split_once("```json\n").unwrap();
    let billing = desk.file("billing.json");
    std::fs::write(&billing, example.split_once("```").unwrap().0).unwrap();
    desk.done(None, &format!("connectors create billing {billing}"));
}

/// A payment gateway: it refunds what is called `good`, and fails at anything else. Ends with the process.
fn gateway() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut first, mut length) = (String::new(), 0);
            stream.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            let (status, body) = match first.as_str() {
                line if line.contains("/good/") => ("201 Created", r#"{"refund":"re_1"}"#),
                line if line.contains("/ping") => ("204 No Content", ""),
                _ => ("500 Internal Server Error", r#"{"error":"out of order"}"#),
            };
            let (of, length) = (stream.get_mut(), body.len());
            write!(of, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
                .unwrap();
        }
    });
    url
}

/// Commands of one installation, with key files beside each other.
struct Desk {
    world: World,
    server: String,
}

impl Desk {
    fn open() -> Self {
        let world = World::start_with(|mut options| {
            for name in ["CHANCERY_EGRESS__ALLOW", "CHANCERY_EGRESS__ALLOW_PLAIN_HTTP"] {
                options.environment.push((name.to_owned(), "127.0.0.1".to_owned()));
            }
            options
        });
        let server = format!("http://{}", world.server.address);
        Self { world, server }
    }

    fn file(&self, name: &str) -> String {
        self.world.folder.path().join(name).display().to_string()
    }

    /// Runs a command with the founder's key, or with the one in a file.
    fn run(&self, who: Option<&str>, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.args(line.split(' ')).args(["--server", &self.server]);
        command.env("CHANCERY_KEY", &self.world.admin_key);
        who.map(|name| command.args(["--key-file", &self.file(name)]));
        command.output().unwrap()
    }

    #[track_caller]
    fn done(&self, who: Option<&str>, line: &str) -> String {
        let output = self.run(who, line);
        assert!(output.status.success(), "{line}: {}", words(&output));
        words(&output)
    }

    #[track_caller]
    fn fails(&self, who: Option<&str>, line: &str, said: &str) -> String {
        let output = self.run(who, line);
        assert_eq!(output.status.code(), Some(1), "{line}: {}", words(&output));
        assert!(words(&output).contains(said), "{line}: {}", words(&output));
        words(&output)
    }

    #[track_caller]
    fn id(&self, who: Option<&str>, line: &str) -> String {
        let answer = self.done(who, &format!("{line} --json"));
        support::text(&serde_json::from_str(&answer).unwrap(), "/data/id")
    }

    /// People, an agent, and a gateway that can be called; gives the connector's id.
    fn furnish(&self) -> String {
        self.done(None, "packs apply payments");
        let (olga, ada, bot) = (self.file("olga.key"), self.file("ada.key"), self.file("bot.key"));
        let scopes = "agents:manage,keys:manage,intents:submit,intents:read,tokens:verify";
        self.done(
            None,
            &format!("members create Olga --email o@example.org --role operator --save-key {olga} --scope {scopes} --audience billing"),
        );
        let scopes = "approvals:read,approvals:decide";
        self.done(
            None,
            &format!(
                "members create Ada --email a@example.org --role approver --save-key {ada} --scope {scopes}"
            ),
        );
        self.done(Some("olga.key"), &format!("agents create Bot --save-key {bot} --audience billing"));
        let definition = json!({
            "base_url": gateway(), "test": {"method": "GET", "path": "/ping"},
            "operations": {"payments.refund": {
                "method": "POST", "path": "/payments/{resource.id}/refunds", "body": "arguments",
            }},
        });
        std::fs::write(self.file("billing.json"), definition.to_string()).unwrap();
        std::fs::write(self.file("secret.json"), r#"{"kind": "bearer", "token": "canary"}"#).unwrap();
        let id = self.id(None, &format!("connectors create billing {}", self.file("billing.json")));
        self.done(None, &format!("connectors credential {id} {}", self.file("secret.json")));
        id
    }
}

fn refund(payment: &str, amount: u32) -> String {
    format!(
        "intents submit payments.refund Payment/{payment} --arg amount={amount} --arg currency=EUR \
         --arg reason=duplicate --connector billing"
    )
}

#[test]
fn an_escalated_intent_is_approved_and_executed() {
    let desk = Desk::open();
    desk.furnish();
    let (bot, ada) = (Some("bot.key"), Some("ada.key"));
    let intent = desk.id(bot, &refund("good", 400));
    assert!(desk.done(ada, "approvals list").contains(&intent));
    let asked = desk.done(ada, &format!("approvals show {intent}"));
    for said in
        ["with      amount = 400", "on        Payment/good", "needed    1 × approver", "through   billing"]
    {
        assert!(asked.contains(said), "no `{said}` in {asked}");
    }
    desk.fails(bot, &format!("intents execute {intent}"), "approval_pending");
    desk.fails(None, &format!("approvals approve {intent} --reason mine"), "self_approval");
    desk.done(ada, &format!("approvals approve {intent} --reason checked"));
    desk.fails(ada, &format!("approvals withdraw {intent} --reason no"), "approval_ended");
    let waited = desk.done(bot, &format!("intents show {intent} --wait 5"));
    assert!(
        waited.contains("people    approved, until ") && waited.contains("answer    approve by "),
        "{waited}"
    );
    assert!(desk.done(ada, &format!("approvals show {intent}")).contains("stands    approved, until "));
    let done = desk.done(bot, &format!("intents execute {intent}"));
    for said in
        ["allow  intent ", "call      succeeded, HTTP 201 through billing", r#"came back {"refund":"re_1"}"#]
    {
        assert!(done.contains(said), "no `{said}` in {done}");
    }
    let shown = desk.done(bot, &format!("intents show {intent}"));
    for said in ["call      succeeded, HTTP 201", "people    approved, executed at "] {
        assert!(shown.contains(said), "no `{said}` in {shown}");
    }
    assert!(desk.done(ada, "approvals list --ended").contains("execution"));
    let evidence = desk.file("evidence.json");
    let saved = desk.run(bot, &format!("{} --json --save-evidence {evidence}", refund("good", 40)));
    let told: serde_json::Value = serde_json::from_slice(&saved.stdout).unwrap();
    assert_eq!(support::text(&told, "/data/status"), "allowed");
    assert!(std::fs::read_to_string(&evidence).unwrap().contains("checkpoint"));

    let rejected = desk.id(bot, &refund("good", 400));
    desk.done(ada, &format!("approvals reject {rejected} --reason twice"));
    desk.fails(bot, &format!("intents execute {rejected}"), "approval_ended");
    desk.fails(bot, &format!("{} --execute", refund("good", 400)), "nothing was called");
    assert!(desk.done(bot, &format!("{} --execute", refund("good", 40))).contains("call      succeeded"));

    let once = |amount| format!("{} --execute --idempotency-key monday", refund("good", amount));
    let first = desk.id(bot, &once(40));
    assert_eq!(desk.id(bot, &once(40)), first, "it is one intent, however often it is sent");
    desk.fails(bot, &once(41), "idempotency_conflict");
    desk.fails(bot, &format!("{} --arg amount=4", refund("good", 40)), "`--arg amount` stands twice");
}

#[test]
fn a_call_that_fails_is_told_and_a_connectors_breaker_is_shown_and_reset() {
    let desk = Desk::open();
    let connector = desk.furnish();
    assert!(desk.done(None, &format!("connectors test {connector}")).contains("works"));
    desk.done(None, &format!("connectors reset {connector} --reason drill"));
    for _ in 0..5 {
        let told =
            desk.fails(Some("bot.key"), &format!("{} --execute", refund("ill", 40)), "execution_failed");
        assert!(told.contains("call      failed, HTTP 500, failed_in_system through billing"), "{told}");
        assert!(told.contains("out of order"), "{told}");
    }
    desk.fails(Some("bot.key"), &format!("{} --execute", refund("good", 40)), "connector_unavailable");
    let shown = desk.done(None, &format!("connectors show {connector}"));
    assert!(shown.contains("breaker   open at http://127.0.0.1:") && shown.contains("failures 5"), "{shown}");
    assert!(shown.contains("key       bearer, current") && !shown.contains("canary"), "{shown}");
    desk.done(None, &format!("connectors reset {connector} --reason mended"));
    assert!(!desk.done(None, &format!("connectors show {connector}")).contains("breaker"));
    assert!(desk.done(Some("bot.key"), &format!("{} --execute", refund("good", 40))).contains("succeeded"));
}
