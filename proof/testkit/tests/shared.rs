//! The shared cluster and the databases in it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::sync::atomic::{AtomicU32, Ordering};

use chancery_crypto::SystemRandom;
use chancery_store::provision::provision;
use chancery_testkit::{TestDatabase, TestPostgres, password};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};

async fn run(options: &PgConnectOptions, statement: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await?;
    Ok(())
}

async fn databases(postgres: &TestPostgres, name: &str) -> i64 {
    let mut connection = PgConnection::connect_with(&postgres.superuser("postgres")).await.unwrap();
    let query = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1");
    query.bind(name).fetch_one(&mut connection).await.unwrap()
}

async fn take(postgres: &TestPostgres, template: &str, made: &AtomicU32) -> TestDatabase {
    let prepare = async |postgres: &TestPostgres, name: &str| {
        made.fetch_add(1, Ordering::SeqCst);
        let admin = postgres.superuser("postgres");
        let logins = provision(&admin, name, &password, &SystemRandom).await?;
        run(&logins.owner, "CREATE TABLE t AS SELECT 1 AS n; GRANT SELECT ON t TO chancery_app").await?;
        Ok(())
    };
    postgres.database_from(template, prepare).await.unwrap()
}

#[tokio::test]
async fn a_template_is_made_once_and_copies_are_apart() {
    let postgres = TestPostgres::shared().await.unwrap();
    let template = format!("selftest_{}", std::process::id());
    let made = AtomicU32::new(0);
    let (one, two, three) = tokio::join!(
        take(&postgres, &template, &made),
        take(&postgres, &template, &made),
        take(&postgres, &template, &made)
    );
    assert_eq!(made.load(Ordering::SeqCst), 1);

    run(&one.logins().owner, "DROP TABLE t").await.unwrap();
    run(&two.logins().app, "SELECT n FROM t").await.unwrap();
    assert!(run(&one.logins().app, "SELECT n FROM t").await.is_err());
    assert!(run(&three.logins().app, "CREATE TABLE mine ()").await.is_err());

    let _open = PgConnection::connect_with(&one.superuser()).await.unwrap();
    let name = one.name().to_owned();
    assert_eq!(databases(&postgres, &name).await, 1);
    drop(one);
    assert_eq!(databases(&postgres, &name).await, 0);
    assert_eq!(databases(&postgres, two.name()).await, 1);

    let source = format!("template_{template}");
    let admin = postgres.superuser("postgres");
    run(&admin, &format!("ALTER DATABASE {source} IS_TEMPLATE false")).await.unwrap();
    run(&admin, &format!("DROP DATABASE {source}")).await.unwrap();
}

#[tokio::test]
async fn a_failed_preparation_is_repeated() {
    let postgres = TestPostgres::shared().await.unwrap();
    let template = format!("selftest_failed_{}", std::process::id());
    let fail = async |postgres: &TestPostgres, name: &str| {
        run(&postgres.superuser("postgres"), &format!("CREATE DATABASE {name}")).await?;
        anyhow::bail!("half way")
    };
    let error = postgres.database_from(&template, fail).await.unwrap_err();
    assert!(format!("{error:#}").contains("half way"));
    let made = AtomicU32::new(0);
    let database = take(&postgres, &template, &made).await;
    run(&database.logins().app, "SELECT n FROM t").await.unwrap();
    let admin = postgres.superuser("postgres");
    run(&admin, &format!("ALTER DATABASE template_{template} IS_TEMPLATE false")).await.unwrap();
    run(&admin, &format!("DROP DATABASE template_{template}")).await.unwrap();
}
