//! Authenticate: an API key becomes a caller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chancery_keys::format::{KeyPrefix, Presented, SecretHash};
use chancery_keys::{KeyRecord, LastUsed, lookup};
use chancery_model::{Clock, KeyId, OrgId, Principal, Role};
use chancery_store::{Store, StoreError};
use moka::sync::Cache;

use crate::KnownEpochs;

/// Which permissions each role carries: the installation's role policy, evaluated once.
#[derive(Clone, Copy, Debug)]
pub struct RoleRights([u64; Role::ALL.len()]);

impl RoleRights {
    /// Asks `rights_of` for each role's permissions, as the union of
    /// [`chancery_model::Permission::bit`].
    pub fn new(rights_of: impl Fn(Role) -> u64) -> Self {
        let mut bits = [0; Role::ALL.len()];
        for (slot, role) in bits.iter_mut().zip(Role::ALL) {
            *slot = rights_of(*role);
        }
        Self(bits)
    }

    /// The permissions of a role.
    #[must_use]
    pub fn of(&self, role: Role) -> u64 {
        self.0.get(role as usize).copied().unwrap_or(0)
    }
}

/// Why a caller is not known. A stranger learns only that the key is not valid.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// No key was presented.
    #[error("no api key was presented")]
    Missing,
    /// Not a key of ours, unknown, expired, revoked, or its holder is gone.
    #[error("the api key is not valid: {0}")]
    Invalid(&'static str),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who is calling: proof that a valid key was presented.
pub struct Caller {
    record: Arc<KeyRecord>,
    rights: u64,
}

impl Caller {
    /// The organization of the key's row.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.record.org
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.record.id
    }

    /// Whom the key stands for.
    #[must_use]
    pub fn principal(&self) -> Principal {
        self.record.holder
    }

    /// Everything read of the key.
    #[must_use]
    pub fn record(&self) -> &KeyRecord {
        &self.record
    }

    /// The permissions in force: the key's scopes, within its holder's role, within the present
    /// role of whoever created it.
    #[must_use]
    pub const fn rights(&self) -> u64 {
        self.rights
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({} with key {})", self.record.holder, self.record.id)
    }
}

struct Known {
    record: Arc<KeyRecord>,
    hash: SecretHash,
}

/// Knows callers by their API keys.
pub struct Authenticator {
    store: Store,
    clock: Arc<dyn Clock>,
    prefix: KeyPrefix,
    roles: RoleRights,
    known: Cache<KeyId, Arc<Known>>,
    epochs: KnownEpochs,
    last_used: Arc<LastUsed>,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("cached", &self.known.entry_count()).finish_non_exhaustive()
    }
}

/// How many keys are kept in memory: about 500 bytes each.
const KEPT: u64 = 50_000;
/// The longest a key is believed without reading its row again, whatever the epochs say.
const KEPT_FOR: Duration = Duration::from_secs(300);

impl Authenticator {
    /// Knows keys that begin with `prefix`.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        prefix: KeyPrefix,
        roles: RoleRights,
        epochs: KnownEpochs,
        last_used: Arc<LastUsed>,
    ) -> Self {
        let known = Cache::builder().max_capacity(KEPT).time_to_live(KEPT_FOR).build();
        Self { store, clock, prefix, roles, known, epochs, last_used }
    }

    /// The epochs heard of.
    #[must_use]
    pub const fn epochs(&self) -> &KnownEpochs {
        &self.epochs
    }

    /// The role policy.
    #[must_use]
    pub const fn roles(&self) -> &RoleRights {
        &self.roles
    }

    /// Forgets every cached key: what a lost change listener calls for.
    pub fn forget_all(&self) {
        self.known.invalidate_all();
    }

    /// Turns the text of an API key into a caller. Reads the database only for a key that is not
    /// cached or whose organization has changed since.
    ///
    /// # Errors
    /// See [`AuthenticateError`].
    pub async fn authenticate(&self, text: &str) -> Result<Caller, AuthenticateError> {
        let presented = Presented::parse(text, &self.prefix)
            .map_err(|_| AuthenticateError::Invalid("malformed or mistyped"))?;
        let hash = presented.hash();
        let known = match self.known.get(&presented.id) {
            Some(known) if self.epochs.is_current(known.record.org, known.record.epoch) => known,
            _ => self.load(presented.id, presented.hash()).await?,
        };
        if !known.hash.equals(&hash) {
            return Err(AuthenticateError::Invalid("wrong secret"));
        }
        let record = &known.record;
        if record.environment != presented.environment {
            return Err(AuthenticateError::Invalid("other environment"));
        }
        if record.revoked {
            return Err(AuthenticateError::Invalid("revoked"));
        }
        let now = self.clock.now();
        if record.expires_at.is_some_and(|end| end <= now) {
            return Err(AuthenticateError::Invalid("expired"));
        }
        if !record.holder_active {
            return Err(AuthenticateError::Invalid("holder is gone"));
        }
        // No creator, no rights: a key never exceeds whoever made it, also later.
        let creator = record.creator_role.map_or(0, |role| self.roles.of(role));
        let rights = record.scopes & creator & self.roles.of(record.holder_role);
        self.last_used.note(record.org, record.id, now);
        Ok(Caller { record: Arc::clone(record), rights })
    }

    async fn load(&self, id: KeyId, hash: SecretHash) -> Result<Arc<Known>, AuthenticateError> {
        let record = lookup(&self.store, id, &hash).await?.ok_or(AuthenticateError::Invalid("unknown"))?;
        self.epochs.learn(record.org, record.epoch);
        let known = Arc::new(Known { record: Arc::new(record), hash });
        self.known.insert(id, Arc::clone(&known));
        Ok(known)
    }
}
