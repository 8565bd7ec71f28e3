//! Enter: a caller stands in its organization, with the organization's settings.

use std::sync::Arc;

use chancery_model::{OrgId, Principal};
use chancery_people::settings::{self, Settings};
use chancery_store::{Scope, Store, StoreError};
use moka::sync::Cache;

use crate::{Allow, Allowed, Caller, Forbidden, KnownEpochs};

/// Why a caller does not get in.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The organization changed since the key was read: authenticate again.
    #[error("the organization changed while entering")]
    Stale,
    /// The store did not answer.
    #[error(transparent)]
    Store(StoreError),
}

/// A caller inside its organization.
#[derive(Debug)]
pub struct Entered {
    caller: Caller,
    scope: Scope,
    settings: Arc<Settings>,
}

impl Entered {
    /// Who.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The scope for transactions.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The organization's settings at the scope's epoch.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The organization.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.scope.org()
    }

    /// The epoch of all that is known of the organization here.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.caller.record().epoch
    }

    /// That the caller also holds a permission which only some requests to a route need.
    ///
    /// # Errors
    /// [`Forbidden`] naming the permission that is missing.
    pub fn require<P: Allow>(&self) -> Result<(), Forbidden> {
        if self.caller.rights() & P::PERMISSION.bit() == 0 {
            return Err(Forbidden { needed: P::PERMISSION });
        }
        Ok(())
    }

    /// Proof that the caller holds a permission.
    ///
    /// # Errors
    /// [`Forbidden`] naming the permission that is missing.
    pub fn allow<P: Allow>(self) -> Result<Allowed<P>, Forbidden> {
        Allowed::check(self)
    }
}

/// Lets callers into their organizations.
#[derive(Debug)]
pub struct Entrance {
    store: Store,
    epochs: KnownEpochs,
    settings: Cache<OrgId, (i64, Arc<Settings>)>,
}

impl Entrance {
    /// An entrance over the store.
    #[must_use]
    pub fn new(store: Store, epochs: KnownEpochs) -> Self {
        Self { store, epochs, settings: Cache::builder().max_capacity(50_000).build() }
    }

    /// Lets a caller in.
    ///
    /// # Errors
    /// See [`EnterError`].
    pub async fn enter(&self, caller: Caller) -> Result<Entered, EnterError> {
        let record = caller.record();
        let member = match record.holder {
            Principal::Member(id) => Some(id),
            Principal::Agent(_) => None,
        };
        let scope = Scope::of_principal(record.org, member, record.holder_role, record.epoch);
        let settings = match self.settings.get(&record.org) {
            Some((epoch, settings)) if epoch == record.epoch => settings,
            _ => self.load(&scope, record.epoch).await?,
        };
        Ok(Entered { caller, scope, settings })
    }

    async fn load(&self, scope: &Scope, epoch: i64) -> Result<Arc<Settings>, EnterError> {
        let read = async {
            let mut scoped = self.store.read(scope).await?;
            settings::read(&mut scoped).await
        };
        match read.await {
            Ok(settings) => {
                let settings = Arc::new(settings);
                self.settings.insert(scope.org(), (epoch, Arc::clone(&settings)));
                Ok(settings)
            }
            Err(StoreError::Stale { epoch }) => {
                self.epochs.learn(scope.org(), epoch);
                Err(EnterError::Stale)
            }
            Err(error) => Err(EnterError::Store(error)),
        }
    }
}
