//! Every table of the catalogue, asked by every login for rows that are not to be had.
//!
//! The tables are read from the catalogue: a new table is locked, listed, or fails here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use chancery_server::doctor::{INSTALLATION, RECORD};
use chancery_testkit::TestDatabase;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

use support::database;

/// Organizations whose rows stand in every table.
const ORGANIZATIONS: i64 = 1000;

struct Table {
    name: String,
    columns: Vec<(String, String)>,
}

async fn tables(superuser: &mut PgConnection) -> Vec<Table> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
         ORDER BY relname",
    )
    .fetch_all(&mut *superuser)
    .await
    .unwrap();
    let mut tables = Vec::new();
    for name in names {
        let columns: Vec<(String, String)> = sqlx::query_as(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
             WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        )
        .bind(&name)
        .fetch_all(&mut *superuser)
        .await
        .unwrap();
        tables.push(Table { name, columns });
    }
    tables
}

impl Table {
    fn is_organizations(&self) -> bool {
        self.columns.iter().any(|(name, _)| name == "org_id")
    }

    /// A row for each organization number of `generate_series`, as the superuser writes it.
    fn fill(&self) -> String {
        let value = |(name, kind): &(String, String)| match (name.as_str(), kind.as_str()) {
            ("org_id", _) => "org".to_owned(),
            ("id", "uuid") => "gen_random_uuid()".to_owned(),
            ("slug", _) => "'org-' || n".to_owned(),
            ("index", _) => "n".to_owned(),
            (_, "uuid") => "gen_random_uuid()".to_owned(),
            (_, "bytea") => "decode(repeat('ab', 32), 'hex')".to_owned(),
            ("scopes", _) => "'{agents:read}'::text[]".to_owned(),
            ("behind" | "made_behind", _) => "ARRAY[gen_random_uuid()]".to_owned(),
            (_, "timestamp with time zone[]") => "'{}'::timestamptz[]".to_owned(),
            (_, "text[]") => "'{}'::text[]".to_owned(),
            (_, "boolean") => "false".to_owned(),
            (_, "timestamp with time zone") => "now()".to_owned(),
            (_, "integer" | "bigint" | "smallint") => "1".to_owned(),
            (name, _) => format!("'{}'", word(&self.name, name)),
        };
        let skip = |name: &str| NULLABLE.contains(&(self.name.as_str(), name));
        let columns: Vec<_> = self.columns.iter().filter(|(name, _)| !skip(name)).collect();
        let names: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let values: Vec<String> = columns.iter().map(|column| value(column)).collect();
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM (SELECT n, md5('org' || n)::uuid AS org FROM generate_series(1, {ORGANIZATIONS}) n) o",
            self.name,
            names.join(", "),
            values.join(", ")
        )
    }
}

/// Columns left out of a filled row, where the table's checks ask for it.
const NULLABLE: &[(&str, &str)] = &[
    ("data_keys", "subject_id"),
    ("data_keys", "destroyed_at"),
    ("signing_keys", "superseded_at"),
    ("signing_keys", "retired_at"),
    ("api_keys", "rotated_from"),
    ("api_keys", "superseded_at"),
    ("api_keys", "revoked_at"),
    ("api_keys", "revoke_reason"),
    ("organizations", "deny_at"),
    ("organizations", "escalate_at"),
    ("organizations", "token_ttl_seconds"),
    ("revocations", "target"),
    ("connector_credentials", "superseded_at"),
    ("connector_credentials", "ends_at"),
    ("escalations", "ended_at"),
    ("escalations", "good_until"),
    ("releases", "connector"),
    ("releases", "unknown_at"),
    ("releases", "closed_at"),
];

/// A text that the column's check takes.
fn word(table: &str, column: &str) -> &'static str {
    match (table, column) {
        (_, "role") => "viewer",
        (_, "algorithm" | "token_algorithm") => "RS256",
        ("signing_keys", "state") => "active",
        ("escalations", "state") => "pending",
        ("releases", "state") => "token",
        ("approvals", "answer") => "approve",
        (_, "holder_kind" | "principal_kind" | "requester_kind") => "agent",
        (_, "environment") => "live",
        ("connectors", "kind") => "http",
        ("connector_credentials", "kind") => "bearer",
        ("connector_credentials", "state") => "current",
        ("revocations", "kind") => "organization",
        (_, "effect") => "allow",
        (_, "refs" | "definition" | "public_jwk") => "{}",
        _ => "word",
    }
}

/// What a login may do to a table at all, with some column it may do it to.
struct Rights {
    select: bool,
    insert: bool,
    /// A column that it may change and read.
    update: Option<String>,
    delete: bool,
}

impl Rights {
    async fn of(superuser: &mut PgConnection, login: &str, table: &str) -> Self {
        let (select, insert, delete) = sqlx::query_as(
            "SELECT has_any_column_privilege($1, $2, 'SELECT'), has_any_column_privilege($1, $2, 'INSERT'),
                 has_table_privilege($1, $2, 'DELETE')",
        )
        .bind(login)
        .bind(table)
        .fetch_one(&mut *superuser)
        .await
        .unwrap();
        let update = sqlx::query_scalar(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = $2::regclass AND attnum > 0 AND NOT attisdropped
                 AND has_column_privilege($1, $2, attname, 'UPDATE') AND has_column_privilege($1, $2, attname, 'SELECT')
             ORDER BY attnum LIMIT 1",
        )
        .bind(login)
        .bind(table)
        .fetch_optional(&mut *superuser)
        .await
        .unwrap();
        Self { select, insert, update, delete }
    }

    fn none(&self) -> bool {
        !(self.select || self.insert || self.delete || self.update.is_some())
    }
}

/// What a login gets when it asks as `org` (none when `None`). Nothing of it stays.
async fn attempt(login: &mut PgConnection, org: Option<Uuid>, sql: &str) -> Result<u64, String> {
    let mut tx = login.begin().await.unwrap();
    let org = org.map(|org| org.to_string()).unwrap_or_default();
    sqlx::query("SELECT set_config('app.org_id', $1, true)").bind(org).execute(&mut *tx).await.unwrap();
    let outcome = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await;
    tx.rollback().await.unwrap();
    outcome.map(|done| done.rows_affected()).map_err(|error| error.to_string())
}

/// The statements that reach for the rows of an organization, each with whether the login's rights let it
/// be tried at all.
fn statements(table: &Table, rights: &Rights, theirs: Uuid) -> Vec<(String, bool)> {
    let name = &table.name;
    // One that it may not change still has to be refused.
    let column = rights.update.as_deref().unwrap_or("org_id");
    vec![
        (format!("SELECT 1 FROM {name} WHERE org_id = '{theirs}'"), rights.select),
        (format!("SELECT count(*) FROM {name} HAVING count(*) > 1"), rights.select),
        (
            format!("UPDATE {name} SET \"{column}\" = \"{column}\" WHERE org_id = '{theirs}'"),
            rights.update.is_some(),
        ),
        (format!("DELETE FROM {name} WHERE org_id = '{theirs}'"), rights.delete),
    ]
}

fn insert_one(table: &Table) -> String {
    table.fill().replace(&format!("generate_series(1, {ORGANIZATIONS}) n"), "generate_series(1, 1) n")
}

/// A database with a row of each of the organizations in every table.
struct Crowded {
    database: TestDatabase,
    superuser: PgConnection,
    locked: Vec<Table>,
    /// The organization whose rows are asked for, and the one that asks.
    theirs: Uuid,
    other: Uuid,
}

impl Crowded {
    async fn start() -> Self {
        let database = database().await;
        let mut superuser = PgConnection::connect_with(&database.superuser()).await.unwrap();
        let all = tables(&mut superuser).await;
        let (locked, free): (Vec<_>, Vec<_>) = all.into_iter().partition(Table::is_organizations);
        for Table { name, .. } in &free {
            let reason = INSTALLATION.iter().find(|(known, _)| known == name);
            assert!(reason.is_some(), "`{name}` has no org_id and no reason here");
        }
        assert!(locked.len() >= 15, "{}", locked.len());
        for table in &locked {
            let filled = sqlx::query(AssertSqlSafe(table.fill())).execute(&mut superuser).await;
            let rows = filled.map(|done| i64::try_from(done.rows_affected()).unwrap());
            assert_eq!(rows.ok(), Some(ORGANIZATIONS), "`{}` is not filled: {}", table.name, table.fill());
        }
        let ids = sqlx::query_as("SELECT md5('org1')::uuid, md5('org2')::uuid");
        let (theirs, other) = ids.fetch_one(&mut superuser).await.unwrap();
        Self { database, superuser, locked, theirs, other }
    }
}

#[tokio::test]
async fn no_login_reaches_another_organizations_rows() {
    let mut here = Crowded::start().await;
    let mut app = PgConnection::connect_with(&here.database.logins().app).await.unwrap();
    let mut reached = Vec::new();
    for table in &here.locked {
        let name = &table.name;
        let rights = Rights::of(&mut here.superuser, "chancery_app", name).await;
        assert!(rights.select, "`{name}` is not even read by requests: they need no right to it");
        for (statement, may) in statements(table, &rights, here.theirs) {
            // The check itself can succeed: whose rows they are reaches them, and no more than its own.
            let own = attempt(&mut app, Some(here.theirs), &statement).await;
            let expected = u64::from(!statement.contains("HAVING"));
            match may {
                true => assert_eq!(own, Ok(expected), "{statement}"),
                false => assert!(is_denied(&own), "{statement}: {own:?}"),
            }
            for asker in [Some(here.other), None] {
                let done = attempt(&mut app, asker, &statement).await;
                match may {
                    true => assert_eq!(done, Ok(0), "{asker:?}: {statement}"),
                    false => assert!(is_denied(&done), "{asker:?}: {statement}: {done:?}"),
                }
            }
            if may {
                reached.push(statement.split(' ').next().unwrap().to_owned());
            }
        }
        for asker in [Some(here.other), None] {
            let done = attempt(&mut app, asker, &insert_one(table)).await;
            let why = done.as_ref().err().cloned().unwrap_or_default();
            let locked = if rights.insert { why.contains("row-level security") } else { is_denied(&done) };
            assert!(locked, "{name}: a row was inserted into another organization: {done:?}");
        }
    }
    let updates = reached.iter().filter(|verb| *verb == "UPDATE").count();
    assert!(updates >= 10, "row-level security was asked for an UPDATE on {updates} tables only");
}

fn is_denied(outcome: &Result<u64, String>) -> bool {
    outcome.as_ref().is_err_and(|error| error.contains("permission denied"))
}

#[tokio::test]
async fn the_committers_and_the_schedulers_logins_reach_what_is_listed_and_nothing_else() {
    let mut here = Crowded::start().await;
    let logins = here.database.logins();
    let mut appender = PgConnection::connect_with(&logins.appender).await.unwrap();
    let mut worker = PgConnection::connect_with(&logins.worker).await.unwrap();
    let mut record = Vec::new();
    for table in &here.locked {
        let name = &table.name;
        let rights = Rights::of(&mut here.superuser, "chancery_worker", name).await;
        assert!(rights.none(), "the schedulers' login has a right to `{name}`");
        let rights = Rights::of(&mut here.superuser, "chancery_appender", name).await;
        let mut tries: Vec<(&mut PgConnection, bool)> = vec![(&mut worker, false)];
        if RECORD.contains(&name.as_str()) {
            record.push(name.as_str());
        } else {
            assert!(rights.none(), "the committer's login has a right to `{name}`");
            tries.push((&mut appender, false));
        }
        for (login, _) in &mut tries {
            for asker in [Some(here.theirs), Some(here.other), None] {
                let mut all = statements(table, &rights, here.theirs);
                all.push((insert_one(table), false));
                for (statement, _) in all {
                    let done = attempt(login, asker, &statement).await;
                    assert!(is_denied(&done), "{asker:?}: {statement}: {done:?}");
                }
            }
        }
    }
    assert_eq!(record, RECORD);
    // What stands in the record is never changed there, and only what may be forgotten is deleted.
    for (table, update, delete) in [
        ("checkpoints", false, true),
        ("entries", false, false),
        ("heads", true, false),
        ("idempotency", false, true),
        ("intents", false, false),
        ("tiles", false, false),
        ("token_uses", false, false),
    ] {
        let rights = Rights::of(&mut here.superuser, "chancery_appender", table).await;
        assert_eq!((rights.update.is_some(), rights.delete), (update, delete), "{table}");
    }
}

async fn names(superuser: &mut PgConnection, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(superuser).await.unwrap()
}

/// Who may call which function that reaches across organizations.
const CALLERS: &[&str] = &[
    "breaker_abandon for chancery_worker",
    "breaker_note for chancery_worker",
    "breaker_probe for chancery_worker",
    "connector_credentials_ended for chancery_worker",
    "escalations_due for chancery_worker",
    "find_api_key for chancery_app",
    "find_organization for chancery_app",
    "signing_keys_due for chancery_worker",
    "touch_api_keys for chancery_worker",
];

#[tokio::test]
async fn the_catalogue_is_locked_as_the_design_says() {
    let database = database().await;
    let mut superuser = PgConnection::connect_with(&database.superuser()).await.unwrap();
    let nobody = Vec::<String>::new();
    let unlocked = names(
        &mut superuser,
        "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id'
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
    );
    assert_eq!(unlocked.await, nobody, "tables without forced row-level security");
    let powerful = names(
        &mut superuser,
        "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'chancery\\_%' AND rolname <> 'chancery_superuser'
           AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)",
    );
    assert_eq!(powerful.await, nobody, "logins that could go around the locks");
    let owners = names(
        &mut superuser,
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    );
    assert_eq!(owners.await, ["chancery_owner"], "who owns tables could unlock them");
    let members = names(
        &mut superuser,
        "SELECT m.member::regrole || ' in ' || m.roleid::regrole FROM pg_auth_members m
         WHERE m.member::regrole::text IN ('chancery_app', 'chancery_appender', 'chancery_worker')",
    );
    assert_eq!(members.await, nobody, "logins with the rights of another role");
    let sleeping = names(
        &mut superuser,
        "SELECT rolname::text FROM pg_roles WHERE rolname = 'chancery_definer' AND rolcanlogin",
    );
    assert_eq!(sleeping.await, nobody, "who owns the definer functions can log in");
    let searching = names(
        &mut superuser,
        "SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
           AND (p.proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, public, pg_temp']
                OR p.proowner::regrole::text <> 'chancery_definer'
                OR has_function_privilege('public', p.oid, 'EXECUTE'))",
    );
    assert_eq!(
        searching.await,
        nobody,
        "definer functions that find other names, are another's, or open to all"
    );
    let callers = names(
        &mut superuser,
        "SELECT p.proname || ' for ' || r.rolname FROM pg_proc p, pg_roles r
         WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND r.rolname LIKE 'chancery\\_%'
           AND r.rolname NOT IN ('chancery_superuser', 'chancery_definer', 'chancery_owner')
           AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 1",
    );
    assert_eq!(callers.await, CALLERS);
    let foreign: Vec<(String, String)> = sqlx::query_as(
        "SELECT tablename::text, policyname::text FROM pg_policies WHERE schemaname = 'public'
           AND 'chancery_appender' = ANY (roles) AND tablename <> ALL ($1)",
    )
    .bind(RECORD.map(str::to_owned).to_vec())
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(foreign, Vec::new(), "the committer reaches tables that are not the record's");
}
