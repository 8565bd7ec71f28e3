//! The committer against a real database: what it must refuse, and who may have written in between.

use std::sync::Arc;

use chancery_crypto::{Custody, SystemRandom};
use chancery_mint::token_uses::TokenUse;
use chancery_model::{
    AgentId, Environment, IntentId, KeyId, ManualClock, OrgId, Principal, Timestamp, TokenId,
};
use chancery_store::provision::provision;
use chancery_store::{Change, CommitRight, Epoch, PoolSizes, Scope, Store};
use chancery_testkit::{TestDatabase, TestPostgres, password};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::batch::{Failure, attempt, in_one_message};
use super::tips::Tips;
use super::{Answer, Job, Redeemed};
use crate::entry::{Words, refs};
use crate::idempotency::Claim;
use crate::intents::IntentRow;
use crate::payload::decided_refs;
use crate::releases::{CallOutcome, Carries, Closing, Release};
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

    /// A job decided at `epoch`. Nobody waits for its answer.
    async fn job(&self, kind: &'static str, refs: String, epoch: i64) -> Job {
        let key = self.store.keyring().org_key(self.org).await.unwrap();
        let words = Words { org: self.org, kind, correlation: None, refs, payload: "{}" };
        Job::new(words.prepare(&key, &SystemRandom), epoch).0
    }

    /// A job with an intent of this number, and perhaps with an idempotency key of it.
    async fn decided(&self, number: u8, with_claim: bool) -> Job {
        let (intent, principal) = (intent(number), Principal::Agent(AgentId::new(NOW, [2; 10])));
        let mut job = self.job("intent.allowed", decided_refs(intent, principal, None), 1).await;
        job.intent = Some(IntentRow {
            id: intent,
            principal,
            key: KeyId::new(NOW, [3; 10]),
            action: "payment.send".to_owned(),
            resource_type: "Payment".to_owned(),
            effect: "allow",
            risk: 17,
            environment: Environment::Live,
            token: Some(vec![number; 40]),
        });
        job.claim = with_claim.then(|| Claim {
            principal: principal.id(),
            route: "intents",
            key_hash: [number; 32],
            request_hash: [4; 32],
        });
        job
    }

    /// A job that redeems a token of this number, on the decision about the intent of that number.
    async fn redeemed(&self, number: u8, on: u8) -> Job {
        let mut job = self.job("token.used", "{}".to_owned(), 1).await;
        let used = TokenUse {
            org: self.org,
            nonce_hash: [number; 32],
            token: TokenId::new(NOW, [number; 10]),
            intent: intent(on),
            key: KeyId::new(NOW, [3; 10]),
            at: NOW,
        };
        let asker = Principal::Agent(AgentId::new(NOW, [2; 10]));
        job.redemption = Some(Redeemed { used, grounds: decided_refs(intent(on), asker, None) });
        job
    }

    /// A job that releases the intent of this number, for a call or a token.
    async fn released(&self, number: u8, carries: Carries) -> Job {
        let mut job = self.job("intent.released", "{}".to_owned(), 1).await;
        job.release = Some(Release { intent: intent(number), intent_hash: [number; 32], carries });
        job
    }

    /// A job that closes the call of the intent of this number.
    async fn closing(&self, number: u8) -> Job {
        let mut job = self.job("intent.closed", "{}".to_owned(), 0).await;
        let (outcome, answer) = (CallOutcome::Succeeded, Some(vec![number; 3]));
        job.closing = Some(Closing { intent: intent(number), outcome, status: Some(201), answer });
        job
    }

    /// What this committer answers to one job decided at `epoch`.
    async fn commit(&mut self, epoch: i64) -> Answer {
        let refs = refs(&[("organization", self.org.to_string())]);
        let job = self.job("test.happened", refs, epoch).await;
        self.commit_all(&[job]).await.remove(0)
    }

    async fn commit_all(&mut self, jobs: &[Job]) -> Vec<Answer> {
        attempt(&mut self.committer, &self.right, jobs, &mut self.tips, NOW).await.unwrap_or_else(known)
    }

    /// Commits until memory is trusted again.
    async fn settle(&mut self) {
        for _ in 0..20 {
            self.commit(1).await;
        }
    }

    /// Whether one message wrote these jobs; if not, nothing did.
    async fn in_one_message(&mut self, jobs: &[Job]) -> bool {
        let sent = in_one_message(&mut self.committer, &self.right, jobs, &mut self.tips, NOW).await;
        sent.unwrap_or_else(known).is_some()
    }

    /// How many rows there are of entries, intents, claims, uses, releases and closed calls.
    async fn rows(&mut self) -> Vec<i64> {
        sqlx::query_scalar(
            "SELECT ARRAY[(SELECT count(*) FROM entries), (SELECT count(*) FROM intents),
                 (SELECT count(*) FROM idempotency), (SELECT count(*) FROM token_uses),
                 (SELECT count(*) FROM releases), (SELECT count(*) FROM releases WHERE state = 'succeeded')]",
        )
        .fetch_one(&mut self.superuser)
        .await
        .unwrap()
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

fn intent(number: u8) -> IntentId {
    IntentId::new(NOW, [number; 10])
}

fn known<T>(failure: Failure) -> T {
    match failure {
        Failure::Before(error) | Failure::Unknown { error, .. } => panic!("the batch failed: {error}"),
    }
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

fn call() -> Carries {
    Carries::Call { connector: "bank".to_owned(), unknown_after_seconds: 60 }
}

/// What a batch has beside the entry of a change.
#[derive(Clone, Copy, Debug)]
struct Has {
    intents: bool,
    claims: bool,
    uses: bool,
    releases: bool,
    closings: bool,
}

impl Has {
    fn all() -> impl Iterator<Item = Self> {
        let bit = |number: u8, at: u8| number >> at & 1 == 1;
        let has = move |number| Self {
            intents: bit(number, 0),
            claims: bit(number, 1),
            uses: bit(number, 2),
            releases: bit(number, 3),
            closings: bit(number, 4),
        };
        // Who claims a key decides an intent.
        (0..32).map(has).filter(|has| has.intents || !has.claims)
    }

    async fn batch(self, world: &World) -> Vec<Job> {
        let mut jobs = vec![world.job("test.happened", "{}".to_owned(), 1).await];
        if self.intents {
            jobs.push(world.decided(2, self.claims).await);
        }
        if self.uses {
            jobs.push(world.redeemed(5, 1).await);
        }
        if self.releases {
            jobs.push(world.released(8, call()).await);
        }
        if self.closings {
            jobs.push(world.closing(7).await);
        }
        jobs
    }

    /// What is refused once that is written: the same again, and what has no ground.
    async fn refused(self, world: &World) -> Vec<Job> {
        let mut jobs = Vec::new();
        if self.claims {
            jobs.push(world.decided(2, true).await);
        }
        if self.uses {
            jobs.extend([world.redeemed(5, 1).await, world.redeemed(6, 9).await]);
        }
        if self.releases {
            jobs.push(world.released(8, call()).await);
        }
        if self.closings {
            jobs.extend([world.closing(7).await, world.closing(9).await]);
        }
        jobs
    }
}

/// Whatever a batch consists of, its one message writes all of it or, where anything is not as it was
/// remembered, nothing.
#[tokio::test]
async fn a_batch_of_any_shape_is_written_whole_or_not_at_all() {
    for has in Has::all() {
        let mut world = World::start().await;
        let grounds = [world.decided(1, false).await, world.released(7, call()).await];
        assert_eq!(seq(&world.commit_all(&grounds).await[0]), 2);
        let before = world.rows().await;
        let jobs = has.batch(&world).await;
        world.elsewhere(Epoch::Keep).await;
        assert!(!world.in_one_message(&jobs).await, "another wrote meanwhile");
        assert_eq!((world.rows().await[0], &world.rows().await[1..]), (before[0] + 1, &before[1..]));
        world.settle().await;
        let before = world.rows().await;
        assert!(world.in_one_message(&jobs).await, "{has:?}");
        let Has { intents, claims, uses, releases, closings } = has;
        let mut added = vec![jobs.len() as i64];
        added.extend([intents, claims, uses, releases, closings].map(i64::from));
        let after = world.rows().await;
        let grown: Vec<i64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        assert_eq!(grown, added, "{has:?}");
        for job in has.refused(&world).await {
            let jobs = [world.job("test.happened", "{}".to_owned(), 1).await, job];
            world.settle().await;
            let before = world.rows().await;
            assert!(!world.in_one_message(&jobs).await, "{has:?}");
            assert_eq!(world.rows().await, before);
            // Nobody came before: the next batch is one message again.
            let plain = [world.job("test.happened", "{}".to_owned(), 1).await];
            assert!(world.in_one_message(&plain).await);
        }
    }
}

/// Two of one batch do not see each other's rows.
#[tokio::test]
async fn an_intent_is_released_and_closed_once_also_within_a_batch() {
    let mut world = World::start().await;
    world.settle().await;
    let released = [world.released(3, call()).await, world.released(3, call()).await];
    let closed = [world.closing(3).await, world.closing(3).await];
    for twice in [released, closed] {
        assert!(!world.in_one_message(&twice).await);
        let answers = world.commit_all(&twice).await;
        assert!(matches!(&answers[..], [Answer::Committed(_), Answer::Released]), "{answers:?}");
    }
}

/// Each value stands in its column.
#[tokio::test]
async fn what_one_message_writes_is_what_the_jobs_say() {
    let mut world = World::start().await;
    let ground = world.decided(1, false).await;
    world.commit_all(&[ground]).await;
    let jobs = [
        world.decided(2, true).await,
        world.redeemed(5, 1).await,
        world.released(6, Carries::Token(vec![6; 4])).await,
        world.released(7, call()).await,
    ];
    assert!(world.in_one_message(&jobs).await);
    let closing = world.closing(7).await;
    assert!(world.in_one_message(&[closing]).await);
    let told: Vec<String> = sqlx::query_scalar(
        "SELECT concat_ws(' ', i.seq, i.principal_kind, i.principal_id, i.key_id, i.action, i.resource_type,
                i.effect, i.risk, i.environment, i.created_at = e.time, e.kind, encode(i.token, 'hex'))
         FROM intents i JOIN entries e USING (org_id, seq) WHERE i.id = $1
         UNION ALL SELECT concat_ws(' ', principal_id, route, encode(key_hash, 'hex'),
                encode(request_hash, 'hex'), intent_id) FROM idempotency
         UNION ALL SELECT concat_ws(' ', encode(nonce_hash, 'hex'), token_id, intent_id, key_id) FROM token_uses
         UNION ALL (SELECT concat_ws(' ', intent_id, seq, encode(intent_hash, 'hex'), state, encode(token, 'hex'),
                connector, unknown_at - opened_at, closed_at IS NOT NULL, status, encode(answer, 'hex'))
                FROM releases ORDER BY seq)",
    )
    .bind(intent(2).as_uuid())
    .fetch_all(&mut world.superuser)
    .await
    .unwrap();
    let (agent, key) = (AgentId::new(NOW, [2; 10]), KeyId::new(NOW, [3; 10]));
    assert_eq!(
        told,
        [
            format!(
                "3 agent {agent} {key} payment.send Payment allow 17 live t intent.allowed {}",
                "02".repeat(40)
            ),
            format!("{agent} intents {} {} {}", "02".repeat(32), "04".repeat(32), intent(2)),
            format!("{} {} {} {key}", "05".repeat(32), TokenId::new(NOW, [5; 10]), intent(1)),
            format!("{} 5 {} token 06060606 f", intent(6), "06".repeat(32)),
            format!("{} 6 {} succeeded bank 00:01:00 t 201 070707", intent(7), "07".repeat(32)),
        ]
    );
}
