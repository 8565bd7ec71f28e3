//! Signing keys, token uses and revocations against Postgres.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::sync::Arc;

use chancery_crypto::{Algorithm, Custody, DataKey, Random, SigningKey, SystemRandom};
use chancery_mint::signing_keys::{
    self, Forge, KeyState, PUBLISHED_SECONDS, Retirement, SigningKeyError, SigningKeyRecord, VERIFIES_SECONDS,
};
use chancery_mint::token_uses::{TokenUse, insert_batch};
use chancery_mint::{KeyPool, Lifetime, SigningKeys, Stock, revocations};
use chancery_model::{
    Clock, IntentId, KeyId, ManualClock, OrgId, Role, SigningKeyId, Slug, Timestamp, TokenId,
};
use chancery_store::provision::provision;
use chancery_store::{CommitRight, Epoch, KeyringError, MIGRATIONS, PoolSizes, Scope, Store, StoreError};
use chancery_testkit::{TestDatabase, TestPostgres, password};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

struct World {
    store: Store,
    right: CommitRight,
    clock: Arc<ManualClock>,
    orgs: [OrgId; 2],
    slug: Slug,
    database: TestDatabase,
    files: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let postgres = TestPostgres::shared().await.unwrap();
        let migrations = [MIGRATIONS, chancery_mint::MIGRATIONS].concat();
        let text: Vec<&[u8]> = migrations.iter().map(|step| step.sql.as_bytes()).collect();
        let digest = chancery_crypto::sha256(&text)
            .iter()
            .fold(0_u64, |hash, byte| hash.rotate_left(7) ^ u64::from(*byte));
        let database = postgres
            .database_from(&format!("mint_{digest:x}"), async |postgres, name| {
                let logins =
                    provision(&postgres.superuser("postgres"), name, &password, &SystemRandom).await?;
                Ok(chancery_store::migrate(&logins.owner, &migrations).await?)
            })
            .await
            .unwrap();
        let files = tempfile::tempdir().unwrap();
        let custody = Custody::create(&files.path().join("kek.toml"), &SystemRandom).unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let (store, right) = Store::connect(
            &database.logins(),
            PoolSizes::default(),
            Arc::new(custody),
            clock.clone(),
            random,
        )
        .await
        .unwrap();
        let orgs = [1, 2].map(|n| OrgId::new(clock.now(), [n; 10]));
        let world = Self { store, right, clock, orgs, slug: "acme".parse().unwrap(), database, files };
        for org in orgs {
            world.found(org).await;
        }
        world
    }

    async fn found(&self, org: OrgId) {
        let mut founding = self.store.write(&Scope::founding(org)).await.unwrap();
        sqlx::query(
            "INSERT INTO heads (org_id, seq, entry_hash, last_time, epoch) VALUES ($1, 0, $2, now(), 1)",
        )
        .bind(org.as_uuid())
        .bind([0_u8; 32].as_slice())
        .execute(founding.connection())
        .await
        .unwrap();
        self.store.keyring().create_org_key(&mut founding).await.unwrap();
        self.right.commit(founding).await.unwrap();
    }

    /// The same database for a process that remembers nothing.
    async fn another_store(&self) -> Store {
        let custody = Custody::load(&self.files.path().join("kek.toml")).unwrap();
        let (logins, sizes, random) = (self.database.logins(), PoolSizes::default(), Arc::new(SystemRandom));
        Store::connect(&logins, sizes, Arc::new(custody), self.clock.clone(), random).await.unwrap().0
    }

    async fn org_key(&self, org: OrgId) -> Arc<DataKey> {
        self.store.keyring().org_key(org).await.unwrap()
    }

    async fn create_first(&self, org: OrgId, key: &SigningKey) -> Result<SigningKeyRecord, SigningKeyError> {
        let org_key = self.org_key(org).await;
        let mut scoped = self.store.write(&Scope::installation(org)).await?;
        let forge = Forge { slug: &self.slug, org_key: &org_key, keyring: self.store.keyring() };
        let (record, change) = signing_keys::create_first(&mut scoped, forge, key).await?;
        assert_eq!((change.kind, change.epoch), ("signing_key.created", Epoch::Bump));
        self.right.commit(scoped).await?;
        Ok(record)
    }

    async fn rotate(&self, org: OrgId, key: &SigningKey) -> Result<SigningKeyRecord, SigningKeyError> {
        let org_key = self.org_key(org).await;
        let mut scoped = self.store.write(&Scope::installation(org)).await?;
        let forge = Forge { slug: &self.slug, org_key: &org_key, keyring: self.store.keyring() };
        let (record, change) = signing_keys::rotate(&mut scoped, forge, key).await?;
        assert!(change.payload["previous"].is_string());
        assert_eq!(change.payload["jwk"]["kid"], record.kid);
        self.right.commit(scoped).await?;
        Ok(record)
    }

    async fn publish_next(&self, org: OrgId, key: &SigningKey) -> Result<SigningKeyRecord, SigningKeyError> {
        let org_key = self.org_key(org).await;
        let mut scoped = self.store.write(&Scope::installation(org)).await?;
        let forge = Forge { slug: &self.slug, org_key: &org_key, keyring: self.store.keyring() };
        let (record, change) = signing_keys::publish_next(&mut scoped, forge, key).await?;
        assert_eq!((change.kind, change.epoch), ("signing_key.created", Epoch::Bump));
        assert_eq!(change.payload["activates_at"], json!(record.activates_at()));
        self.right.commit(scoped).await?;
        Ok(record)
    }

    async fn activate(&self, org: OrgId, algorithm: Algorithm) -> Result<SigningKeyRecord, SigningKeyError> {
        let mut scoped = self.store.write(&Scope::installation(org)).await?;
        let (record, change) = signing_keys::activate_next(&mut scoped, algorithm, self.clock.now()).await?;
        assert_eq!((change.kind, change.epoch), ("signing_key.activated", Epoch::Bump));
        assert!(change.payload["previous"].is_string());
        self.right.commit(scoped).await?;
        Ok(record)
    }

    async fn signs(&self, org: OrgId) -> String {
        let signing = SigningKeys::default();
        let signer = signing.active(&self.store, &Scope::installation(org), Algorithm::Es256).await;
        signer.unwrap().unwrap().kid().to_owned()
    }

    /// The keys that are due, as their states.
    async fn due(&self) -> Vec<(SigningKeyId, KeyState)> {
        let due = signing_keys::due(&self.store, self.clock.now()).await.unwrap();
        due.into_iter().map(|due| (due.id, due.state)).collect()
    }

    async fn retire(&self, org: OrgId, id: SigningKeyId, how: Retirement) -> Result<(), SigningKeyError> {
        let mut scoped = self.store.write(&Scope::installation(org)).await?;
        let (record, _) = signing_keys::retire(&mut scoped, id, how, self.clock.now()).await?;
        assert_eq!(record.state, KeyState::Retired);
        self.right.commit(scoped).await?;
        Ok(())
    }

    async fn keys(&self, org: OrgId) -> Vec<SigningKeyRecord> {
        let mut scoped = self.store.read(&Scope::installation(org)).await.unwrap();
        signing_keys::list(&mut scoped).await.unwrap()
    }

    async fn published(&self, org: OrgId) -> Vec<String> {
        let set = SigningKeys::default().jwks(&self.store, org).await.unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    /// Runs a statement as the superuser, past every lock.
    async fn tamper(&self, statement: &str) {
        let mut connection = PgConnection::connect_with(&self.database.superuser()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    }

    fn at_epoch(&self, org: OrgId, epoch: i64) -> Scope {
        Scope::of_principal(org, None, Role::Admin, epoch)
    }

    fn token_use(&self, org: OrgId, nonce: u8) -> TokenUse {
        TokenUse {
            org,
            nonce_hash: [nonce; 32],
            token: TokenId::new(self.clock.now(), [nonce; 10]),
            intent: IntentId::new(self.clock.now(), [nonce; 10]),
            key: KeyId::new(self.clock.now(), [9; 10]),
            at: self.clock.now(),
        }
    }
}

fn es256() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_rotations_at_once_leave_one_active_key() {
    let world = Arc::new(World::new().await);
    let org = world.orgs[0];
    let pool = Arc::new(KeyPool::fill(Stock { rs256: 1, es256: 4, eddsa: 1 }));
    world.create_first(org, &es256()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (world, pool) = (Arc::clone(&world), Arc::clone(&pool));
        tasks.spawn(async move {
            let key = pool.take(Algorithm::Es256).await.unwrap();
            loop {
                match world.rotate(org, &key).await {
                    Ok(record) => return record.generation,
                    Err(SigningKeyError::Lost) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    let mut generations = tasks.join_all().await;
    generations.sort_unstable();
    assert_eq!(generations, (2..=17).collect::<Vec<_>>());
    let keys = world.keys(org).await;
    let active: Vec<_> = keys.iter().filter(|key| key.state == KeyState::Active).collect();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0].generation, 17);
    assert_eq!(world.published(org).await.len(), 17);
    assert!(world.keys(world.orgs[1]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_first_keys_one_wins() {
    let world = Arc::new(World::new().await);
    let org = world.orgs[0];
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let world = Arc::clone(&world);
        tasks.spawn(async move { world.create_first(org, &es256()).await.map(drop) });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(()) | Err(SigningKeyError::Lost))));
    assert_eq!(world.keys(org).await.len(), 1);
    // Another algorithm has its own first key.
    world.create_first(org, &SigningKey::generate(Algorithm::EdDsa).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_key_is_retired_when_its_tokens_have_expired_or_it_is_stolen() {
    let world = World::new().await;
    let org = world.orgs[0];
    let first = world.create_first(org, &es256()).await.unwrap();
    assert!(first.kid.starts_with("acme."));
    let refused = world.retire(org, first.id, Retirement::Compromised).await;
    assert!(matches!(refused, Err(SigningKeyError::NotPrevious(KeyState::Active))));
    world.clock.advance_seconds(1);
    let second = world.rotate(org, &es256()).await.unwrap();
    world.clock.advance_seconds(VERIFIES_SECONDS - 1);
    let refused = world.retire(org, first.id, Retirement::Orderly).await;
    assert!(matches!(refused, Err(SigningKeyError::InUse { .. })));
    assert_eq!(world.published(org).await, [second.kid.clone(), first.kid.clone()]);
    assert_eq!(world.due().await, []);
    world.clock.advance_seconds(1);
    assert_eq!(world.due().await, [(first.id, KeyState::Previous)]);
    world.retire(org, first.id, Retirement::Orderly).await.unwrap();
    assert_eq!(world.published(org).await, std::slice::from_ref(&second.kid));
    let third = world.rotate(org, &es256()).await.unwrap();
    world.retire(org, second.id, Retirement::Compromised).await.unwrap();
    assert_eq!(world.published(org).await, [third.kid]);
    let elsewhere = world.retire(world.orgs[1], first.id, Retirement::Compromised).await;
    assert!(matches!(elsewhere, Err(SigningKeyError::Missing)));
    let mut scoped = world.store.read(&Scope::installation(org)).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM signing_keys WHERE sealed IS NOT NULL")
        .fetch_one(scoped.connection())
        .await
        .unwrap();
    assert_eq!(left, 1, "a retired key has no private half");
}

#[tokio::test]
async fn a_next_key_is_published_before_it_signs() {
    let world = World::new().await;
    let org = world.orgs[0];
    assert!(matches!(world.publish_next(org, &es256()).await, Err(SigningKeyError::Missing)));
    let first = world.create_first(org, &es256()).await.unwrap();
    assert!(matches!(world.activate(org, Algorithm::Es256).await, Err(SigningKeyError::Missing)));
    world.clock.advance_seconds(1);
    let next = world.publish_next(org, &es256()).await.unwrap();
    assert_eq!((next.state, next.generation, next.activated_at), (KeyState::Next, 2, None));
    assert_eq!(world.published(org).await, [next.kid.clone(), first.kid.clone()]);
    assert!(matches!(world.publish_next(org, &es256()).await, Err(SigningKeyError::Lost)), "one waits");
    let until = world.clock.now().plus_seconds(PUBLISHED_SECONDS);
    assert_eq!(next.activates_at(), Some(until));

    world.clock.advance_seconds(PUBLISHED_SECONDS - 1);
    let early = world.activate(org, Algorithm::Es256).await;
    assert!(matches!(early, Err(SigningKeyError::Waiting { until: from }) if from == until));
    assert_eq!((world.signs(org).await, world.due().await), (first.kid.clone(), vec![]));
    world.clock.advance_seconds(1);
    assert_eq!(world.due().await, [(next.id, KeyState::Next)]);
    let active = world.activate(org, Algorithm::Es256).await.unwrap();
    assert_eq!((active.id, active.state), (next.id, KeyState::Active));
    assert_eq!((world.signs(org).await, world.due().await), (next.kid.clone(), vec![]));
    let states: Vec<_> = world.keys(org).await.into_iter().map(|key| (key.id, key.state)).collect();
    assert_eq!(states, [(next.id, KeyState::Active), (first.id, KeyState::Previous)]);
    assert_eq!(world.published(org).await, [next.kid, first.kid]);
}

#[tokio::test]
async fn a_key_that_replaces_a_stolen_one_does_not_wait_and_the_next_one_may_be_stolen_too() {
    let world = World::new().await;
    let org = world.orgs[0];
    world.create_first(org, &es256()).await.unwrap();
    let next = world.publish_next(org, &es256()).await.unwrap();
    let fresh = world.rotate(org, &es256()).await.unwrap();
    assert_eq!((fresh.generation, world.signs(org).await), (3, fresh.kid.clone()));
    world.clock.advance_seconds(PUBLISHED_SECONDS);
    world.activate(org, Algorithm::Es256).await.unwrap();
    assert_eq!(world.signs(org).await, next.kid, "the one that waited comes all the same");

    let waiting = world.publish_next(org, &es256()).await.unwrap();
    let refused = world.retire(org, waiting.id, Retirement::Orderly).await;
    assert!(matches!(refused, Err(SigningKeyError::NotPrevious(KeyState::Next))));
    world.retire(org, waiting.id, Retirement::Compromised).await.unwrap();
    assert!(!world.published(org).await.contains(&waiting.kid));
    assert!(matches!(world.activate(org, Algorithm::Es256).await, Err(SigningKeyError::Missing)));
    world.publish_next(org, &es256()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_activations_and_rotations_at_once_each_leaves_one_active_key() {
    let world = Arc::new(World::new().await);
    let org = world.orgs[0];
    world.create_first(org, &es256()).await.unwrap();
    let next = world.publish_next(org, &es256()).await.unwrap();
    world.clock.advance_seconds(PUBLISHED_SECONDS);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..12 {
        let world = Arc::clone(&world);
        tasks.spawn(async move {
            let outcome = match number % 3 {
                0 => world.rotate(org, &es256()).await,
                _ => world.activate(org, Algorithm::Es256).await,
            };
            match outcome {
                Ok(record) => Some(record.id),
                Err(SigningKeyError::Lost | SigningKeyError::Missing) => None,
                Err(other) => panic!("{other}"),
            }
        });
    }
    let done: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert!(!done.is_empty());
    assert!(done.iter().filter(|id| **id == next.id).count() <= 1, "one key became active twice");
    let active = world.keys(org).await.into_iter().filter(|key| key.state == KeyState::Active).count();
    assert_eq!(active, 1);
}

#[tokio::test]
async fn the_database_holds_one_active_and_one_next_key() {
    let world = World::new().await;
    let org = world.orgs[0];
    world.create_first(org, &es256()).await.unwrap();
    world.publish_next(org, &es256()).await.unwrap();
    for (state, constraint) in [("active", "signing_keys_one_active"), ("next", "signing_keys_one_next")] {
        let mut connection = PgConnection::connect_with(&world.database.superuser()).await.unwrap();
        let another = format!(
            "INSERT INTO signing_keys SELECT org_id, gen_random_uuid(), 'another', algorithm, state, 9, public_jwk,
                 sealed, created_at, activated_at FROM signing_keys WHERE state = '{state}'"
        );
        let error = sqlx::raw_sql(AssertSqlSafe(another)).execute(&mut connection).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().constraint(), Some(constraint));
    }
}

/// Whoever writes the database has no key that opens, so no row of theirs is believed.
#[tokio::test]
async fn a_public_key_without_its_sealed_half_is_neither_trusted_nor_published() {
    let world = World::new().await;
    let org = world.orgs[0];
    let first = world.create_first(org, &es256()).await.unwrap();
    world.clock.advance_seconds(1);
    let second = world.rotate(org, &es256()).await.unwrap();
    let good = [second.kid.clone(), first.kid.clone()];
    assert_eq!(world.published(org).await, good);
    let theirs = es256().public().to_jwk("acme.ffffffffffff");
    let insert = |sealed: &str| {
        format!(
            "INSERT INTO signing_keys SELECT org_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'acme.ffffffffffff',
                 algorithm, state, 9, '{theirs}', {sealed}, created_at, activated_at, superseded_at
             FROM signing_keys WHERE state = 'previous'"
        )
    };
    for sealed in ["'\\x00'", "sealed"] {
        world.tamper(&insert(sealed)).await;
        assert_eq!(world.published(org).await, good, "{sealed}");
        world.tamper("DELETE FROM signing_keys WHERE kid = 'acme.ffffffffffff'").await;
    }
    // Rows of ours that say something else; what was believed before does not cover them.
    let known = SigningKeys::default();
    assert_eq!(known.jwks(&world.store, org).await.unwrap()["keys"].as_array().unwrap().len(), 2);
    world.tamper("CREATE TABLE kept AS SELECT * FROM signing_keys").await;
    for change in [
        format!("public_jwk = '{theirs}'"),
        "kid = 'acme.ffffffffffff'".to_owned(),
        "sealed = '\\x00'".to_owned(),
        "algorithm = 'EdDSA'".to_owned(),
    ] {
        world.tamper(&format!("UPDATE signing_keys SET {change} WHERE state = 'previous'")).await;
        assert_eq!(world.published(org).await, std::slice::from_ref(&second.kid), "{change}");
        let set = known.jwks(&world.store, org).await.unwrap();
        assert_eq!(set["keys"].as_array().unwrap().len(), 1, "{change}: remembered as good");
        world.tamper("DELETE FROM signing_keys; INSERT INTO signing_keys SELECT * FROM kept").await;
        assert_eq!(world.published(org).await, good);
    }
}

/// An empty key set would be kept by verifiers, and an empty trust by us.
#[tokio::test]
async fn keys_that_cannot_be_looked_at_are_an_error_and_not_absent() {
    let world = World::new().await;
    let org = world.orgs[0];
    world.create_first(org, &es256()).await.unwrap();
    let store = world.another_store().await;
    assert!(SigningKeys::default().jwks(&store, org).await.is_ok());
    world.tamper("UPDATE data_keys SET wrapped = '\\x00'").await;
    let store = world.another_store().await;
    assert!(matches!(SigningKeys::default().jwks(&store, org).await, Err(KeyringError::Open(_))));
    let trust = SigningKeys::default().trust(&store, &world.at_epoch(org, 1)).await;
    assert!(matches!(trust, Err(KeyringError::Open(_))));
}

#[tokio::test]
async fn the_active_key_is_kept_while_the_epoch_stands() {
    let world = World::new().await;
    let org = world.orgs[0];
    let keys = SigningKeys::default();
    let active = async |epoch| keys.active(&world.store, &world.at_epoch(org, epoch), Algorithm::Es256).await;
    assert!(active(1).await.unwrap().is_none());
    let first = world.create_first(org, &es256()).await.unwrap();
    let signer = active(1).await.unwrap().unwrap();
    assert_eq!(signer.kid(), first.kid);
    let second = world.rotate(org, &es256()).await.unwrap();
    assert_eq!(active(1).await.unwrap().unwrap().kid(), first.kid, "read from memory");
    world.tamper("UPDATE heads SET epoch = 2").await;
    assert_eq!(active(2).await.unwrap().unwrap().kid(), second.kid);
    let stale = active(1).await;
    assert!(matches!(stale, Err(KeyringError::Store(StoreError::Stale { epoch: 2 }))));
    let trust = keys.trust(&world.store, &world.at_epoch(org, 2)).await.unwrap();
    assert!(Arc::ptr_eq(&trust, &keys.trust(&world.store, &world.at_epoch(org, 2)).await.unwrap()));
    keys.forget(org).await;
    assert!(!Arc::ptr_eq(&trust, &keys.trust(&world.store, &world.at_epoch(org, 2)).await.unwrap()));
}

#[tokio::test]
async fn a_swapped_private_or_public_key_does_not_sign() {
    let world = World::new().await;
    let org = world.orgs[0];
    world.create_first(org, &es256()).await.unwrap();
    world.rotate(org, &es256()).await.unwrap();
    let active = async || {
        SigningKeys::default().active(&world.store, &Scope::installation(org), Algorithm::Es256).await
    };
    assert!(active().await.unwrap().is_some());
    world.tamper(
        "CREATE TABLE kept AS SELECT * FROM signing_keys;
         UPDATE signing_keys SET sealed = (SELECT sealed FROM kept WHERE state = 'previous') WHERE state = 'active'",
    ).await;
    assert!(matches!(active().await, Err(KeyringError::Open(_))));
    world
        .tamper(
            "UPDATE signing_keys SET sealed = (SELECT sealed FROM kept WHERE state = 'active'),
            public_jwk = (SELECT public_jwk FROM kept WHERE state = 'previous') WHERE state = 'active'",
        )
        .await;
    assert!(matches!(active().await, Err(KeyringError::Store(StoreError::Corrupt { .. }))));
}

#[tokio::test]
async fn a_nonce_is_fresh_once() {
    let world = World::new().await;
    let [a, b] = world.orgs;
    let mut connection = world.store.appender_connection().await.unwrap();
    let batch = [world.token_use(b, 1), world.token_use(a, 1), world.token_use(a, 2), world.token_use(a, 1)];
    assert_eq!(insert_batch(&mut connection, &batch).await.unwrap(), [true, true, true, false]);
    let again = [world.token_use(a, 3), world.token_use(a, 2)];
    assert_eq!(insert_batch(&mut connection, &again).await.unwrap(), [true, false]);
    assert!(insert_batch(&mut connection, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn of_two_open_transactions_the_first_to_commit_has_the_nonce() {
    let world = World::new().await;
    let org = world.orgs[0];
    for (commits, second_is_fresh) in [(true, false), (false, true)] {
        let nonce = u8::from(commits) + 10;
        let mut first = world.store.appender_connection().await.unwrap();
        let mut open = first.begin().await.unwrap();
        assert_eq!(insert_batch(&mut open, &[world.token_use(org, nonce)]).await.unwrap(), [true]);
        let used = world.token_use(org, nonce);
        let mut connection = world.store.appender_connection().await.unwrap();
        let second = tokio::spawn(async move { insert_batch(&mut connection, &[used]).await.unwrap() });
        world.database.somebody_waits().await.unwrap();
        assert!(!second.is_finished());
        if commits {
            open.commit().await.unwrap()
        } else {
            open.rollback().await.unwrap()
        }
        assert_eq!(second.await.unwrap(), [second_is_fresh]);
    }
}

#[tokio::test]
async fn revocations_are_read_while_they_can_meet_a_token() {
    let world = World::new().await;
    let [org, other] = world.orgs;
    let (token, key) = (TokenId::new(world.clock.now(), [1; 10]), KeyId::new(world.clock.now(), [2; 10]));
    for target in
        [revocations::Target::Token(token), revocations::Target::Key(key), revocations::Target::Organization]
    {
        let mut scoped = world.store.write(&Scope::installation(org)).await.unwrap();
        let (_, change) =
            revocations::revoke(&mut scoped, target, "leaked", &*world.clock, &SystemRandom).await.unwrap();
        assert_eq!(change.epoch, Epoch::Bump);
        world.right.commit(scoped).await.unwrap();
    }
    let active = async |org| {
        let mut scoped = world.store.read(&Scope::installation(org)).await.unwrap();
        revocations::active(&mut scoped, world.clock.now()).await.unwrap()
    };
    let mut expected = revocations::Revoked::default();
    for target in
        [revocations::Target::Token(token), revocations::Target::Key(key), revocations::Target::Organization]
    {
        expected.add(target, world.clock.now());
    }
    assert_eq!(active(org).await, expected);
    assert_eq!(active(other).await, revocations::Revoked::default());
    world.clock.advance_seconds(Lifetime::LONGEST.as_seconds() + 10);
    assert_eq!(active(org).await, expected);
    world.clock.advance_seconds(1);
    assert_eq!(active(org).await, revocations::Revoked::default());
}

/// Another organization's scope, and none at all, see and touch nothing of these tables.
#[tokio::test]
async fn every_table_is_locked_to_its_organization() {
    let world = World::new().await;
    let [org, other] = world.orgs;
    world.create_first(org, &es256()).await.unwrap();
    let mut committer = world.store.appender_connection().await.unwrap();
    insert_batch(&mut committer, &[world.token_use(org, 1)]).await.unwrap();
    let mut scoped = world.store.write(&Scope::installation(org)).await.unwrap();
    revocations::revoke(&mut scoped, revocations::Target::Organization, "x", &*world.clock, &SystemRandom)
        .await
        .unwrap();
    world.right.commit(scoped).await.unwrap();
    for table in ["signing_keys", "token_uses", "revocations"] {
        let count = || AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        for (scope, rows) in [(org, 1_i64), (other, 0)] {
            let mut scoped = world.store.read(&Scope::installation(scope)).await.unwrap();
            let seen: i64 = sqlx::query_scalar(count()).fetch_one(scoped.connection()).await.unwrap();
            assert_eq!(seen, rows, "{table}");
        }
        let mut outside = world.store.outside().await.unwrap();
        let seen: i64 = sqlx::query_scalar(count()).fetch_one(&mut *outside).await.unwrap();
        assert_eq!(seen, 0, "{table}");
        let mut scoped = world.store.write(&Scope::installation(other)).await.unwrap();
        let delete = AssertSqlSafe(format!("DELETE FROM {table}"));
        assert!(sqlx::query(delete).execute(scoped.connection()).await.is_err(), "{table}");
    }
    let refused = async |statement: &'static str| {
        let mut scoped = world.store.write(&Scope::installation(other)).await.unwrap();
        let outcome = sqlx::query(statement).bind(org.as_uuid()).execute(scoped.connection()).await;
        let error = outcome.map(|_| ()).expect_err(statement);
        assert_eq!(
            error.as_database_error().unwrap().code().as_deref(),
            Some("42501"),
            "{statement}: {error}"
        );
    };
    refused(
        "INSERT INTO revocations VALUES ($1, gen_random_uuid(), 'organization', NULL, now(), 'x', now())",
    )
    .await;
    refused("INSERT INTO token_uses VALUES ($1, '\\x00', $1, $1, $1, now())").await;
    refused("UPDATE token_uses SET used_at = now() WHERE org_id = $1").await;
    refused("UPDATE revocations SET before = now() WHERE org_id = $1").await;
    refused("UPDATE signing_keys SET public_jwk = '{}' WHERE org_id = $1").await;
    let mut scoped = world.store.write(&Scope::installation(other)).await.unwrap();
    let moved = sqlx::query("UPDATE signing_keys SET sealed = NULL WHERE org_id = $1")
        .bind(org.as_uuid())
        .execute(scoped.connection())
        .await
        .unwrap();
    assert_eq!(moved.rows_affected(), 0);
    for statement in
        ["UPDATE token_uses SET used_at = now()", "DELETE FROM token_uses", "SELECT * FROM signing_keys"]
    {
        assert!(sqlx::query(statement).execute(&mut committer).await.is_err(), "committer: {statement}");
    }
}
