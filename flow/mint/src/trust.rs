//! What an organization's tokens are verified with.

use std::collections::HashMap;

use chancery_crypto::PublicKey;
use chancery_model::{OrgId, Timestamp};
use chancery_store::{Read, Scoped, StoreError};

use crate::revocations::{self, Revoked};
use crate::signing_keys;

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
    /// the organization it names.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn load(scoped: &mut Scoped<Read>, now: Timestamp) -> Result<Self, StoreError> {
        let org = scoped.org();
        let keys = signing_keys::verifying(scoped.connection(), org).await?.into_iter().collect();
        let revoked = revocations::active(scoped, now).await?;
        Ok(Self { org, epoch: scoped.scope().epoch(), keys, revoked })
    }
}
