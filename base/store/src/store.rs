//! The pools, one per login.

use std::sync::Arc;
use std::time::Duration;

use chancery_crypto::{Custody, Random};
use chancery_model::{Clock, OrgId};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres};

use crate::provision::Logins;
use crate::{CommitRight, Keyring, Read, Scope, Scoped, StoreError, Write};

/// How many connections each login may hold.
#[derive(Clone, Copy, Debug)]
pub struct PoolSizes {
    /// For requests.
    pub app: u32,
    /// For the record, beside the committer's own connection.
    pub appender: u32,
    /// For schedulers.
    pub worker: u32,
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self { app: 12, appender: 4, worker: 2 }
    }
}

/// The way into the database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    app: PgPool,
    appender: PgPool,
    worker: PgPool,
    committer: PgConnectOptions,
    keyring: Arc<Keyring>,
}

impl Store {
    /// Opens the pools. Gives the one [`CommitRight`] beside the store.
    ///
    /// # Errors
    /// When a login can't connect.
    pub async fn connect(
        logins: &Logins,
        sizes: PoolSizes,
        custody: Arc<Custody>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<(Self, CommitRight), StoreError> {
        let app = pool(&logins.app, sizes.app).await?;
        let appender = pool(&logins.appender, sizes.appender).await?;
        let worker = pool(&logins.worker, sizes.worker).await?;
        let keyring = Arc::new(Keyring::new(app.clone(), custody, clock, random));
        let committer = durable(&logins.appender);
        Ok((Self { app, appender, worker, committer, keyring }, CommitRight::new()))
    }

    /// A transaction that reads inside an organization.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the scope's knowledge is out of date.
    pub async fn read(&self, scope: &Scope) -> Result<Scoped<Read>, StoreError> {
        Scoped::<Read>::open(&self.app, scope).await
    }

    /// A transaction that changes something inside an organization.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the scope's knowledge is out of date.
    pub async fn write(&self, scope: &Scope) -> Result<Scoped<Write>, StoreError> {
        Scoped::<Write>::open(&self.app, scope).await
    }

    /// A connection outside every organization: row-level security shows it no row of any, so it is
    /// good only for the functions that find a principal's organization. It answered just now.
    ///
    /// # Errors
    /// When no connection is free in time.
    pub async fn outside(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        let mut dead = self.app.size();
        loop {
            let mut connection = self.app.acquire().await?;
            match connection.ping().await.map_err(StoreError::from) {
                Ok(()) => return Ok(connection),
                Err(error) if error.is_disconnect() && dead > 0 => dead -= 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// The record's own connections, across organizations, on the record's tables only.
    #[must_use]
    pub const fn appender(&self) -> &PgPool {
        &self.appender
    }

    /// One of the record's connections, outside the pools: for who keeps it long.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn appender_connection(&self) -> Result<PgConnection, StoreError> {
        Ok(PgConnection::connect_with(&self.committer).await?)
    }

    /// The schedulers' connections: they reach rows only through guarded functions.
    #[must_use]
    pub const fn worker(&self) -> &PgPool {
        &self.worker
    }

    /// The keys that seal organizations' data.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Every organization's id, for the installation's own work.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn organizations(&self) -> Result<Vec<OrgId>, StoreError> {
        let ids: Vec<uuid::Uuid> =
            sqlx::query_scalar("SELECT org_id FROM heads ORDER BY org_id").fetch_all(&self.appender).await?;
        Ok(ids.into_iter().map(OrgId::from_uuid).collect())
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        self.app.close().await;
        self.appender.close().await;
        self.worker.close().await;
    }
}

/// After this long without use a connection is asked whether it still lives.
const RESTED: Duration = Duration::from_millis(200);

async fn pool(login: &PgConnectOptions, most: u32) -> Result<PgPool, StoreError> {
    Ok(PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(Duration::from_secs(5))
        // Asking before each use would cost every request a round trip, so only a connection that has
        // rested is asked whether it still lives.
        .test_before_acquire(false)
        .before_acquire(|connection, known| {
            Box::pin(async move {
                if known.idle_for > RESTED {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(durable(login))
        .await?)
}

/// A login whose commits are on the disk when they are answered, whatever the database or the role
/// says: acknowledged means durable.
fn durable(login: &PgConnectOptions) -> PgConnectOptions {
    login.clone().options([("synchronous_commit", "on")])
}
