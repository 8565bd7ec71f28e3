//! Halting: a whole organization (its head says so), or one of its environments.

use chancery_model::{Environment, Timestamp};
use chancery_store::{Change, Epoch, Halt, Scoped, StoreError, Write};
use serde_json::json;
use time::OffsetDateTime;

/// The type of the entries of orders that halt an organization.
pub const HALTED: &str = "organization.halted";

/// What of an organization is halted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halts {
    /// Whether all of it is.
    pub organization: bool,
    /// The environments that are.
    pub environments: Vec<EnvironmentHalt>,
}

/// An environment in which nothing acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentHalt {
    /// Which.
    pub environment: Environment,
    /// Since when.
    pub at: Timestamp,
    /// Why, as whoever halted it said.
    pub reason: String,
}

/// The organization or the environment is in that state already.
#[derive(Debug, thiserror::Error)]
pub enum HaltError {
    /// It is halted already, or not halted.
    #[error("it already is in that state")]
    Unchanged,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for HaltError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Whether the organization as a whole is halted.
///
/// # Errors
/// When the store does not answer.
pub async fn is_organization_halted<M>(scoped: &mut Scoped<M>) -> Result<bool, StoreError> {
    let org = scoped.org();
    Ok(sqlx::query_scalar("SELECT halted FROM heads WHERE org_id = $1")
        .bind(org.as_uuid())
        .fetch_one(scoped.connection())
        .await?)
}

/// What is halted.
///
/// # Errors
/// When the store does not answer.
pub async fn read<M>(scoped: &mut Scoped<M>) -> Result<Halts, StoreError> {
    let organization = is_organization_halted(scoped).await?;
    let org = scoped.org();
    let rows: Vec<(String, OffsetDateTime, String)> = sqlx::query_as(
        "SELECT environment, halted_at, reason FROM environment_halts
         WHERE org_id = $1 AND halted_at IS NOT NULL ORDER BY environment",
    )
    .bind(org.as_uuid())
    .fetch_all(scoped.connection())
    .await?;
    let environments = rows
        .into_iter()
        .map(|(environment, at, reason)| {
            let environment =
                environment.parse().map_err(|error| StoreError::corrupt("environment_halts", error))?;
            Ok(EnvironmentHalt { environment, at: at.into(), reason })
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Halts { organization, environments })
}

/// Halts or resumes the whole organization.
///
/// # Errors
/// See [`HaltError`].
pub async fn order(scoped: &mut Scoped<Write>, halt: Halt, reason: &str) -> Result<Change, HaltError> {
    let (kind, halted) = match halt {
        Halt::Halt => (HALTED, true),
        Halt::Resume => ("organization.resumed", false),
    };
    if is_organization_halted(scoped).await? == halted {
        return Err(HaltError::Unchanged);
    }
    let reference = ("organization", scoped.org().to_string());
    let mut change = Change::new(kind, Epoch::Bump, reference, json!({ "reason": reason }));
    change.halt = Some(halt);
    Ok(change)
}

/// Halts or resumes one environment: its keys neither ask nor redeem while it is halted. `reason` is 1 to
/// 1000 bytes.
///
/// # Errors
/// See [`HaltError`].
pub async fn order_environment(
    scoped: &mut Scoped<Write>,
    environment: Environment,
    halt: Halt,
    reason: &str,
    now: Timestamp,
) -> Result<Change, HaltError> {
    let (kind, halted) = match halt {
        Halt::Halt => ("environment.halted", Some(reason)),
        Halt::Resume => ("environment.resumed", None),
    };
    let org = scoped.org();
    // Two at once: the second waits for the row, and finds it changed.
    let changed = sqlx::query(
        "INSERT INTO environment_halts AS h (org_id, environment, halted_at, reason)
         SELECT $1::uuid, $2::text, $3::timestamptz, $4::text WHERE $4 IS NOT NULL OR EXISTS (
             SELECT FROM environment_halts WHERE org_id = $1 AND environment = $2)
         ON CONFLICT (org_id, environment) DO UPDATE SET halted_at = excluded.halted_at, reason = excluded.reason
             WHERE (h.halted_at IS NULL) <> (excluded.halted_at IS NULL)",
    )
    .bind(org.as_uuid())
    .bind(environment.as_str())
    .bind(halted.map(|_| now.to_offset()))
    .bind(halted)
    .execute(scoped.connection())
    .await?;
    if changed.rows_affected() != 1 {
        return Err(HaltError::Unchanged);
    }
    let payload = json!({ "environment": environment, "reason": reason });
    Ok(Change::new(kind, Epoch::Bump, ("organization", org.to_string()), payload))
}
