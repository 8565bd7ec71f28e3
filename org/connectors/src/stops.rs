//! Which connectors nothing may be done with, in memory while the organization's epoch stands.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use chancery_model::{Audience, OrgId};
use chancery_store::{Scope, Store, StoreError};
use moka::sync::Cache;

/// How many organizations' are kept in memory.
const KEPT: u64 = 50_000;

/// Why nothing may be done with a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It may be used again one day.
    Paused,
    /// It is gone for good.
    Retired,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused => "paused",
            Self::Retired => "retired",
        })
    }
}

/// The names of an organization's connectors that are paused or retired. A name that no connector has is
/// not among them, nor one that was given to another connector which is neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped(HashMap<Audience, Stop>);

impl Stopped {
    /// Why nothing may be done with the connector of this name; `None` when nothing speaks against it.
    #[must_use]
    pub fn why(&self, name: &Audience) -> Option<Stop> {
        self.0.get(name).copied()
    }
}

impl FromIterator<(Audience, Stop)> for Stopped {
    fn from_iter<I: IntoIterator<Item = (Audience, Stop)>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

/// What is stopped in each organization: from memory while its epoch stands, else from the store. Pausing,
/// resuming and retiring move the epoch and the committer compares it, so what a process does with older
/// knowledge does not reach the record.
#[derive(Debug)]
pub struct Stops(Cache<OrgId, (i64, Arc<Stopped>)>);

impl Default for Stops {
    fn default() -> Self {
        Self(Cache::new(KEPT))
    }
}

impl Stops {
    /// What is stopped in the scope's organization, as of the scope's epoch.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the scope's knowledge is out of date.
    pub async fn of(&self, store: &Store, scope: &Scope) -> Result<Arc<Stopped>, StoreError> {
        let known = self.0.get(&scope.org());
        if let Some((_, stopped)) = known.filter(|(epoch, _)| Some(*epoch) == scope.epoch()) {
            return Ok(stopped);
        }
        let stopped = Arc::new(load(store, scope).await?);
        if let Some(epoch) = scope.epoch() {
            self.0.insert(scope.org(), (epoch, Arc::clone(&stopped)));
        }
        Ok(stopped)
    }
}

async fn load(store: &Store, scope: &Scope) -> Result<Stopped, StoreError> {
    let mut scoped = store.read(scope).await?;
    let names: Vec<(String, bool)> = sqlx::query_as(
        "SELECT name, bool_and(retired_at IS NOT NULL) FROM connectors WHERE org_id = $1
         GROUP BY name HAVING bool_and(paused_at IS NOT NULL OR retired_at IS NOT NULL)",
    )
    .bind(scope.org().as_uuid())
    .fetch_all(scoped.connection())
    .await?;
    names
        .into_iter()
        .map(|(name, gone)| {
            let name = name.parse().map_err(|error| StoreError::corrupt("connectors", error))?;
            Ok((name, if gone { Stop::Retired } else { Stop::Paused }))
        })
        .collect()
}
