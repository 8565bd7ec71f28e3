//! A version of the KEK is not dropped under a key that is being wrapped at that moment.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::sync::Arc;

use chancery_crypto::{Custody, SystemRandom, sha256};
use chancery_model::{OrgId, SystemClock, Timestamp};
use chancery_people::organization;
use chancery_record::checkpoint::{checkpoint_signer, rewrap_checkpoint_key};
use chancery_record::{Actor, QueueLimits, Recorder};
use chancery_server::database::migrations;
use chancery_server::kek::{drop_before, rewrap_all};
use chancery_store::provision::provision;
use chancery_store::{Change, PoolSizes, Scope, Scoped, Store, Write, exclude_wrapping};
use chancery_testkit::{TestDatabase, TestPostgres, password};
use indicatif::ProgressBar;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tempfile::TempDir;

struct World {
    store: Store,
    recorder: Recorder,
    custody: Arc<Custody>,
    database: TestDatabase,
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let migrations = migrations();
        let text: Vec<&[u8]> = migrations.iter().map(|step| step.sql.as_bytes()).collect();
        let digest = sha256(&text).iter().fold(0_u64, |hash, byte| hash.rotate_left(7) ^ u64::from(*byte));
        let database = TestPostgres::shared()
            .await
            .unwrap()
            .database_from(&format!("kek_wrapping_{digest:x}"), async |postgres, name| {
                let admin = postgres.superuser("postgres");
                let logins = provision(&admin, name, &password, &SystemRandom).await?;
                Ok(chancery_store::migrate(&logins.owner, &migrations).await?)
            })
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let custody = Arc::new(Custody::create(&folder.path().join("kek.toml"), &SystemRandom).unwrap());
        // As few as the configuration allows: counting must not wait for the connection that keeps others out.
        let sizes = PoolSizes { app: 2, appender: 1, worker: 1 };
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let (store, right) =
            Store::connect(&database.logins(), sizes, Arc::clone(&custody), clock, random).await.unwrap();
        let recorder = Recorder::start(store.clone(), right, QueueLimits::default());
        checkpoint_signer(&store).await.unwrap();
        Self { store, recorder, custody, database, folder }
    }

    /// A founding whose key is wrapped, and that is not committed.
    async fn founding(&self, number: u8) -> (Scoped<Write>, Change) {
        let org = OrgId::new(Timestamp::from_micros(1), [number; 10]);
        let mut scoped = self.store.write(&Scope::founding(org)).await.unwrap();
        let slug = format!("org-{number}").parse().unwrap();
        let name = "Organization".parse().unwrap();
        let founded = organization::found(&mut scoped, self.store.keyring(), slug, name).await.unwrap();
        (scoped, founded.change)
    }

    async fn commit(&self, (scoped, change): (Scoped<Write>, Change)) -> OrgId {
        let org = scoped.org();
        self.recorder.commit(scoped, Actor::installation(), change).await.unwrap();
        org
    }

    async fn rotate(&self) {
        self.custody.add_version(&SystemRandom).unwrap();
        self.resume().await;
    }

    async fn resume(&self) {
        rewrap_all(&self.store, &self.recorder, &ProgressBar::hidden()).await.unwrap();
    }

    /// Under which version an organization's key opens, with what the key file holds now.
    async fn version(&self, org: OrgId) -> u32 {
        let mut scoped = self.store.read(&Scope::installation(org)).await.unwrap();
        self.store.keyring().org_key_version(&mut scoped).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founding_under_way_keeps_the_version_that_wraps_its_key() {
    let world = World::start().await;
    let stands = world.commit(world.founding(1).await).await;
    let under_way = world.founding(2).await;
    world.rotate().await;
    assert_eq!(world.version(stands).await, 2);

    let refused = drop_before(&world.store, 2).await.unwrap_err().to_string();
    assert!(refused.contains("being wrapped at this moment"), "{refused}");
    let fresh = world.commit(under_way).await;
    assert_eq!(world.version(fresh).await, 1);
    let refused = drop_before(&world.store, 2).await.unwrap_err().to_string();
    assert!(refused.contains("1 keys are still wrapped"), "{refused}");

    world.resume().await;
    assert_eq!(drop_before(&world.store, 2).await.unwrap(), 1);
    for org in [stands, fresh] {
        assert_eq!(world.version(org).await, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_founding_waits_for_a_drop_and_wraps_under_what_is_left() {
    let world = World::start().await;
    let mut connection = world.store.appender_connection().await.unwrap();
    let mut dropping = connection.begin().await.unwrap();
    assert!(exclude_wrapping(&mut dropping).await.unwrap());
    assert!(exclude_wrapping(&mut dropping).await.unwrap(), "its own transaction is no obstacle");
    let drop_of_another_process = async {
        world.database.somebody_waits().await.unwrap();
        // Of another process: this one has not heard of it when it wraps.
        let other = Custody::load(&world.folder.path().join("kek.toml")).unwrap();
        other.add_version(&SystemRandom).unwrap();
        assert_eq!(other.drop_versions_before(2).unwrap(), 1);
        dropping.rollback().await.unwrap();
    };
    let (founding, ()) = tokio::join!(world.founding(1), drop_of_another_process);
    let org = world.commit(founding).await;
    assert_eq!(world.version(org).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_wraps_again_holds_off_a_drop_as_well() {
    let world = World::start().await;
    let org = world.commit(world.founding(1).await).await;
    world.custody.add_version(&SystemRandom).unwrap();
    let mut scoped = world.store.write(&Scope::installation(org)).await.unwrap();
    assert_eq!(world.store.keyring().rewrap_org_key(&mut scoped).await.unwrap(), Some(2));
    let mut another = PgConnection::connect_with(&world.database.logins().appender).await.unwrap();
    let mut tx = another.begin().await.unwrap();
    assert!(!exclude_wrapping(&mut tx).await.unwrap(), "a version could go while a key is wrapped under it");
    drop(scoped);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_key_waits_for_a_drop_too() {
    let world = World::start().await;
    world.custody.add_version(&SystemRandom).unwrap();
    let mut connection = world.store.appender_connection().await.unwrap();
    let mut dropping = connection.begin().await.unwrap();
    assert!(exclude_wrapping(&mut dropping).await.unwrap());
    let drop_ends = async {
        world.database.somebody_waits().await.unwrap();
        dropping.rollback().await.unwrap();
    };
    let (rewrapped, ()) = tokio::join!(rewrap_checkpoint_key(&world.store), drop_ends);
    assert!(rewrapped.unwrap());
}
