//! A record that somebody with the database in hand changed, seen from outside of a running server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::time::{Duration, Instant};

use chancery_testkit::Client;
use serde_json::Value;
use sqlx::AssertSqlSafe;
use support::{Twins, redemption, refund, text};

/// A change to a table that repeats what entries say, and the fault that betrays it.
const CHANGES: [(&str, &str, &str); 14] = [
    ("intents", "UPDATE intents SET effect = 'deny' WHERE effect = 'allow'", "intent_differs"),
    ("intents", "UPDATE intents SET action = 'payments.read' WHERE effect = 'allow'", "intent_differs"),
    ("intents", "UPDATE intents SET resource_type = 'Invoice'", "intent_differs"),
    ("intents", "UPDATE intents SET risk = risk + 1", "intent_differs"),
    ("intents", "UPDATE intents SET environment = 'test'", "intent_differs"),
    ("intents", "UPDATE intents SET principal_id = key_id", "intent_differs"),
    ("intents", "UPDATE intents SET principal_kind = 'member'", "intent_differs"),
    ("intents", "UPDATE intents SET key_id = principal_id", "intent_differs"),
    ("intents", "UPDATE intents SET created_at = created_at - interval '1 day'", "intent_differs"),
    ("intents", "UPDATE intents SET token = NULL", "intent_differs"),
    ("intents", "DELETE FROM intents", "intent_differs"),
    (
        "intents",
        "INSERT INTO intents
         SELECT org_id, gen_random_uuid(), seq, principal_kind, principal_id, key_id, action, resource_type,
                effect, risk, environment, created_at, token FROM intents LIMIT 1",
        "intent_invented",
    ),
    ("token_uses", "DELETE FROM token_uses", "use_differs"),
    (
        "token_uses",
        "INSERT INTO token_uses SELECT org_id, sha256(nonce_hash), token_id, intent_id, key_id, used_at
         FROM token_uses LIMIT 1",
        "use_invented",
    ),
];

#[test]
fn what_tables_repeat_is_held_to_what_entries_say() {
    let twins = Twins::start();
    let mut superuser = twins.superuser();
    let mut admin = twins.admin(0);
    let token = twins.token(1);
    twins.client(0, &twins.desk.redeemer).made("/api/v1/tokens/verify", &redemption(1, &token)).unwrap();
    let mut run = |sql: String| {
        let run = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut superuser);
        twins.runtime.block_on(run).unwrap();
    };
    let before = verified(&mut admin);
    assert!(before["intact"] == true && before["complete"] == true, "{before}");
    run("CREATE SCHEMA aside".to_owned());
    for table in ["intents", "token_uses"] {
        run(format!("CREATE TABLE aside.{table} AS SELECT * FROM {table}"));
    }
    for (table, change, code) in CHANGES {
        run(change.to_owned());
        let found = verified(&mut admin);
        run(format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM aside.{table}"));
        let codes: Vec<&str> =
            found["faults"].as_array().unwrap().iter().filter_map(|fault| fault["code"].as_str()).collect();
        assert!(codes.contains(&code), "{change}: {codes:?}");
    }
    assert!(verified(&mut admin)["intact"] == true);
    twins.stop();
}

#[test]
fn a_long_record_is_read_to_its_last_entry_and_past_invented_rows() {
    let twins = Twins::start();
    let mut superuser = twins.superuser();
    let mut admin = twins.admin(0);
    let mut agent = twins.client(0, &twins.desk.key);
    for number in 0..100 {
        assert_eq!(agent.post("/api/v1/intents", &refund(number)).unwrap().status, 200);
    }
    assert!(verified(&mut admin)["intact"] == true);
    let last = admin.get("/api/v1/record?limit=1&type=intent.allowed").unwrap().data()[0]["seq"].clone();
    let mut run = |sql: &'static str| {
        twins.runtime.block_on(sqlx::raw_sql(sql).execute(&mut superuser)).unwrap();
    };
    // The last is opened on another thread than the first.
    let flip = "UPDATE entries SET payload = set_byte(payload, 200, get_byte(payload, 200) # 1)
         WHERE seq = (SELECT max(seq) FROM intents)";
    run(flip);
    let found = verified(&mut admin);
    let fault = serde_json::json!({"code": "payload_unreadable", "seq": last});
    assert_eq!(found["faults"], serde_json::json!([fault]));
    run(flip);
    assert!(verified(&mut admin)["intact"] == true);
    // More rows between the true ones than a range is read of.
    run("INSERT INTO intents
         SELECT org_id, (substr(id::text, 1, 24) || 'f' || lpad(to_hex(number), 11, '0'))::uuid, seq,
                principal_kind, principal_id, key_id, action, resource_type, effect, risk, environment,
                created_at, token FROM intents, generate_series(1, 10) AS number");
    let found = verified(&mut admin);
    let codes: Vec<&Value> = found["faults"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
    assert_eq!(codes, ["intent_invented"]);
    twins.stop();
}

/// What the server finds.
fn verified(admin: &mut Client) -> Value {
    let answer = admin.get("/api/v1/record/verify").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.data()
}

#[test]
fn a_running_server_halts_a_broken_record_and_says_why() {
    let twins = Twins::start();
    twins.token(1);
    let mut superuser = twins.superuser();
    let change = sqlx::raw_sql("UPDATE intents SET effect = 'deny'").execute(&mut superuser);
    twins.runtime.block_on(change).unwrap();
    let mut agent = twins.client(1, &twins.desk.key);
    let until = Instant::now() + Duration::from_secs(60);
    // The background verifier comes by.
    while agent.post("/api/v1/intents", &refund(2)).unwrap().status == 200 {
        assert!(Instant::now() < until, "the broken record still serves");
    }
    let answer = agent.post("/api/v1/intents", &refund(2)).unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (403, "organization_halted"));
    let entries = twins.admin(0).get("/api/v1/record?type=organization.halted").unwrap().data();
    assert_eq!(text(&entries, "/0/payload/actor/type"), "installation");
    assert_eq!(text(&entries, "/0/payload/fault/code"), "intent_differs");
    twins.stop();
}

#[test]
fn a_token_that_was_made_good_again_shows_however_much_lies_between() {
    let twins = Twins::start();
    let mut superuser = twins.superuser();
    let token = twins.token(1);
    let mut redeemer = twins.client(0, &twins.desk.redeemer);
    redeemer.made("/api/v1/tokens/verify", &redemption(1, &token)).unwrap();
    // A piece of a verification has 2,048 entries at most.
    let mut agent = twins.client(0, &twins.desk.key);
    for number in 0..2200 {
        assert_eq!(agent.post("/api/v1/intents", &refund(number)).unwrap().status, 200);
    }
    let forget = sqlx::raw_sql("DELETE FROM token_uses").execute(&mut superuser);
    twins.runtime.block_on(forget).unwrap();
    // The background verifier may come by in between and halt, rightly; whoever forges lets go again.
    loop {
        let again = redeemer.post("/api/v1/tokens/verify", &redemption(1, &token)).unwrap();
        if again.status == 200 {
            break;
        }
        assert_eq!(again.code(), "organization_halted");
        let resume = sqlx::raw_sql("UPDATE heads SET halted = false").execute(&mut superuser);
        twins.runtime.block_on(resume).unwrap();
    }
    let found = verified(&mut twins.admin(0));
    let codes: Vec<&str> =
        found["faults"].as_array().unwrap().iter().filter_map(|fault| fault["code"].as_str()).collect();
    assert!(codes.contains(&"use_invented") || codes.contains(&"use_differs"), "{codes:?}");
    twins.stop();
}

#[test]
fn the_route_holds_the_record_to_what_is_kept_outside() {
    let mut twins = Twins::start();
    // One server alone: what it finds signed, it signed.
    assert!(twins.servers[1].terminate().unwrap());
    twins.token(1);
    let mut superuser = twins.superuser();
    let mut admin = twins.admin(0);
    let end = admin.get("/api/v1/record?limit=1").unwrap().data()[0]["seq"].as_u64().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while signed(&mut admin) < end {
        assert!(Instant::now() < until, "no checkpoint in time");
    }
    let cut = "DELETE FROM checkpoints; DELETE FROM tiles;
         DELETE FROM entries WHERE seq > 3; DELETE FROM intents; DELETE FROM token_uses;
         UPDATE heads SET seq = 3, entry_hash = (SELECT entry_hash FROM entries WHERE seq = 3)";
    twins.runtime.block_on(sqlx::raw_sql(cut).execute(&mut superuser)).unwrap();
    let found = verified(&mut admin);
    let codes: Vec<&str> =
        found["faults"].as_array().unwrap().iter().filter_map(|fault| fault["code"].as_str()).collect();
    assert!(codes.contains(&"record_truncated"), "{codes:?}");
    // And so does the next start, which speaks of the organization as people do.
    assert!(twins.servers[0].terminate().unwrap());
    let refused = twins.options[0].command(&["serve"]).output().unwrap();
    let why = String::from_utf8_lossy(&refused.stderr);
    let told = "behind its checkpoints: the record of `default` (";
    assert!(!refused.status.success() && why.contains(told), "{why}");
    twins.stop();
}

/// The size of the newest checkpoint (C2SP tlog-checkpoint: the second line).
fn signed(admin: &mut Client) -> u64 {
    let answer = admin.get("/api/v1/record/checkpoint").unwrap();
    let note = String::from_utf8(answer.body).unwrap();
    note.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0)
}
