//! Public keys that are believed: those whose private halves we sealed.
//!
//! Whoever can write the database can insert a row with a public key of their own. They can't seal a
//! private half for it, so a row is believed by its sealed half alone, and never by what it says.

use chancery_crypto::{OpenError, PublicKey, SignError, SigningKey, sealed_under, sha256};
use chancery_model::{OrgId, SigningKeyId};
use chancery_store::{Keyring, KeyringError, Read, Scoped, StoreError};
use moka::sync::Cache;
use serde_json::Value;
use uuid::Uuid;

use super::{context, end_of};

/// How many rows are remembered to be good.
const KEPT: u64 = 50_000;

/// A row of a key that is not retired.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) kid: String,
    pub(crate) algorithm: String,
    pub(crate) state: String,
    pub(crate) public_jwk: String,
    pub(crate) sealed: Option<Vec<u8>>,
}

/// The rows of the keys that are not retired, the newest first.
pub(crate) async fn published(scoped: &mut Scoped<Read>) -> Result<Vec<Row>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT id, kid, algorithm, state, public_jwk, sealed FROM signing_keys
         WHERE org_id = $1 AND state IN ('next', 'active', 'previous') ORDER BY id DESC",
    )
    .bind(scoped.org().as_uuid())
    .fetch_all(scoped.connection())
    .await?)
}

/// Why a row is not believed.
#[derive(Debug)]
pub(crate) enum NotVouched {
    /// It is not a row that we wrote.
    Row(KeyringError),
    /// Nothing is known of it: the database, or the key file, is out of reach.
    Unknown(KeyringError),
}

impl From<NotVouched> for KeyringError {
    fn from(why: NotVouched) -> Self {
        match why {
            NotVouched::Row(error) | NotVouched::Unknown(error) => error,
        }
    }
}

impl From<StoreError> for NotVouched {
    fn from(error: StoreError) -> Self {
        Self::Row(error.into())
    }
}

impl From<OpenError> for NotVouched {
    fn from(error: OpenError) -> Self {
        Self::Row(error.into())
    }
}

/// Opens the private half of a row and compares the rest of the row with it. The envelope binds the
/// private half to organization and id; this binds algorithm, public key and name to it.
///
/// # Errors
/// See [`NotVouched`].
pub(crate) async fn open(keyring: &Keyring, org: OrgId, row: &Row) -> Result<SigningKey, NotVouched> {
    let corrupt = |reason: &str| StoreError::corrupt("signing_keys", reason);
    let sealed = row.sealed.as_deref().ok_or_else(|| corrupt("the private half is missing"))?;
    let data_key = match keyring.key_by_id(org, sealed_under(sealed)?).await {
        Ok(key) => key,
        // The row names a key that is not there.
        Err(error @ (KeyringError::Missing | KeyringError::Shredded)) => return Err(NotVouched::Row(error)),
        Err(error) => return Err(NotVouched::Unknown(error)),
    };
    let pkcs8 = chancery_crypto::open(&data_key, &context(org, &row.id.to_string()), sealed)?;
    let algorithm = row.algorithm.parse().map_err(|_| corrupt("unknown algorithm"))?;
    let unreadable = |error: SignError| StoreError::corrupt("signing_keys", error);
    let key = SigningKey::from_pkcs8(algorithm, &pkcs8).map_err(unreadable)?;
    if *key.public() != public_key(row)? {
        return Err(corrupt("the public key is not that of the sealed key").into());
    }
    if !row.kid.ends_with(&format!(".{}", end_of(SigningKeyId::from_uuid(row.id)))) {
        return Err(corrupt("the kid is not that of the key").into());
    }
    Ok(key)
}

/// The public key of a row; its algorithm is the row's or the row is corrupt.
fn public_key(row: &Row) -> Result<PublicKey, StoreError> {
    let corrupt = |error: &dyn std::fmt::Display| StoreError::corrupt("signing_keys", error);
    let jwk: Value = serde_json::from_str(&row.public_jwk).map_err(|error| corrupt(&error))?;
    let key = PublicKey::from_jwk(&jwk).map_err(|error| corrupt(&error))?;
    if key.algorithm().as_str() != row.algorithm {
        return Err(corrupt(&"the public key is not of the row's algorithm"));
    }
    Ok(key)
}

/// Rows that were opened and compared once. What is remembered is the hash of all that was compared,
/// so a row that changes afterwards is another row.
#[derive(Debug)]
pub(crate) struct Vouched(Cache<[u8; 32], ()>);

impl Default for Vouched {
    fn default() -> Self {
        Self(Cache::new(KEPT))
    }
}

impl Vouched {
    /// The public keys of the rows that are what their private halves say, each with its `kid`. The
    /// others are not believed: they are logged, counted, and left out.
    ///
    /// # Errors
    /// When the store does not answer: then nothing is known of the rows.
    pub(crate) async fn vouch(
        &self,
        keyring: &Keyring,
        org: OrgId,
        rows: Vec<Row>,
    ) -> Result<Vec<(Row, PublicKey)>, KeyringError> {
        let mut good = Vec::with_capacity(rows.len());
        for row in rows {
            match self.public_key_of(keyring, org, &row).await {
                Ok(key) => good.push((row, key)),
                Err(NotVouched::Row(error)) => {
                    metrics::counter!("signing_keys_refused_total").increment(1);
                    let id = row.id;
                    tracing::error!(%org, %id, %error, "a signing key's row is not ours and is not trusted");
                }
                Err(NotVouched::Unknown(error)) => return Err(error),
            }
        }
        Ok(good)
    }

    async fn public_key_of(&self, keyring: &Keyring, org: OrgId, row: &Row) -> Result<PublicKey, NotVouched> {
        let compared = digest(org, row);
        if self.0.get(&compared).is_some() {
            return Ok(public_key(row)?);
        }
        let key = open(keyring, org, row).await?;
        self.0.insert(compared, ());
        Ok(key.public().clone())
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.0.invalidate_all();
    }
}

/// Postgres keeps no NUL in a text, so the parts can't run into each other.
fn digest(org: OrgId, row: &Row) -> [u8; 32] {
    sha256(&[
        org.as_uuid().as_bytes(),
        row.id.as_bytes(),
        row.kid.as_bytes(),
        b"\0",
        row.algorithm.as_bytes(),
        b"\0",
        row.public_jwk.as_bytes(),
        b"\0",
        row.sealed.as_deref().unwrap_or_default(),
    ])
}
