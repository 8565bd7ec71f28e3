//! The whole server over a database of its own, without a socket.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod bank;
pub(crate) mod office;
pub(crate) mod tls;
pub(crate) mod upstream;

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use chancery_authenticate::{Authenticator, Entrance, KnownEpochs, RoleRights};
use chancery_connectors::Stops;
use chancery_crypto::{Algorithm, Custody, Random, SigningKey, SystemRandom, sha256};
use chancery_decide::{ROLE_POLICY, RoleTable};
use chancery_egress::{Egress, Rules, Settings};
use chancery_evidence::{CheckpointSigner, Trust};
use chancery_execute::Executor;
use chancery_http::{App, Bounds, Edge, Witness, router, routes};
use chancery_keys::LastUsed;
use chancery_keys::api_key::{self, Creator, NewApiKey};
use chancery_keys::format::KeyPrefix;
use chancery_mint::{KeyPool, SigningKeys, Stock};
use chancery_model::{
    Clock, Environment, ManualClock, MemberId, OrgId, Permission, Principal, Role, Timestamp,
};
use chancery_people::member::{self, NewMember};
use chancery_people::{Profile, organization};
use chancery_policies::PolicyCache;
use chancery_record::checkpoint::{Checkpointer, Outside};
use chancery_record::{Actor, QueueLimits, Recorder};
use chancery_screen::{Limits, Rate, Rates};
use chancery_store::provision::{Logins, provision};
use chancery_store::{Migration, PoolSizes, Scope, Store, migrate};
use chancery_testkit::{TestDatabase, TestPostgres, password};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Requests a key can make before it is told to wait.
pub(crate) const BURST: u32 = 200;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) meters: PrometheusRecorder,
    app: Arc<App>,
    router: Router,
    roles: RoleRights,
    signer: Arc<CheckpointSigner>,
    ground: Ground,
}

/// What servers beside each other share.
#[derive(Clone)]
struct Ground {
    clock: Arc<ManualClock>,
    custody: Arc<Custody>,
    database: Arc<TestDatabase>,
    folder: Arc<tempfile::TempDir>,
}

/// In what a server differs from those of other tests.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) bounds: Bounds,
    /// Requests a key can make before it is told to wait.
    pub(crate) burst: u32,
    /// Requests a client's address can make before it is told to wait.
    pub(crate) address_burst: u32,
    /// What stands in front of it.
    pub(crate) edge: Edge,
    /// Whom it trusts, beside the system's authorities.
    pub(crate) roots_pem: Vec<u8>,
    /// Beyond which no call of it goes.
    pub(crate) calls: chancery_egress::Limits,
}

impl Default for Setup {
    fn default() -> Self {
        let bounds = Bounds { body_bytes: 4_096, ..Bounds::default() };
        Self {
            bounds,
            burst: BURST,
            address_burst: 1_000_000,
            edge: Edge::default(),
            roots_pem: Vec::new(),
            calls: chancery_egress::Limits::default(),
        }
    }
}

/// An organization with its admin and the admin's key.
pub(crate) struct Org {
    pub(crate) id: OrgId,
    pub(crate) admin: MemberId,
    pub(crate) key: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

async fn database() -> TestDatabase {
    let migrations: Vec<Migration> = [
        chancery_store::MIGRATIONS,
        chancery_people::MIGRATIONS,
        chancery_keys::MIGRATIONS,
        chancery_policies::MIGRATIONS,
        chancery_mint::MIGRATIONS,
        chancery_record::MIGRATIONS,
        chancery_approve::MIGRATIONS,
        chancery_connectors::MIGRATIONS,
        chancery_execute::MIGRATIONS,
    ]
    .concat();
    let texts: Vec<&[u8]> = migrations.iter().map(|migration| migration.sql.as_bytes()).collect();
    let digest = sha256(&texts).iter().take(8).fold(0_u64, |digest, byte| digest << 8 | u64::from(*byte));
    let postgres = TestPostgres::shared().await.unwrap();
    postgres
        .database_from(&format!("http_{digest:016x}"), async |postgres, name| {
            let logins = provision(&postgres.superuser("postgres"), name, &password, &SystemRandom).await?;
            migrate(&logins.owner, &migrations).await?;
            Ok(())
        })
        .await
        .unwrap()
}

impl Ground {
    async fn new() -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let custody = Custody::create(&folder.path().join("kek.toml"), &SystemRandom).unwrap();
        Self {
            clock: Arc::new(ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000))),
            custody: Arc::new(custody),
            database: Arc::new(database().await),
            folder: Arc::new(folder),
        }
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::set_up(Setup::default()).await
    }

    pub(crate) async fn bounded(bounds: Bounds) -> Self {
        Self::set_up(Setup { bounds, ..Setup::default() }).await
    }

    /// A server that reaches its database by these logins.
    #[allow(dead_code, reason = "one of the tests that share this uses it")]
    pub(crate) async fn over(logins: impl FnOnce(Logins) -> Logins) -> Self {
        let setup = Setup { bounds: Bounds::default(), ..Setup::default() };
        Self::on(Ground::new().await, setup, logins).await
    }

    pub(crate) async fn set_up(setup: Setup) -> Self {
        Self::on(Ground::new().await, setup, |logins| logins).await
    }

    /// Another server over the same database.
    pub(crate) async fn beside(&self, setup: Setup) -> Self {
        Self::on(self.ground.clone(), setup, |logins| logins).await
    }

    async fn on(ground: Ground, setup: Setup, logins: impl FnOnce(Logins) -> Logins) -> Self {
        let (clock, bounds, burst) = (Arc::clone(&ground.clock), setup.bounds, setup.burst);
        let (time, random): (Arc<dyn Clock>, Arc<dyn Random>) =
            (Arc::clone(&clock) as _, Arc::new(SystemRandom));
        let (store, right) = Store::connect(
            &logins(ground.database.logins()),
            PoolSizes::default(),
            Arc::clone(&ground.custody),
            Arc::clone(&time),
            Arc::clone(&random),
        )
        .await
        .unwrap();
        let table = RoleTable::load(ROLE_POLICY).unwrap();
        let roles = RoleRights::new(|role| table.of(role));
        let (epochs, key_prefix) = (KnownEpochs::default(), KeyPrefix::default());
        let rate = |per_minute, burst| Rate {
            per_minute: NonZeroU32::new(per_minute).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        };
        let (organization, address) = (rate(60, 2 * burst), rate(60, setup.address_burst));
        let rates = Rates { key: rate(60, burst), organization, address, door: rate(6, 2) };
        // The tests' upstreams.
        let local = || vec!["127.0.0.1/32".parse().unwrap()];
        let rules = Rules { allow: local(), allow_plain_http: local(), ..Rules::default() };
        let way_out = Settings { rules, extra_roots_pem: setup.roots_pem, ..Settings::default() };
        let signing = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let signer = Arc::new(CheckpointSigner::new("test".to_owned(), signing).unwrap());
        let meters = PrometheusBuilder::new().build_recorder();
        let app = Arc::new(App {
            authenticator: Authenticator::new(
                store.clone(),
                Arc::clone(&time),
                key_prefix.clone(),
                roles,
                epochs.clone(),
                Arc::new(LastUsed::new()),
            ),
            entrance: Entrance::new(store.clone(), epochs),
            edge: setup.edge,
            limits: Limits::new(&rates, Arc::clone(&time)),
            signing_keys: SigningKeys::default(),
            key_pool: KeyPool::fill(Stock { rs256: 1, es256: 1, eddsa: 1 }),
            policies: PolicyCache::new(Vec::new()),
            stops: Stops::default(),
            witness: Witness::new(signer.vkey().clone(), Outside::default()),
            executor: Executor::new(
                store.clone(),
                (Egress::new(way_out).unwrap(), setup.calls),
                Arc::clone(&time),
                Arc::clone(&random),
            ),
            calls: TaskTracker::new(),
            waits: chancery_approve::Waits::default(),
            recorder: Recorder::start(store.clone(), right, QueueLimits::default()),
            clock: time,
            random,
            metrics: meters.handle(),
            bounds,
            key_prefix,
            issuer_base: "urn:chancery:test".to_owned(),
            store,
        });
        let router = metrics::with_local_recorder(&meters, || router(&app, routes()));
        Self { clock, meters, app, router, roles, signer, ground }
    }

    /// The time, as a number that grows.
    pub(crate) fn clock_micros(&self) -> i64 {
        self.clock.advance_seconds(1);
        self.clock.now().as_seconds()
    }

    /// Signs what stands in the records, as a server does every second.
    pub(crate) async fn checkpoint(&self) -> Trust {
        let (recorder, signer) = (self.app.recorder.clone(), Arc::clone(&self.signer));
        let file = self.ground.folder.path().join("checkpoints");
        Checkpointer::open(recorder, signer, &file).await.unwrap().tick().await.unwrap();
        Trust::parse(&self.signer.vkey().to_string()).unwrap()
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.app.recorder
    }

    pub(crate) fn store(&self) -> &Store {
        &self.app.store
    }

    /// The database, around every lock.
    pub(crate) async fn superuser(&self) -> PgConnection {
        PgConnection::connect_with(&self.ground.database.superuser()).await.unwrap()
    }

    pub(crate) async fn found(&self, slug: &str) -> Org {
        let keyring = self.app.store.keyring();
        let id = OrgId::new(self.clock.now(), keyring.random().bytes());
        let mut scoped = self.app.store.write(&Scope::founding(id)).await.unwrap();
        let (slug, name) = (slug.parse().unwrap(), slug.parse().unwrap());
        let founded = organization::found(&mut scoped, keyring, slug, name).await.unwrap();
        let profile = Profile { name: "Ada".parse().unwrap(), email: "ada@example.org".parse().unwrap() };
        let new = NewMember { profile, role: Role::Admin, by: None };
        let (admin, _) = member::create(&mut scoped, keyring, &founded.org_key, new).await.unwrap();
        let rights_of = |role| self.roles.of(role);
        let creator = Creator {
            member: admin.id,
            key: None,
            rights: rights_of(Role::Admin),
            environment: Environment::Live,
            audiences: &[],
            expires_at: None,
            rights_of: &rights_of,
        };
        let held = rights_of(Role::Admin);
        let key = NewApiKey {
            holder: Principal::Member(admin.id),
            name: "admin".parse().unwrap(),
            environment: Environment::Live,
            scopes: Permission::ALL.iter().copied().filter(|scope| scope.bit() & held != 0).collect(),
            audiences: Vec::new(),
            expires_at: None,
        };
        let prefix = &self.app.key_prefix;
        let (issued, _) = api_key::create(&mut scoped, keyring, prefix, &creator, key).await.unwrap();
        self.app.recorder.commit(scoped, Actor::installation(), founded.change).await.unwrap();
        Org { id, admin: admin.id, key: issued.text.expose_secret().to_owned() }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answered { status: parts.status, headers: parts.headers, text }
    }

    /// A request with a key, and a body when it is not null.
    pub(crate) async fn call(&self, key: &str, method: &str, path: &str, body: Value) -> Answered {
        let request =
            Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        let request = if body.is_null() {
            request.body(Body::empty())
        } else {
            request.header("content-type", "application/json").body(Body::from(body.to_string()))
        };
        self.send(request.unwrap()).await
    }

    /// The text of a key of the organization's admin with these scopes, newer than any other.
    pub(crate) async fn key(&self, org: &Org, scopes: &[&str]) -> String {
        self.clock.advance_seconds(1);
        let body = serde_json::json!({"name": "some", "holder": {"type": "member", "id": org.admin},
            "environment": "live", "scopes": scopes});
        let made = self.call(&org.key, "POST", "/api/v1/api-keys", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        made.json()["data"]["secret"].as_str().unwrap().to_owned()
    }
}
