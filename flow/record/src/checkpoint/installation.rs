//! The installation's checkpoint key: made once, sealed under the KEK, its public half printed.

use chancery_crypto::{Algorithm, Context, Custody, DataKey, SigningKey};
use chancery_evidence::CheckpointSigner;
use chancery_store::{Store, StoreError, keep_kek_versions};
use uuid::Uuid;

/// Why the installation's key can't be had.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The stored key does not open under this KEK.
    #[error(
        "the KEK file is not the one this database was made with: put the original file back \
         (nothing sealed can be read without it)"
    )]
    WrongKek,
    /// The key can't be made or does not sign.
    #[error("the checkpoint key is not usable: {0}")]
    Key(String),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for InstallationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The row's name.
const NAME: &str = "checkpoint";

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: Uuid,
    wrapped_key: Vec<u8>,
    sealed: Vec<u8>,
}

/// The name of the installation's log key: what its verifier key begins with.
fn log_name(custody: &Custody) -> String {
    format!("chancery/{}", custody.installation_id())
}

/// Opens the installation's checkpoint key, making it at the very first start.
///
/// # Errors
/// [`InstallationError::WrongKek`] when the database was made under another KEK.
pub async fn checkpoint_signer(store: &Store) -> Result<CheckpointSigner, InstallationError> {
    let custody = store.keyring().custody();
    let row = match find(store).await? {
        Some(row) => row,
        None => {
            create(store).await?;
            find(store).await?.ok_or_else(|| InstallationError::Key("it was not stored".to_owned()))?
        }
    };
    let key =
        custody.unwrap(&wrap_context(), row.id, &row.wrapped_key).map_err(|_| InstallationError::WrongKek)?;
    let pkcs8 =
        chancery_crypto::open(&key, &key_context(), &row.sealed).map_err(|_| InstallationError::WrongKek)?;
    let usable = |error: &dyn std::fmt::Display| InstallationError::Key(error.to_string());
    let key = SigningKey::from_pkcs8(Algorithm::EdDsa, &pkcs8).map_err(|error| usable(&error))?;
    CheckpointSigner::new(log_name(custody), key).map_err(|error| usable(&error))
}

/// Wraps the checkpoint key under the newest KEK. `false` when it already is.
///
/// # Errors
/// See [`InstallationError`].
pub async fn rewrap_checkpoint_key(store: &Store) -> Result<bool, InstallationError> {
    let keyring = store.keyring();
    let custody = keyring.custody();
    let Some(row) = find(store).await? else { return Ok(false) };
    if version_of(&row)? >= custody.active_version() {
        return Ok(false);
    }
    let key =
        custody.unwrap(&wrap_context(), row.id, &row.wrapped_key).map_err(|_| InstallationError::WrongKek)?;
    let mut tx = store.appender().begin().await?;
    keep_kek_versions(&mut tx).await?;
    let wrapped = custody
        .wrap(&wrap_context(), &key, &**keyring.random())
        .map_err(|error| InstallationError::Key(error.to_string()))?;
    sqlx::query("UPDATE installation_keys SET wrapped_key = $2, kek_version = $3 WHERE name = $1")
        .bind(NAME)
        .bind(wrapped.bytes)
        .bind(i32::try_from(wrapped.kek_version).unwrap_or(i32::MAX))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(true)
}

/// The version of the KEK that wraps the checkpoint key, which is unwrapped: a header that somebody
/// changed does not open. `None` before the first start.
///
/// # Errors
/// See [`InstallationError`].
pub async fn checkpoint_key_version(store: &Store) -> Result<Option<u32>, InstallationError> {
    let Some(row) = find(store).await? else { return Ok(None) };
    let custody = store.keyring().custody();
    custody.unwrap(&wrap_context(), row.id, &row.wrapped_key).map_err(|_| InstallationError::WrongKek)?;
    version_of(&row).map(Some)
}

fn version_of(row: &KeyRow) -> Result<u32, InstallationError> {
    chancery_crypto::kek_version(&row.wrapped_key).map_err(|error| InstallationError::Key(error.to_string()))
}

async fn find(store: &Store) -> Result<Option<KeyRow>, StoreError> {
    Ok(sqlx::query_as("SELECT id, wrapped_key, sealed FROM installation_keys WHERE name = $1")
        .bind(NAME)
        .fetch_optional(store.appender())
        .await?)
}

/// Of two servers starting on one new database one makes the key; both use the one that is stored.
async fn create(store: &Store) -> Result<(), InstallationError> {
    let keyring = store.keyring();
    let (custody, random, now) = (keyring.custody(), &**keyring.random(), keyring.clock().now());
    let failed = |error: &dyn std::fmt::Display| InstallationError::Key(error.to_string());
    let signing = SigningKey::generate(Algorithm::EdDsa).map_err(|error| failed(&error))?;
    let pkcs8 = signing.to_pkcs8();
    let id = chancery_model::SubjectKeyId::new(now, random.bytes()).as_uuid();
    let key = DataKey::generate(id, random);
    let mut tx = store.appender().begin().await?;
    keep_kek_versions(&mut tx).await?;
    let wrapped = custody.wrap(&wrap_context(), &key, random).map_err(|error| failed(&error))?;
    let sealed = chancery_crypto::seal(&key, &key_context(), &pkcs8, random);
    let signer = CheckpointSigner::new(log_name(custody), signing).map_err(|error| failed(&error))?;
    sqlx::query(
        "INSERT INTO installation_keys (name, id, wrapped_key, kek_version, sealed, public_key, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(NAME)
    .bind(id)
    .bind(wrapped.bytes)
    .bind(i32::try_from(wrapped.kek_version).unwrap_or(i32::MAX))
    .bind(sealed)
    .bind(signer.vkey().to_string())
    .bind(now.to_offset())
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

const fn wrap_context() -> Context<'static> {
    Context { org: None, table: "installation_keys", column: "wrapped_key", row: NAME, purpose: "wrap" }
}

const fn key_context() -> Context<'static> {
    Context { org: None, table: "installation_keys", column: "sealed", row: NAME, purpose: "sign" }
}
