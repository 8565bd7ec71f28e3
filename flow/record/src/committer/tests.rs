//! The committer against a real database: what it must refuse, and who may have written in between.

use std::sync::Arc;

use chancery_crypto::{Custody, SystemRandom};
use chancery_model::{ManualClock, OrgId, Timestamp};
use chancery_store::provision::provision;
use chancery_store::{Change, CommitRight, Epoch, PoolSizes, Scope, Store};
use chancery_testkit::{TestDatabase, TestPostgres, password};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::batch::{Failure, attempt};
use super::tips::Tips;
use super::{Answer, Job};
use crate::entry::{Words, refs};
use crate::{Actor, QueueLimits, Recorder};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

struct World {
    store: Store,
    right: CommitRight,
    /// Another process on the same database.
    other: Recorder,
    committer: PgConnection,
    superuser: PgConnection,
    org: OrgId,
    tips: Tips,
    _folder: tempfile::TempDir,
    _database: TestDatabase,
}

impl World {
    async fn start() -> Self {
        let postgres = TestPostgres::shared().await.unwrap();
        let migrations = [chancery_store::MIGRATIONS, chancery_mint::MIGRATIONS, crate::MIGRATIONS].concat();
        let texts: Vec<&[u8]> = migrations.iter().map(|migration| migration.sql.as_bytes()).collect();
        let digest = chancery_evidence::Hex(chancery_crypto::sha256(&texts)).to_string();
        let database = postgres
            .database_from(&format!("record_{}", &digest[..16]), async |postgres, name| {
                let logins =
                    provision(&postgres.superuser("postgres"), name, &password, &SystemRandom).await?;
                chancery_store::migrate(&logins.owner, &migrations).await?;
                Ok(())
            })
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let custody = Arc::new(Custody::create(&folder.path().join("kek.toml"), &SystemRandom).unwrap());
        let connect = async || {
            let clock = Arc::new(ManualClock::new(NOW));
            let (custody, random) = (Arc::clone(&custody), Arc::new(SystemRandom));
            Store::connect(&database.logins(), PoolSizes::default(), custody, clock, random).await.unwrap()
        };
        let ((store, right), (theirs, their_right)) = (connect().await, connect().await);
        let other = Recorder::start(theirs.clone(), their_right, QueueLimits::default());
        let org = OrgId::new(NOW, [7; 10]);
        let mut founding = theirs.write(&Scope::founding(org)).await.unwrap();
        theirs.keyring().create_org_key(&mut founding).await.unwrap();
        other.commit(founding, Actor::installation(), happened(org, Epoch::Keep)).await.unwrap();
        let committer = store.appender_connection().await.unwrap();
        let superuser = PgConnection::connect_with(&database.superuser()).await.unwrap();
        let tips = Tips::default();
        Self { store, right, other, committer, superuser, org, tips, _folder: folder, _database: database }
    }

    /// What this committer answers to one job decided at `epoch`.
    async fn commit(&mut self, epoch: i64) -> Answer {
        let keyring = self.store.keyring();
        let key = keyring.org_key(self.org).await.unwrap();
        let words = Words {
            org: self.org,
            kind: "test.happened",
            correlation: None,
            refs: refs(&[("organization", self.org.to_string())]),
            payload: "{}",
        };
        let (job, _waiter) = Job::new(words.prepare(&key, &SystemRandom), epoch);
        let answers = attempt(&mut self.committer, &self.right, &[job], &mut self.tips, NOW).await;
        match answers {
            Ok(mut answers) => answers.remove(0),
            Err(Failure::Before(error) | Failure::Unknown { error, .. }) => {
                panic!("the batch failed: {error}")
            }
        }
    }

    /// Another process writes.
    async fn elsewhere(&self, epoch: Epoch) {
        let scoped = self.other.store.write(&Scope::installation(self.org)).await.unwrap();
        self.other.commit(scoped, Actor::installation(), happened(self.org, epoch)).await.unwrap();
    }

    /// Whether this committer knows the tip it would link to.
    fn remembers(&self) -> bool {
        self.tips.knows(self.org)
    }

    async fn entries(&mut self) -> Vec<i64> {
        sqlx::query_scalar("SELECT seq FROM entries ORDER BY seq")
            .fetch_all(&mut self.superuser)
            .await
            .unwrap()
    }
}

fn happened(org: OrgId, epoch: Epoch) -> Change {
    Change::new("test.happened", epoch, ("organization", org.to_string()), json!({}))
}

fn seq(answer: &Answer) -> u64 {
    match answer {
        Answer::Committed(receipt) => receipt.seq(),
        other => panic!("not committed: {other:?}"),
    }
}

#[tokio::test]
async fn a_remembered_tip_is_used_and_a_moved_one_found_out() {
    let mut world = World::start().await;
    assert!(!world.remembers());
    assert_eq!(seq(&world.commit(1).await), 2);
    assert!(world.remembers());
    assert_eq!(seq(&world.commit(1).await), 3);
    world.elsewhere(Epoch::Keep).await;
    assert_eq!(seq(&world.commit(1).await), 5);
    // It was wrong: for a while nothing is taken from memory, and nothing is lost.
    for expected in 6..30 {
        assert_eq!(seq(&world.commit(1).await), expected);
    }
    assert!(world.remembers());
    assert_eq!(world.entries().await, (1..30).collect::<Vec<i64>>());
}

#[tokio::test]
async fn what_was_decided_at_an_older_epoch_is_sent_back_either_way() {
    let mut world = World::start().await;
    assert!(matches!(world.commit(9).await, Answer::Stale { epoch: 1 }));
    assert_eq!(seq(&world.commit(1).await), 2);
    // Remembered at epoch 1; nobody tells this process that it moved.
    world.elsewhere(Epoch::Bump).await;
    assert!(matches!(world.commit(1).await, Answer::Stale { epoch: 2 }));
    assert_eq!(world.entries().await, [1, 2, 3]);
    assert_eq!(seq(&world.commit(2).await), 4);
    // Until memory is trusted again.
    for expected in 5..30 {
        assert_eq!(seq(&world.commit(2).await), expected);
    }
    // With the very tip that is remembered, as after a halt that the record could not take.
    sqlx::query("UPDATE heads SET epoch = 3").execute(&mut world.superuser).await.unwrap();
    assert!(matches!(world.commit(2).await, Answer::Stale { epoch: 3 }));
    assert_eq!(world.entries().await, (1..30).collect::<Vec<i64>>());
}

#[tokio::test]
async fn nothing_is_written_in_a_halted_organization_either_way() {
    let mut world = World::start().await;
    let halt = "UPDATE heads SET halted = $1";
    for remembered in [false, true] {
        if remembered {
            assert!(matches!(world.commit(1).await, Answer::Committed(_)));
            assert!(world.remembers());
        }
        // At the same epoch, as only a hand in the database can do it.
        sqlx::query(halt).bind(true).execute(&mut world.superuser).await.unwrap();
        let before = world.entries().await;
        assert!(matches!(world.commit(1).await, Answer::Halted));
        assert_eq!(world.entries().await, before);
        sqlx::query(halt).bind(false).execute(&mut world.superuser).await.unwrap();
    }
}
