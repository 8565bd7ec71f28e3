//! Which installation a database belongs to, known before anything is changed in it.
//!
//! The roles are the cluster's, and their passwords derive from the key file: a cluster serves one
//! installation. Its id is a comment on the owner's role, which every login can read.

use anyhow::{Context as _, bail};
use chancery_store::provision::OWNER;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

const MARK: &str = "chancery installation ";

/// What a database says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing of ours is in it.
    Nothing,
    /// Data of an installation that left no mark: restored from a dump.
    Unmarked,
    /// It belongs to this installation.
    Marked(Uuid),
}

/// Reads the mark of the database that `admin` leads to.
///
/// # Errors
/// When the database does not answer.
pub async fn find(admin: &PgConnectOptions, database: &str) -> anyhow::Result<Found> {
    let mut server = PgConnection::connect_with(admin).await.context("the database does not answer")?;
    let marked = marked(&mut server).await?;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(database)
        .fetch_one(&mut server)
        .await?;
    server.close().await?;
    if let Some(id) = marked {
        return Ok(Found::Marked(id));
    }
    if !exists {
        return Ok(Found::Nothing);
    }
    let mut inside = PgConnection::connect_with(&admin.clone().database(database)).await?;
    let used: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE n.nspname = 'public' AND c.relname = 'data_keys')",
    )
    .fetch_one(&mut inside)
    .await?;
    inside.close().await?;
    Ok(if used { Found::Unmarked } else { Found::Nothing })
}

/// Whose cluster it is, by the mark on the owner's role.
///
/// # Errors
/// When the database does not answer.
pub async fn marked(server: &mut PgConnection) -> sqlx::Result<Option<Uuid>> {
    let mark: Option<Option<String>> = sqlx::query_scalar(
        "SELECT pg_catalog.shobj_description(oid, 'pg_authid') FROM pg_catalog.pg_roles WHERE rolname = $1",
    )
    .bind(OWNER)
    .fetch_optional(server)
    .await?;
    Ok(mark.flatten().and_then(|mark| mark.strip_prefix(MARK)?.parse().ok()))
}

/// Refuses a database of another installation than the key file's.
///
/// # Errors
/// When the mark is another's.
pub fn check(found: Found, ours: Uuid) -> anyhow::Result<()> {
    match found {
        Found::Marked(theirs) if theirs != ours => bail!(
            "the key file belongs to the installation {ours} and the database to {theirs}: \
             put the database's own key file back (nothing sealed can be read without it)"
        ),
        _ => Ok(()),
    }
}

/// Marks the database's cluster as this installation's.
///
/// # Errors
/// When the database refuses.
pub async fn mark(admin: &PgConnectOptions, ours: Uuid) -> anyhow::Result<()> {
    let mut server = PgConnection::connect_with(admin).await.context("the database does not answer")?;
    // A role of ours and a UUID: nothing in it needs quoting.
    sqlx::query(AssertSqlSafe(format!("COMMENT ON ROLE {OWNER} IS '{MARK}{ours}'")))
        .execute(&mut server)
        .await?;
    server.close().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_installations_mark_is_refused() {
        let (ours, theirs) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for found in [Found::Nothing, Found::Unmarked, Found::Marked(ours)] {
            assert!(check(found, ours).is_ok(), "{found:?}");
        }
        let refused = check(Found::Marked(theirs), ours).unwrap_err().to_string();
        assert!(refused.contains(&theirs.to_string()), "{refused}");
    }
}
