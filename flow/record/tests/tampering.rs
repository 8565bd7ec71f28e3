//! The record against whoever can write the database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::sync::Arc;

use chancery_crypto::{Custody, SystemRandom};
use chancery_evidence::{CheckpointSigner, GENESIS, Leaf, entry_hash};
use chancery_model::{ManualClock, OrgId, Timestamp};
use chancery_record::checkpoint::{Checkpointer, checkpoint_signer};
use chancery_record::verify::{Depth, Pace, Verification, verify_organization};
use chancery_record::{Actor, QueueLimits, Recorder};
use chancery_store::provision::provision;
use chancery_store::{Change, Epoch, PoolSizes, Scope, Store};
use chancery_testkit::{TestDatabase, TestPostgres, password};
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::types::time::OffsetDateTime;
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

struct World {
    store: Store,
    recorder: Recorder,
    signer: Arc<CheckpointSigner>,
    org: OrgId,
    superuser: PgConnection,
    folder: TempDir,
    _database: TestDatabase,
}

impl World {
    /// An organization with six entries under a checkpoint.
    async fn start() -> (Self, Checkpointer) {
        let postgres = TestPostgres::shared().await.unwrap();
        let migrations =
            [chancery_store::MIGRATIONS, chancery_mint::MIGRATIONS, chancery_record::MIGRATIONS].concat();
        let database = postgres
            .database_from("record-tampering-1", async |postgres, name| {
                let logins =
                    provision(&postgres.superuser("postgres"), name, &password, &SystemRandom).await?;
                chancery_store::migrate(&logins.owner, &migrations).await?;
                Ok(())
            })
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let custody = Arc::new(Custody::create(&folder.path().join("kek.toml"), &SystemRandom).unwrap());
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
        let (store, right) =
            Store::connect(&database.logins(), PoolSizes::default(), custody, clock, Arc::new(SystemRandom))
                .await
                .unwrap();
        let recorder = Recorder::start(store.clone(), right, QueueLimits::default());
        let signer = Arc::new(checkpoint_signer(&store).await.unwrap());
        let org = OrgId::new(Timestamp::from_micros(1), [7; 10]);
        let superuser = PgConnection::connect_with(&database.superuser()).await.unwrap();
        let mut world = Self { store, recorder, signer, org, superuser, folder, _database: database };
        world.found().await;
        for number in 1..6 {
            world.append(number).await;
        }
        let mut checkpointer = world.checkpointer().await;
        assert_eq!(checkpointer.tick().await.unwrap(), 1);
        assert!(world.verify().await.is_intact());
        (world, checkpointer)
    }

    async fn found(&mut self) {
        let mut founding = self.store.write(&Scope::founding(self.org)).await.unwrap();
        self.store.keyring().create_org_key(&mut founding).await.unwrap();
        let change = Change::new(
            "organization.created",
            Epoch::Keep,
            ("organization", self.org.to_string()),
            json!({"slug": "acme"}),
        );
        self.recorder.commit(founding, Actor::installation(), change).await.unwrap();
    }

    async fn append(&mut self, number: u32) {
        let scoped = self.store.write(&Scope::installation(self.org)).await.unwrap();
        let change = Change::new(
            "test.happened",
            Epoch::Keep,
            ("organization", self.org.to_string()),
            json!({"number": number}),
        );
        self.recorder.commit(scoped, Actor::installation(), change).await.unwrap();
    }

    async fn checkpointer(&self) -> Checkpointer {
        let path = self.folder.path().join("checkpoints");
        Checkpointer::open(self.store.clone(), Arc::clone(&self.signer), &path).await.unwrap()
    }

    async fn verify(&self) -> Verification {
        let depth = Depth { payloads: true, outside: &[], pace: Pace::Full };
        verify_organization(&self.store, self.signer.vkey(), self.org, depth, |_| {}).await.unwrap()
    }

    async fn run(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.superuser).await.unwrap();
    }

    async fn is_halted(&mut self) -> bool {
        sqlx::query_scalar("SELECT halted FROM heads WHERE org_id = $1")
            .bind(self.org.as_uuid())
            .fetch_one(&mut self.superuser)
            .await
            .unwrap()
    }

    /// Writes the whole chain anew with one entry changed: every hash fits every other.
    async fn rewrite(&mut self) {
        self.run("UPDATE entries SET kind = 'test.invented' WHERE seq = 3").await;
        let rows: Vec<(i64, OffsetDateTime, String, String, Vec<u8>)> =
            sqlx::query_as("SELECT seq, time, kind, refs, commitment FROM entries ORDER BY seq")
                .fetch_all(&mut self.superuser)
                .await
                .unwrap();
        let mut link = GENESIS;
        for (seq, time, kind, refs, commitment) in rows {
            let leaf = Leaf {
                org: self.org,
                seq: u64::try_from(seq).unwrap(),
                time: time.into(),
                kind: &kind,
                refs: &refs,
                commitment: commitment.try_into().unwrap(),
            };
            link = entry_hash(&link, &leaf.hash());
            sqlx::query("UPDATE entries SET leaf_hash = $2, entry_hash = $3 WHERE seq = $1")
                .bind(seq)
                .bind(leaf.hash().as_slice())
                .bind(link.as_slice())
                .execute(&mut self.superuser)
                .await
                .unwrap();
        }
        sqlx::query("UPDATE heads SET entry_hash = $1")
            .bind(link.as_slice())
            .execute(&mut self.superuser)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn each_change_is_found_for_what_it_is() {
    for (change, code) in [
        ("UPDATE entries SET kind = 'test.invented' WHERE seq = 3", "entry_changed"),
        ("UPDATE entries SET refs = '{}' WHERE seq = 3", "entry_changed"),
        ("UPDATE entries SET time = time + interval '1 hour' WHERE seq = 3", "entry_changed"),
        ("UPDATE entries SET entry_hash = leaf_hash WHERE seq = 3", "chain_broken"),
        ("UPDATE entries SET payload = payload || '\\x00' WHERE seq = 3", "payload_unreadable"),
        (
            "UPDATE entries a SET payload = b.payload FROM entries b WHERE a.seq = 3 AND b.seq = 4",
            "payload_unreadable",
        ),
        ("DELETE FROM entries WHERE seq = 3", "entry_missing"),
        ("DELETE FROM entries WHERE seq = 6", "head_differs"),
        ("UPDATE heads SET seq = 5", "head_differs"),
        ("UPDATE checkpoints SET note = replace(note, '6', '5')", "checkpoint_invalid"),
    ] {
        let (mut world, _) = World::start().await;
        world.run(change).await;
        let codes: Vec<_> = world.verify().await.faults.iter().map(|fault| fault.code).collect();
        assert!(codes.contains(&code), "{change}: {codes:?}");
    }
}

#[tokio::test]
async fn a_rewritten_record_is_not_signed_and_halts() {
    let (mut world, mut checkpointer) = World::start().await;
    world.rewrite().await;
    world.run("DELETE FROM checkpoints; DELETE FROM tiles").await;
    assert!(world.verify().await.is_intact(), "the forgery is not good enough to test with");
    world.append(7).await;
    // Both the process that walked the record before and one that starts from nothing but its file.
    assert_eq!(checkpointer.tick().await.unwrap(), 0, "a fork was signed");
    assert!(world.is_halted().await);
    let path = world.folder.path().join("checkpoints");
    let opened = Checkpointer::open(world.store.clone(), Arc::clone(&world.signer), &path).await;
    assert!(opened.is_err_and(|error| error.to_string().contains("another root")));
}

#[tokio::test]
async fn a_record_cut_short_refuses_the_start() {
    let (mut world, _) = World::start().await;
    world
        .run(
            "DELETE FROM entries WHERE seq > 4; DELETE FROM checkpoints;
             UPDATE heads SET seq = 4, entry_hash = (SELECT entry_hash FROM entries WHERE seq = 4)",
        )
        .await;
    assert!(world.verify().await.is_intact(), "the truncation is not good enough to test with");
    let path = world.folder.path().join("checkpoints");
    let opened = Checkpointer::open(world.store.clone(), Arc::clone(&world.signer), &path).await;
    assert!(opened.is_err_and(|error| error.to_string().contains("behind its checkpoints")));
}

#[tokio::test]
async fn a_forged_checkpoint_is_not_continued() {
    let (mut world, _) = World::start().await;
    world.run("UPDATE checkpoints SET frontier = overlay(frontier PLACING '\\xffff' FROM 20)").await;
    world.append(7).await;
    let mut another = world.checkpointer().await;
    assert_eq!(another.tick().await.unwrap(), 0);
    assert!(world.is_halted().await);
}
