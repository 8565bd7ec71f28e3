//! The private keys in memory, and the caches over the signing keys.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::{Algorithm, SignError, SigningKey};
use chancery_model::{OrgId, SigningKeyId};
use chancery_store::{KeyringError, Scope, Store};
use moka::future::Cache;
use moka::ops::compute::{CompResult, Op};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::signing_keys::{self, SealedRow, Vouched};
use crate::{Trust, token};

/// An active key, ready to sign.
#[derive(Debug)]
pub struct Signer {
    id: SigningKeyId,
    kid: String,
    /// The header of every token it signs, encoded once.
    header: String,
    key: SigningKey,
}

impl Signer {
    /// A signer from a key and its published name.
    #[must_use]
    pub fn new(id: SigningKeyId, kid: String, key: SigningKey) -> Self {
        Self { header: token::header(key.public().algorithm(), &kid), id, kid, key }
    }

    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> SigningKeyId {
        self.id
    }

    /// The key's published name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The compact form (RFC 7515 §3.1) of claims under this key. Signs on the calling thread: an
    /// RSA signature takes 0.3 ms, less than handing it to another.
    pub(crate) fn sign(&self, claims: &[u8]) -> Result<SecretString, SignError> {
        let mut text = String::with_capacity(self.header.len() + claims.len() * 4 / 3 + 360);
        text.push_str(&self.header);
        text.push('.');
        BASE64URL.encode_string(claims, &mut text);
        let signature = self.key.sign(text.as_bytes())?;
        text.push('.');
        BASE64URL.encode_string(signature, &mut text);
        Ok(text.into())
    }
}

#[cfg(test)]
impl Signer {
    pub(crate) const fn key_for_test(&self) -> &SigningKey {
        &self.key
    }
}

/// How many organizations' keys are kept in memory.
const KEPT: u64 = 10_000;

/// The signing keys of all organizations as requests need them: from memory while the organization's
/// epoch stands, else from the store.
///
/// Every rotation, retirement and revocation moves the epoch, and the committer compares it: what a
/// process signs or accepts with old keys does not reach the record.
#[derive(Debug)]
pub struct SigningKeys {
    signers: Cache<(OrgId, Algorithm), (i64, Arc<Signer>)>,
    trusts: Cache<OrgId, (i64, Arc<Trust>)>,
    vouched: Vouched,
}

impl Default for SigningKeys {
    fn default() -> Self {
        Self { signers: Cache::new(KEPT), trusts: Cache::new(KEPT), vouched: Vouched::default() }
    }
}

impl SigningKeys {
    /// The active key of an algorithm; `None` when the organization has none yet, and
    /// [`crate::signing_keys::create_first`] is due.
    ///
    /// # Errors
    /// [`chancery_store::StoreError::Stale`] when the scope's knowledge is out of date.
    pub async fn active(
        &self,
        store: &Store,
        scope: &Scope,
        algorithm: Algorithm,
    ) -> Result<Option<Arc<Signer>>, KeyringError> {
        let Some(epoch) = scope.epoch() else { return load_active(store, scope, algorithm, None).await };
        let key = (scope.org(), algorithm);
        if let Some((_, signer)) = self.signers.get(&key).await.filter(|(known, _)| *known == epoch) {
            return Ok(Some(signer));
        }
        // One load for each organization and algorithm at a time; the others wait for its result.
        let outcome = self
            .signers
            .entry(key)
            .and_try_compute_with(async |known| {
                let known = known.map(moka::Entry::into_value);
                match known {
                    Some((read_at, _)) if read_at == epoch => Ok(Op::Nop),
                    known => {
                        let known = known.map(|(_, signer)| signer);
                        let signer = load_active(store, scope, algorithm, known).await?;
                        Ok::<_, KeyringError>(signer.map_or(Op::Remove, |signer| Op::Put((epoch, signer))))
                    }
                }
            })
            .await?;
        Ok(match outcome {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Unchanged(entry) => {
                Some(entry.into_value().1)
            }
            CompResult::Removed(_) | CompResult::StillNone(_) => None,
        })
    }

    /// What the organization's tokens are verified with.
    ///
    /// # Errors
    /// [`chancery_store::StoreError::Stale`] when the scope's knowledge is out of date.
    pub async fn trust(&self, store: &Store, scope: &Scope) -> Result<Arc<Trust>, KeyringError> {
        let load = async || Ok::<_, KeyringError>(Arc::new(Trust::load(store, scope, &self.vouched).await?));
        let Some(epoch) = scope.epoch() else { return load().await };
        if let Some((_, trust)) = self.trusts.get(&scope.org()).await.filter(|(known, _)| *known == epoch) {
            return Ok(trust);
        }
        let outcome = self
            .trusts
            .entry(scope.org())
            .and_try_compute_with(async |known| match known.map(moka::Entry::into_value) {
                Some((read_at, _)) if read_at == epoch => Ok(Op::Nop),
                _ => Ok::<_, KeyringError>(Op::Put((epoch, load().await?))),
            })
            .await?;
        match outcome.into_entry() {
            Some(entry) => Ok(entry.into_value().1),
            None => load().await,
        }
    }

    /// The key set that an organization publishes (RFC 7517 §5): its next, active and previous keys.
    /// Read anew each time, so that a key is in it as soon as it is committed.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn jwks(&self, store: &Store, org: OrgId) -> Result<Value, KeyringError> {
        let mut scoped = store.read(&Scope::installation(org)).await?;
        let rows = signing_keys::published(&mut scoped).await?;
        drop(scoped);
        let keys = self.vouched.vouch(store.keyring(), org, rows).await?;
        // Nothing of what a row says is passed on but the name it was compared with.
        let keys: Vec<Value> = keys.into_iter().map(|(row, key)| key.to_jwk(&row.kid)).collect();
        Ok(json!({ "keys": keys }))
    }

    /// Forgets what is kept of an organization.
    pub async fn forget(&self, org: OrgId) {
        self.trusts.invalidate(&org).await;
        for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
            self.signers.invalidate(&(org, algorithm)).await;
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.trusts.invalidate_all();
        self.signers.invalidate_all();
        self.vouched.clear();
    }
}

async fn load_active(
    store: &Store,
    scope: &Scope,
    algorithm: Algorithm,
    known: Option<Arc<Signer>>,
) -> Result<Option<Arc<Signer>>, KeyringError> {
    let mut scoped = store.read(scope).await?;
    let row: Option<SealedRow> = sqlx::query_as(
        "SELECT id, kid, algorithm, state, public_jwk, sealed FROM signing_keys
         WHERE org_id = $1 AND algorithm = $2 AND state = 'active'",
    )
    .bind(scope.org().as_uuid())
    .bind(algorithm.as_str())
    .fetch_optional(scoped.connection())
    .await?;
    // Given back before the keyring may want a connection of its own.
    drop(scoped);
    let Some(row) = row else { return Ok(None) };
    if let Some(signer) = known.filter(|signer| signer.id.as_uuid() == row.id) {
        return Ok(Some(signer));
    }
    let key = signing_keys::open(store.keyring(), scope.org(), &row).await?;
    Ok(Some(Arc::new(Signer::new(SigningKeyId::from_uuid(row.id), row.kid, key))))
}
