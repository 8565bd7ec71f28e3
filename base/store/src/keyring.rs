//! The keys that seal an organization's data: KEK → organization key → subject key.
//!
//! Keys are opened once and kept, bounded, for a while. What they seal is bound to its row by the
//! envelope (`chancery_crypto::seal`); which key sealed it stands in the envelope's header.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chancery_crypto::{Context, Custody, DataKey, OpenError, Random, Sealed, sealed_under};
use chancery_model::{Clock, OrgId, PrincipalId, SubjectKeyId};
use moka::sync::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{Scope, Scoped, StoreError, Write, keep_kek_versions};

/// Why a key or what it seals can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The subject's key was destroyed: the data is gone for good, as it should be.
    #[error("the data was shredded: its key is destroyed")]
    Shredded,
    /// No such key in the organization.
    #[error("no such data key")]
    Missing,
    /// The envelope does not open: another row, another key, or changed bytes.
    #[error("a sealed value does not open: {0}")]
    Open(#[from] OpenError),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for KeyringError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// How many opened keys of each kind are kept in memory.
const KEPT: u64 = 20_000;
/// How long an opened key is kept: the longest a destroyed key can still be used by a process that
/// did not hear of it.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Hands out data keys.
pub struct Keyring {
    app: PgPool,
    custody: Arc<Custody>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    by_id: Cache<(OrgId, Uuid), Arc<DataKey>>,
    of_org: Cache<OrgId, Uuid>,
    of_subject: Cache<(OrgId, PrincipalId), Uuid>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("opened", &self.by_id.entry_count()).finish_non_exhaustive()
    }
}

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    subject_id: Option<Uuid>,
    wrapped: Option<Vec<u8>>,
}

fn cache<K: std::hash::Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>() -> Cache<K, V> {
    Cache::builder().max_capacity(KEPT).time_to_live(KEPT_FOR).build()
}

impl Keyring {
    pub(crate) fn new(
        app: PgPool,
        custody: Arc<Custody>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { app, custody, clock, random, by_id: cache(), of_org: cache(), of_subject: cache() }
    }

    /// The custody of the KEK.
    #[must_use]
    pub fn custody(&self) -> &Arc<Custody> {
        &self.custody
    }

    /// Where randomness comes from.
    #[must_use]
    pub fn random(&self) -> &Arc<dyn Random> {
        &self.random
    }

    /// Where the time comes from.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The key of an organization: seals what belongs to no person (signing keys, credentials).
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub async fn org_key(&self, org: OrgId) -> Result<Arc<DataKey>, KeyringError> {
        if let Some(key) = self.of_org.get(&org).and_then(|id| self.by_id.get(&(org, id))) {
            return Ok(key);
        }
        let row = self.load(org, "SELECT id, subject_id, wrapped FROM data_keys WHERE org_id = $1 AND subject_id IS NULL AND $2::uuid IS NOT NULL", org.as_uuid()).await?;
        let id = row.id;
        let key = self.unwrap_org_key(org, row)?;
        self.of_org.insert(org, id);
        Ok(key)
    }

    /// The key of a member or agent: seals what is about them, and is destroyed to erase it.
    ///
    /// # Errors
    /// [`KeyringError::Shredded`] when it was destroyed.
    pub async fn subject_key(&self, org: OrgId, subject: PrincipalId) -> Result<Arc<DataKey>, KeyringError> {
        if let Some(key) = self.of_subject.get(&(org, subject)).and_then(|id| self.by_id.get(&(org, id))) {
            return Ok(key);
        }
        let row = self
            .load(
                org,
                "SELECT id, subject_id, wrapped FROM data_keys WHERE org_id = $1 AND subject_id = $2",
                subject.as_uuid(),
            )
            .await?;
        let id = row.id;
        let key = self.unwrap_subject_key(org, row).await?;
        self.of_subject.insert((org, subject), id);
        Ok(key)
    }

    /// Opens a sealed value with whichever key of the organization sealed it.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub async fn open<T: Serialize + DeserializeOwned>(
        &self,
        org: OrgId,
        sealed: &Sealed<T>,
        context: &Context<'_>,
    ) -> Result<T, KeyringError> {
        let key = self.key_by_id(org, sealed_under(sealed.as_bytes())?).await?;
        Ok(sealed.open(&key, context)?)
    }

    /// The key with this id, of either kind: the one an envelope names in its header.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub async fn key_by_id(&self, org: OrgId, id: Uuid) -> Result<Arc<DataKey>, KeyringError> {
        if let Some(key) = self.by_id.get(&(org, id)) {
            return Ok(key);
        }
        let row = self
            .load(org, "SELECT id, subject_id, wrapped FROM data_keys WHERE org_id = $1 AND id = $2", id)
            .await?;
        if row.subject_id.is_some() {
            self.unwrap_subject_key(org, row).await
        } else {
            self.unwrap_org_key(org, row)
        }
    }

    /// The key of a subject, or of the organization for `None`, as this transaction sees it: also
    /// one that it has just made. What is read here is not kept: the transaction may be undone.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub async fn key_within(
        &self,
        scoped: &mut Scoped<Write>,
        subject: Option<PrincipalId>,
    ) -> Result<Arc<DataKey>, KeyringError> {
        let org = scoped.org();
        let parent = match self.of_org.get(&org).and_then(|id| self.by_id.get(&(org, id))) {
            Some(key) => key,
            None => {
                let (id, wrapped) = row_within(scoped, None).await?;
                Arc::new(self.custody.unwrap(&wrap_context(org, &wrap_row(id, None)), id, &wrapped)?)
            }
        };
        let Some(subject) = subject else { return Ok(parent) };
        let (id, wrapped) = row_within(scoped, Some(subject)).await?;
        let context_row = wrap_row(id, Some(subject.as_uuid()));
        Ok(Arc::new(chancery_crypto::unwrap_under(&parent, &wrap_context(org, &context_row), id, &wrapped)?))
    }

    /// Makes the key of an organization that is being founded.
    ///
    /// # Errors
    /// When the organization has one already, or the database does not answer.
    pub async fn create_org_key(&self, founding: &mut Scoped<Write>) -> Result<Arc<DataKey>, KeyringError> {
        let org = founding.org();
        let key = DataKey::generate(self.new_id().as_uuid(), &*self.random);
        let row = wrap_row(key.id(), None);
        keep_kek_versions(founding.connection()).await?;
        let wrapped = self.custody.wrap(&wrap_context(org, &row), &key, &*self.random)?;
        let version = i32::try_from(wrapped.kek_version).unwrap_or(i32::MAX);
        self.insert(founding, key.id(), None, &wrapped.bytes, Some(version)).await?;
        Ok(Arc::new(key))
    }

    /// Makes the key of a new member or agent, under the organization's.
    ///
    /// # Errors
    /// When the subject has one already, or the database does not answer.
    pub async fn create_subject_key(
        &self,
        scoped: &mut Scoped<Write>,
        org_key: &DataKey,
        subject: PrincipalId,
    ) -> Result<Arc<DataKey>, KeyringError> {
        let key = DataKey::generate(self.new_id().as_uuid(), &*self.random);
        let row = wrap_row(key.id(), Some(subject.as_uuid()));
        let wrapped =
            chancery_crypto::wrap_under(org_key, &wrap_context(scoped.org(), &row), &key, &*self.random);
        self.insert(scoped, key.id(), Some(subject), &wrapped, None).await?;
        Ok(Arc::new(key))
    }

    /// Wraps the organization's key under the newest KEK. `None` when it already is.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub async fn rewrap_org_key(&self, scoped: &mut Scoped<Write>) -> Result<Option<u32>, KeyringError> {
        let org = scoped.org();
        keep_kek_versions(scoped.connection()).await?;
        let newest = self.custody.active_version();
        let stored: Option<(Uuid, Vec<u8>)> = sqlx::query_as(
            "SELECT id, wrapped FROM data_keys WHERE org_id = $1 AND subject_id IS NULL FOR UPDATE",
        )
        .bind(org.as_uuid())
        .fetch_optional(scoped.connection())
        .await?;
        let (id, wrapped) = stored.ok_or(KeyringError::Missing)?;
        if chancery_crypto::kek_version(&wrapped)? >= newest {
            return Ok(None);
        }
        let row = wrap_row(id, None);
        let key = self.custody.unwrap(&wrap_context(org, &row), id, &wrapped)?;
        let again = self.custody.wrap(&wrap_context(org, &row), &key, &*self.random)?;
        sqlx::query("UPDATE data_keys SET wrapped = $3, kek_version = $4 WHERE org_id = $1 AND id = $2")
            .bind(org.as_uuid())
            .bind(id)
            .bind(&again.bytes)
            .bind(i32::try_from(again.kek_version).unwrap_or(i32::MAX))
            .execute(scoped.connection())
            .await?;
        Ok(Some(again.kek_version))
    }

    /// The version of the KEK that wraps the organization's key. The key is unwrapped: an envelope whose
    /// header somebody changed names a version that does not open it.
    ///
    /// # Errors
    /// See [`KeyringError`].
    pub async fn org_key_version<M>(&self, scoped: &mut Scoped<M>) -> Result<u32, KeyringError> {
        let org = scoped.org();
        let row: Option<(Uuid, Option<Vec<u8>>)> =
            sqlx::query_as("SELECT id, wrapped FROM data_keys WHERE org_id = $1 AND subject_id IS NULL")
                .bind(org.as_uuid())
                .fetch_optional(scoped.connection())
                .await?;
        let (id, wrapped) = row.ok_or(KeyringError::Missing)?;
        let wrapped = wrapped.ok_or(KeyringError::Missing)?;
        self.custody.unwrap(&wrap_context(org, &wrap_row(id, None)), id, &wrapped)?;
        Ok(chancery_crypto::kek_version(&wrapped)?)
    }

    async fn insert(
        &self,
        scoped: &mut Scoped<Write>,
        id: Uuid,
        subject: Option<PrincipalId>,
        wrapped: &[u8],
        kek_version: Option<i32>,
    ) -> Result<(), StoreError> {
        let org = scoped.org();
        sqlx::query(
            "INSERT INTO data_keys (org_id, id, subject_id, wrapped, kek_version, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(org.as_uuid())
        .bind(id)
        .bind(subject.map(PrincipalId::as_uuid))
        .bind(wrapped)
        .bind(kek_version)
        .bind(self.clock.now().to_offset())
        .execute(scoped.connection())
        .await?;
        Ok(())
    }

    async fn load(&self, org: OrgId, sql: &'static str, second: Uuid) -> Result<KeyRow, KeyringError> {
        let mut scoped = Scoped::<crate::Read>::open(&self.app, &Scope::installation(org)).await?;
        sqlx::query_as(sql)
            .bind(org.as_uuid())
            .bind(second)
            .fetch_optional(scoped.connection())
            .await?
            .ok_or(KeyringError::Missing)
    }

    fn unwrap_org_key(&self, org: OrgId, row: KeyRow) -> Result<Arc<DataKey>, KeyringError> {
        let wrapped = row.wrapped.ok_or(KeyringError::Shredded)?;
        let key = self.custody.unwrap(&wrap_context(org, &wrap_row(row.id, None)), row.id, &wrapped)?;
        Ok(self.keep(org, key))
    }

    async fn unwrap_subject_key(&self, org: OrgId, row: KeyRow) -> Result<Arc<DataKey>, KeyringError> {
        let wrapped = row.wrapped.ok_or(KeyringError::Shredded)?;
        let parent = self.org_key(org).await?;
        let context_row = wrap_row(row.id, row.subject_id);
        let key = chancery_crypto::unwrap_under(&parent, &wrap_context(org, &context_row), row.id, &wrapped)?;
        Ok(self.keep(org, key))
    }

    fn keep(&self, org: OrgId, key: DataKey) -> Arc<DataKey> {
        let key = Arc::new(key);
        self.by_id.insert((org, key.id()), Arc::clone(&key));
        key
    }

    fn new_id(&self) -> SubjectKeyId {
        SubjectKeyId::new(self.clock.now(), self.random.bytes())
    }
}

async fn row_within(
    scoped: &mut Scoped<Write>,
    subject: Option<PrincipalId>,
) -> Result<(Uuid, Vec<u8>), KeyringError> {
    let row: Option<(Uuid, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT id, wrapped FROM data_keys WHERE org_id = $1 AND subject_id IS NOT DISTINCT FROM $2",
    )
    .bind(scoped.org().as_uuid())
    .bind(subject.map(PrincipalId::as_uuid))
    .fetch_optional(scoped.connection())
    .await?;
    let (id, wrapped) = row.ok_or(KeyringError::Missing)?;
    Ok((id, wrapped.ok_or(KeyringError::Shredded)?))
}

/// The row that a wrapped key belongs to, with whose key it is: given to another subject, a key does not
/// open, so that erasing one never erases another.
fn wrap_row(key: Uuid, subject: Option<Uuid>) -> String {
    match subject {
        Some(subject) => format!("{key} of {subject}"),
        None => format!("{key} of the organization"),
    }
}

fn wrap_context(org: OrgId, row: &str) -> Context<'_> {
    Context { org: Some(org), table: "data_keys", column: "wrapped", row, purpose: "wrap" }
}
