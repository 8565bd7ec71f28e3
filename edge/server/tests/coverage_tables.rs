//! Every table of the catalogue, asked by the requests' login for another organization's rows.
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

use chancery_testkit::{TestDatabase, TestPostgres, password};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use uuid::Uuid;

/// Tables without `org_id`, each with its reason.
const INSTALLATION: &[(&str, &str)] = &[
    ("schema_migrations", "which migrations ran; no organization's data"),
    ("installation_keys", "the installation's checkpoint key, sealed by the KEK"),
];

/// Organizations whose rows stand in every table.
const ORGANIZATIONS: i64 = 1000;

async fn database() -> TestDatabase {
    let postgres = TestPostgres::shared().await.unwrap();
    postgres
        .database_from("server-all-tables-1", async |postgres, name| {
            let logins = chancery_store::provision::provision(
                &postgres.superuser("postgres"),
                name,
                &password,
                &chancery_crypto::SystemRandom,
            )
            .await?;
            chancery_store::migrate(&logins.owner, &chancery_server::database::migrations()).await?;
            Ok(())
        })
        .await
        .unwrap()
}

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
];

/// A text that the column's check takes.
fn word(table: &str, column: &str) -> &'static str {
    match (table, column) {
        (_, "role") => "viewer",
        (_, "algorithm" | "token_algorithm") => "RS256",
        ("signing_keys", "state") => "active",
        (_, "holder_kind" | "principal_kind") => "agent",
        (_, "environment") => "live",
        ("revocations", "kind") => "organization",
        (_, "effect") => "allow",
        (_, "refs" | "definition" | "public_jwk") => "{}",
        _ => "word",
    }
}

/// What the requests' login gets when it asks as `org` (none when `None`) for the first organization's rows.
async fn attempt(app: &mut PgConnection, org: Option<Uuid>, sql: &str) -> Result<u64, String> {
    let mut tx = app.begin().await.unwrap();
    let org = org.map(|org| org.to_string()).unwrap_or_default();
    sqlx::query("SELECT set_config('app.org_id', $1, true)").bind(org).execute(&mut *tx).await.unwrap();
    let outcome = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await;
    tx.rollback().await.unwrap();
    outcome.map(|done| done.rows_affected()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn no_login_reaches_another_organizations_rows() {
    let database = database().await;
    let mut superuser = PgConnection::connect_with(&database.superuser()).await.unwrap();
    let mut app = PgConnection::connect_with(&database.logins().app).await.unwrap();
    let all = tables(&mut superuser).await;
    let (locked, free): (Vec<_>, Vec<_>) = all.iter().partition(|table| table.is_organizations());
    let free: Vec<&str> = free.iter().map(|table| table.name.as_str()).collect();
    for name in &free {
        assert!(
            INSTALLATION.iter().any(|(known, _)| known == name),
            "`{name}` has no org_id and no reason here"
        );
    }
    assert!(locked.len() >= 15, "{}", locked.len());
    let owner: Uuid = sqlx::query_scalar("SELECT md5('org1')::uuid").fetch_one(&mut superuser).await.unwrap();
    let other: Uuid = sqlx::query_scalar("SELECT md5('org2')::uuid").fetch_one(&mut superuser).await.unwrap();
    for table in locked {
        let name = &table.name;
        let filled = sqlx::query(AssertSqlSafe(table.fill())).execute(&mut superuser).await;
        assert!(filled.is_ok(), "`{name}` is not filled: {:?}\n{}", filled.err(), table.fill());
        let theirs = format!("WHERE org_id = '{owner}'");
        let select = format!("SELECT 1 FROM {name} {theirs}");
        // The check itself can succeed: the owner of the rows sees them.
        let own = attempt(&mut app, Some(owner), &select).await;
        assert!(
            matches!(own, Ok(1)) || own.as_ref().is_err_and(|e| e.contains("permission denied")),
            "{name}: {own:?}"
        );
        for asker in [Some(other), None] {
            let read = attempt(&mut app, asker, &select).await;
            assert!(
                read.as_ref().map_or_else(|e| e.contains("permission denied"), |rows| *rows == 0),
                "{name}: {read:?}"
            );
            let whole =
                attempt(&mut app, asker, &format!("SELECT count(*) FROM {name} HAVING count(*) > 1")).await;
            assert!(
                whole.as_ref().map_or_else(|e| e.contains("permission denied"), |rows| *rows == 0),
                "{name}: {whole:?}"
            );
            for change in [
                format!("UPDATE {name} SET org_id = org_id {theirs}"),
                format!("DELETE FROM {name} {theirs}"),
            ] {
                let done = attempt(&mut app, asker, &change).await;
                assert!(
                    done.as_ref().map_or_else(|e| e.contains("permission denied"), |rows| *rows == 0),
                    "{name}: {change}: {done:?}"
                );
            }
            let insert = table
                .fill()
                .replace(&format!("generate_series(1, {ORGANIZATIONS}) n"), "generate_series(1, 1) n");
            let done = attempt(&mut app, asker, &insert).await;
            let why = done.as_ref().err().cloned().unwrap_or_default();
            assert!(
                why.contains("row-level security") || why.contains("permission denied"),
                "{name}: a row was inserted into another organization: {done:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_catalogue_is_locked_as_the_design_says() {
    let database = database().await;
    let mut superuser = PgConnection::connect_with(&database.superuser()).await.unwrap();
    let unlocked: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id'
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(unlocked, Vec::<String>::new(), "tables without forced row-level security");
    let powerful: Vec<String> = sqlx::query_scalar(
        "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'chancery\\_%' AND rolname <> 'chancery_superuser'
           AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(powerful, Vec::<String>::new(), "logins that could go around the locks");
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT p.proname::text FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
           AND (NOT coalesce(array_to_string(p.proconfig, ','), '') LIKE '%search_path=%'
                OR has_function_privilege('public', p.oid, 'EXECUTE'))",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(
        open,
        Vec::<String>::new(),
        "security definer functions without a fixed search_path, or open to all"
    );
    let foreign: Vec<(String, String)> = sqlx::query_as(
        "SELECT tablename::text, policyname::text FROM pg_policies WHERE schemaname = 'public'
           AND 'chancery_appender' = ANY (roles) AND tablename NOT IN
               ('heads', 'entries', 'intents', 'idempotency', 'checkpoints', 'tiles', 'token_uses')",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(foreign, Vec::new(), "the committer reaches tables that are not the record's");
}
