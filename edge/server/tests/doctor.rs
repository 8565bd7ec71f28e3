//! `chancery doctor` on an installation: clean as it was made, running and stopped, and each flaw that is
//! planted in it found by its code, and gone when it is taken out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use chancery_doctor::{Code, begin_reading};
use chancery_server::doctor::schema::{EXPECTED, describe};
use chancery_store::embedded::Embedded;
use chancery_testkit::ServerOptions;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use support::{World, cluster, database, folder, runtime, twins};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The codes of what has to be put right, once each, and the exit code.
fn doctor(options: &ServerOptions, arguments: &[&str]) -> (Vec<String>, i32, Value) {
    let output = options.command(&[&["doctor", "--json"], arguments].concat()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(&told)
        .unwrap_or_else(|_| panic!("{told}{}", String::from_utf8_lossy(&output.stderr)));
    let findings = report["findings"].as_array().unwrap().iter();
    let codes: BTreeSet<String> = findings
        .filter(|finding| finding["severity"] == "finding")
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(report["clean"], Value::Bool(codes.is_empty()), "{told}");
    (codes.into_iter().collect(), output.status.code().unwrap(), report)
}

#[track_caller]
fn is_clean(options: &ServerOptions, when: &str) {
    let (codes, exit, report) = doctor(options, &[]);
    assert!(
        codes.is_empty() && exit == 0,
        "{when}: {}",
        serde_json::to_string_pretty(&report["findings"]).unwrap()
    );
}

#[test]
fn a_fresh_installation_is_clean_while_it_runs_and_when_it_is_stopped() {
    let mut world = World::start();
    is_clean(&world.options, "running");
    let output = world.options.command(&["doctor"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    for word in [
        "✓ Record ",
        "✓ Schema ",
        "✓ Policies ",
        "✓ Routes ",
        "/api/v1/intents ",
        "intents:submit",
        "no findings",
    ] {
        assert!(told.contains(word), "no {word} in {told}");
    }
    assert!(world.server.terminate().unwrap());
    is_clean(&world.options, "stopped");
    // What a start prepares, migrations have changed since, and do not run again.
    let mut again = world.options.start().unwrap();
    is_clean(&world.options, "started again");
    assert!(again.terminate().unwrap());
}

#[test]
fn the_files_of_an_installation_are_its_own() {
    let mut world = World::start();
    assert!(world.server.terminate().unwrap());
    let data = &world.options.data_dir;
    let files: [(PathBuf, u32, &[&str]); 7] = [
        (data.join("chancery.kek"), 0o644, &["kek_exposed", "unseen"]),
        (data.join("chancery.kek"), 0o640, &["kek_exposed", "unseen"]),
        (data.join("chancery.kek"), 0o602, &["kek_exposed", "unseen"]),
        (data.clone(), 0o777, &["data_dir_open", "kek_exposed"]),
        (data.clone(), 0o755, &[]),
        (data.join("checkpoints.log"), 0o622, &["checkpoint_file"]),
        (data.join("checkpoints.log"), 0o644, &[]),
    ];
    for (path, mode, expected) in files {
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let (codes, exit, report) = doctor(&world.options, &["--skip-record"]);
        assert_eq!(codes, expected, "{} {mode:o}: {report}", path.display());
        assert_eq!(exit, i32::from(!expected.is_empty()));
        fs::set_permissions(&path, before).unwrap();
    }
    is_clean(&world.options, "with its files as they were");
    let kek = data.join("chancery.kek");
    fs::rename(&kek, data.join("elsewhere")).unwrap();
    assert_eq!(doctor(&world.options, &[]).0, ["kek_unusable", "unseen"]);
}

#[test]
fn where_nothing_can_be_looked_at_it_exits_with_2_and_makes_nothing() {
    let folder = folder();
    let nowhere = folder.path().join("nowhere");
    for (options, arguments) in [
        (support::options(&nowhere), &["doctor"][..]),
        (support::options(&nowhere), &["doctor", "--schema", "x"]),
        (support::options(&nowhere), &["doctor", "--tenant-column", "org_id"]),
        (
            support::options(&nowhere),
            &["doctor", "--tenant-column", "org_id", "--database-url", "postgres://u:canary@127.0.0.1:1/d"],
        ),
        (
            support::options(&nowhere),
            &[
                "doctor",
                "--tenant-column",
                "org_id",
                "--database-url",
                "postgres://u:canary@db.example.com/d?sslmode=disable",
            ],
        ),
    ] {
        let output = options.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert!(!String::from_utf8_lossy(&output.stderr).contains("canary"), "{arguments:?}");
    }
    assert!(!nowhere.exists());
}

/// The codes that are found once it is planted, how it is, and how it is taken out.
type Flaw = (&'static [&'static str], &'static str, &'static str);

/// An installation in a cluster of the test's own, whose server has ended.
struct Patient {
    options: ServerOptions,
    postgres: Embedded,
    runtime: Runtime,
    _folder: TempDir,
}

impl Patient {
    fn new() -> Self {
        let (runtime, folder) = (runtime(), folder());
        let postgres = runtime.block_on(cluster(folder.path()));
        let [options, _] = twins(folder.path(), &postgres);
        let mut server = options.start().unwrap();
        let admin = server.admin_key().unwrap();
        support::Desk::open(&mut server.client(Some(&admin)));
        assert!(server.terminate().unwrap());
        Self { options, postgres, runtime, _folder: folder }
    }

    /// As the superuser, whose sessions have ended afterwards.
    fn run(&self, sql: &str) {
        self.runtime.block_on(async {
            let elsewhere = self.postgres.superuser();
            let mut inside =
                PgConnection::connect_with(&elsewhere.clone().database("chancery")).await.unwrap();
            let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut inside).await;
            inside.close().await.unwrap();
            done.unwrap_or_else(|error| panic!("{error}: {sql}"));
            let mut watching = PgConnection::connect_with(&elsewhere).await.unwrap();
            let left = "SELECT concat_ws(' ', usename, application_name, query) FROM pg_stat_activity
                WHERE datname = 'chancery' AND backend_type = 'client backend' LIMIT 1";
            let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
            while let Some(who) =
                sqlx::query_scalar::<_, String>(left).fetch_optional(&mut watching).await.unwrap()
            {
                assert!(tokio::time::Instant::now() < until, "a session stays: {who}");
            }
            watching.close().await.unwrap();
        });
    }

    fn each_is_found(self, flaws: &[Flaw]) {
        self.run("SELECT 1");
        is_clean(&self.options, "before");
        let mut missed = String::new();
        for (expected, plant, undo) in flaws {
            self.run(plant);
            let (codes, exit, report) = doctor(&self.options, &[]);
            if codes != *expected || exit != 1 {
                missed += &format!("{plant}\nexpected {expected:?}: {:#}\n", report["findings"]);
            }
            self.run(undo);
            is_clean(&self.options, undo);
        }
        assert!(missed.is_empty(), "{missed}");
        self.runtime.block_on(self.postgres.stop()).unwrap();
    }
}

const SCHEMA: &[Flaw] = &[
    (&["rls_off", "schema_differs"], "CREATE TABLE public.t (org_id uuid PRIMARY KEY)", "DROP TABLE t"),
    (&["schema_differs"], "CREATE TABLE public.t (id uuid PRIMARY KEY)", "DROP TABLE t"),
    (
        &["login_bypasses_rls", "rls_not_forced", "schema_differs"],
        "ALTER TABLE agents NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE agents FORCE ROW LEVEL SECURITY",
    ),
    (
        &["policy_ignores_column", "schema_differs"],
        "ALTER POLICY own_organization ON agents USING (true)",
        "ALTER POLICY own_organization ON agents USING (org_id = (SELECT current_org()))",
    ),
    (
        &["policy_ignores_column", "schema_differs"],
        "CREATE POLICY committer ON agents TO chancery_appender USING (true)",
        "DROP POLICY committer ON agents",
    ),
    (
        &["definer_public", "definer_search_path", "definer_unguarded", "grant_differs", "schema_differs"],
        "CREATE FUNCTION public.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM agents'",
        "DROP FUNCTION f",
    ),
    (
        &["schema_differs"],
        "DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('find_organization(text)'::regprocedure),
                 'o.slug = wanted', 'true OR o.slug = wanted'); END $do$",
        "DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('find_organization(text)'::regprocedure),
                 'true OR o.slug = wanted', 'o.slug = wanted'); END $do$",
    ),
    (
        &["definer_search_path", "schema_differs"],
        "ALTER FUNCTION find_organization RESET search_path",
        "ALTER FUNCTION find_organization SET search_path = pg_catalog, public, pg_temp",
    ),
    (
        &["schema_differs", "view_bypasses_rls"],
        "CREATE VIEW public.v AS SELECT * FROM entries",
        "DROP VIEW v",
    ),
    (
        &["schema_differs"],
        "CREATE RULE quiet AS ON DELETE TO intents DO INSTEAD NOTHING",
        "DROP RULE quiet ON intents",
    ),
    (
        &["schema_differs"],
        "CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE sql AS ''; DROP INDEX signing_keys_one_next",
        "CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (org_id, algorithm) WHERE state = 'next'",
    ),
];

#[test]
fn flaws_of_the_schema_are_found() {
    Patient::new().each_is_found(SCHEMA);
}

const ROLES: &[Flaw] = &[
    (
        &["login_bypasses_rls", "role_differs"],
        "ALTER ROLE chancery_app BYPASSRLS",
        "ALTER ROLE chancery_app NOBYPASSRLS",
    ),
    (
        &["grant_differs", "login_bypasses_rls"],
        "CREATE ROLE backdoor LOGIN BYPASSRLS; GRANT CONNECT ON DATABASE chancery TO backdoor",
        "DROP OWNED BY backdoor; DROP ROLE backdoor",
    ),
    (
        &["login_can_bypass_rls", "role_differs"],
        "CREATE ROLE above BYPASSRLS; GRANT above TO chancery_worker",
        "DROP ROLE above",
    ),
    (&["role_differs"], "GRANT chancery_owner TO chancery_app", "REVOKE chancery_owner FROM chancery_app"),
    (
        &["login_reaches_around", "role_differs"],
        "ALTER ROLE chancery_owner CREATEROLE",
        "ALTER ROLE chancery_owner NOCREATEROLE",
    ),
    (
        &["role_differs"],
        "ALTER ROLE chancery_app SET statement_timeout = 0",
        "ALTER ROLE chancery_app SET statement_timeout = '10s'",
    ),
    (
        &["grant_differs"],
        "GRANT DELETE ON entries TO chancery_app",
        "REVOKE DELETE ON entries FROM chancery_app",
    ),
    (
        &["grant_differs"],
        "GRANT SELECT (secret_hash) ON api_keys TO chancery_app",
        "REVOKE SELECT (secret_hash) ON api_keys FROM chancery_app",
    ),
    (
        &["grant_differs"],
        "REVOKE INSERT ON agents FROM chancery_app",
        "GRANT INSERT ON agents TO chancery_app",
    ),
    (
        &["grant_differs", "truncate_granted"],
        "GRANT TRUNCATE ON entries TO chancery_appender",
        "REVOKE TRUNCATE ON entries FROM chancery_appender",
    ),
    (
        &["grant_differs", "granted_to_public"],
        "GRANT SELECT ON agents TO PUBLIC",
        "REVOKE SELECT ON agents FROM PUBLIC",
    ),
    (
        &["grant_differs", "schema_open"],
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    ),
    (
        &["schema_differs"],
        "ALTER DEFAULT PRIVILEGES FOR ROLE chancery_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES FOR ROLE chancery_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ),
    (
        &["role_differs", "setting_unsafe"],
        "ALTER DATABASE chancery SET zero_damaged_pages = on",
        "ALTER DATABASE chancery RESET zero_damaged_pages",
    ),
    (
        &["role_differs", "setting_logs_data"],
        "ALTER DATABASE chancery SET log_parameter_max_length_on_error = -1",
        "ALTER DATABASE chancery RESET log_parameter_max_length_on_error",
    ),
    (
        &["migrations"],
        "UPDATE schema_migrations SET checksum = 'x' || checksum WHERE version = 10",
        "UPDATE schema_migrations SET checksum = substr(checksum, 2) WHERE version = 10",
    ),
    (
        &["migrations"],
        "INSERT INTO schema_migrations VALUES (9999, 'later', '')",
        "DELETE FROM schema_migrations WHERE version = 9999",
    ),
];

#[test]
fn flaws_of_roles_rights_and_settings_are_found() {
    Patient::new().each_is_found(ROLES);
}

/// What the list of a fresh database told nothing of: other schemas, what an extension owns, and what a thing
/// does beside its text.
const BACK_DOORS: &[Flaw] = &[
    // A function that is known by name is known in one place, with its arguments.
    (
        &["definer_unguarded", "grant_differs", "schema_differs"],
        "CREATE SCHEMA evil; CREATE FUNCTION evil.find_api_key() RETURNS bigint LANGUAGE sql SECURITY DEFINER
             SET search_path = '' AS 'SELECT count(*) FROM public.agents';
         REVOKE ALL ON FUNCTION evil.find_api_key FROM PUBLIC; GRANT USAGE ON SCHEMA evil TO chancery_app",
        "DROP SCHEMA evil CASCADE",
    ),
    (
        &["definer_unguarded", "schema_differs"],
        "CREATE FUNCTION public.find_api_key() RETURNS bigint LANGUAGE sql SECURITY DEFINER
             SET search_path = '' AS 'SELECT count(*) FROM public.agents';
         REVOKE ALL ON FUNCTION public.find_api_key() FROM PUBLIC",
        "DROP FUNCTION public.find_api_key()",
    ),
    (
        &["definer_unguarded", "schema_differs"],
        "ALTER FUNCTION find_organization OWNER TO CURRENT_USER",
        "ALTER FUNCTION find_organization OWNER TO chancery_definer",
    ),
    (&["schema_differs"], "CREATE SCHEMA evil", "DROP SCHEMA evil"),
    (&["schema_differs"], "CREATE SCHEMA evil; CREATE TABLE evil.t (id int)", "DROP SCHEMA evil CASCADE"),
    (
        &["schema_differs"],
        "CREATE SCHEMA evil; CREATE VIEW evil.v AS SELECT 1 AS one",
        "DROP SCHEMA evil CASCADE",
    ),
    (
        &["schema_differs"],
        "CREATE FUNCTION pg_catalog.evil() RETURNS int LANGUAGE sql AS 'SELECT 1';
         REVOKE ALL ON FUNCTION pg_catalog.evil() FROM PUBLIC",
        "DROP FUNCTION pg_catalog.evil()",
    ),
    // What an extension owns.
    (
        &["schema_differs"],
        "CREATE FUNCTION public.evil() RETURNS int LANGUAGE sql AS 'SELECT 1';
         REVOKE ALL ON FUNCTION public.evil() FROM PUBLIC; ALTER EXTENSION plpgsql ADD FUNCTION public.evil()",
        "ALTER EXTENSION plpgsql DROP FUNCTION public.evil(); DROP FUNCTION public.evil()",
    ),
    (
        &["rls_off", "schema_differs"],
        "CREATE TABLE public.evil (org_id uuid PRIMARY KEY); ALTER EXTENSION plpgsql ADD TABLE public.evil",
        "ALTER EXTENSION plpgsql DROP TABLE public.evil; DROP TABLE public.evil",
    ),
    (
        &["schema_differs"],
        "ALTER EXTENSION plpgsql ADD TABLE public.tiles",
        "ALTER EXTENSION plpgsql DROP TABLE public.tiles",
    ),
    (
        &["schema_differs"],
        "CREATE PUBLICATION evil FOR ALL TABLES",
        "DROP PUBLICATION evil",
    ),
    // What a thing does beside its text.
    (
        &["schema_differs"],
        "ALTER TABLE agents ALTER description SET DEFAULT current_user",
        "ALTER TABLE agents ALTER description DROP DEFAULT",
    ),
    (&["schema_differs"], "ALTER FUNCTION current_org IMMUTABLE", "ALTER FUNCTION current_org STABLE"),
    (&["schema_differs"], "ALTER FUNCTION current_org LEAKPROOF", "ALTER FUNCTION current_org NOT LEAKPROOF"),
    (&["schema_differs"], "ALTER TABLE entries SET UNLOGGED", "ALTER TABLE entries SET LOGGED"),
    // What holds for whoever connects.
    (
        &["role_differs"],
        "ALTER DATABASE chancery SET search_path = evil, public",
        "ALTER DATABASE chancery RESET search_path",
    ),
    (&["role_differs"], "ALTER ROLE ALL SET work_mem = '4MB'", "ALTER ROLE ALL RESET work_mem"),
    (
        &["role_differs"],
        "ALTER ROLE CURRENT_USER IN DATABASE chancery SET work_mem = '4MB'",
        "ALTER ROLE CURRENT_USER IN DATABASE chancery RESET work_mem",
    ),
    (
        &["grant_differs"],
        "GRANT SET ON PARAMETER session_replication_role TO chancery_app",
        "REVOKE SET ON PARAMETER session_replication_role FROM chancery_app",
    ),
    (
        &["role_differs", "setting_unsafe"],
        "ALTER DATABASE chancery SET session_replication_role = replica",
        "ALTER DATABASE chancery RESET session_replication_role",
    ),
];

#[test]
fn back_doors_beside_the_tables_are_found() {
    Patient::new().each_is_found(BACK_DOORS);
}

#[test]
fn every_name_in_a_fix_is_quoted() {
    let patient = Patient::new();
    let evil = r#""x to y in z: ""; ALTER ROLE y SUPERUSER; --""#;
    patient.run(&format!(
        "CREATE ROLE {evil}; GRANT SELECT ON agents TO {evil}; GRANT UPDATE (name) ON agents TO {evil};
         GRANT DELETE ON agents TO {evil} WITH GRANT OPTION; GRANT chancery_app TO {evil};
         CREATE TABLE public.{evil} ({evil} int); GRANT SELECT ({evil}) ON {evil} TO chancery_app;
         GRANT TRUNCATE ON {evil} TO {evil}"
    ));
    let (codes, _, report) = doctor(&patient.options, &["--skip-record"]);
    assert_eq!(codes, ["grant_differs", "role_differs", "schema_differs"]);
    let mut fixes = BTreeSet::new();
    for finding in report["findings"].as_array().unwrap() {
        let fix = finding["fix"].as_str().unwrap();
        // What stands in no quotes holds no part of a name.
        let outside: String = fix.split('"').step_by(2).collect();
        assert!(!outside.contains("ALTER ROLE y"), "{fix}");
        fixes.insert(fix.to_owned());
    }
    for fix in [
        format!("REVOKE SELECT ON TABLE public.agents FROM {evil};"),
        format!("REVOKE UPDATE (name) ON TABLE public.agents FROM {evil};"),
        format!("REVOKE DELETE ON TABLE public.agents FROM {evil};"),
        format!("REVOKE SELECT ({evil}) ON TABLE public.{evil} FROM chancery_app;"),
        format!("REVOKE TRUNCATE ON TABLE public.{evil} FROM {evil};"),
        format!("REVOKE chancery_app FROM {evil};"),
    ] {
        assert!(fixes.contains(&fix), "{fix} is not among {fixes:#?}");
        patient.run(&fix);
    }
    patient.run(&format!("DROP TABLE {evil}; DROP ROLE {evil}"));
    is_clean(&patient.options, "after its fixes");
    patient.runtime.block_on(patient.postgres.stop()).unwrap();
}

const BROKEN: &[Flaw] = &[
    (
        &["record_broken"],
        "UPDATE entries SET kind = kind || 'x' WHERE seq = 1",
        "UPDATE entries SET kind = left(kind, -1) WHERE seq = 1",
    ),
    (&["record_broken"], "UPDATE heads SET seq = seq + 1", "UPDATE heads SET seq = seq - 1"),
    (
        &["record_ahead", "record_broken"],
        "UPDATE heads SET last_time = last_time + interval '1 day', seq = seq + 1",
        "UPDATE heads SET last_time = last_time - interval '1 day', seq = seq - 1",
    ),
    (
        &["record_broken", "record_missing"],
        "UPDATE heads SET org_id = '00000000-0000-7000-8000-000000000001'",
        "UPDATE heads SET org_id = (SELECT org_id FROM organizations)",
    ),
];

#[test]
fn a_record_that_was_changed_or_is_gone_is_found() {
    Patient::new().each_is_found(BROKEN);
}

#[test]
fn the_key_file_of_another_installation_is_found() {
    let patient = Patient::new();
    patient.run(
        "COMMENT ON ROLE chancery_owner IS 'chancery installation 00000000-0000-4000-8000-000000000001'",
    );
    let (codes, ..) = doctor(&patient.options, &["--skip-record"]);
    assert_eq!(codes, ["other_installation"]);
    patient.runtime.block_on(patient.postgres.stop()).unwrap();
}

/// `CHANCERY_TEST_BLESS=1` writes the list anew, after a migration: then look at what changed in it.
#[tokio::test]
async fn the_list_of_what_a_database_holds_is_that_of_a_fresh_one() {
    let fresh = database().await;
    let mut superuser = PgConnection::connect_with(&fresh.superuser()).await.unwrap();
    let mut reading = begin_reading(&mut superuser).await.unwrap();
    let lines: Vec<String> =
        describe(&mut reading, "chancery_superuser").await.unwrap().into_iter().collect();
    let head = "# What a fresh database holds, for `chancery doctor`. Written by the test of tests/doctor.rs\n\
                # with CHANCERY_TEST_BLESS=1, never by hand.\n";
    let text = format!("{head}{}\n", lines.join("\n"));
    if std::env::var("CHANCERY_TEST_BLESS").is_ok_and(|value| value == "1") {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor/schema.txt");
        fs::write(file, text).unwrap();
        return;
    }
    let expected: BTreeSet<&str> = EXPECTED.lines().collect();
    let found: BTreeSet<&str> = text.lines().collect();
    let differ: Vec<_> = expected.symmetric_difference(&found).collect();
    assert!(
        differ.is_empty(),
        "after a migration: CHANCERY_TEST_BLESS=1 cargo test -p chancery-server --test doctor; {differ:#?}"
    );
}

#[test]
fn the_runbook_explains_every_code_and_no_other() {
    let runbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks/doctor.md");
    let text = fs::read_to_string(runbook).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let explained: BTreeSet<&str> = rows.collect();
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(explained, known);
}
