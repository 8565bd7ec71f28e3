//! What every request finds: the parts of the server, made once at its start.

use std::fmt;
use std::sync::Arc;

use chancery_approve::Waits;
use chancery_authenticate::{Authenticator, Entrance};
use chancery_connectors::Stops;
use chancery_crypto::Random;
use chancery_evidence::VerifierKey;
use chancery_execute::Executor;
use chancery_keys::format::KeyPrefix;
use chancery_mint::{KeyPool, SigningKeys};
use chancery_model::{Clock, Slug};
use chancery_policies::PolicyCache;
use chancery_record::Recorder;
use chancery_record::checkpoint::Outside;
use chancery_screen::Limits;
use chancery_store::Store;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{Bounds, Edge};

/// What verifications hold the record to: checkpoints that no one who writes the database can make.
#[derive(Debug)]
pub struct Witness {
    /// What verifies the installation's checkpoints.
    pub key: VerifierKey,
    /// The newest of them outside Postgres.
    pub outside: Outside,
    /// One verification for requests at a time.
    pub(crate) turn: Semaphore,
}

impl Witness {
    /// A witness from the installation's key and what is kept outside Postgres.
    #[must_use]
    pub fn new(key: VerifierKey, outside: Outside) -> Self {
        Self { key, outside, turn: Semaphore::new(1) }
    }
}

/// The parts of the server.
pub struct App {
    /// The way into the database.
    pub store: Store,
    /// Knows callers by their keys.
    pub authenticator: Authenticator,
    /// Lets callers into their organizations.
    pub entrance: Entrance,
    /// What stands between the server and who asks.
    pub edge: Edge,
    /// How often addresses, keys and organizations may ask.
    pub limits: Limits,
    /// The organizations' signing keys, in memory while their epochs stand.
    pub signing_keys: SigningKeys,
    /// Signing keys made before they are needed.
    pub key_pool: KeyPool,
    /// The connectors that are paused or retired, in memory while the organizations' epochs stand.
    pub stops: Stops,
    /// The organizations' policies, compiled, while their epochs stand.
    pub policies: PolicyCache,
    /// What the record is held to.
    pub witness: Witness,
    /// Calls connectors.
    pub executor: Executor,
    /// The calls under way: each ends and is recorded, whoever waits for it.
    pub calls: TaskTracker,
    /// Who waits for what becomes of intents.
    pub waits: Waits,
    /// Writes the record.
    pub recorder: Recorder,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// What is measured, for whoever reads `/metrics`.
    pub metrics: PrometheusHandle,
    /// What bounds a request.
    pub bounds: Bounds,
    /// What the installation's API keys begin with.
    pub key_prefix: KeyPrefix,
    /// What the `iss` of every token begins with. The same in every process on one database and after
    /// every start: a token outlives the address it was answered from.
    pub issuer_base: String,
}

impl App {
    /// An organization's address: the issuer of its tokens.
    pub(crate) fn issuer(&self, slug: &Slug) -> String {
        format!("{}/orgs/{slug}", self.issuer_base)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("issuer_base", &self.issuer_base).finish_non_exhaustive()
    }
}
