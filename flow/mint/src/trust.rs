//! What an organization's tokens are verified with.

use std::collections::HashMap;

use chancery_crypto::PublicKey;
use chancery_model::OrgId;
use chancery_store::{KeyringError, Scope, Store};

use crate::revocations::{self, Revoked};
use crate::signing_keys::{self, KeyState, Vouched};

/// The keys that verify one organization's tokens, and what it revoked, read together.
#[derive(Debug)]
pub struct Trust {
    pub(crate) org: OrgId,
    pub(crate) epoch: Option<i64>,
    pub(crate) keys: HashMap<String, PublicKey>,
    pub(crate) revoked: Revoked,
}

impl Trust {
    /// Reads it. The organization is that of the scope: a token is never verified with the keys of
    /// the organization it names. A key that does not sign yet has no tokens to verify.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn load(store: &Store, scope: &Scope, vouched: &Vouched) -> Result<Self, KeyringError> {
        let keyring = store.keyring();
        let mut scoped = store.read(scope).await?;
        let mut rows = signing_keys::published(&mut scoped).await?;
        let revoked = revocations::active(&mut scoped, keyring.clock().now()).await?;
        // Given back before the keyring may want a connection of its own.
        drop(scoped);
        rows.retain(|row| row.state != KeyState::Next.as_str());
        let keys = vouched.vouch(keyring, scope.org(), rows).await?;
        let keys = keys.into_iter().map(|(row, key)| (row.kid, key)).collect();
        Ok(Self { org: scope.org(), epoch: scope.epoch(), keys, revoked })
    }
}
