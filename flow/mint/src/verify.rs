//! From a well-formed token to the proof that it may be redeemed.

use chancery_connectors::Stopped;
use chancery_evidence::Hex;
use chancery_model::{Audience, Environment, KeyId, OrgId, Timestamp};

use crate::token_uses::TokenUse;
use crate::{Claims, Lifetime, Malformed, Trust, UnverifiedToken};

/// How far the clocks of two of our servers may differ, in seconds. It makes a fresh token good at
/// once everywhere; it never makes a token good for longer.
pub const CLOCK_SKEW_SECONDS: i64 = 5;

/// What a token must say to be good here and now, besides belonging to the organization of the
/// [`Trust`] it is verified with.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The organization's address.
    pub issuer: &'a str,
    /// The audiences that the redeeming key speaks for, narrowed to the one it named if it did.
    pub audiences: &'a [Audience],
    /// The redeeming key's environment.
    pub environment: Environment,
    /// The hash of what is about to be done.
    pub intent_hash: [u8; 32],
    /// The connectors that nothing may be done with, as of the same epoch as the [`Trust`].
    pub stopped: &'a Stopped,
    /// The moment.
    pub now: Timestamp,
}

/// Why a token is not good. The text is for the log; a stranger hears only [`Self::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not one of our tokens at all.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// The organization has no such key, or retired it.
    #[error("no key with this `kid` verifies in the organization")]
    UnknownKey,
    /// The header names another algorithm than that of the key.
    #[error("the algorithm is not that of the key")]
    Algorithm,
    /// The signature is not that key's, of these claims.
    #[error("the signature does not verify")]
    Signature,
    /// Signed by the organization and yet not what it may be: our mistake, or a stolen key.
    #[error("`{0}` is not what it must be")]
    Claim(&'static str),
    /// Another audience than the redeeming key's.
    #[error("the audience is not one of the redeeming key's")]
    Audience,
    /// Another action, resource or arguments.
    #[error("the intent hash is another")]
    IntentHash,
    /// Not good yet.
    #[error("not good before {0}")]
    TooEarly(i64),
    /// Not good any more.
    #[error("expired at {0}")]
    Expired(i64),
    /// Revoked.
    #[error("revoked")]
    Revoked,
    /// For a connector that is paused or retired.
    #[error("the connector is paused or retired")]
    Stopped,
}

impl VerifyError {
    /// The code in the answer. Only the holder of a genuine token for this very action learns that
    /// it is expired or revoked, or its connector stopped.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Expired(_) => "token_expired",
            Self::Revoked => "token_revoked",
            Self::Stopped => "connector_paused",
            _ => "token_invalid",
        }
    }
}

/// Proof that a token is genuine, current and for exactly this. It is good once its nonce is
/// consumed, and the committer does that.
#[derive(Debug)]
pub struct Redemption {
    claims: Claims,
    claims_hash: [u8; 32],
    nonce_hash: [u8; 32],
    epoch: Option<i64>,
}

impl Redemption {
    /// What the token says, now known to be true.
    #[must_use]
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The hash of the claims as they were signed, which the decision's entry names.
    #[must_use]
    pub const fn claims_hash(&self) -> &[u8; 32] {
        &self.claims_hash
    }

    /// The organization.
    #[must_use]
    pub const fn org(&self) -> OrgId {
        self.claims.org
    }

    /// See [`crate::Nonce::hash`].
    #[must_use]
    pub const fn nonce_hash(&self) -> &[u8; 32] {
        &self.nonce_hash
    }

    /// The epoch at which keys and revocations were read; the committer compares it.
    #[must_use]
    pub const fn epoch(&self) -> Option<i64> {
        self.epoch
    }

    /// The row that consumes the nonce.
    #[must_use]
    pub const fn used_by(&self, key: KeyId, at: Timestamp) -> TokenUse {
        TokenUse {
            org: self.claims.org,
            nonce_hash: self.nonce_hash,
            token: self.claims.jti,
            intent: self.claims.intent_id,
            key,
            at,
        }
    }
}

/// Verifies a token. Nothing is consumed.
///
/// # Errors
/// See [`VerifyError`]. The signature is checked before any claim is, and expiry, revocation and a stopped
/// connector last.
pub fn verify(
    token: UnverifiedToken<'_>,
    trust: &Trust,
    expected: &Expected<'_>,
) -> Result<Redemption, VerifyError> {
    let key = trust.keys.get(&token.kid).ok_or(VerifyError::UnknownKey)?;
    if key.algorithm() != token.algorithm {
        return Err(VerifyError::Algorithm);
    }
    if !key.verify(token.signed.as_bytes(), &token.signature) {
        return Err(VerifyError::Signature);
    }
    let (claims, claims_hash) = (token.claims, token.claims_hash);
    for (name, holds) in [
        ("org", claims.org == trust.org),
        ("iss", claims.iss == expected.issuer),
        ("env", claims.env == expected.environment),
        ("exp", lifetime_holds(&claims)),
    ] {
        if !holds {
            return Err(VerifyError::Claim(name));
        }
    }
    if !expected.audiences.contains(&claims.aud) {
        return Err(VerifyError::Audience);
    }
    if claims.intent_hash != Hex(expected.intent_hash) {
        return Err(VerifyError::IntentHash);
    }
    let now = expected.now.as_seconds();
    let begins = claims.nbf.max(claims.iat);
    if begins > now.saturating_add(CLOCK_SKEW_SECONDS) {
        return Err(VerifyError::TooEarly(begins));
    }
    if now >= claims.exp {
        return Err(VerifyError::Expired(claims.exp));
    }
    if trust.revoked.covers(&claims) {
        return Err(VerifyError::Revoked);
    }
    if expected.stopped.why(&claims.aud).is_some() {
        return Err(VerifyError::Stopped);
    }
    let nonce_hash = claims.nonce.hash();
    Ok(Redemption { claims, claims_hash, nonce_hash, epoch: trust.epoch })
}

/// No token outlives the time for which keys and revocations are kept.
fn lifetime_holds(claims: &Claims) -> bool {
    claims.iat <= claims.nbf
        && claims.nbf < claims.exp
        && claims.exp.saturating_sub(claims.iat) <= Lifetime::LONGEST.as_seconds()
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
