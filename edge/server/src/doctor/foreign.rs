//! Any other database, by the column that says whose a row is.

use anyhow::{Context as _, anyhow};
use chancery_doctor::{Expected, Guarded, Report, Trusted};
use chancery_store::provision::require_tls;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::Asked;

/// Examines any database by a column.
pub(super) async fn examine(asked: Asked) -> anyhow::Result<Report> {
    let from_environment = || std::env::var("DATABASE_URL").ok().map(SecretString::from);
    let url = asked
        .database_url
        .or_else(from_environment)
        .context("which database? Name it with --database-url, or in DATABASE_URL")?;
    // The parser's error may quote the URL, which holds a password.
    let options: PgConnectOptions = url
        .expose_secret()
        .parse()
        .map_err(|_| anyhow!("the database URL does not read as one of Postgres"))?;
    let options = require_tls(&options)?.application_name("chancery doctor").disable_statement_logging();
    let mut database = PgConnection::connect_with(&options).await.context("the database does not answer")?;
    let trusted = asked.trusted_role.into_iter().map(|role| Trusted { role, tables: None });
    let read = asked.guarded_function.into_iter().map(|function| Guarded { function, owner: None });
    let expected = Expected {
        column: asked.tenant_column.unwrap_or_default(),
        schemas: asked.schema,
        trusted: trusted.collect(),
        administrators: Vec::new(),
        guarded: read.collect(),
        whole_cluster: false,
        by_hand: true,
    };
    let report = chancery_doctor::examine(&mut database, &expected).await?;
    database.close().await?;
    Ok(report)
}
