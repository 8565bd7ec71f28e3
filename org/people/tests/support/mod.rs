//! A database for one test, with a clock that stands still.

use std::sync::Arc;

use chancery_crypto::{Custody, DataKey, SystemRandom, sha256};
use chancery_model::{Clock, ManualClock, OrgId, Timestamp};
use chancery_people::organization;
use chancery_store::provision::provision;
use chancery_store::{
    Change, CommitRight, Epoch, Keyring, Migration, PoolSizes, Read, Scope, Scoped, Store, Write, migrate,
};
use chancery_testkit::{TestDatabase, TestPostgres, password};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    right: CommitRight,
    pub(crate) database: TestDatabase,
    _folder: tempfile::TempDir,
}

/// A template's name changes with what is in it.
fn template_of(migrations: &[Migration]) -> String {
    let statements: Vec<&[u8]> = migrations.iter().map(|m| m.sql.as_bytes()).collect();
    let digest =
        sha256(&statements).iter().take(8).fold(0_u64, |digest, byte| digest << 8 | u64::from(*byte));
    format!("org_{digest:016x}")
}

/// An organization and its key.
pub(crate) struct Org {
    pub(crate) id: OrgId,
    pub(crate) key: Arc<DataKey>,
}

impl World {
    pub(crate) async fn start(owners: &[&[Migration]]) -> Self {
        let migrations = owners.concat();
        let postgres = TestPostgres::shared().await.unwrap();
        let database = postgres
            .database_from(&template_of(&migrations), async |postgres, name| {
                let logins =
                    provision(&postgres.superuser("postgres"), name, &password, &SystemRandom).await?;
                migrate(&logins.owner, &migrations).await?;
                Ok(())
            })
            .await
            .unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let custody = Arc::new(Custody::create(&folder.path().join("kek.toml"), &SystemRandom).unwrap());
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let (store, right) =
            Store::connect(&database.logins(), PoolSizes::default(), custody, time, Arc::new(SystemRandom))
                .await
                .unwrap();
        Self { store, clock, right, database, _folder: folder }
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        self.store.keyring()
    }

    pub(crate) async fn found(&self, slug: &str) -> Org {
        let id = OrgId::new(self.clock.now(), self.keyring().random().bytes());
        let mut founding = self.store.write(&Scope::founding(id)).await.unwrap();
        let (slug, name) = (slug.parse().unwrap(), slug.parse().unwrap());
        let founded = organization::found(&mut founding, self.keyring(), slug, name).await.unwrap();
        sqlx::query("INSERT INTO heads VALUES ($1, 0, decode(repeat('00', 32), 'hex'), now(), 1)")
            .bind(id.as_uuid())
            .execute(founding.connection())
            .await
            .unwrap();
        self.right.commit(founding).await.unwrap();
        Org { id, key: founded.org_key }
    }

    pub(crate) async fn write(&self, org: &Org) -> Scoped<Write> {
        self.store.write(&Scope::installation(org.id)).await.unwrap()
    }

    pub(crate) async fn read(&self, org: &Org) -> Scoped<Read> {
        self.store.read(&Scope::installation(org.id)).await.unwrap()
    }

    /// What the record does as far as these crates can see: move the epoch, commit.
    pub(crate) async fn commit(&self, mut scoped: Scoped<Write>, change: &Change) {
        let org = scoped.org();
        let step = i64::from(change.epoch == Epoch::Bump);
        sqlx::query("UPDATE heads SET seq = seq + 1, epoch = epoch + $2 WHERE org_id = $1")
            .bind(org.as_uuid())
            .bind(step)
            .execute(scoped.connection())
            .await
            .unwrap();
        self.right.commit(scoped).await.unwrap();
    }

    /// Past every lock, for what an attacker at the database could do.
    pub(crate) async fn as_superuser(&self, sql: &str) {
        let mut connection = PgConnection::connect_with(&self.database.superuser()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }

    /// That rows of `owner` in `table` can be neither seen, changed, deleted nor made by `other` or by
    /// nobody. `column` is one the requests' login may update, if there is one.
    pub(crate) async fn assert_isolated(&self, table: &str, column: Option<&str>, owner: &Org, other: &Org) {
        let count = format!("SELECT count(*) FROM {table} WHERE org_id = '{}'", owner.id);
        let mut own = self.read(owner).await;
        let seen: i64 = scalar(own.connection(), &count).await;
        assert!(seen > 0, "the test put nothing into {table}");

        let mut scoped = self.write(other).await;
        self.assert_refused(scoped.connection(), table, column, owner).await;
        drop(scoped);
        let mut outside = self.store.outside().await.unwrap();
        self.assert_refused(&mut outside, table, column, owner).await;
    }

    async fn assert_refused(
        &self,
        connection: &mut PgConnection,
        table: &str,
        column: Option<&str>,
        owner: &Org,
    ) {
        let of_owner = format!("WHERE org_id = '{}'", owner.id);
        let seen: i64 = scalar(connection, &format!("SELECT count(*) FROM {table} {of_owner}")).await;
        assert_eq!(seen, 0, "{table} is seen");
        if let Some(column) = column {
            let update = format!("UPDATE {table} SET {column} = {column} {of_owner}");
            let changed = sqlx::raw_sql(AssertSqlSafe(update)).execute(&mut *connection).await.unwrap();
            assert_eq!(changed.rows_affected(), 0, "{table} is changed");
        }
        for refused in [
            format!("DELETE FROM {table} {of_owner}"),
            format!("INSERT INTO {table} (org_id) VALUES ('{}')", owner.id),
        ] {
            let guarded =
                format!("DO $$ BEGIN {refused}; EXCEPTION WHEN insufficient_privilege THEN RETURN; END $$");
            // In a block of its own the refusal leaves the transaction usable; any other outcome does not.
            sqlx::raw_sql(AssertSqlSafe(guarded)).execute(&mut *connection).await.expect(&refused);
        }
        let mut own = self.read(owner).await;
        let still: i64 = scalar(own.connection(), &format!("SELECT count(*) FROM {table} {of_owner}")).await;
        assert!(still > 0, "{table} is deleted");
    }
}

pub(crate) async fn scalar<T>(connection: &mut PgConnection, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
{
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.unwrap()
}
