//! The one place that puts the server together, and takes it apart again.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use chancery_authenticate::RoleRights;
use chancery_config::Config;
use chancery_crypto::{Random, SystemRandom};
use chancery_decide::{ROLE_POLICY, RoleTable};
use chancery_evidence::{CheckpointSigner, VerifierKey};
use chancery_http::Witness;
use chancery_keys::LastUsed;
use chancery_keys::format::KeyPrefix;
use chancery_model::{Clock, Slug, SystemClock};
use chancery_record::checkpoint::{Checkpointer, checkpoint_signer};
use chancery_record::verify::verify_forever;
use chancery_record::{QueueLimits, Recorder};
use chancery_store::embedded::Embedded;
use chancery_store::{PoolSizes, Store};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::data_dir::DataDir;
use crate::database::Database;
use crate::founding::{AnotherKey, Founded, Founder, Founding};
use crate::listen::{Listener, Most};
use crate::tls::{Certificate, Files};
use crate::{app, background, egress, naming, sweep, tend};

/// The most connections at once.
const MOST_CONNECTIONS: usize = 4_096;
/// The most of them that one client's address may have.
const MOST_OF_ADDRESS: usize = 256;
/// The background verifier's pause between two passes over all records.
const VERIFIER_REST: Duration = Duration::from_secs(5);

/// What every part of the server takes time and randomness from.
#[derive(Clone)]
pub struct Surroundings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Surroundings(..)")
    }
}

impl Surroundings {
    /// The machine's.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }
}

/// The database opened for writing with a record: what commands and the server have in common.
#[derive(Debug)]
pub struct Books {
    /// The pools.
    pub store: Store,
    /// The record.
    pub recorder: Recorder,
    /// The role policy.
    pub roles: RoleRights,
    /// What API keys begin with.
    pub prefix: KeyPrefix,
}

impl Books {
    /// Opens the pools and starts the committer.
    ///
    /// # Errors
    /// When the database does not answer, or the configuration does not fit.
    pub async fn open(config: &Config, database: &Database, around: &Surroundings) -> anyhow::Result<Self> {
        let sizes = PoolSizes {
            app: config.database.app_connections,
            appender: config.database.appender_connections,
            worker: config.database.worker_connections,
        };
        let (store, right) =
            database.connect(sizes, Arc::clone(&around.clock), Arc::clone(&around.random)).await?;
        let limits = QueueLimits { capacity: config.record.queue_length, share: config.record.queue_share };
        let recorder = Recorder::start(store.clone(), right, limits);
        let roles = RoleTable::load(ROLE_POLICY)?;
        let prefix = config.keys.prefix.parse().context("`keys.prefix`")?;
        Ok(Self { store, recorder, roles: RoleRights::new(|role| roles.of(role)), prefix })
    }

    /// Founds an organization.
    ///
    /// # Errors
    /// See [`Founder::found`].
    pub async fn found(&self, founding: Founding) -> anyhow::Result<Founded> {
        self.founder().found(founding).await
    }

    /// Makes another admin's key for an organization that stands.
    ///
    /// # Errors
    /// See [`Founder::another_key`].
    pub async fn another_key(&self, slug: &Slug) -> anyhow::Result<AnotherKey> {
        self.founder().another_key(slug).await
    }

    const fn founder(&self) -> Founder<'_> {
        let Self { store, recorder, roles, prefix } = self;
        Founder { store, recorder, prefix, roles }
    }

    /// Commits what waits and closes the pools.
    pub async fn close(&self) {
        self.recorder.close().await;
        self.store.close().await;
    }
}

/// A server that serves.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The database and the record.
    pub books: Books,
    /// The public half of the installation's checkpoint key.
    pub vkey: VerifierKey,
    /// How to log into the embedded cluster as its superuser; `None` for an external database.
    pub superuser: Option<PgConnectOptions>,
    /// Cancelled when the server can't go on.
    pub lost: CancellationToken,
    stop_listening: CancellationToken,
    stop_working: CancellationToken,
    listener: JoinHandle<()>,
    calls: TaskTracker,
    work: TaskTracker,
    postgres: Option<JoinHandle<Embedded>>,
    _data_dir: Option<DataDir>,
}

impl Running {
    /// Starts everything, in the order of need.
    ///
    /// # Errors
    /// When anything is not as it must be: the data directory, the key file, the database, the
    /// checkpoints outside it, the address.
    pub async fn start(config: &Config, around: Surroundings) -> anyhow::Result<Self> {
        let mut database = Database::open(config, &*around.random).await?;
        match Self::over(&mut database, config, around).await {
            Ok(running) => Ok(running),
            Err(error) => {
                database.close().await?;
                Err(error)
            }
        }
    }

    async fn over(database: &mut Database, config: &Config, around: Surroundings) -> anyhow::Result<Self> {
        let metrics = metrics_handle()?;
        let books = Books::open(config, database, &around).await?;
        let signer = Arc::new(checkpoint_signer(&books.store).await?);
        let vkey = signer.vkey().clone();
        let checkpointer = open_checkpointer(&books, signer, config).await?;

        let (listener, certificate) = listen(config).await?;
        let address = listener.address()?;
        let last_used = Arc::new(LastUsed::new());
        let outside = checkpointer.outside();
        let witness = Witness::new(vkey.clone(), outside.clone());
        let outward = (witness, egress::open(config, &[address])?);
        let app = app::make(config, &books, around, outward, (Arc::clone(&last_used), metrics.clone()))?;
        let router = chancery_http::router(&app, chancery_http::routes());

        let (stop_listening, stop_working) = (CancellationToken::new(), CancellationToken::new());
        let work = TaskTracker::new();
        let store = || books.store.clone();
        let stop = || stop_working.clone().cancelled_owned();
        let every = Duration::from_millis(config.record.checkpoint_interval_ms);
        let lost = CancellationToken::new();
        let calls = app.calls.clone();
        background::guard(&work, &lost, "epochs", background::hear_epochs(app, stop_working.clone()));
        background::guard(
            &work,
            &lost,
            "last_used",
            background::flush_last_used(store(), last_used, stop_working.clone()),
        );
        background::guard(&work, &lost, "meters", background::tidy_meters(metrics, stop_working.clone()));
        look_after(&books, certificate, &work, (&lost, &stop_working));
        background::guard(&work, &lost, "checkpoints", checkpointer.run(every, stop()));
        background::guard(
            &work,
            &lost,
            "verification",
            verify_forever(books.recorder.clone(), vkey.clone(), outside, VERIFIER_REST, stop()),
        );
        work.close();

        let superuser = database.embedded.as_ref().map(Embedded::superuser);
        let postgres = database.embedded.take().map(|embedded| {
            tokio::spawn(background::keep_running(embedded, stop_working.clone(), lost.clone()))
        });
        let grace = Duration::from_millis(config.server.shutdown_grace_ms);
        let listener = tokio::spawn(listener.serve(router, stop_listening.clone(), grace));
        Ok(Self {
            address,
            books,
            vkey,
            superuser,
            lost,
            stop_listening,
            stop_working,
            listener,
            calls,
            work,
            postgres,
            _data_dir: database.data_dir.take(),
        })
    }

    /// Stops it: nobody new, requests and calls finish, the record's queue is committed, the last checkpoint is
    /// made, Postgres ends.
    ///
    /// # Errors
    /// When Postgres does not end.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop_listening.cancel();
        let _ = self.listener.await;
        // What was called is recorded, whoever asked for it.
        self.calls.close();
        self.calls.wait().await;
        self.books.recorder.close().await;
        self.stop_working.cancel();
        self.work.wait().await;
        self.books.store.close().await;
        if let Some(postgres) = self.postgres {
            postgres.await?.stop().await?;
        }
        Ok(())
    }
}

/// Begins what time alone brings about.
fn look_after(
    books: &Books,
    certificate: Option<Arc<Certificate>>,
    work: &TaskTracker,
    (lost, stop): (&CancellationToken, &CancellationToken),
) {
    if let Some(certificate) = certificate {
        background::guard(work, lost, "certificate", certificate.renew_forever(stop.clone()));
    }
    let (store, recorder) = (|| books.store.clone(), || books.recorder.clone());
    let forget = background::forget_idempotency_keys(store(), stop.clone());
    background::guard(work, lost, "idempotency", forget);
    background::guard(work, lost, "signing_keys", tend::tend_forever(store(), recorder(), stop.clone()));
    background::guard(work, lost, "sweep", sweep::sweep_forever(store(), recorder(), stop.clone()));
}

async fn open_checkpointer(
    books: &Books,
    signer: Arc<CheckpointSigner>,
    config: &Config,
) -> anyhow::Result<Checkpointer> {
    let file = &config.record.checkpoint_file;
    match Checkpointer::open(books.recorder.clone(), Arc::clone(&signer), file).await {
        Ok(checkpointer) => Ok(checkpointer),
        Err(error) => Err(naming::named(error, &books.store, signer.vkey()).await.into()),
    }
}

async fn listen(config: &Config) -> anyhow::Result<(Listener, Option<Arc<Certificate>>)> {
    let certificate = match config.server.tls.files() {
        Some((certificates, key)) => {
            let files = Files { certificates: certificates.clone(), key: key.clone() };
            Some(Certificate::read(files)?)
        }
        None => None,
    };
    let tls = certificate.as_ref().map(Certificate::acceptor).transpose()?;
    let address = config.server.listen;
    let of_address = (!config.server.behind_proxy).then_some(MOST_OF_ADDRESS);
    let listener = Listener::bind(address, tls, Most { connections: MOST_CONNECTIONS, of_address })
        .await
        .with_context(|| format!("`{address}` can't be listened on"))?;
    Ok((listener, certificate))
}

/// The process has one set of meters, however many servers it runs.
fn metrics_handle() -> anyhow::Result<PrometheusHandle> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new().install_recorder().context("the meters can't be set up")?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}
