//! The policies in force, compiled and kept while the organization's epoch stands.

use std::sync::Arc;

use chancery_crypto::sha256;
use chancery_decide::{Catalogue, ParseCache, Policies, PolicySource};
use chancery_model::OrgId;
use chancery_store::{Scope, Store, StoreError};
use moka::future::Cache;
use moka::ops::compute::Op;

use crate::state;

/// How many organizations' policies, and how many different catalogues, are kept in memory.
const KEPT: u64 = 10_000;

/// The compiled policies of all organizations. Organizations with equal catalogues and texts share
/// them, so what is kept grows with what differs.
#[derive(Debug)]
pub struct PolicyCache {
    installation: Arc<[PolicySource]>,
    parsed: Arc<ParseCache>,
    catalogues: moka::sync::Cache<[u8; 32], Arc<Catalogue>>,
    organizations: Cache<OrgId, (i64, Arc<Policies>)>,
}

impl PolicyCache {
    /// An empty cache over the installation's own policies.
    #[must_use]
    pub fn new(installation: Vec<PolicySource>) -> Self {
        Self {
            installation: installation.into(),
            parsed: Arc::default(),
            catalogues: moka::sync::Cache::new(KEPT),
            organizations: Cache::new(KEPT),
        }
    }

    /// What decides in the scope's organization, as of the scope's epoch.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the scope's knowledge is out of date; [`StoreError::Corrupt`] when
    /// what is stored can't decide, and so nothing is allowed.
    pub async fn of(&self, store: &Store, scope: &Scope) -> Result<Arc<Policies>, StoreError> {
        let Some(epoch) = scope.epoch() else { return self.load(store, scope).await };
        if let Some((_, policies)) =
            self.organizations.get(&scope.org()).await.filter(|(known, _)| *known == epoch)
        {
            return Ok(policies);
        }
        // One load for each organization at a time; the others wait for its result.
        let outcome = self
            .organizations
            .entry(scope.org())
            .and_try_compute_with(async |known| match known.map(moka::Entry::into_value) {
                Some((read_at, _)) if read_at == epoch => Ok(Op::Nop),
                _ => Ok::<_, StoreError>(Op::Put((epoch, self.load(store, scope).await?))),
            })
            .await?;
        match outcome.into_entry() {
            Some(entry) => Ok(entry.into_value().1),
            None => self.load(store, scope).await,
        }
    }

    /// Forgets what is kept of an organization.
    pub async fn forget(&self, org: OrgId) {
        self.organizations.invalidate(&org).await;
    }

    /// Forgets what is kept of every organization.
    pub fn clear(&self) {
        self.organizations.invalidate_all();
    }

    async fn load(&self, store: &Store, scope: &Scope) -> Result<Arc<Policies>, StoreError> {
        let mut scoped = store.read(scope).await?;
        let definitions = state::definition_texts(scoped.connection(), scope.org()).await?;
        let sources = state::in_force(scoped.connection(), scope.org()).await?;
        drop(scoped);
        let (catalogues, parsed) = (self.catalogues.clone(), Arc::clone(&self.parsed));
        let installation = Arc::clone(&self.installation);
        state::off_thread(move || {
            let catalogue = catalogue(&catalogues, &definitions)?;
            Policies::compile(catalogue, &installation, &sources, &parsed)
                .map(Arc::new)
                .map_err(|error| StoreError::corrupt("policy_versions", error))
        })
        .await?
    }
}

/// The catalogue of these definitions, built unless one of the same texts is kept.
fn catalogue(
    kept: &moka::sync::Cache<[u8; 32], Arc<Catalogue>>,
    texts: &[String],
) -> Result<Arc<Catalogue>, StoreError> {
    // Canonical JSON has no line breaks, so joined texts can be taken apart again in one way only.
    let hash = sha256(&[texts.join("\n").as_bytes()]);
    if let Some(catalogue) = kept.get(&hash) {
        return Ok(catalogue);
    }
    let definitions = texts.iter().map(|text| state::definition(text)).collect::<Result<_, _>>()?;
    let built = Catalogue::build(definitions).map_err(|error| StoreError::corrupt("actions", error))?;
    let catalogue = Arc::new(built);
    kept.insert(hash, Arc::clone(&catalogue));
    Ok(catalogue)
}
