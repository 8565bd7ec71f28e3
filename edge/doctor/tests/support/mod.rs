//! Databases as others make them, and flaws that are planted in them.

#![allow(dead_code, reason = "each test uses a part")]

use chancery_doctor::{Expected, Report, Trusted, examine};
use chancery_testkit::{TestDatabase, TestPostgres};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};

const SHOP: &str = include_str!("../schemas/settings.sql");
const TEAMS: &str = include_str!("../schemas/claims.sql");

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) login: PgConnectOptions,
    pub(crate) expected: Expected,
}

impl World {
    pub(crate) async fn shop() -> Self {
        Self::of("shop", SHOP, "shop_app", &[]).await
    }

    pub(crate) async fn teams() -> Self {
        Self::of("teams", TEAMS, "team_authenticator", &["team_service"]).await
    }

    async fn of(name: &str, schema: &'static str, login: &str, trusted: &[&str]) -> Self {
        let digest = chancery_crypto::sha256(&[schema.as_bytes()]);
        let digest = digest.iter().fold(0_u64, |hash, byte| hash.rotate_left(7) ^ u64::from(*byte));
        let database = TestPostgres::shared()
            .await
            .unwrap()
            .database_from(&format!("doctor_{name}_{digest:x}"), async |postgres, name| {
                let server = postgres.superuser("postgres");
                // Roles are the whole cluster's: those that other tests plant can't connect here.
                run(&server, &format!("CREATE DATABASE \"{name}\"")).await;
                run(&server, &format!("REVOKE ALL ON DATABASE \"{name}\" FROM PUBLIC")).await;
                run(&postgres.superuser(name), schema).await;
                Ok(())
            })
            .await
            .unwrap();
        run(&database.superuser(), &format!("GRANT CONNECT ON DATABASE \"{}\" TO {login}", database.name()))
            .await;
        let options = database.superuser().username(login).password(&format!("test-{login}"));
        let trusted = trusted.iter().map(|role| Trusted { role: (*role).to_owned(), tables: None });
        let expected =
            Expected { column: "org_id".to_owned(), trusted: trusted.collect(), ..Expected::default() };
        Self { database, login: options, expected }
    }

    /// As the superuser, who is gone afterwards; `{db}` is the database, `{own}` a word of its own.
    pub(crate) async fn run(&self, sql: &str) {
        let name = self.database.name();
        run(&self.database.superuser(), &sql.replace("{db}", name).replace("{own}", &format!("own_{name}")))
            .await;
    }

    /// What an ordinary login finds, once nobody else is connected.
    pub(crate) async fn examine(&self) -> Report {
        let mut login = PgConnection::connect_with(&self.login).await.unwrap();
        alone(&mut login).await;
        let report = examine(&mut login, &self.expected).await.unwrap();
        login.close().await.unwrap();
        report
    }
}

async fn run(options: &PgConnectOptions, sql: &str) {
    let mut connection = PgConnection::connect_with(options).await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
    connection.close().await.unwrap();
    done.unwrap_or_else(|error| panic!("{error}: {sql}"));
}

/// Returns once the sessions that were closed have ended.
pub(crate) async fn alone(connection: &mut PgConnection) {
    let others = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut *connection).await.unwrap() > 0 {
        assert!(tokio::time::Instant::now() < until, "somebody stays connected");
    }
}

pub(crate) fn codes(report: &Report) -> Vec<&'static str> {
    let mut codes: Vec<_> = report.findings().map(|finding| finding.code.as_str()).collect();
    codes.sort_unstable();
    codes
}

pub(crate) fn told(report: &Report) -> String {
    report.findings().map(|it| format!("{} {}: {}\n", it.code, it.subject, it.meaning)).collect()
}

pub(crate) struct Flaw {
    codes: &'static [&'static str],
    plant: &'static str,
    undo: &'static str,
}

pub(crate) const fn flaw(codes: &'static [&'static str], plant: &'static str, undo: &'static str) -> Flaw {
    Flaw { codes, plant, undo }
}

pub(crate) async fn each_is_found(world: World, flaws: &[Flaw]) {
    let mut missed = String::new();
    for Flaw { codes: expected, plant, undo } in flaws {
        world.run(plant).await;
        let report = world.examine().await;
        if codes(&report) != *expected {
            missed += &format!("{plant}\nexpected {expected:?}:\n{}\n", told(&report));
        }
        world.run(undo).await;
        let after = world.examine().await;
        assert!(after.findings().next().is_none(), "after {undo}\n{}", told(&after));
    }
    assert!(missed.is_empty(), "{missed}");
}
