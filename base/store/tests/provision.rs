//! Provisioning against a real Postgres: repeated, raced, refused, and without a superuser.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use chancery_crypto::SystemRandom;
use chancery_store::embedded::{Embedded, EmbeddedOptions};
use chancery_store::provision::{Logins, ProvisionError, provision};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

async fn start(dir: &TempDir) -> Embedded {
    Embedded::start(EmbeddedOptions {
        data_dir: dir.path().to_owned(),
        binaries: None,
        superuser_password: "correct horse".into(),
        // Statements are logged here to see what they hold.
        settings: vec![("fsync".into(), "off".into()), ("log_statement".into(), "all".into())],
    })
    .await
    .unwrap()
}

fn password(login: &str) -> SecretString {
    format!("canary-{login}").into()
}

async fn make(admin: &PgConnectOptions) -> Result<Logins, ProvisionError> {
    provision(admin, "chancery", &password, &SystemRandom).await
}

async fn run(options: &PgConnectOptions, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
    Ok(())
}

async fn ask(options: &PgConnectOptions, query: &str) -> Vec<String> {
    let mut connection = PgConnection::connect_with(options).await.unwrap();
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_all(&mut connection).await.unwrap()
}

#[tokio::test]
async fn makes_least_logins_however_often_and_by_however_many() {
    let dir = TempDir::new().unwrap();
    let embedded = start(&dir).await;
    let admin = embedded.superuser();
    let (one, two, three) = tokio::join!(make(&admin), make(&admin), make(&admin));
    let logins = one.and(two).and(three).unwrap();
    make(&admin).await.unwrap();

    for (login, name) in [
        (&logins.owner, "chancery_owner"),
        (&logins.app, "chancery_app"),
        (&logins.appender, "chancery_appender"),
        (&logins.worker, "chancery_worker"),
    ] {
        assert_eq!(ask(login, "SELECT current_user::text").await, [name]);
        assert_eq!(ask(login, "SHOW search_path").await, ["public, pg_temp"]);
        assert_ne!(ask(login, "SHOW lock_timeout").await, ["0"]);
        let elsewhere = login.clone().password("wrong");
        assert!(PgConnection::connect_with(&elsewhere).await.is_err(), "{name} with a wrong password");
        let create = run(login, "CREATE TABLE mine ()").await;
        assert_eq!(create.is_ok(), name == "chancery_owner", "{name}: {create:?}");
    }
    assert_eq!(
        ask(
            &admin,
            "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'chancery%' AND rolcanlogin ORDER BY 1"
        )
        .await,
        ["chancery_app", "chancery_appender", "chancery_owner", "chancery_superuser", "chancery_worker"]
    );
    // The owner hands functions to the definer, and nobody may call them unasked.
    let function = "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; \
                    GRANT CREATE ON SCHEMA public TO chancery_definer; \
                    ALTER FUNCTION f() OWNER TO chancery_definer; \
                    REVOKE CREATE ON SCHEMA public FROM chancery_definer; \
                    CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 2'";
    run(&logins.owner, function).await.unwrap();
    assert!(run(&logins.app, "SELECT f()").await.is_err());

    run(&admin, "CREATE ROLE stranger LOGIN PASSWORD 'x'").await.unwrap();
    let stranger = logins.app.clone().username("stranger").password("x");
    assert!(PgConnection::connect_with(&stranger).await.is_err(), "nothing is left to PUBLIC");

    let log = std::fs::read_to_string(dir.path().join("postgres.log")).unwrap();
    assert!(log.contains("ALTER ROLE chancery_app") && !log.contains("canary-"), "a password is in the log");
    embedded.stop().await.unwrap();
}

#[tokio::test]
async fn refuses_roles_that_are_too_strong() {
    let dir = TempDir::new().unwrap();
    let embedded = start(&dir).await;
    let admin = embedded.superuser();
    make(&admin).await.unwrap();
    for (grant, revoke, role) in [
        ("ALTER ROLE chancery_app BYPASSRLS", "ALTER ROLE chancery_app NOBYPASSRLS", "chancery_app"),
        ("ALTER ROLE chancery_worker SUPERUSER", "ALTER ROLE chancery_worker NOSUPERUSER", "chancery_worker"),
        ("ALTER ROLE chancery_definer LOGIN", "ALTER ROLE chancery_definer NOLOGIN", "chancery_definer"),
        ("GRANT chancery_owner TO chancery_app", "REVOKE chancery_owner FROM chancery_app", "chancery_app"),
        (
            "GRANT chancery_definer TO chancery_worker",
            "REVOKE chancery_definer FROM chancery_worker",
            "chancery_worker",
        ),
    ] {
        run(&admin, grant).await.unwrap();
        let error = make(&admin).await.unwrap_err();
        assert!(
            matches!(&error, ProvisionError::Privileged { role: named, .. } if named == role),
            "{grant}: {error}"
        );
        run(&admin, revoke).await.unwrap();
        make(&admin).await.unwrap();
    }
    run(&admin, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0").await.unwrap();
    let error = provision(&admin, "latin", &password, &SystemRandom).await.unwrap_err();
    assert!(matches!(error, ProvisionError::Encoding { .. }), "{error}");
    embedded.stop().await.unwrap();
}

#[tokio::test]
async fn needs_no_superuser() {
    let dir = TempDir::new().unwrap();
    let embedded = start(&dir).await;
    let superuser = embedded.superuser();
    run(&superuser, "CREATE ROLE operator LOGIN CREATEROLE CREATEDB PASSWORD 'x'").await.unwrap();
    run(&superuser, "CREATE ROLE nobody_special LOGIN PASSWORD 'x'").await.unwrap();

    let powerless = superuser.clone().username("nobody_special").password("x");
    let error = make(&powerless).await.unwrap_err();
    assert!(matches!(error, ProvisionError::Refused { .. }), "{error}");

    let operator = superuser.username("operator").password("x");
    make(&operator).await.unwrap();
    let logins = make(&operator).await.unwrap();
    run(&logins.owner, "CREATE TABLE t ()").await.unwrap();
    // An existing database of the operator's is taken over.
    run(&operator, "CREATE DATABASE own").await.unwrap();
    let logins = provision(&operator, "own", &password, &SystemRandom).await.unwrap();
    run(&logins.owner, "CREATE TABLE t ()").await.unwrap();
    embedded.stop().await.unwrap();
}
