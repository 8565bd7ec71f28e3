//! Rotating the KEK while servers serve: broken off half way, resumed, and the old version dropped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use support::{Desk, Twins, found_with, redemption, refund, text};

/// How long something that must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn run(twins: &Twins, arguments: &[&str]) -> Output {
    twins.options[0].command(arguments).output().unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ask<T>(twins: &Twins, superuser: &mut PgConnection, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    let sql = AssertSqlSafe(sql.to_owned());
    twins.runtime.block_on(sqlx::query_scalar(sql).fetch_one(superuser)).unwrap()
}

/// How many versions the key file holds.
fn versions(twins: &Twins) -> usize {
    fs::read_to_string(twins.folder.path().join("chancery.kek"))
        .unwrap()
        .lines()
        .filter(|line| *line == "[[kek]]")
        .count()
}

/// That both servers mint and redeem, in an organization that they know and in one that is new.
fn serve(twins: &Twins, number: usize) {
    let mut redeemer = twins.client(1, &twins.desk.redeemer);
    let redeemed = redeemer.post("/api/v1/tokens/verify", &redemption(number, &twins.token(number))).unwrap();
    assert_eq!(redeemed.status, 200, "{}", redeemed.json());
    let key = found_with(&twins.options[0], &format!("fresh {number}"));
    let desk = Desk::open(&mut twins.client(1, &key));
    let made = twins.client(0, &desk.key).made("/api/v1/intents", &refund(number)).unwrap();
    assert!(text(&made, "/token").starts_with("eyJ"));
}

/// Breaks a rotation off, by `kill -9`, before it reaches the last organization.
fn break_off(twins: &Twins, superuser: &mut PgConnection) {
    let begin = "BEGIN; SELECT FROM data_keys WHERE subject_id IS NULL
                     AND org_id = (SELECT org_id FROM heads ORDER BY org_id DESC LIMIT 1) FOR UPDATE";
    twins.runtime.block_on(sqlx::raw_sql(begin).execute(&mut *superuser)).unwrap();
    let mut command = twins.options[0].command(&["kek", "rotate"]);
    let mut rotation = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Within a transaction it would look the same each time.
    let mut watcher = twins.superuser();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let until = Instant::now() + PATIENCE;
    while ask::<i64>(twins, &mut watcher, waits) == 0 {
        assert!(Instant::now() < until, "the rotation never came to the last organization");
    }
    rotation.kill().unwrap();
    rotation.wait().unwrap();
    twins.runtime.block_on(sqlx::raw_sql("ROLLBACK").execute(superuser)).unwrap();
}

/// The number that a person would type, where there is no person.
fn number_on_stdin(twins: &Twins) -> Stdio {
    let path = twins.folder.path().join("typed");
    fs::write(&path, "2\n").unwrap();
    fs::File::open(path).unwrap().into()
}

#[test]
fn a_rotation_that_was_broken_off_resumes_while_servers_serve_and_the_old_version_is_dropped() {
    let twins = Twins::start();
    for number in 0..3 {
        found_with(&twins.options[0], &format!("organization {number}"));
    }
    let mut superuser = twins.superuser();
    serve(&twins, 1);
    break_off(&twins, &mut superuser);
    let under = |version: u32| {
        format!("SELECT count(*) FROM data_keys WHERE subject_id IS NULL AND kek_version = {version}")
    };
    let (old, new): (i64, i64) =
        (ask(&twins, &mut superuser, &under(1)), ask(&twins, &mut superuser, &under(2)));
    assert!(old == 1 && new >= 4, "not half way: {old} under the old version, {new} under the new");
    serve(&twins, 2);

    let refused = run(&twins, &["kek", "drop", "--yes"]);
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && why.contains("1 keys are still wrapped"), "{why}");
    assert_eq!(versions(&twins), 2, "something was dropped");
    // The column can be written by whoever writes the database; the envelope says what it is under.
    let lie = "UPDATE data_keys SET kek_version = 2 WHERE kek_version = 1";
    twins.runtime.block_on(sqlx::raw_sql(lie).execute(&mut superuser)).unwrap();
    assert!(!run(&twins, &["kek", "drop", "--yes"]).status.success(), "a column was believed");

    let resumed = succeeded(&run(&twins, &["kek", "rotate", "--resume"]));
    assert!(resumed.contains("1 keys wrapped anew"), "{resumed}");
    serve(&twins, 3);
    // Nobody is there to be asked, whatever stands on standard input.
    let unasked = twins.options[0].command(&["kek", "drop"]).stdin(number_on_stdin(&twins)).output().unwrap();
    let why = String::from_utf8_lossy(&unasked.stderr);
    assert!(!unasked.status.success() && why.contains("say --yes"), "{why}");
    assert_eq!(versions(&twins), 2, "something was dropped");
    let dropped = succeeded(&run(&twins, &["kek", "drop", "--yes"]));
    assert!(dropped.contains("1 version of the KEK before 2 dropped"), "{dropped}");
    assert_eq!(versions(&twins), 1);
    serve(&twins, 4);
    // A server that starts now has nothing in memory.
    let mut twins = twins;
    twins.servers[0].kill().unwrap();
    twins.servers[0] = twins.options[0].start().unwrap();
    serve(&twins, 5);
    assert!(succeeded(&run(&twins, &["kek", "drop"])).contains("no version of the KEK before 2"));
    twins.stop();
}
