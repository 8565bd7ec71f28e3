//! Signatures as JOSE uses them (RFC 7518 §3.3 and §3.4, RFC 8037).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey,
    RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::certain::certain;

/// The only public exponent we make or accept: 65537. One fewer thing for a key to differ in.
pub(crate) const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256; new keys have 2048 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256; a signature is `r ‖ s`, 64 bytes.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// The name JOSE gives it (`alg`).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no [`Algorithm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signing algorithm is `RS256`, `ES256` or `EdDSA`")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Rs256, Self::Es256, Self::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or(UnknownAlgorithm)
    }
}

/// Why a signing key can't be made or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The bytes are not a private key we use with this algorithm.
    #[error("not a PKCS#8 private key for {0}")]
    Rejected(Algorithm),
    /// The library failed; there is nothing in the arguments that explains it.
    #[error("{0} failed in the cryptographic library")]
    Failed(Algorithm),
}

/// A private key and its public half, parsed once.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// A new key, from the library's own randomness (it takes no other). RSA takes 50–500 ms: keep
    /// it off the threads that answer requests.
    ///
    /// # Errors
    /// When the library fails.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SignError> {
        let pair = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rsa),
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Ecdsa),
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::Ed25519),
        };
        Self::new(algorithm, pair.map_err(|_| SignError::Failed(algorithm))?)
    }

    /// A key from its PKCS#8 form (RFC 5958, DER, not encrypted).
    ///
    /// # Errors
    /// When the bytes are not a key of this algorithm (RSA: 2048 to 8192 bits, exponent 65537).
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, SignError> {
        let pair = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(Pair::Rsa),
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Pair::Ecdsa)
            }
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Pair::Ed25519),
        };
        Self::new(algorithm, pair.map_err(|_| SignError::Rejected(algorithm))?)
    }

    fn new(algorithm: Algorithm, pair: Pair) -> Result<Self, SignError> {
        let raw = match &pair {
            Pair::Rsa(rsa) => {
                let public = rsa.public_key();
                if public.exponent().big_endian_without_leading_zero() != RSA_EXPONENT {
                    return Err(SignError::Rejected(algorithm));
                }
                public.modulus().big_endian_without_leading_zero().to_vec()
            }
            Pair::Ecdsa(ecdsa) => ecdsa.public_key().as_ref().to_vec(),
            Pair::Ed25519(ed25519) => ed25519.public_key().as_ref().to_vec(),
        };
        let public = PublicKey::parse(algorithm, raw).map_err(|_| SignError::Rejected(algorithm))?;
        Ok(Self { pair, public })
    }

    /// The key in PKCS#8 form, to be sealed.
    ///
    /// # Panics
    /// When the machine has no memory left.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let der = match &self.pair {
            Pair::Rsa(rsa) => rsa.as_der().map(|der| der.as_ref().to_vec()),
            Pair::Ecdsa(ecdsa) => ecdsa.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Pair::Ed25519(ed25519) => ed25519.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
        };
        Zeroizing::new(certain(der, "a key that was parsed can be written"))
    }

    /// The signature of `message`, in the form JOSE uses.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        let signed: Result<Vec<u8>, Unspecified> = match &self.pair {
            Pair::Rsa(rsa) => {
                let mut out = vec![0; rsa.public_modulus_len()];
                rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut out).map(|()| out)
            }
            Pair::Ecdsa(ecdsa) => ecdsa.sign(&random, message).map(|out| out.as_ref().to_vec()),
            Pair::Ed25519(ed25519) => ed25519.try_sign(message).map(|out| out.as_ref().to_vec()),
        };
        signed.map_err(|_| SignError::Failed(self.public.algorithm))
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// A public key that verifies with one algorithm and no other.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    raw: Vec<u8>,
    parsed: Arc<ParsedPublicKey>,
}

impl PublicKey {
    /// An Ed25519 key from its 32 bytes (RFC 8032). Bytes that are no point verify nothing.
    #[must_use]
    pub fn from_ed25519(raw: &[u8; 32]) -> Self {
        certain(Self::parse(Algorithm::EdDsa, raw.to_vec()), "any 32 bytes are taken as an Ed25519 key")
    }

    pub(crate) fn parse(algorithm: Algorithm, raw: Vec<u8>) -> Result<Self, KeyRejected> {
        let parsed = match algorithm {
            Algorithm::Rs256 => RsaPublicKeyComponents { n: raw.as_slice(), e: RSA_EXPONENT.as_slice() }
                .to_parsed_public_key(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Es256 => ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, &raw),
            Algorithm::EdDsa => ParsedPublicKey::new(&signature::ED25519, &raw),
        }?;
        Ok(Self { algorithm, raw, parsed: Arc::new(parsed) })
    }

    /// The algorithm of the key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is this key's signature of `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }

    /// The bytes of the key: Ed25519 its 32 bytes; P-256 the uncompressed point (SEC 1, 65 bytes);
    /// RSA the modulus, big-endian (the exponent is always 65537).
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.raw.clone()
    }

    pub(crate) fn raw_bytes(&self) -> &[u8] {
        &self.raw
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        (self.algorithm, &self.raw) == (other.algorithm, &other.raw)
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm, self.thumbprint_text())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

    /// One key of each algorithm, made once: RSA takes its time.
    static KEYS: LazyLock<[SigningKey; 3]> =
        LazyLock::new(|| ALGORITHMS.map(|algorithm| SigningKey::generate(algorithm).unwrap()));

    #[test]
    fn a_signature_verifies_its_message_under_its_key_only() {
        for (key, bytes) in KEYS.iter().zip([256, 64, 64]) {
            let signature = key.sign(b"message").unwrap();
            assert_eq!(signature.len(), bytes);
            assert!(key.public().verify(b"message", &signature));
            assert!(!key.public().verify(b"Message", &signature));
            assert!(!key.public().verify(b"message", &[]));
            for at in 0..signature.len() {
                let mut altered = signature.clone();
                altered[at] ^= 1;
                assert!(!key.public().verify(b"message", &altered), "byte {at}");
                assert!(!key.public().verify(b"message", &signature[..at]), "length {at}");
            }
            for other in KEYS.iter().filter(|other| other.public() != key.public()) {
                assert!(!other.public().verify(b"message", &signature));
            }
        }
    }

    #[test]
    fn a_key_survives_pkcs8_under_its_algorithm_only() {
        for key in KEYS.iter() {
            let pkcs8 = key.to_pkcs8();
            for algorithm in ALGORITHMS {
                let again = SigningKey::from_pkcs8(algorithm, &pkcs8);
                if algorithm == key.public().algorithm() {
                    let again = again.unwrap();
                    assert_eq!(again.public(), key.public());
                    assert!(key.public().verify(b"m", &again.sign(b"m").unwrap()));
                } else {
                    assert_eq!(again.unwrap_err(), SignError::Rejected(algorithm));
                }
            }
            for length in 0..pkcs8.len() {
                assert!(SigningKey::from_pkcs8(key.public().algorithm(), &pkcs8[..length]).is_err());
            }
        }
    }

    #[test]
    fn a_short_rsa_key_or_one_with_another_exponent_is_refused() {
        // Made with openssl for this test: 1024 bits; 2048 bits with exponent 3.
        for pkcs8 in [
            include_bytes!("../tests/keys/rsa1024.pk8").as_slice(),
            include_bytes!("../tests/keys/rsa-e3.pk8"),
        ] {
            assert!(SigningKey::from_pkcs8(Algorithm::Rs256, pkcs8).is_err());
        }
    }

    #[test]
    fn ed25519_agrees_with_rfc_8032() {
        // RFC 8032 §7.1, test 2.
        let public = [
            0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc,
            0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c,
        ];
        let signature = [
            0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40,
            0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda,
            0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c,
            0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00,
        ];
        let key = PublicKey::from_ed25519(&public);
        assert!(key.verify(&[0x72], &signature));
        assert!(!key.verify(&[0x73], &signature));
        assert_eq!(key.raw(), public);
    }

    #[test]
    fn names_read_back() {
        for algorithm in ALGORITHMS {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.as_str());
            assert_eq!(serde_json::from_value::<Algorithm>(algorithm.as_str().into()).unwrap(), algorithm);
        }
        for wrong in ["", "none", "HS256", "rs256", "PS256", "ES384"] {
            assert_eq!(wrong.parse::<Algorithm>(), Err(UnknownAlgorithm));
        }
    }

    #[test]
    fn debug_output_holds_no_secret() {
        for key in KEYS.iter() {
            let expected = format!(
                "SigningKey {{ public: PublicKey({}, {}), .. }}",
                key.public().algorithm(),
                key.public().thumbprint_text()
            );
            assert_eq!(format!("{key:?}"), expected);
        }
    }
}
