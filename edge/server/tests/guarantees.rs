//! What the server promises, shown from outside on two servers over one database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use chancery_crypto::Custody;
use chancery_evidence::Hex;
use chancery_testkit::{Answer, Client};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{CLUSTER_PASSWORD, Desk, Twins, World, found_with, key_of, redemption, refund, text};

#[test]
fn a_revoke_holds_on_the_next_request_at_every_server() {
    let twins = Twins::start();
    let mut admin = twins.admin(0);
    for round in 0..20 {
        let key = key_of(&mut admin, ("agent", &twins.desk.agent), &["intents:submit", "intents:read"], &[]);
        let mut elsewhere = twins.client(1, &key);
        // Cached there.
        assert_eq!(elsewhere.post("/api/v1/intents", &refund(round)).unwrap().status, 200);
        let id = text(&elsewhere.get("/api/v1/me").unwrap().data(), "/key/id");
        admin.made(&format!("/api/v1/api-keys/{id}/revoke"), &json!({"reason": "test"})).unwrap();
        let answer = match round % 3 {
            0 => elsewhere.post("/api/v1/intents", &refund(round)).unwrap(),
            1 => elsewhere.get("/api/v1/intents").unwrap(),
            _ => elsewhere.get("/api/v1/me").unwrap(),
        };
        assert_eq!((answer.status, answer.code().as_str()), (401, "api_key_invalid"), "round {round}");
    }
    twins.stop();
}

#[test]
fn a_policy_a_halt_and_a_revoked_token_hold_at_every_server() {
    let twins = Twins::start();
    let mut admin = twins.admin(0);
    let mut elsewhere = twins.client(1, &twins.desk.key);
    assert_eq!(elsewhere.post("/api/v1/intents", &refund(1)).unwrap().status, 200);
    let text_of = "@message(\"closed\") forbid(principal, action == Action::\"payments.refund\", resource);";
    let policy = admin.made("/api/v1/policies", &json!({"name": "closed", "text": text_of})).unwrap();
    let id = text(&policy, "/id");
    admin.made(&format!("/api/v1/policies/{id}/activate"), &json!({"version": 1})).unwrap();
    let answer = elsewhere.post("/api/v1/intents", &refund(2)).unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (403, "intent_denied"));
    assert!(answer.json().to_string().contains("closed"), "the reason is not told");
    admin.made(&format!("/api/v1/policies/{id}/withdraw"), &json!({})).unwrap();
    let token = twins.token(3);
    let jti = text(&admin.get("/api/v1/intents?limit=1").unwrap().data(), "/0/id");
    let jti = text(&admin.get(&format!("/api/v1/intents/{jti}")).unwrap().data(), "/token/jti");
    admin.made("/api/v1/tokens/revoke", &json!({"kind": "token", "id": jti, "reason": "test"})).unwrap();
    let answer =
        twins.client(1, &twins.desk.redeemer).post("/api/v1/tokens/verify", &redemption(3, &token)).unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (403, "token_revoked"));
    admin.made("/api/v1/emergency/halt", &json!({"reason": "test"})).unwrap();
    let answer = elsewhere.post("/api/v1/intents", &refund(4)).unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (403, "organization_halted"));
    twins.stop();
}

/// The database's ends of the connections on which the servers hear of changes, held: the connections
/// stay open and nothing arrives.
struct Deaf(Vec<Pid>);

impl Deaf {
    fn make(twins: &Twins) -> Self {
        let mut superuser = twins.superuser();
        let listening =
            "SELECT pid FROM pg_stat_activity WHERE usename = 'chancery_worker' AND query LIKE 'LISTEN %'";
        let until = Instant::now() + Duration::from_secs(20);
        let mut held: Vec<i32> = Vec::new();
        while held.len() < twins.servers.len() {
            assert!(Instant::now() < until, "the servers do not listen: {held:?}");
            held = twins.runtime.block_on(sqlx::query_scalar(listening).fetch_all(&mut superuser)).unwrap();
        }
        let held: Vec<Pid> = held.into_iter().map(|pid| Pid::from_raw(pid).unwrap()).collect();
        held.iter().for_each(|pid| kill_process(*pid, Signal::STOP).unwrap());
        Self(held)
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.json());
}

#[test]
fn a_server_that_hears_of_no_change_acts_on_none_that_is_out_of_date() {
    let twins = Twins::start();
    let mut admin = twins.admin(0);
    let mut elsewhere = twins.client(1, &twins.desk.key);
    let mut redeemer = twins.client(1, &twins.desk.redeemer);
    let submit =
        |client: &mut Client, number: usize| client.post("/api/v1/intents", &refund(number)).unwrap();
    let redeem = |client: &mut Client, number: usize, token: &str| {
        client.post("/api/v1/tokens/verify", &redemption(number, token)).unwrap()
    };
    let forbid = "forbid(principal, action == Action::\"payments.refund\", resource);";
    let policy = admin.made("/api/v1/policies", &json!({"name": "closed", "text": forbid})).unwrap();
    let policy = format!("/api/v1/policies/{}", text(&policy, "/id"));
    let deaf = Deaf::make(&twins);
    for round in 0..5 {
        // All that the second server needs is cached there, before each change at the first.
        let known = |redeemer: &mut Client, elsewhere: &mut Client, number: usize| {
            let answer = submit(elsewhere, number);
            assert_eq!(answer.status, 200, "{}", answer.json());
            assert_eq!(redeem(redeemer, number, &text(&answer.data(), "/token")).status, 200);
        };
        let number = 100 * round;

        let key = key_of(&mut admin, ("agent", &twins.desk.agent), &["intents:submit", "intents:read"], &[]);
        let mut holder = twins.client(1, &key);
        let id = text(&holder.get("/api/v1/me").unwrap().data(), "/key/id");
        assert_eq!(submit(&mut holder, number).status, 200);
        admin.made(&format!("/api/v1/api-keys/{id}/revoke"), &json!({"reason": "test"})).unwrap();
        refused(&submit(&mut holder, number), 401, "api_key_invalid");

        known(&mut redeemer, &mut elsewhere, number + 1);
        admin.made(&format!("{policy}/activate"), &json!({"version": 1})).unwrap();
        refused(&submit(&mut elsewhere, number + 2), 403, "intent_denied");
        admin.made(&format!("{policy}/withdraw"), &json!({})).unwrap();

        known(&mut redeemer, &mut elsewhere, number + 3);
        let made = submit(&mut elsewhere, number + 4).data();
        let shown = admin.get(&format!("/api/v1/intents/{}", text(&made, "/id"))).unwrap().data();
        let token = json!({"kind": "token", "id": shown["token"]["jti"], "reason": "test"});
        admin.made("/api/v1/tokens/revoke", &token).unwrap();
        refused(&redeem(&mut redeemer, number + 4, &text(&made, "/token")), 403, "token_revoked");

        known(&mut redeemer, &mut elsewhere, number + 5);
        let token = text(&submit(&mut elsewhere, number + 6).data(), "/token");
        admin.made("/api/v1/signing-keys/rotate", &json!({"immediately": true})).unwrap();
        let keys = admin.get("/api/v1/signing-keys").unwrap().data();
        let stolen = keys.as_array().unwrap().iter().find(|key| key["state"] == "previous").unwrap();
        let retire = format!("/api/v1/signing-keys/{}/retire", text(stolen, "/id"));
        admin.made(&retire, &json!({"compromised": "test"})).unwrap();
        refused(&redeem(&mut redeemer, number + 6, &token), 403, "token_invalid");

        known(&mut redeemer, &mut elsewhere, number + 7);
        let token = text(&submit(&mut elsewhere, number + 8).data(), "/token");
        admin.made("/api/v1/emergency/halt", &json!({"reason": "test"})).unwrap();
        // One server is asked for one thing and the other for another: each is the next action there.
        if round % 2 == 0 {
            refused(&submit(&mut elsewhere, number + 9), 403, "organization_halted");
        }
        refused(&redeem(&mut redeemer, number + 8, &token), 403, "organization_halted");
        admin.made("/api/v1/emergency/resume", &json!({"reason": "test"})).unwrap();
        assert_eq!(redeem(&mut redeemer, number + 8, &token).status, 200);
    }
    drop(deaf);
    twins.stop();
}

#[test]
fn a_pause_and_an_environments_halt_hold_at_a_server_that_hears_of_nothing() {
    let twins = Twins::start();
    let mut admin = twins.admin(0);
    let mut elsewhere = twins.client(1, &twins.desk.key);
    let mut redeemer = twins.client(1, &twins.desk.redeemer);
    let mut submit = |number: usize| elsewhere.post("/api/v1/intents", &refund(number)).unwrap();
    let mut redeem = |number: usize, token: &str| {
        redeemer.post("/api/v1/tokens/verify", &redemption(number, token)).unwrap()
    };
    // `billing` is a name that no connector has, and works as such.
    let unregistered = text(&submit(1).data(), "/token");
    assert_eq!(redeem(1, &unregistered).status, 200);
    let definition = json!({"base_url": "https://billing.example.org", "operations": {}});
    let made =
        admin.made("/api/v1/connectors", &json!({"name": "billing", "definition": definition})).unwrap();
    let connector = format!("/api/v1/connectors/{}", text(&made, "/id"));
    let reason = json!({"reason": "a drill"});
    let of_test = json!({"reason": "a drill", "environment": "test"});
    let of_live = json!({"reason": "a drill", "environment": "live"});
    let deaf = Deaf::make(&twins);
    for number in [10, 20] {
        let token = text(&submit(number).data(), "/token");
        admin.made(&format!("{connector}/pause"), &reason).unwrap();
        // One server is asked for one thing and the other for another: each is the next action there.
        if number == 10 {
            refused(&submit(number + 1), 403, "connector_paused");
        }
        refused(&redeem(number, &token), 403, "connector_paused");
        refused(&submit(number + 1), 403, "connector_paused");
        admin.made(&format!("{connector}/resume"), &reason).unwrap();
        if number == 10 {
            assert_eq!(submit(number + 1).status, 200);
        }
        assert_eq!(redeem(number, &token).status, 200, "a refusal had consumed the token");

        let token = text(&submit(number + 2).data(), "/token");
        admin.made("/api/v1/emergency/halt", &of_test).unwrap();
        assert_eq!(submit(number + 3).status, 200, "another environment is halted");
        admin.made("/api/v1/emergency/halt", &of_live).unwrap();
        if number == 10 {
            refused(&submit(number + 4), 403, "environment_halted");
        }
        refused(&redeem(number + 2, &token), 403, "environment_halted");
        let state = admin.get("/api/v1/emergency").unwrap().data();
        assert_eq!(state["halted"], json!(false));
        assert_eq!(state["environments"].as_array().unwrap().len(), 2, "{state}");
        refused(&admin.post("/api/v1/emergency/halt", &of_live).unwrap(), 409, "halt_unchanged");
        // Both at once: the organization's is told, and ends by itself.
        admin.made("/api/v1/emergency/halt", &reason).unwrap();
        refused(&submit(number + 4), 403, "organization_halted");
        admin.made("/api/v1/emergency/resume", &reason).unwrap();
        refused(&submit(number + 4), 403, "environment_halted");
        admin.made("/api/v1/emergency/resume", &of_live).unwrap();
        assert_eq!(redeem(number + 2, &token).status, 200);
        admin.made("/api/v1/emergency/resume", &of_test).unwrap();
        refused(&admin.post("/api/v1/emergency/resume", &of_test).unwrap(), 409, "halt_unchanged");
    }
    let tokens = [30, 31].map(|number| text(&submit(number).data(), "/token"));
    let agent = json!({"kind": "agent", "id": twins.desk.agent, "reason": "it runs wild"});
    admin.made("/api/v1/tokens/revoke", &agent).unwrap();
    refused(&redeem(30, &tokens[0]), 403, "token_revoked");
    admin.made(&format!("{connector}/retire"), &json!({})).unwrap();
    refused(&submit(32), 403, "connector_paused");
    drop(deaf);
    twins.stop();
}

#[test]
fn of_many_redemptions_at_two_servers_one_succeeds() {
    let twins = Arc::new(Twins::start());
    for number in 0..10 {
        let token = twins.token(number);
        let tries: Vec<_> = (0..16)
            .map(|attempt| {
                let (mut client, body) =
                    (twins.client(attempt % 2, &twins.desk.redeemer), redemption(number, &token));
                thread::spawn(move || client.post("/api/v1/tokens/verify", &body).unwrap())
            })
            .collect();
        let answers: Vec<_> = tries.into_iter().map(|attempt| attempt.join().unwrap()).collect();
        let good = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(good, 1, "token {number}");
        let refused = answers.iter().filter(|answer| answer.status != 200);
        assert!(
            refused.clone().all(|answer| answer.code() == "token_replayed"),
            "{:?}",
            refused.collect::<Vec<_>>()
        );
    }
    Arc::into_inner(twins).unwrap().stop();
}

#[test]
fn a_token_is_for_this_action_audience_environment_and_organization() {
    let twins = Twins::start();
    let mut admin = twins.admin(0);
    let mut redeemer = twins.client(0, &twins.desk.redeemer);
    let token = twins.token(1);
    let mut changed = redemption(1, &token);
    changed["arguments"]["amount"] = json!(41);
    let invalid = |answer: Answer| {
        assert_eq!((answer.status, answer.code().as_str()), (403, "token_invalid"), "{}", answer.json());
    };
    invalid(redeemer.post("/api/v1/tokens/verify", &changed).unwrap());
    let other_audience = key_of(&mut admin, ("agent", &twins.desk.agent), &["tokens:verify"], &["shipping"]);
    invalid(twins.client(0, &other_audience).post("/api/v1/tokens/verify", &redemption(1, &token)).unwrap());
    let test_key = json!({"name": "t", "holder": {"type": "agent", "id": twins.desk.agent}, "environment": "test",
                          "scopes": ["tokens:verify", "intents:submit"], "audiences": ["billing"]});
    let test_key = text(&admin.made("/api/v1/api-keys", &test_key).unwrap(), "/secret");
    let mut test = twins.client(0, &test_key);
    invalid(test.post("/api/v1/tokens/verify", &redemption(1, &token)).unwrap());
    let rehearsed = text(&test.made("/api/v1/intents", &refund(2)).unwrap(), "/token");
    invalid(redeemer.post("/api/v1/tokens/verify", &redemption(2, &rehearsed)).unwrap());
    // Another organization, whose connector has the same name.
    let mut stranger = twins.client(1, &found_with(&twins.options[1], "Elsewhere"));
    let desk = Desk::open(&mut stranger);
    let theirs = text(&twins.client(1, &desk.key).made("/api/v1/intents", &refund(1)).unwrap(), "/token");
    let mut other = twins.client(0, &desk.redeemer);
    invalid(other.post("/api/v1/tokens/verify", &redemption(1, &token)).unwrap());
    invalid(redeemer.post("/api/v1/tokens/verify", &redemption(1, &theirs)).unwrap());
    // None of these consumed anything.
    assert_eq!(other.post("/api/v1/tokens/verify", &redemption(1, &theirs)).unwrap().status, 200);
    assert_eq!(redeemer.post("/api/v1/tokens/verify", &redemption(1, &token)).unwrap().status, 200);
    assert_eq!(test.post("/api/v1/tokens/verify", &redemption(2, &rehearsed)).unwrap().status, 200);
    twins.stop();
}

#[test]
fn one_idempotency_key_is_one_intent_and_one_answer() {
    let twins = Arc::new(Twins::start());
    let send = |twins: &Twins, server: usize, key: &str, number: usize| {
        let body = refund(number).to_string();
        twins
            .client(server, &twins.desk.key)
            .send("POST", "/api/v1/intents", &[("idempotency-key", key)], Some(body.as_bytes()))
            .unwrap()
    };
    let tries: Vec<_> = (0..12)
        .map(|attempt| {
            let twins = Arc::clone(&twins);
            thread::spawn(move || send(&twins, attempt % 2, "same", 1))
        })
        .collect();
    let answers: Vec<_> = tries.into_iter().map(|attempt| attempt.join().unwrap()).collect();
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.json());
        assert_eq!(answer.data(), answers[0].data());
    }
    let conflict = send(&twins, 0, "same", 2);
    assert_eq!((conflict.status, conflict.code().as_str()), (409, "idempotency_conflict"));
    let listed = twins.admin(0).get("/api/v1/intents").unwrap().data();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    Arc::into_inner(twins).unwrap().stop();
}

/// A word that is sealed wherever it is kept.
const SEALED: &str = "canary7f3a9c51";
/// A word that users say where nothing is sealed: in names, paths, headers and texts that do not read.
const SAID: &str = "canary2be84d06";

/// Requests of every kind that fail, all of them holding the words; gives what was answered.
fn mistakes(twins: &Twins, token: &str) -> Vec<String> {
    let mut answers = Vec::new();
    for server in [0, 1] {
        raw(&twins.servers[server].address, format!("{SAID}\r\n\r\n").as_bytes());
        let mut admin = twins.admin(server);
        let mut redeemer = twins.client(server, &twins.desk.redeemer);
        let said = |client: &mut Client, method: &str, path: &str, body: &str| {
            let headers = [("idempotency-key", SAID), ("user-agent", SAID), ("cookie", SAID)];
            client.send(method, path, &headers, Some(body.as_bytes())).unwrap()
        };
        let agents = "/api/v1/agents";
        let mut altered = redemption(1, token);
        altered["arguments"]["reason"] = json!(SAID);
        let replayed = redemption(1, token).to_string();
        let intent = json!({"action": SAID, "resource": {"type": SAID, "id": SAID}}).to_string();
        let policy = json!({"name": SAID, "text": format!("permit({SAID}")}).to_string();
        answers.extend([
            said(&mut admin, "POST", agents, &format!("{{\"name\": \"{SAID}")),
            said(&mut admin, "POST", agents, &json!({"name": "a", SAID: SEALED}).to_string()),
            said(&mut admin, "GET", &format!("{agents}/{SAID}?{SAID}={SAID}"), ""),
            said(&mut admin, SAID, &format!("/{SAID}"), ""),
            said(&mut admin, "POST", "/api/v1/policies", &policy),
            said(&mut twins.client(server, &twins.desk.key), "POST", "/api/v1/intents", &intent),
            said(&mut twins.client(server, &format!("chn_live_{SAID}")), "GET", "/api/v1/me", ""),
            said(&mut twins.client(server, &twins.desk.key), "GET", "/api/v1/record", ""),
            said(&mut redeemer, "POST", "/api/v1/tokens/verify", &altered.to_string()),
            said(&mut redeemer, "POST", "/api/v1/tokens/verify", &replayed),
            said(
                &mut redeemer,
                "POST",
                "/api/v1/tokens/verify",
                &json!({"token": SAID, "intent_hash": "00".repeat(32)}).to_string(),
            ),
        ]);
    }
    answers.iter().for_each(|answer| assert!(answer.status >= 400, "{} {}", answer.status, answer.json()));
    answers.into_iter().map(|answer| String::from_utf8(answer.body).unwrap()).collect()
}

/// Writes credentials of every kind that hold the word, good ones and bad ones, and nothing tells it again.
fn credentials(admin: &mut Client) {
    let definition = json!({"base_url": "https://ledger.example.org", "operations": {}});
    let ledger =
        admin.made("/api/v1/connectors", &json!({"name": "ledger", "definition": definition})).unwrap();
    let ledger = format!("/api/v1/connectors/{}", text(&ledger, "/id"));
    let mut told = Vec::new();
    for credential in [
        json!({"kind": "basic", "username": "u", "password": SEALED, "overlap_seconds": 60}),
        json!({"kind": "header", "name": "x-key", "value": SEALED, "overlap_seconds": 60}),
        json!({"kind": "oauth2_client_credentials", "token_url": "https://id.example.org/token", "client_id": "c",
               "client_secret": SEALED, "overlap_seconds": 60}),
        json!({"kind": "bearer", "token": SEALED, "overlap_seconds": 60}),
        json!({"kind": "bearer", "token": SEALED, "password": SEALED}),
        json!({"kind": "bearer", "token": format!("{SEALED}\n")}),
        json!({"kind": "other", "token": SEALED}),
    ] {
        told.push(admin.post(&format!("{ledger}/credentials"), &credential).unwrap().body);
    }
    told.push(admin.get(&ledger).unwrap().body);
    told.push(admin.get("/api/v1/record?limit=5").unwrap().body);
    let told = told.into_iter().map(|body| String::from_utf8(body).unwrap()).collect::<Vec<_>>().join("\n");
    assert!(told.contains("connector.credential_written") && told.contains("previous"), "{told}");
    assert!(!told.contains(SEALED) && !told.contains(&hex(SEALED)), "a credential comes back: {told}");
}

fn dump(twins: &Twins) -> String {
    let login = twins.postgres.superuser();
    let dump = Command::new(twins.postgres.binary("pg_dump"))
        .args(["--host", &login.get_socket().unwrap().display().to_string()])
        .args(["--port", &login.get_port().to_string(), "--username", login.get_username(), "chancery"])
        .env("PGPASSWORD", CLUSTER_PASSWORD)
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let dump = String::from_utf8(dump.stdout).unwrap();
    assert!(dump.contains("payments.refund"), "the dump does not hold what it should");
    dump
}

/// Text of any length in hex.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| Hex([byte]).to_string()).collect()
}

/// What the installation keeps secret: the lines of the key file that are keys, and a login's password.
fn secrets_of_the_installation(twins: &Twins) -> Vec<String> {
    let path = twins.folder.path().join("chancery.kek");
    let file = std::fs::read_to_string(&path).unwrap();
    let lines =
        file.lines().filter(|line| line.starts_with("key") || line.starts_with("installation_secret"));
    let mut secrets: Vec<String> = lines.map(|line| line.split('"').nth(1).unwrap().to_owned()).collect();
    assert_eq!(secrets.len(), 2, "{secrets:?}");
    let custody = Custody::load(&path).unwrap();
    secrets.extend(
        ["app", "appender", "worker"]
            .map(|role| Hex(*custody.derive(&format!("postgres/chancery_{role}"))).to_string()),
    );
    secrets
}

#[test]
fn a_dump_a_log_meters_and_answers_hold_no_secret() {
    let twins = Twins::start_with(|folder, options| {
        let name = options.data_dir.file_name().unwrap().to_string_lossy().into_owned();
        options.logging_to(&folder.join(format!("{name}.log")), "debug")
    });
    let mut admin = twins.admin(0);
    let person =
        json!({"name": format!("Name {SEALED}"), "email": format!("{SEALED}@example.org"), "role": "viewer"});
    admin.made("/api/v1/members", &person).unwrap();
    let mut intent = refund(1);
    intent["arguments"]["note"] = json!(format!("note {SEALED}"));
    let noted = twins.client(0, &twins.desk.key).made("/api/v1/intents", &intent).unwrap();
    let mut denied = refund(2);
    denied["arguments"]["amount"] = json!(99_999);
    denied["arguments"]["note"] = json!(format!("note {SEALED}"));
    let denied = twins.client(1, &twins.desk.key).post("/api/v1/intents", &denied).unwrap();
    assert_eq!(denied.status, 403);
    credentials(&mut admin);
    let used = twins.token(1);
    let body = redemption(1, &used);
    assert_eq!(
        twins.client(1, &twins.desk.redeemer).post("/api/v1/tokens/verify", &body).unwrap().status,
        200
    );
    let mut answers = mistakes(&twins, &used);
    answers.push(String::from_utf8(denied.body).unwrap());

    let read = |name: &str| std::fs::read_to_string(twins.folder.path().join(name)).unwrap();
    let meters = |server: usize| {
        String::from_utf8(twins.servers[server].client(None).get("/metrics").unwrap().body).unwrap()
    };
    let logs = [read("one.log"), read("two.log")];
    for log in &logs {
        assert!(
            log.contains("DEBUG") && log.contains("/api/v1/agents/{id}"),
            "the log does not tell what it should"
        );
    }
    let places = [
        ("dump", dump(&twins)),
        ("database's log", read("cluster/postgres.log")),
        ("first log", logs[0].clone()),
        ("second log", logs[1].clone()),
        ("first meters", meters(0)),
        ("second meters", meters(1)),
        ("answers", answers.join("\n")),
    ];
    let secret = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    let mut secrets = secrets_of_the_installation(&twins);
    secrets.extend([&twins.admin_key, &twins.desk.key, &twins.desk.redeemer].map(Clone::clone));
    secrets.extend([secret(&used), secret(&text(&noted, "/token")), CLUSTER_PASSWORD.to_owned()]);
    for (place, content) in &places {
        // Whoever said it may be told it again.
        let sealed = (*place != "answers").then_some(SEALED);
        for secret in secrets.iter().map(String::as_str).chain(sealed) {
            assert!(!content.contains(secret), "the {place} holds `{secret}`");
            assert!(!content.contains(&hex(secret)), "the {place} holds `{secret}` in hex");
        }
        if place.contains("log") || place.contains("meters") {
            let line = content.to_lowercase().lines().find(|line| line.contains(SAID)).map(str::to_owned);
            assert_eq!(line, None, "the {place} holds what a user said");
        }
    }
    twins.stop();
}

/// Sends bytes as they are and reads until the server closes.
fn raw(address: &str, message: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(message).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_body_that_is_too_large_or_does_not_arrive_is_refused_over_the_wire() {
    let world = World::start_with(|options| {
        options
            .with("CHANCERY_SERVER__REQUEST_TIMEOUT_MS", "600")
            .with("CHANCERY_SERVER__BODY_LIMIT_BYTES", "1024")
    });
    let post = |headers: &str, body: &str| {
        let (address, key) = (&world.server.address, &world.admin_key);
        let head = format!(
            "POST /api/v1/agents HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
             content-type: application/json\r\n{headers}\r\n\r\n{body}"
        );
        raw(address, head.as_bytes())
    };
    let begins_with = |answer: &str, status: u16, code: &str| {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(code), "{answer}");
    };
    let large = format!("{{\"name\": \"{}\"}}", "a".repeat(1024));
    begins_with(&post(&format!("content-length: {}", large.len()), ""), 413, "\"body_too_large\"");
    let chunked = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    begins_with(&post("transfer-encoding: chunked", &chunked), 413, "\"body_too_large\"");
    begins_with(&post("content-length: 14", "{\"name\":"), 408, "\"request_timeout\"");
    begins_with(&post("content-length: 14", "{\"name\": \"a1\"}"), 201, "\"a1\"");
    let agents = world.admin().get("/api/v1/agents").unwrap().data();
    assert_eq!(agents.as_array().unwrap().len(), 1, "{agents}");
}

#[test]
fn what_the_database_refuses_fails_alone() {
    let twins = Arc::new(Twins::start());
    // A rule that one of many concurrent intents breaks, as a defect of ours or of the database would.
    twins.runtime.block_on(async {
        use sqlx::Connection as _;
        let mut superuser =
            sqlx::postgres::PgConnection::connect_with(&twins.postgres.superuser().database("chancery")).await.unwrap();
        let rule = "ALTER TABLE intents ADD CONSTRAINT poison CHECK (resource_type <> 'Payment' OR action <> 'payments.read')";
        sqlx::query(rule).execute(&mut superuser).await.unwrap();
    });
    let poisoned = json!({"action": "payments.read", "resource": {"type": "Payment", "id": "p"}});
    let tries: Vec<_> = (0..60)
        .map(|number| {
            let mut client = twins.client(0, &twins.desk.key);
            let body: Value = if number % 10 == 0 { poisoned.clone() } else { refund(number) };
            thread::spawn(move || (number, client.post("/api/v1/intents", &body).unwrap().status))
        })
        .collect();
    for attempt in tries {
        let (number, status) = attempt.join().unwrap();
        assert_eq!(status, if number % 10 == 0 { 500 } else { 200 }, "request {number}");
    }
    let verified = twins.admin(0).get("/api/v1/record/verify").unwrap().data();
    assert_eq!(verified["intact"], Value::Bool(true), "{verified}");
    Arc::into_inner(twins).unwrap().stop();
}
