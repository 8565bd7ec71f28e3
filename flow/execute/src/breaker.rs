//! Circuit breakers: a connector that fails is left alone for a while, then tried with few calls.
//!
//! The state is in the database, for all servers alike. A closed breaker costs a call one look along with
//! reading its connector; only failures, and calls of a breaker that is open, write.

use std::time::Duration;

use chancery_connectors::Breaker;
use chancery_model::{ConnectorId, OrgId, Timestamp};
use chancery_store::{Change, Epoch, Scoped, Store, StoreError, Write};
use serde_json::json;
use sqlx::postgres::types::PgInterval;
use time::OffsetDateTime;

/// A breaker as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakers {
    /// At which host.
    pub host: String,
    /// How many failures count.
    pub failures: usize,
    /// Until when nothing is called; afterwards only probes. `None` when it is closed.
    pub open_until: Option<Timestamp>,
}

impl Breakers {
    /// The word for what it is at a moment.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> &'static str {
        match self.open_until {
            None => "closed",
            Some(until) if now < until => "open",
            Some(_) => "half_open",
        }
    }
}

/// The breakers of a connector that ever failed.
///
/// # Errors
/// When the store does not answer.
pub async fn read<M>(scoped: &mut Scoped<M>, connector: ConnectorId) -> Result<Vec<Breakers>, StoreError> {
    let rows: Vec<(String, Vec<OffsetDateTime>, Option<OffsetDateTime>)> = sqlx::query_as(
        "SELECT host, failures, open_until FROM breakers WHERE org_id = $1 AND connector_id = $2 ORDER BY host",
    )
    .bind(scoped.org().as_uuid())
    .bind(connector.as_uuid())
    .fetch_all(scoped.connection())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(host, failures, open_until)| Breakers {
            host,
            failures: failures.len(),
            open_until: open_until.map(Timestamp::from),
        })
        .collect())
}

/// Closes the breakers of a connector, and forgets the failures that they counted.
///
/// # Errors
/// When the store does not answer.
pub async fn reset(
    scoped: &mut Scoped<Write>,
    connector: ConnectorId,
    reason: &str,
) -> Result<Change, StoreError> {
    let done = sqlx::query("DELETE FROM breakers WHERE org_id = $1 AND connector_id = $2")
        .bind(scoped.org().as_uuid())
        .bind(connector.as_uuid())
        .execute(scoped.connection())
        .await?;
    let reference = ("connector", connector.to_string());
    let payload = json!({ "reason": reason, "breakers": done.rows_affected() });
    Ok(Change::new("connector.breaker_reset", Epoch::Keep, reference, payload))
}

/// Which breaker, and what it goes by.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    pub(crate) org: OrgId,
    pub(crate) connector: ConnectorId,
    pub(crate) host: String,
    pub(crate) rule: Breaker,
}

impl Switch {
    /// Whether a call may be made although the breaker was found open: as a probe.
    pub(crate) async fn probe(
        &self,
        store: &Store,
        now: Timestamp,
        lost_after: Duration,
    ) -> Result<bool, StoreError> {
        let may: bool = sqlx::query_scalar("SELECT breaker_probe($1, $2, $3, $4, $5, $6)")
            .bind(self.org.as_uuid())
            .bind(self.connector.as_uuid())
            .bind(&self.host)
            .bind(now.to_offset())
            .bind(i32::try_from(self.rule.probes).unwrap_or(i32::MAX))
            .bind(seconds(u32::try_from(lost_after.as_secs()).unwrap_or(u32::MAX)))
            .fetch_one(store.worker())
            .await?;
        Ok(may)
    }

    /// Gives a probe back that was not made.
    pub(crate) async fn abandon(&self, store: &Store) -> Result<(), StoreError> {
        sqlx::query("SELECT breaker_abandon($1, $2, $3)")
            .bind(self.org.as_uuid())
            .bind(self.connector.as_uuid())
            .bind(&self.host)
            .execute(store.worker())
            .await?;
        Ok(())
    }

    /// Notes how a call ended. Gives whether the breaker is open from here on.
    pub(crate) async fn note(
        &self,
        store: &Store,
        now: Timestamp,
        succeeded: bool,
    ) -> Result<bool, StoreError> {
        let open: bool = sqlx::query_scalar("SELECT breaker_note($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(self.org.as_uuid())
            .bind(self.connector.as_uuid())
            .bind(&self.host)
            .bind(now.to_offset())
            .bind(succeeded)
            .bind(i32::try_from(self.rule.failures).unwrap_or(i32::MAX))
            .bind(seconds(self.rule.window_seconds))
            .bind(seconds(self.rule.open_seconds))
            .fetch_one(store.worker())
            .await?;
        Ok(open)
    }
}

fn seconds(seconds: u32) -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: i64::from(seconds) * 1_000_000 }
}
