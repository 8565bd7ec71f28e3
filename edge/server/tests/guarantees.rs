//! What the server promises, shown from outside on two servers over one database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::thread;

use chancery_store::embedded::Embedded;
use chancery_testkit::{Client, ServerProcess};
use serde_json::{Value, json};
use support::{Desk, cluster, folder, key_of, redemption, refund, text, twins};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Two servers over one database.
struct Twins {
    servers: [ServerProcess; 2],
    admin_key: String,
    desk: Desk,
    postgres: Embedded,
    runtime: Runtime,
    folder: TempDir,
}

impl Twins {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let folder = folder();
        let postgres = runtime.block_on(cluster(folder.path()));
        let options = twins(folder.path(), &postgres);
        let mut first = options[0].start().unwrap();
        let admin_key = first.admin_key().unwrap();
        let desk = Desk::open(&mut first.client(Some(&admin_key)));
        let second = options[1].start().unwrap();
        Self { servers: [first, second], admin_key, desk, postgres, runtime, folder }
    }

    fn client(&self, server: usize, key: &str) -> Client {
        self.servers[server].client(Some(key))
    }

    fn admin(&self, server: usize) -> Client {
        self.client(server, &self.admin_key)
    }

    fn token(&self, number: usize) -> String {
        text(&self.client(0, &self.desk.key).made("/api/v1/intents", &refund(number)).unwrap(), "/token")
    }

    fn stop(self) {
        drop(self.servers);
        self.runtime.block_on(self.postgres.stop()).unwrap();
    }
}

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
    let invalid = |answer: chancery_testkit::Answer| {
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
    // None of these consumed anything.
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

/// A word that must be nowhere.
const CANARY: &str = "canary7f3a9c51";

#[test]
fn a_dump_and_a_log_hold_no_secret() {
    let twins = Twins::start();
    let mut admin = twins.admin(0);
    let person =
        json!({"name": format!("Name {CANARY}"), "email": format!("{CANARY}@example.org"), "role": "viewer"});
    admin.made("/api/v1/members", &person).unwrap();
    let mut intent = refund(1);
    intent["arguments"]["note"] = json!(format!("note {CANARY}"));
    let made = twins.client(0, &twins.desk.key).made("/api/v1/intents", &intent).unwrap();
    let mut denied = refund(2);
    denied["arguments"]["amount"] = json!(99_999);
    denied["arguments"]["note"] = json!(format!("note {CANARY}"));
    assert_eq!(twins.client(0, &twins.desk.key).post("/api/v1/intents", &denied).unwrap().status, 403);
    let login = twins.postgres.superuser();
    let dump = Command::new(twins.postgres.binary("pg_dump"))
        .args(["--host", &login.get_socket().unwrap().display().to_string()])
        .args(["--port", &login.get_port().to_string(), "--username", login.get_username(), "chancery"])
        .env("PGPASSWORD", "of-this-test")
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let dump = String::from_utf8(dump.stdout).unwrap();
    assert!(dump.contains("payments.refund"), "the dump does not hold what it should");
    let log = std::fs::read_to_string(twins.folder.path().join("cluster/postgres.log")).unwrap();
    let metrics = String::from_utf8(twins.servers[0].client(None).get("/metrics").unwrap().body).unwrap();
    let token = text(&made, "/token");
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let secrets = [CANARY, &twins.admin_key, &twins.desk.key, token.rsplit('.').next().unwrap()];
    for (place, content) in [("dump", &dump), ("database log", &log), ("metrics", &metrics)] {
        for secret in secrets {
            assert!(!content.contains(secret), "the {place} holds `{secret}`");
            assert!(!content.contains(&hex(secret)), "the {place} holds `{secret}` in hex");
        }
    }
    twins.stop();
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
