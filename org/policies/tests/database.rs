//! The catalogue and the policies against Postgres.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::sync::Arc;

use chancery_crypto::{Custody, Random, SystemRandom};
use chancery_decide::{ActionDefinition, Pack};
use chancery_model::{ManualClock, MemberId, OrgId, Role, Timestamp};
use chancery_policies::packs::{self, Outcome};
use chancery_policies::{Authorship, PolicyCache, PolicyError, actions, policies};
use chancery_store::provision::provision;
use chancery_store::{
    Change, CommitRight, Epoch, MIGRATIONS, PoolSizes, Read, Scope, Scoped, Store, StoreError, Write,
};
use chancery_testkit::{TestDatabase, TestPostgres, password};
use serde_json::json;
use sqlx::AssertSqlSafe;

const PERMIT: &str =
    r#"permit (principal, action == Action::"notes.write", resource) when { context.arguments.size < 10 };"#;
const STRICTER: &str =
    r#"permit (principal, action == Action::"notes.write", resource) when { context.arguments.size < 5 };"#;

struct World {
    store: Store,
    right: CommitRight,
    orgs: [OrgId; 2],
    _database: TestDatabase,
    _files: tempfile::TempDir,
}

fn now() -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000)
}

fn author() -> Authorship<'static> {
    Authorship { by: MemberId::new(now(), [5; 10]).into(), at: now(), random: &SystemRandom }
}

/// `notes.write` on a `Note`, with one argument.
fn action(argument: &str) -> ActionDefinition {
    serde_json::from_value(json!({
        "name": "notes.write",
        "resource_type": "Note",
        "description": "Write a note.",
        "effect": "write",
        "base_risk": 10,
        "arguments": {"type": "object", "required": [argument], "properties": {argument: {"type": "integer"}}},
    }))
    .unwrap()
}

impl World {
    async fn new() -> Self {
        let postgres = TestPostgres::shared().await.unwrap();
        let migrations = [MIGRATIONS, chancery_policies::MIGRATIONS].concat();
        let text: Vec<&[u8]> = migrations.iter().map(|step| step.sql.as_bytes()).collect();
        let digest = chancery_crypto::sha256(&text)
            .iter()
            .fold(0_u64, |hash, byte| hash.rotate_left(7) ^ u64::from(*byte));
        let database = postgres
            .database_from(&format!("policies_{digest:x}"), async |postgres, name| {
                let logins =
                    provision(&postgres.superuser("postgres"), name, &password, &SystemRandom).await?;
                Ok(chancery_store::migrate(&logins.owner, &migrations).await?)
            })
            .await
            .unwrap();
        let files = tempfile::tempdir().unwrap();
        let custody = Custody::create(&files.path().join("kek.toml"), &SystemRandom).unwrap();
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let clock = Arc::new(ManualClock::new(now()));
        let (store, right) =
            Store::connect(&database.logins(), PoolSizes::default(), Arc::new(custody), clock, random)
                .await
                .unwrap();
        let orgs = [1, 2].map(|n| OrgId::new(now(), [n; 10]));
        for org in orgs {
            let mut founding = store.write(&Scope::founding(org)).await.unwrap();
            sqlx::query(
                "INSERT INTO heads (org_id, seq, entry_hash, last_time, epoch) VALUES ($1, 0, $2, now(), 1)",
            )
            .bind(org.as_uuid())
            .bind([0_u8; 32].as_slice())
            .execute(founding.connection())
            .await
            .unwrap();
            right.commit(founding).await.unwrap();
        }
        Self { store, right, orgs, _database: database, _files: files }
    }

    async fn write(&self) -> Scoped<Write> {
        self.store.write(&Scope::installation(self.orgs[0])).await.unwrap()
    }

    async fn read(&self) -> Scoped<Read> {
        self.store.read(&Scope::installation(self.orgs[0])).await.unwrap()
    }

    /// Commits as the record does, and gives the new epoch.
    async fn commit(&self, mut scoped: Scoped<Write>, change: &Change) -> i64 {
        assert_eq!(change.epoch, Epoch::Bump);
        let epoch =
            sqlx::query_scalar("UPDATE heads SET epoch = epoch + 1 WHERE org_id = $1 RETURNING epoch")
                .bind(scoped.org().as_uuid())
                .fetch_one(scoped.connection())
                .await
                .unwrap();
        self.right.commit(scoped).await.unwrap();
        epoch
    }

    async fn define(&self, definition: ActionDefinition) -> Result<i64, PolicyError> {
        let mut scoped = self.write().await;
        let (_, change) = actions::put(&mut scoped, definition, now()).await?;
        Ok(self.commit(scoped, &change).await)
    }

    fn scope(&self, epoch: i64) -> Scope {
        Scope::of_principal(self.orgs[0], None, Role::Admin, epoch)
    }
}

#[tokio::test]
async fn a_policy_is_written_activated_rolled_back_and_withdrawn() {
    let world = World::new().await;
    world.define(action("size")).await.unwrap();
    let mut scoped = world.write().await;
    let name = "Notes".parse().unwrap();
    let (policy, change) = policies::create(&mut scoped, name, PERMIT, author()).await.unwrap();
    assert_eq!((change.kind, &change.payload["version"]), ("policy.created", &json!(1)));
    world.commit(scoped, &change).await;
    assert_eq!(policy.active_version, None);

    let mut scoped = world.write().await;
    let taken = policies::create(&mut scoped, "Notes".parse().unwrap(), PERMIT, author()).await;
    assert!(matches!(taken, Err(PolicyError::NameTaken)));
    drop(scoped);
    let mut scoped = world.write().await;
    let same = policies::new_version(&mut scoped, policy.id, PERMIT, author()).await;
    assert!(matches!(same, Err(PolicyError::Unchanged)));
    let (_, change) = policies::new_version(&mut scoped, policy.id, STRICTER, author()).await.unwrap();
    assert_eq!(change.payload["version"], 2);
    world.commit(scoped, &change).await;

    for (version, previous) in [(1, json!(null)), (2, json!(1)), (1, json!(2))] {
        let mut scoped = world.write().await;
        let (policy, change) = policies::activate(&mut scoped, policy.id, version).await.unwrap();
        assert_eq!(policy.active_version, Some(version));
        assert_eq!((change.kind, &change.payload["previous"]), ("policy.activated", &previous));
        world.commit(scoped, &change).await;
    }
    let mut scoped = world.write().await;
    let absent = policies::activate(&mut scoped, policy.id, 3).await;
    assert!(matches!(absent, Err(PolicyError::Missing("policy version"))));
    let again = policies::activate(&mut scoped, policy.id, 1).await;
    assert!(matches!(again, Err(PolicyError::Unchanged)));
    let (_, change) = policies::withdraw(&mut scoped, policy.id).await.unwrap();
    assert_eq!((change.kind, &change.payload["version"]), ("policy.withdrawn", &json!(1)));
    world.commit(scoped, &change).await;

    let (policy, versions) = policies::read(&mut world.read().await, policy.id).await.unwrap().unwrap();
    assert_eq!((policy.active_version, policy.latest_version), (None, 2));
    assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [2, 1]);
    let text = policies::text(&mut world.read().await, policy.id, 2).await.unwrap();
    assert_eq!(text.as_deref(), Some(STRICTER));
    assert_eq!(policies::list(&mut world.read().await, None, 10).await.unwrap(), [policy]);
}

#[tokio::test]
async fn what_could_not_decide_is_not_written() {
    let world = World::new().await;
    world.define(action("size")).await.unwrap();
    let mut scoped = world.write().await;
    for (text, line) in [
        ("permit (principal, action, resource", 1),
        ("\npermit (principal, action == Action::\"notes.read\", resource);", 2),
        (
            "permit (principal, action == Action::\"notes.write\", resource)\nwhen { context.arguments.weight < 1 };",
            2,
        ),
    ] {
        let refused = policies::create(&mut scoped, "x".parse().unwrap(), text, author()).await;
        let Err(PolicyError::Problems(problems)) = refused else { panic!("{text}") };
        assert_eq!(problems[0].line, line, "{text}: {problems:?}");
    }
    let reserved = ActionDefinition { base_risk: 101, ..action("size") };
    assert!(matches!(actions::put(&mut scoped, reserved, now()).await, Err(PolicyError::Catalogue(_))));
}

#[tokio::test]
async fn an_action_that_a_policy_in_force_needs_stays_as_it_is() {
    let world = World::new().await;
    world.define(action("size")).await.unwrap();
    assert!(matches!(world.define(action("size")).await, Err(PolicyError::Unchanged)));
    let mut scoped = world.write().await;
    let (policy, _) =
        policies::create(&mut scoped, "Notes".parse().unwrap(), PERMIT, author()).await.unwrap();
    let (_, change) = policies::activate(&mut scoped, policy.id, 1).await.unwrap();
    world.commit(scoped, &change).await;

    let breaks = |outcome: Result<(), PolicyError>| matches!(outcome, Err(PolicyError::Breaks { policy, .. }) if policy == "Notes");
    assert!(breaks(world.define(action("weight")).await.map(drop)));
    let name = action("size").name;
    let mut scoped = world.write().await;
    assert!(breaks(actions::retire(&mut scoped, &name, now()).await.map(drop)));
    let (_, change) = policies::withdraw(&mut scoped, policy.id).await.unwrap();
    world.commit(scoped, &change).await;

    let mut scoped = world.write().await;
    let change = actions::retire(&mut scoped, &name, now()).await.unwrap();
    assert_eq!(change.kind, "action.retired");
    assert!(matches!(actions::retire(&mut scoped, &name, now()).await, Err(PolicyError::Missing("action"))));
    // The version is still there, but it can't come into force without its action.
    let refused = policies::activate(&mut scoped, policy.id, 1).await;
    assert!(matches!(refused, Err(PolicyError::Problems(_))));
    world.commit(scoped, &change).await;
    assert!(actions::read(&mut world.read().await, &name).await.unwrap().unwrap().retired_at.is_some());
    world.define(action("weight")).await.unwrap();
    let listed = actions::list(&mut world.read().await, None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].retired_at, &listed[0].definition), (None, &action("weight")));
}

#[tokio::test]
async fn packs_are_applied_once_and_leave_what_is_the_organizations_own() {
    let world = World::new().await;
    for pack in Pack::builtin() {
        let mut scoped = world.write().await;
        let (applied, change) = packs::apply(&mut scoped, &pack.name, author()).await.unwrap();
        assert!(applied.actions.values().all(|outcome| *outcome == Outcome::Added), "{}", pack.name);
        assert_eq!((applied.policy, applied.version), (Outcome::Added, 1));
        world.commit(scoped, &change.unwrap()).await;
        let mut scoped = world.write().await;
        let (again, change) = packs::apply(&mut scoped, &pack.name, author()).await.unwrap();
        assert!(again.actions.values().all(|outcome| *outcome == Outcome::Present));
        assert_eq!((again.policy, again.policy_id), (Outcome::Present, applied.policy_id));
        assert!(change.is_none());
    }
    let mut scoped = world.write().await;
    assert!(matches!(
        packs::apply(&mut scoped, "nothing", author()).await,
        Err(PolicyError::Missing("pack"))
    ));

    // A withdrawn policy comes back; a changed action stays changed.
    let pack = Pack::find("payments").unwrap();
    let (applied, _) = packs::apply(&mut scoped, "payments", author()).await.unwrap();
    policies::withdraw(&mut scoped, applied.policy_id).await.unwrap();
    let own = ActionDefinition { base_risk: 99, ..pack.actions[0].clone() };
    actions::put(&mut scoped, own.clone(), now()).await.unwrap();
    let (applied, change) = packs::apply(&mut scoped, "payments", author()).await.unwrap();
    assert_eq!(applied.actions[&own.name], Outcome::Kept);
    assert_eq!((applied.policy, applied.version), (Outcome::Added, 1));
    world.commit(scoped, &change.unwrap()).await;
    let kept = actions::read(&mut world.read().await, &own.name).await.unwrap().unwrap();
    assert_eq!(kept.definition, own);
}

#[tokio::test]
async fn policies_are_compiled_once_an_epoch() {
    let world = World::new().await;
    let cache = PolicyCache::new(Vec::new());
    let empty = cache.of(&world.store, &world.scope(1)).await.unwrap();
    assert_eq!(empty.catalogue().iter().count(), 0);
    let scope = Scope::of_principal(world.orgs[1], None, Role::Admin, 1);
    let (one, two) = tokio::join!(cache.of(&world.store, &scope), cache.of(&world.store, &scope));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(Arc::ptr_eq(&one, &two), "two requests wait for one load");
    assert!(Arc::ptr_eq(one.catalogue(), empty.catalogue()), "equal catalogues are shared");

    let epoch = world.define(action("size")).await.unwrap();
    let filled = cache.of(&world.store, &world.scope(epoch)).await.unwrap();
    assert_eq!(filled.catalogue().iter().count(), 1);
    assert!(Arc::ptr_eq(&filled, &cache.of(&world.store, &world.scope(epoch)).await.unwrap()));
    let stale = cache.of(&world.store, &world.scope(1)).await;
    assert!(matches!(stale, Err(StoreError::Stale { epoch: 2 })));
    cache.forget(world.orgs[0]).await;
    assert!(!Arc::ptr_eq(&filled, &cache.of(&world.store, &world.scope(epoch)).await.unwrap()));
}

#[tokio::test]
async fn every_table_is_locked_to_its_organization_and_versions_never_change() {
    let world = World::new().await;
    let [org, other] = world.orgs;
    world.define(action("size")).await.unwrap();
    let mut scoped = world.write().await;
    let (_, change) =
        policies::create(&mut scoped, "Notes".parse().unwrap(), PERMIT, author()).await.unwrap();
    world.commit(scoped, &change).await;
    for table in ["actions", "policies", "policy_versions"] {
        let count = || AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        for (scope, rows) in [(org, 1_i64), (other, 0)] {
            let mut scoped = world.store.read(&Scope::installation(scope)).await.unwrap();
            let seen: i64 = sqlx::query_scalar(count()).fetch_one(scoped.connection()).await.unwrap();
            assert_eq!(seen, rows, "{table}");
        }
        let mut outside = world.store.outside().await.unwrap();
        let seen: i64 = sqlx::query_scalar(count()).fetch_one(&mut *outside).await.unwrap();
        assert_eq!(seen, 0, "{table}");
    }
    for statement in [
        "INSERT INTO actions VALUES ($1, 'x', '{}', now(), now())",
        "INSERT INTO policies VALUES ($1, gen_random_uuid(), 'x', NULL, now())",
        "INSERT INTO policy_versions VALUES ($1, $1, 1, 'x', sha256(''), $1, now())",
        "UPDATE policy_versions SET text = 'x' WHERE org_id = $1",
        "DELETE FROM policy_versions WHERE org_id = $1",
        "DELETE FROM policies WHERE org_id = $1",
        "DELETE FROM actions WHERE org_id = $1",
    ] {
        let mut scoped = world.store.write(&Scope::installation(other)).await.unwrap();
        let outcome = sqlx::query(statement).bind(org.as_uuid()).execute(scoped.connection()).await;
        let error = outcome.map(drop).expect_err(statement);
        assert_eq!(
            error.as_database_error().unwrap().code().as_deref(),
            Some("42501"),
            "{statement}: {error}"
        );
    }
    let mut scoped = world.store.write(&Scope::installation(other)).await.unwrap();
    let moved = sqlx::query("UPDATE policies SET active_version = 1 WHERE org_id = $1")
        .bind(org.as_uuid())
        .execute(scoped.connection())
        .await
        .unwrap();
    assert_eq!(moved.rows_affected(), 0);
}
