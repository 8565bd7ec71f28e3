//! Making a token, and holding it until its record stands.

use std::fmt;

use chancery_crypto::{DataKey, Random, SignError};
use chancery_evidence::{Hex, public_claims};
use chancery_model::{
    ActionName, Audience, CorrelationId, Environment, IntentId, KeyId, MemberId, OrgId, Principal,
    ResourceId, ResourceType, Timestamp, TokenId,
};
use chancery_store::Receipt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{Actor, Claims, Lifetime, Nonce, Resource, Signer};

/// What was allowed, to whom.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The organization.
    pub org: OrgId,
    /// The intent.
    pub intent: IntentId,
    /// The story it belongs to.
    pub correlation: CorrelationId,
    /// The hash of exactly what was allowed.
    pub intent_hash: [u8; 32],
    /// Who asked.
    pub principal: Principal,
    /// The member in whose name.
    pub on_behalf_of: Option<MemberId>,
    /// Who may redeem it.
    pub audience: Audience,
    /// Live or test.
    pub environment: Environment,
    /// The action.
    pub action: ActionName,
    /// The type of the resource.
    pub resource_type: ResourceType,
    /// Which resource.
    pub resource_id: ResourceId,
    /// The API key that asked.
    pub key: KeyId,
}

/// On what terms a token is issued.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The organization's address.
    pub issuer: &'a str,
    /// How long it is good.
    pub lifetime: Lifetime,
    /// The moment.
    pub now: Timestamp,
}

/// Why a token can't be made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The key does not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The claims can't be written.
    #[error("the claims can't be written: {0}")]
    Encode(#[from] serde_json::Error),
    /// The claims are not what the record keeps of them.
    #[error("the claims have no public form")]
    Claims,
}

/// A token that nobody has seen. Its text leaves by [`Self::release`] alone.
pub struct Minted {
    correlation: CorrelationId,
    claims: Claims,
    public_claims: Value,
    token: SecretString,
}

/// The receipt is not that of the token's intent: nothing is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receipt is not that of the token's intent")]
pub struct Mismatch;

/// Makes a token for what was granted.
///
/// # Errors
/// See [`MintError`].
// PERMIT: when decide has its `Permit`, take that instead of `Grant`, which anyone can write.
pub fn mint(
    grant: Grant,
    signer: &Signer,
    terms: Terms<'_>,
    random: &dyn Random,
) -> Result<Minted, MintError> {
    let issued = terms.now.as_seconds();
    // In a member's name the rights are the member's and the agent acts with them (RFC 8693 §4.1).
    let (sub, act) = match grant.on_behalf_of {
        Some(member) => (Principal::Member(member), Some(Actor { sub: grant.principal })),
        None => (grant.principal, None),
    };
    let claims = Claims {
        iss: terms.issuer.to_owned(),
        sub,
        act,
        aud: grant.audience,
        org: grant.org,
        intent_id: grant.intent,
        intent_hash: Hex(grant.intent_hash),
        env: grant.environment,
        action: grant.action,
        resource: Resource { kind: grant.resource_type, id: grant.resource_id },
        nonce: Nonce::generate(random),
        jti: TokenId::new(terms.now, random.bytes()),
        key: grant.key,
        iat: issued,
        nbf: issued,
        exp: issued.saturating_add(terms.lifetime.as_seconds()),
    };
    let token = signer.sign(&serde_json::to_vec(&claims)?)?;
    let Value::Object(members) = serde_json::to_value(&claims)? else { return Err(MintError::Claims) };
    let public_claims = public_claims(&members).map(Value::Object).ok_or(MintError::Claims)?;
    Ok(Minted { correlation: grant.correlation, claims, public_claims, token })
}

impl Minted {
    /// The token's id.
    #[must_use]
    pub const fn id(&self) -> TokenId {
        self.claims.jti
    }

    /// When it expires, in seconds since the Unix epoch.
    #[must_use]
    pub const fn expires_at(&self) -> i64 {
        self.claims.exp
    }

    /// The claims as the record keeps them: `nonce_hash` for `nonce`.
    #[must_use]
    pub const fn public_claims(&self) -> &Value {
        &self.public_claims
    }

    /// The token sealed for its row, so that evidence can show the signature once it is used or
    /// expired. The text itself does not come out.
    #[must_use]
    pub fn seal(
        &self,
        key: &DataKey,
        context: &chancery_crypto::Context<'_>,
        random: &dyn Random,
    ) -> Vec<u8> {
        chancery_crypto::seal(key, context, self.token.expose_secret().as_bytes(), random)
    }

    /// The token, against the proof that its intent stands in the record.
    ///
    /// # Errors
    /// [`Mismatch`] when the receipt is for something else; the token is gone then.
    pub fn release(self, receipt: &Receipt) -> Result<SecretString, Mismatch> {
        let same = receipt.org() == self.claims.org && receipt.correlation() == Some(self.correlation);
        if same { Ok(self.token) } else { Err(Mismatch) }
    }
}

#[cfg(test)]
impl Minted {
    pub(crate) fn expose_for_test(&self) -> &str {
        self.token.expose_secret()
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("id", &self.claims.jti).finish_non_exhaustive()
    }
}
