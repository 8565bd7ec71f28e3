//! Making a token, and holding it until its record stands.

use std::fmt;

use chancery_crypto::{DataKey, Random, SignError};
use chancery_decide::Permit;
use chancery_evidence::Hex;
use chancery_model::{
    ActionName, Audience, Environment, IntentId, KeyId, MemberId, OrgId, Principal, ResourceId, ResourceType,
    Timestamp, TokenId,
};
use chancery_store::Receipt;
use secrecy::{ExposeSecret, SecretString};

use crate::token::claims_hash;
use crate::{Actor, Claims, Lifetime, Nonce, Resource, Signer};

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

/// A permit with a token that nobody has seen. Its text leaves by [`Self::release`] alone.
///
/// ```no_run
/// use chancery_crypto::Random;
/// use chancery_decide::Permit;
/// use chancery_mint::{MintError, Minted, Mismatch, Signer, Terms, mint};
/// use chancery_store::Receipt;
/// use secrecy::SecretString;
/// fn mints(permit: Permit, by: &Signer, on: Terms<'_>, random: &dyn Random) -> Result<Minted, MintError> {
///     mint(permit, by, on, random)
/// }
/// fn releases(minted: Minted, receipt: &Receipt) -> Result<SecretString, Mismatch> {
///     minted.release(receipt)
/// }
/// ```
///
/// Nothing is minted for less than a permit, and no token is had without a receipt, or from inside:
///
/// ```compile_fail,E0308
/// # use chancery_crypto::Random;
/// # use chancery_decide::Escalation;
/// # use chancery_mint::{MintError, Minted, Signer, Terms, mint};
/// fn skips(asked: Escalation, by: &Signer, on: Terms<'_>, random: &dyn Random) -> Result<Minted, MintError> {
///     mint(asked, by, on, random)
/// }
/// ```
/// ```compile_fail,E0061
/// # use chancery_mint::{Minted, Mismatch};
/// # use secrecy::SecretString;
/// fn skips(minted: Minted) -> Result<SecretString, Mismatch> {
///     minted.release()
/// }
/// ```
/// ```compile_fail,E0616
/// # use chancery_mint::Minted;
/// fn reaches_in(minted: Minted) {
///     let _ = minted.signed;
/// }
/// ```
/// ```compile_fail,E0277
/// # use chancery_mint::Minted;
/// fn twice<T: Clone>() {}
/// twice::<Minted>();
/// ```
pub struct Minted {
    permit: Permit,
    signed: Signed,
}

/// The receipt is not that of the token's intent: nothing is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the receipt is not that of the token's intent")]
pub struct Mismatch;

/// Makes the token of a permit. Without a connector it is for the organization itself: its audience
/// is the organization's slug.
///
/// # Errors
/// See [`MintError`].
pub fn mint(
    permit: Permit,
    signer: &Signer,
    terms: Terms<'_>,
    random: &dyn Random,
) -> Result<Minted, MintError> {
    let record = permit.cleared().caller().caller().record();
    let intent = permit.cleared().intent();
    let audience = match &intent.connector {
        Some(connector) => connector.clone(),
        None => record.slug.as_str().parse().map_err(|_| MintError::Claims)?,
    };
    let grant = Grant {
        org: record.org,
        intent: intent.id,
        intent_hash: *intent.hash(),
        principal: record.holder,
        on_behalf_of: intent.on_behalf_of,
        audience,
        environment: intent.environment,
        action: intent.action.clone(),
        resource_type: intent.resource_type.clone(),
        resource_id: intent.resource_id.clone(),
        key: record.id,
    };
    let signed = sign(grant, signer, terms, random)?;
    Ok(Minted { permit, signed })
}

/// What was permitted, as far as the claims tell it.
pub(crate) struct Grant {
    pub(crate) org: OrgId,
    pub(crate) intent: IntentId,
    pub(crate) intent_hash: [u8; 32],
    pub(crate) principal: Principal,
    pub(crate) on_behalf_of: Option<MemberId>,
    pub(crate) audience: Audience,
    pub(crate) environment: Environment,
    pub(crate) action: ActionName,
    pub(crate) resource_type: ResourceType,
    pub(crate) resource_id: ResourceId,
    pub(crate) key: KeyId,
}

/// The claims of a grant, signed.
pub(crate) struct Signed {
    claims: Claims,
    claims_hash: [u8; 32],
    public_claims: String,
    token: SecretString,
}

pub(crate) fn sign(
    grant: Grant,
    signer: &Signer,
    terms: Terms<'_>,
    random: &dyn Random,
) -> Result<Signed, MintError> {
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
    let text = claims.to_text()?;
    let token = signer.sign(&text)?;
    let public_claims = claims.to_public()?;
    Ok(Signed { claims, claims_hash: claims_hash(&text), public_claims, token })
}

impl Minted {
    /// What was permitted.
    #[must_use]
    pub const fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The token's id.
    #[must_use]
    pub const fn id(&self) -> TokenId {
        self.signed.claims.jti
    }

    /// The hash of the claims as they were signed: the record names it, and a token is redeemed only
    /// with the very claims that were recorded.
    #[must_use]
    pub const fn claims_hash(&self) -> &[u8; 32] {
        &self.signed.claims_hash
    }

    /// When it expires, in seconds since the Unix epoch.
    #[must_use]
    pub const fn expires_at(&self) -> i64 {
        self.signed.claims.exp
    }

    /// The claims as the record keeps them: `nonce_hash` for `nonce`, as canonical JSON.
    #[must_use]
    pub fn public_claims(&self) -> &str {
        &self.signed.public_claims
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
        chancery_crypto::seal(key, context, self.signed.token.expose_secret().as_bytes(), random)
    }

    /// The token, against the proof that its intent stands in the record.
    ///
    /// # Errors
    /// [`Mismatch`] when the receipt is for something else; the token is gone then.
    pub fn release(self, receipt: &Receipt) -> Result<SecretString, Mismatch> {
        let correlation = self.permit.cleared().intent().correlation;
        let same = receipt.org() == self.signed.claims.org && receipt.correlation() == Some(correlation);
        if same { Ok(self.signed.token) } else { Err(Mismatch) }
    }
}

#[cfg(test)]
impl Signed {
    pub(crate) fn expose_for_test(&self) -> &str {
        self.token.expose_secret()
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted").field("id", &self.signed.claims.jti).finish_non_exhaustive()
    }
}
