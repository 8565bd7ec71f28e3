//! Reading a token, before anything in it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::{Algorithm, sha256};
use chancery_model::ijson;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Claims;

/// The `typ` of our tokens: no other JWS of the same keys can pass for one (RFC 8725 §3.11).
const TYPE: &str = "authority+jwt";

/// The longest token, in bytes. Ours have at most about 3,000.
const MAX_BYTES: usize = 8 * 1024;

/// Text that is not a token in the one form we write. For the log; a stranger hears `token_invalid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than any of our tokens.
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Not header, claims and signature.
    #[error("not three parts")]
    Parts,
    /// A part is not base64url, or has padding, or bits that no byte accounts for.
    #[error("the {0} is not canonical base64url")]
    Encoding(&'static str),
    /// The header has other members than ours (`crit`), an algorithm that we do not use (`none`), or
    /// another type.
    #[error("the header is not `alg`, `kid` and `typ` of an authority token")]
    Header,
    /// The claims are not those of our tokens, or a member stands twice.
    #[error("the claims are not those of an authority token")]
    Claims,
}

/// A token that is well-formed. Nothing in it is known to be true.
#[derive(Debug)]
pub struct UnverifiedToken<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: String,
    pub(crate) claims: Claims,
    pub(crate) claims_hash: [u8; 32],
    pub(crate) signed: &'a str,
    pub(crate) signature: Vec<u8>,
}

/// `jwk`, `jku`, `x5u`, `crit` and every other member are refused: a token does not say what it is
/// verified with, and changes no rule.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Algorithm,
    kid: String,
    typ: String,
}

/// The encoded header of every token that a key signs.
pub(crate) fn header(algorithm: Algorithm, kid: &str) -> String {
    BASE64URL.encode(json!({"alg": algorithm, "kid": kid, "typ": TYPE}).to_string())
}

impl<'a> UnverifiedToken<'a> {
    /// When it says that it expires, in seconds since the Unix epoch.
    #[must_use]
    pub const fn expires_at(&self) -> i64 {
        self.claims.exp
    }

    /// Reads the compact form (RFC 7515 §3.1), strictly: one token has one text.
    ///
    /// # Errors
    /// See [`Malformed`].
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        if text.len() > MAX_BYTES {
            return Err(Malformed::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Malformed::Parts)?;
        let (header, claims) = signed.split_once('.').ok_or(Malformed::Parts)?;
        if claims.contains('.') {
            return Err(Malformed::Parts);
        }
        let header: Header = read(&decode(header, "header")?).ok_or(Malformed::Header)?;
        if header.typ != TYPE {
            return Err(Malformed::Header);
        }
        let claims_text = decode(claims, "claims")?;
        let claims = read(&claims_text).ok_or(Malformed::Claims)?;
        let signature = decode(signature, "signature")?;
        let claims_hash = claims_hash(&claims_text);
        Ok(Self { algorithm: header.alg, kid: header.kid, claims, claims_hash, signed, signature })
    }

    /// The claims as they stand, true or not.
    #[must_use]
    pub const fn unverified_claims(&self) -> &Claims {
        &self.claims
    }
}

/// What the record keeps of the claims as they were signed: SHA-256 of `chancery/claims/v1` and their
/// text. The nonce in them makes it tell nothing about them.
pub(crate) fn claims_hash(text: &[u8]) -> [u8; 32] {
    sha256(&[b"chancery/claims/v1", text])
}

fn decode(part: &str, name: &'static str) -> Result<Vec<u8>, Malformed> {
    BASE64URL.decode(part).map_err(|_| Malformed::Encoding(name))
}

/// Reads what has no other spelling than the one we write: what it is read as writes the same value.
/// (Serde alone takes a list for an object, and an id without hyphens.)
fn read<T: Serialize + DeserializeOwned>(json: &[u8]) -> Option<T> {
    let value = ijson::parse(json).ok()?;
    let read: T = serde_json::from_value(value.clone()).ok()?;
    (serde_json::to_value(&read).ok()? == value).then_some(read)
}
