//! The record against whoever can write the database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::sync::Arc;

use chancery_crypto::{Custody, SystemRandom, sha256};
use chancery_evidence::{CheckpointSigner, GENESIS, Leaf, entry_hash};
use chancery_model::{ManualClock, OrgId, PrincipalId, Timestamp};
use chancery_record::checkpoint::{Checkpointer, checkpoint_signer, read_newest};
use chancery_record::verify::{Depth, Verification, verify_forever, verify_organization};
use chancery_record::{Actor, QueueLimits, Recorder};
use chancery_store::provision::provision;
use chancery_store::{Change, CommitRight, Epoch, Migration, PoolSizes, Scope, Store};
use chancery_testkit::{TestDatabase, TestPostgres, password};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::types::time::OffsetDateTime;
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

struct World {
    store: Store,
    recorder: Recorder,
    signer: Arc<CheckpointSigner>,
    org: OrgId,
    superuser: PgConnection,
    custody: Arc<Custody>,
    folder: TempDir,
    database: TestDatabase,
}

async fn connect(
    database: &TestDatabase,
    custody: &Arc<Custody>,
    clock: Arc<ManualClock>,
) -> (Store, CommitRight) {
    let (custody, random) = (Arc::clone(custody), Arc::new(SystemRandom));
    Store::connect(&database.logins(), PoolSizes::default(), custody, clock, random).await.unwrap()
}

/// A template for exactly these migrations: it outlives this build.
fn template(migrations: &[Migration]) -> String {
    let text: Vec<&[u8]> = migrations.iter().map(|step| step.sql.as_bytes()).collect();
    let digest = sha256(&text).iter().fold(0_u64, |hash, byte| hash.rotate_left(7) ^ u64::from(*byte));
    format!("record_tampering_{digest:x}")
}

impl World {
    /// An organization with six entries under a checkpoint.
    async fn start() -> (Self, Checkpointer) {
        let postgres = TestPostgres::shared().await.unwrap();
        let migrations =
            [chancery_store::MIGRATIONS, chancery_mint::MIGRATIONS, chancery_record::MIGRATIONS].concat();
        let database = postgres
            .database_from(&template(&migrations), async |postgres, name| {
                let logins =
                    provision(&postgres.superuser("postgres"), name, &password, &SystemRandom).await?;
                chancery_store::migrate(&logins.owner, &migrations).await?;
                Ok(())
            })
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let custody = Arc::new(Custody::create(&folder.path().join("kek.toml"), &SystemRandom).unwrap());
        let clock = Arc::new(ManualClock::new(NOW));
        let (store, right) = connect(&database, &custody, clock).await;
        let recorder = Recorder::start(store.clone(), right, QueueLimits::default());
        let signer = Arc::new(checkpoint_signer(&store).await.unwrap());
        let org = OrgId::new(Timestamp::from_micros(1), [7; 10]);
        let superuser = PgConnection::connect_with(&database.superuser()).await.unwrap();
        let mut world = Self { store, recorder, signer, org, superuser, custody, folder, database };
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
        self.append_with(json!({"number": number})).await;
    }

    async fn append_with(&mut self, payload: serde_json::Value) {
        let scoped = self.store.write(&Scope::installation(self.org)).await.unwrap();
        let change =
            Change::new("test.happened", Epoch::Keep, ("organization", self.org.to_string()), payload);
        self.recorder.commit(scoped, Actor::installation(), change).await.unwrap();
    }

    async fn checkpointer(&self) -> Checkpointer {
        self.checkpointer_with("checkpoints").await
    }

    /// A server's, with a file of its own.
    async fn checkpointer_with(&self, file: &str) -> Checkpointer {
        let path = self.folder.path().join(file);
        Checkpointer::open(self.recorder.clone(), Arc::clone(&self.signer), &path).await.unwrap()
    }

    async fn verify(&self) -> Verification {
        let depth = Depth::whole(&[]);
        verify_organization(&self.store, self.signer.vkey(), self.org, depth, |_, _| {}).await.unwrap()
    }

    async fn run(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.superuser).await.unwrap();
    }

    /// Cuts the record to its first `size` entries, without a trace in the database.
    async fn cut(&mut self, size: u32) {
        self.run(&format!(
            "DELETE FROM entries WHERE seq > {size}; DELETE FROM checkpoints;
             UPDATE heads SET seq = {size}, entry_hash = (SELECT entry_hash FROM entries WHERE seq = {size})"
        ))
        .await;
    }

    /// The newest size that the file outside vouches for.
    fn vouched(&self, file: &str) -> u64 {
        let signed = read_newest(&self.folder.path().join(file), self.signer.vkey()).unwrap();
        signed.into_iter().map(|signed| signed.size).max().unwrap_or(0)
    }

    /// The types of the entries, the last first.
    async fn kinds(&mut self) -> Vec<String> {
        sqlx::query_scalar("SELECT kind FROM entries ORDER BY seq DESC")
            .fetch_all(&mut self.superuser)
            .await
            .unwrap()
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
        self.run("UPDATE entries SET time = time + interval '1 microsecond' WHERE seq >= 3").await;
        self.relink().await;
    }

    /// Computes every hash of the chain anew, and the head.
    async fn relink(&mut self) {
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
        sqlx::query("UPDATE heads SET entry_hash = $1, seq = (SELECT max(seq) FROM entries)")
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
        ("UPDATE entries SET time = 'infinity' WHERE seq = 3", "entry_changed"),
        ("UPDATE entries SET time = '20000-01-01' WHERE seq = 3", "entry_changed"),
        ("UPDATE entries SET entry_hash = leaf_hash WHERE seq = 3", "chain_broken"),
        ("UPDATE entries SET payload = payload || '\\x00' WHERE seq = 3", "payload_unreadable"),
        (
            "UPDATE entries a SET payload = b.payload FROM entries b WHERE a.seq = 3 AND b.seq = 4",
            "payload_unreadable",
        ),
        ("UPDATE entries SET correlation_id = gen_random_uuid() WHERE seq = 3", "entry_changed"),
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
    let opened = Checkpointer::open(world.recorder.clone(), Arc::clone(&world.signer), &path).await;
    assert!(opened.is_err_and(|error| error.to_string().contains("another root")));
}

/// How often it was told that checkpoints fail.
fn failures(told: &PrometheusHandle) -> u64 {
    let text = told.render();
    let count = text.lines().find_map(|line| line.strip_prefix("record_checkpoint_failures_total "));
    count.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn rounds_in_which_nobody_signs_are_told_while_there_is_news() {
    // The meters of this thread, which is all that this test runs on.
    let meters = PrometheusBuilder::new().build_recorder();
    let told = meters.handle();
    let _here = metrics::set_default_local_recorder(&meters);
    let (mut world, mut checkpointer) = World::start().await;
    // Whoever can log in can hold the lock of who makes checkpoints, and make none.
    world.run("SELECT pg_advisory_lock(x'636865636b706f69'::bigint)").await;
    for _ in 0..20 {
        assert_eq!(checkpointer.tick().await.unwrap(), 0);
    }
    assert_eq!(failures(&told), 0, "without news there is nothing to sign");

    world.append(6).await;
    for round in 1..10 {
        assert_eq!(checkpointer.tick().await.unwrap(), 0);
        assert_eq!(failures(&told), 0, "told in round {round}, when another may still be signing");
    }
    for round in 1..=5 {
        assert_eq!(checkpointer.tick().await.unwrap(), 0);
        assert_eq!(failures(&told), round, "a round of the standstill went by in silence");
    }

    world.run("SELECT pg_advisory_unlock_all()").await;
    let before = failures(&told);
    assert_eq!(checkpointer.tick().await.unwrap(), 1);
    let at_the_end = failures(&told);
    assert!(at_the_end <= before + 1, "the round that signs may still have found it standing still");
    world.append(7).await;
    assert_eq!(checkpointer.tick().await.unwrap(), 1);
    assert_eq!(failures(&told), at_the_end, "it was told after it was over");
}

#[tokio::test]
async fn a_record_cut_short_refuses_the_start() {
    let (mut world, _) = World::start().await;
    world.cut(4).await;
    assert!(world.verify().await.is_intact(), "the truncation is not good enough to test with");
    let path = world.folder.path().join("checkpoints");
    let opened = Checkpointer::open(world.recorder.clone(), Arc::clone(&world.signer), &path).await;
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

#[tokio::test]
async fn a_record_cut_short_while_serving_is_never_signed_again() {
    let (mut world, mut checkpointer) = World::start().await;
    world.cut(4).await;
    assert!(world.verify().await.is_intact(), "the truncation is not good enough to test with");
    assert_eq!(checkpointer.tick().await.unwrap(), 0, "a smaller tree was signed");
    assert!(world.is_halted().await);
    assert_eq!(world.kinds().await[0], "organization.halted");
    // Grown past what was signed, with other entries.
    for number in 0..4 {
        world.append(100 + number).await;
        assert_eq!(checkpointer.tick().await.unwrap(), 0, "a fork was signed");
    }
    assert_eq!(world.vouched("checkpoints"), 6);
}

#[tokio::test]
async fn a_record_cut_back_to_an_older_checkpoint_is_halted() {
    let (mut world, mut checkpointer) = World::start().await;
    world.run("CREATE TEMP TABLE older AS SELECT * FROM checkpoints").await;
    world.append(7).await;
    assert_eq!(checkpointer.tick().await.unwrap(), 1);
    world.cut(6).await;
    world.run("INSERT INTO checkpoints SELECT * FROM older").await;
    assert!(world.verify().await.is_intact(), "the truncation is not good enough to test with");
    assert_eq!(checkpointer.tick().await.unwrap(), 0);
    assert!(world.is_halted().await);
    assert_eq!(world.vouched("checkpoints"), 7);
}

#[tokio::test]
async fn a_broken_record_is_halted_once_and_again_when_it_is_let_go() {
    let (mut world, mut checkpointer) = World::start().await;
    world.run("UPDATE entries SET refs = '{}' WHERE seq = 3; DELETE FROM checkpoints").await;
    world.append(7).await;
    let mut another = world.checkpointer_with("another").await;
    for _ in 0..3 {
        assert_eq!(another.tick().await.unwrap(), 0);
        assert_eq!(checkpointer.tick().await.unwrap(), 0);
    }
    let halts = |kinds: Vec<String>| kinds.iter().filter(|kind| *kind == "organization.halted").count();
    assert_eq!(halts(world.kinds().await), 1, "each round halts anew");
    world.run("UPDATE heads SET halted = false").await;
    assert_eq!(another.tick().await.unwrap(), 0);
    assert!(world.is_halted().await, "let go, a broken record serves again");
    assert_eq!(halts(world.kinds().await), 2);
}

#[tokio::test]
async fn a_halt_holds_where_no_entry_can_be_added() {
    let (mut world, mut checkpointer) = World::start().await;
    world.run("UPDATE heads SET seq = 4, entry_hash = (SELECT entry_hash FROM entries WHERE seq = 4)").await;
    assert_eq!(checkpointer.tick().await.unwrap(), 0);
    assert!(world.is_halted().await);
}

#[tokio::test]
async fn what_another_server_signed_holds_here_too() {
    let (mut world, mut first) = World::start().await;
    let mut second = world.checkpointer_with("second").await;
    assert_eq!(second.tick().await.unwrap(), 0);
    assert_eq!(world.vouched("second"), 6);
    world.append(7).await;
    assert_eq!(first.tick().await.unwrap(), 1);
    second.tick().await.unwrap();
    assert_eq!(world.vouched("second"), 7);
    world.cut(6).await;
    assert_eq!(second.tick().await.unwrap(), 0);
    assert!(world.is_halted().await);
}

#[tokio::test]
async fn a_checkpoint_that_reached_only_the_file_is_made_again() {
    let (mut world, mut checkpointer) = World::start().await;
    world.append(7).await;
    world.run("CREATE TEMP TABLE before AS SELECT * FROM checkpoints").await;
    assert_eq!(checkpointer.tick().await.unwrap(), 1);
    // As after a crash between the file and the database.
    world.run("DELETE FROM checkpoints; INSERT INTO checkpoints SELECT * FROM before").await;
    for mut checkpointer in [checkpointer, world.checkpointer().await] {
        world.run("DELETE FROM checkpoints; INSERT INTO checkpoints SELECT * FROM before").await;
        assert_eq!(checkpointer.tick().await.unwrap(), 1);
        assert!(!world.is_halted().await);
        assert!(world.verify().await.is_intact());
    }
    assert_eq!(world.vouched("checkpoints"), 7);
}

#[tokio::test]
async fn an_invented_checkpoint_or_tile_stops_nobody_elses() {
    let (mut world, mut checkpointer) = World::start().await;
    let theirs = world.org;
    world.org = OrgId::new(Timestamp::from_micros(2), [8; 10]);
    world.found().await;
    world
        .run(&format!(
            "INSERT INTO checkpoints SELECT org_id, 1000, root, frontier, note, now() FROM checkpoints;
             INSERT INTO tiles VALUES ('{theirs}', 8, 0, sha256('x'))"
        ))
        .await;
    assert_eq!(checkpointer.tick().await.unwrap(), 1, "one organization's row stops another's checkpoint");
    assert!(world.verify().await.is_intact());
    world.org = theirs;
    assert!(world.is_halted().await);
    let codes: Vec<_> = world.verify().await.faults.iter().map(|fault| fault.code).collect();
    assert!(codes.contains(&"checkpoint_invalid") && codes.contains(&"tile_differs"), "{codes:?}");
}

#[tokio::test]
async fn tiles_are_what_the_entries_make_them() {
    let (mut world, mut checkpointer) = World::start().await;
    for number in 6..600 {
        world.append(number).await;
    }
    world.run("INSERT INTO tiles SELECT org_id, 8, 1, sha256('x') FROM heads").await;
    assert_eq!(checkpointer.tick().await.unwrap(), 1, "an invented tile stops the checkpoints");
    let codes: Vec<_> = world.verify().await.faults.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["tile_differs"]);
    // Both are made again from the entries.
    world.run("DELETE FROM tiles; DELETE FROM checkpoints").await;
    assert_eq!(checkpointer.tick().await.unwrap(), 1);
    let whole = world.verify().await;
    assert!(whole.is_intact() && whole.complete && whole.entries == 600, "{whole:?}");
    world.run("CREATE TEMP TABLE before AS SELECT * FROM tiles").await;
    for change in [
        "UPDATE tiles SET hash = sha256('x') WHERE index = 1",
        "DELETE FROM tiles WHERE index = 0",
        "INSERT INTO tiles SELECT org_id, level, 7, hash FROM tiles WHERE index = 0",
    ] {
        world.run(change).await;
        let codes: Vec<_> = world.verify().await.faults.iter().map(|fault| fault.code).collect();
        assert_eq!(codes, ["tile_differs"], "{change}");
        world.run("DELETE FROM tiles; INSERT INTO tiles SELECT * FROM before").await;
    }
}

#[tokio::test]
async fn a_verification_that_runs_out_of_time_says_so() {
    let (world, _) = World::start().await;
    let depth = Depth { until: Some(tokio::time::Instant::now()), ..Depth::whole(&[]) };
    let found =
        verify_organization(&world.store, world.signer.vkey(), world.org, depth, |_, _| {}).await.unwrap();
    assert!(!found.complete && found.entries == 0 && found.is_intact(), "{found:?}");
}

#[tokio::test]
async fn what_was_found_is_told_though_the_rest_does_not_read() {
    let (mut world, mut checkpointer) = World::start().await;
    for number in 6..300 {
        world.append(number).await;
    }
    checkpointer.tick().await.unwrap();
    // Its rows can be counted, but what they say can't be read.
    world.run("REVOKE SELECT ON tiles FROM chancery_appender").await;
    world.run("GRANT SELECT (org_id) ON tiles TO chancery_appender").await;
    let (store, key, org) = (world.store.clone(), world.signer.vkey().clone(), world.org);
    let verify = async || verify_organization(&store, &key, org, Depth::whole(&[]), |_, _| {}).await;
    assert!(verify().await.is_err());
    world.run("UPDATE entries SET refs = '{}' WHERE seq = 2").await;
    let found = verify().await.unwrap();
    let codes: Vec<_> = found.faults.iter().map(|fault| fault.code).collect();
    assert!(!found.complete && codes.contains(&"entry_changed"), "{found:?}");
}

#[tokio::test]
async fn long_payloads_are_read_a_few_at_a_time_and_none_is_left_out() {
    const KIB: usize = 1024;
    let (mut world, _) = World::start().await;
    // Around the 4 MiB of a piece: one that is longer than all of it, and more than it takes of others.
    let sizes = [1, 5 * KIB * KIB, 1, 1].into_iter().chain([300 * KIB; 20]).chain([1, 1, 3 * KIB * KIB, 1]);
    let mut expected = 6;
    for size in sizes {
        world.append_with(json!({"text": "x".repeat(size)})).await;
        expected += 1;
    }
    let found = world.verify().await;
    assert_eq!((found.entries, &found.faults[..]), (expected, &[][..]));
    world
        .run("UPDATE entries SET payload = set_byte(payload, 200, get_byte(payload, 200) # 1) WHERE seq = 8")
        .await;
    let found = world.verify().await;
    assert_eq!(
        found.faults.iter().map(|fault| (fault.code, fault.seq)).collect::<Vec<_>>(),
        [("payload_unreadable", 8)]
    );
}

#[tokio::test]
async fn a_key_destroyed_without_a_word_hides_nothing() {
    let (mut world, _) = World::start().await;
    let subject = PrincipalId::from_uuid(world.org.as_uuid());
    let mut scoped = world.store.write(&Scope::installation(world.org)).await.unwrap();
    let org_key = world.store.keyring().org_key(world.org).await.unwrap();
    let key = world.store.keyring().create_subject_key(&mut scoped, &org_key, subject).await.unwrap().id();
    let mut change = Change::new("test.happened", Epoch::Keep, ("test", key.to_string()), json!({}));
    change.subject = Some(subject);
    world.recorder.commit(scoped, Actor::installation(), change).await.unwrap();
    world.run("UPDATE data_keys SET wrapped = NULL, destroyed_at = now() WHERE subject_id IS NOT NULL").await;
    // A process that never opened the key.
    let (store, _) = connect(&world.database, &world.custody, Arc::new(ManualClock::new(NOW))).await;
    let (signer, org) = (Arc::clone(&world.signer), world.org);
    let verify =
        async || verify_organization(&store, signer.vkey(), org, Depth::whole(&[]), |_, _| {}).await.unwrap();
    let found = verify().await;
    let codes: Vec<_> = found.faults.iter().map(|fault| fault.code).collect();
    assert_eq!((found.shredded, codes), (1, vec!["payload_unreadable"]));
    // An erasure that somebody wrote, with a payload of another entry: the tree is well, the payload is not.
    world
        .run(&format!(
            "INSERT INTO entries SELECT org_id, 8, time, 'subject.erased', NULL, '{{\"data_key\":\"{key}\"}}',
                    commitment, leaf_hash, entry_hash, payload FROM entries WHERE seq = 1"
        ))
        .await;
    world.relink().await;
    let codes: Vec<_> = verify().await.faults.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["payload_unreadable", "payload_unreadable"]);
    world.run("DELETE FROM entries WHERE seq = 8").await;
    world.relink().await;
    // With the record's word for it, it is an erasure.
    let scoped = world.store.write(&Scope::installation(world.org)).await.unwrap();
    let change =
        Change::new("subject.erased", Epoch::Keep, ("data_key", key.to_string()), json!({"data_key": key}));
    world.recorder.commit(scoped, Actor::installation(), change).await.unwrap();
    let found = verify().await;
    assert!(found.is_intact() && found.shredded == 1, "{found:?}");
}

#[tokio::test]
async fn servers_that_sign_in_turns_hold_each_other_to_the_same_record() {
    let (mut world, mut first) = World::start().await;
    let mut second = world.checkpointer_with("second").await;
    for number in 7..=10 {
        world.append(number).await;
        let signing = if number % 2 == 0 { &mut first } else { &mut second };
        assert_eq!(signing.tick().await.unwrap(), 1);
    }
    assert!(world.verify().await.is_intact() && !world.is_halted().await);
    // The first knows 10. The record is written anew, and the second, whose walk ended at 9, is made
    // to sign the other one: no checkpoint is left that would tell it.
    world.rewrite().await;
    world.run("DELETE FROM checkpoints; DELETE FROM tiles").await;
    world.append(11).await;
    assert_eq!(second.tick().await.unwrap(), 0, "a fork was signed");
    assert!(world.is_halted().await);
}

#[tokio::test]
async fn a_checkpoint_of_another_server_that_contradicts_ours_is_not_taken() {
    let (mut world, _) = World::start().await;
    // Ours knows 6 entries by its file, and has no walk in memory.
    let mut ours = world.checkpointer().await;
    world.append(7).await;
    world.rewrite().await;
    world.run("DELETE FROM checkpoints; DELETE FROM tiles").await;
    // A server whose file is empty believes the database.
    let mut fresh = world.checkpointer_with("fresh").await;
    assert_eq!(fresh.tick().await.unwrap(), 1);
    assert_eq!(ours.tick().await.unwrap(), 0);
    assert!(world.is_halted().await);
    assert_eq!(world.vouched("checkpoints"), 6);
}

#[tokio::test]
async fn a_lock_that_somebody_else_holds_hides_no_truncation() {
    let (mut world, mut checkpointer) = World::start().await;
    world.run("SELECT pg_advisory_lock(x'636865636b706f69'::bit(64)::bigint)").await;
    world.cut(4).await;
    assert_eq!(checkpointer.tick().await.unwrap(), 0);
    assert!(world.is_halted().await);
}

#[tokio::test]
async fn the_background_verifier_holds_the_record_to_what_is_kept_outside() {
    let (mut world, checkpointer) = World::start().await;
    world.cut(4).await;
    let (recorder, vkey) = (world.recorder.clone(), world.signer.vkey().clone());
    let outside = checkpointer.outside();
    let verifying =
        verify_forever(recorder, vkey, outside, std::time::Duration::from_millis(1), std::future::pending());
    let halted = async {
        while !world.is_halted().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = verifying => {}
        () = halted => {}
        () = tokio::time::sleep(std::time::Duration::from_secs(30)) => panic!("nothing halts it"),
    }
}

#[tokio::test]
async fn a_broken_record_that_is_let_go_is_walked_from_its_beginning() {
    let (mut world, mut checkpointer) = World::start().await;
    world.rewrite().await;
    world.append(7).await;
    assert_eq!(checkpointer.tick().await.unwrap(), 0);
    assert!(world.is_halted().await);
    // The links fit from the last signed entry on, and only what is before it was written anew.
    world.run("UPDATE heads SET halted = false").await;
    world.append(9).await;
    assert_eq!(checkpointer.tick().await.unwrap(), 0, "signed on top of what was never compared");
    assert!(world.is_halted().await);
}
