//! How an envelope's keys are derived: what its suite says.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hmac;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::certain::certain;
use crate::hash::Derivation;
use crate::seal::Secret;

pub(crate) const COMMITMENT_BYTES: usize = 32;

/// How the keys of an envelope are derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    /// HKDF-SHA512: what was sealed before suite 2 is still opened.
    Sha512,
    /// HKDF-SHA256.
    Sha256,
}

impl Suite {
    pub(crate) const fn number(self) -> [u8; 2] {
        match self {
            Self::Sha512 => 1u16.to_be_bytes(),
            Self::Sha256 => 2u16.to_be_bytes(),
        }
    }

    pub(crate) fn of(number: [u8; 2]) -> Option<Self> {
        [Self::Sha512, Self::Sha256].into_iter().find(|suite| suite.number() == number)
    }

    const fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha512 => hmac::HMAC_SHA512,
            Self::Sha256 => hmac::HMAC_SHA256,
        }
    }
}

/// The keys of one envelope, of its data key and salt.
pub(crate) struct EnvelopeKeys {
    pub(crate) cipher: LessSafeKey,
    pub(crate) commitment: Zeroizing<[u8; COMMITMENT_BYTES]>,
}

impl EnvelopeKeys {
    pub(crate) fn derive(suite: Suite, secret: &Secret, salt: &[u8; 32]) -> Self {
        let derivation = Derivation::new(suite.hmac(), secret.expose_secret(), salt);
        let key = derivation.output(&[&suite.number(), b"DERIVEKEY"]);
        let key = certain(UnboundKey::new(&AES_256_GCM, &*key), "32 bytes are an AES-256 key");
        Self {
            cipher: LessSafeKey::new(key),
            commitment: derivation.output(&[&suite.number(), b"COMMITKEY"]),
        }
    }
}
