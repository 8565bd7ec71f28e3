//! Postgres' own settings, and its clock.

use std::collections::BTreeMap;

use chancery_doctor::{Check, Code, Finding};
use chancery_model::{Clock, Timestamp};
use sqlx::PgConnection;

use super::record::TOLERANCE_SECONDS;

/// Settings that lose or damage what was acknowledged, each with what it must be.
const SAFE: [(&str, &str, &str); 6] = [
    ("fsync", "on", "A crash of the machine loses or damages what was acknowledged."),
    ("full_page_writes", "on", "A crash while a page is written damages it."),
    ("zero_damaged_pages", "off", "Damaged pages are emptied without a word."),
    ("ignore_checksum_failure", "off", "Damage on the disk is read as if it were data."),
    ("session_replication_role", "origin", "Triggers do not run, and foreign keys are not checked."),
    ("row_security", "on", "Sessions fail where policies would hold them."),
];

/// What is asked besides.
const ASKED: [&str; 8] = [
    "data_checksums",
    "log_statement",
    "log_min_duration_statement",
    "log_min_duration_sample",
    "log_transaction_sample_rate",
    "log_parameter_max_length",
    "log_parameter_max_length_on_error",
    "server_version",
];

pub(super) async fn check(database: &mut PgConnection) -> sqlx::Result<Check> {
    let names: Vec<&str> = SAFE.iter().map(|(name, ..)| *name).chain(ASKED).collect();
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT name, setting FROM pg_settings WHERE name = ANY ($1)")
            .bind(&names[..])
            .fetch_all(database)
            .await?;
    let settings: BTreeMap<String, String> = rows.into_iter().collect();
    let version = settings.get("server_version").cloned().unwrap_or_default();
    let findings = of(&settings, &names);
    Ok(Check { name: "Postgres", seen: format!("version {version}, {} settings", settings.len()), findings })
}

fn of(settings: &BTreeMap<String, String>, names: &[&str]) -> Vec<Finding> {
    let value = |name: &str| settings.get(name).map_or("", String::as_str);
    let mut findings: Vec<Finding> = names
        .iter()
        .filter(|name| !settings.contains_key(**name))
        .map(|name| {
            let meaning = "The server does not tell it.";
            Finding::new(Code::Unseen, *name, meaning, "Look as a role that may read all settings.")
        })
        .collect();
    let set =
        |name: &str, wanted: &str| format!("ALTER SYSTEM SET {name} = {wanted}; SELECT pg_reload_conf();");
    for (name, wanted, meaning) in SAFE {
        if settings.get(name).is_some_and(|value| value != wanted) {
            findings.push(Finding::new(Code::SettingUnsafe, name, meaning, set(name, wanted)));
        }
    }
    if value("data_checksums") == "off" {
        let meaning = "Postgres does not notice when the disk gives back something else than was written.";
        let fix = "Stop Postgres; pg_checksums --enable -D its data directory.";
        findings.push(Finding::new(Code::ChecksumsOff, "data_checksums", meaning, fix));
    }
    let logging = [
        ("log_statement", ["none", "ddl"].contains(&value("log_statement"))),
        ("log_min_duration_statement", value("log_min_duration_statement") == "-1"),
        ("log_min_duration_sample", value("log_min_duration_sample") == "-1"),
        ("log_transaction_sample_rate", value("log_transaction_sample_rate") == "0"),
    ];
    let statements: Vec<&str> = logging.iter().filter(|(_, quiet)| !quiet).map(|(name, _)| *name).collect();
    if !statements.is_empty() && value("log_parameter_max_length") != "0" {
        let meaning = format!(
            "Postgres logs statements ({}) with the values in them: names, ids, hashes of keys.",
            statements.join(", ")
        );
        let fix = set("log_parameter_max_length", "0");
        findings.push(Finding::new(Code::SettingLogsData, "log_parameter_max_length", meaning, fix));
    }
    let on_error = "log_parameter_max_length_on_error";
    if value(on_error) != "0" {
        let meaning = "Postgres logs the values of statements that fail.";
        findings.push(Finding::new(Code::SettingLogsData, on_error, meaning, set(on_error, "0")));
    }
    findings
}

/// The database's clock against this machine's.
pub(super) async fn check_clock(database: &mut PgConnection, clock: &dyn Clock) -> sqlx::Result<Check> {
    let before = clock.now();
    let theirs: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8")
        .fetch_one(database)
        .await?;
    let ahead = ahead_seconds(before, clock.now(), Timestamp::from_micros(theirs));
    let finding = (ahead.abs() > TOLERANCE_SECONDS).then(|| {
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        let meaning = format!(
            "It is {} s {side} this machine's. Servers allow each other {TOLERANCE_SECONDS} s: beyond it \
             revocations miss tokens, and keys sign before they are known.",
            ahead.abs()
        );
        Finding::new(
            Code::ClockDiffers,
            "the database's clock",
            meaning,
            "Keep both machines' clocks by NTP.",
        )
    });
    let seen = format!("the database's differs by {} s at most", ahead.abs());
    Ok(Check { name: "Clock", seen, findings: finding.into_iter().collect() })
}

/// By how many seconds a clock that was read between two moments is surely ahead; negative if behind.
fn ahead_seconds(before: Timestamp, after: Timestamp, theirs: Timestamp) -> i64 {
    let seconds = |micros: i64| micros / 1_000_000;
    let (theirs, before, after) = (theirs.as_micros(), before.as_micros(), after.as_micros());
    if theirs > after { seconds(theirs - after) } else { seconds(theirs.min(before) - before) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn only_what_is_surely_ahead_or_behind_counts() {
        for (before, after, theirs, ahead) in [
            (0, 9_000_000, 5_000_000, 0),
            (0, 1, 7_000_001, 7),
            (8_000_000, 9_000_000, 1_000_000, -7),
            (5, 5, 5, 0),
        ] {
            assert_eq!(ahead_seconds(at(before), at(after), at(theirs)), ahead);
        }
    }

    #[test]
    fn each_unsafe_setting_is_told_and_what_is_not_told_is_too() {
        let names: Vec<&str> = SAFE.iter().map(|(name, ..)| *name).chain(ASKED).collect();
        let safe: BTreeMap<String, String> = SAFE
            .iter()
            .map(|(name, value, _)| (*name, *value))
            .chain([
                ("data_checksums", "on"),
                ("log_statement", "none"),
                ("log_min_duration_statement", "-1"),
                ("log_min_duration_sample", "-1"),
                ("log_transaction_sample_rate", "0"),
                ("log_parameter_max_length", "-1"),
                ("log_parameter_max_length_on_error", "0"),
                ("server_version", "15"),
            ])
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let codes = |settings: &BTreeMap<String, String>| {
            of(settings, &names).iter().map(|it| it.code.as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(codes(&safe), "");
        for (name, value, code) in [
            ("fsync", "off", "setting_unsafe"),
            ("full_page_writes", "off", "setting_unsafe"),
            ("zero_damaged_pages", "on", "setting_unsafe"),
            ("session_replication_role", "replica", "setting_unsafe"),
            ("data_checksums", "off", "checksums_off"),
            ("log_statement", "all", "setting_logs_data"),
            ("log_min_duration_statement", "0", "setting_logs_data"),
            ("log_transaction_sample_rate", "0.5", "setting_logs_data"),
            ("log_parameter_max_length_on_error", "-1", "setting_logs_data"),
        ] {
            let mut settings = safe.clone();
            settings.insert(name.to_owned(), value.to_owned());
            assert_eq!(codes(&settings), code, "{name} = {value}");
            settings.remove(name);
            assert!(codes(&settings).contains("unseen"), "{name} is not told");
        }
    }
}
