//! Bearer tokens of other issuers (RFC 6750): a signed token becomes an identity.
//!
//! Who the identity is here, if anybody, and what they may do, is for our own rows to say: nothing in a token
//! but its issuer, its subject and an e-mail address is read.

mod claims;
mod keys;
mod token;

use std::fmt;
use std::sync::Arc;

use chancery_crypto::Algorithm;
use chancery_egress::{Egress, Target};
use chancery_model::Clock;

pub use claims::{ClaimError, LEEWAY_SECONDS};
use keys::KeySet;
pub use keys::{COOLDOWN_SECONDS, KeyError, MAX_AGE_SECONDS, STALE_SECONDS};
pub use token::Malformed;
use token::UnverifiedBearer;

/// An issuer whose tokens are taken.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its name, exactly as its tokens' `iss` has it.
    pub name: String,
    /// What its tokens' `aud` must name.
    pub audience: String,
    /// The algorithms that it signs with: those of its keys that are of others do not count.
    pub algorithms: Vec<Algorithm>,
    /// Where its public keys are.
    pub keys: Target,
}

/// Why a token makes nobody known. A stranger hears no more than that it is not good, or that it expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// Not a token that could be verified.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// No issuer of ours.
    #[error("`iss` is no issuer whose tokens are taken")]
    Issuer,
    /// An algorithm that the issuer is not said to sign with, or not that of the key.
    #[error("the algorithm is not the issuer's, or not the key's")]
    Algorithm,
    /// No key of that name, or no keys at all.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The signature is not that key's, of these claims.
    #[error("the signature does not verify")]
    Signature,
    /// A claim is not what it must be.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

/// Whom an issuer vouches for: proof that its token was verified.
///
/// ```compile_fail,E0451
/// # use chancery_authenticate::bearer::Identity;
/// fn forges() -> Identity {
///     Identity { issuer: "https://evil.example".into(), subject: "1".into(), email: None, session: None }
/// }
/// ```
pub struct Identity {
    issuer: String,
    subject: String,
    email: Option<String>,
    session: Option<String>,
}

impl Identity {
    /// The issuer, as it is configured.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Who it is to the issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The e-mail address that the issuer says is theirs.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// The issuer's own session, where it names one.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }
}

/// A person is not for logs.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Knows people by the tokens of other issuers.
pub struct Bearers {
    issuers: Vec<(Issuer, KeySet)>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Bearers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.issuers.iter().map(|(issuer, _)| &issuer.name)).finish()
    }
}

impl Bearers {
    /// Takes the tokens of these issuers, whose keys are fetched through the way out when they are needed.
    #[must_use]
    pub fn new(issuers: Vec<Issuer>, egress: &Egress, clock: &Arc<dyn Clock>) -> Self {
        let with_keys = |issuer: Issuer| {
            let keys = KeySet::new(issuer.keys.clone(), egress.clone(), Arc::clone(clock));
            (issuer, keys)
        };
        Self { issuers: issuers.into_iter().map(with_keys).collect(), clock: Arc::clone(clock) }
    }

    /// Verifies a token: its issuer is one of ours, its algorithm one that the issuer signs with and that of the
    /// key it names, its signature that key's; and then what it claims.
    ///
    /// # Errors
    /// See [`BearerError`].
    pub async fn verify(&self, text: &str) -> Result<Identity, BearerError> {
        let token = UnverifiedBearer::parse(text)?;
        let named = claims::issuer(&token.claims)?;
        let (issuer, keys) =
            self.issuers.iter().find(|(issuer, _)| issuer.name == named).ok_or(BearerError::Issuer)?;
        if !issuer.algorithms.contains(&token.algorithm) {
            return Err(BearerError::Algorithm);
        }
        let key = keys.key(&token.kid).await?;
        if key.algorithm() != token.algorithm {
            return Err(BearerError::Algorithm);
        }
        if !key.verify(token.signed.as_bytes(), &token.signature) {
            return Err(BearerError::Signature);
        }
        let said = claims::read(&token.claims, &issuer.audience, self.clock.now().as_seconds())?;
        let claims::Claims { subject, email, session } = said;
        Ok(Identity { issuer: issuer.name.clone(), subject, email, session })
    }
}
