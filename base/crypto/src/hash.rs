//! Hashes, comparison and derivation.

use aws_lc_rs::{constant_time, digest, hmac};
use zeroize::Zeroizing;

use crate::certain::certain;

/// SHA-256 (FIPS 180-4) of the concatenation of `parts`.
///
/// Nothing marks where one part ends: parts of varying length need their own framing.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let hashed = match parts {
        // In one call, which needs no context on the heap.
        [whole] => digest::digest(&digest::SHA256, whole),
        parts => {
            let mut context = digest::Context::new(&digest::SHA256);
            parts.iter().for_each(|part| context.update(part));
            context.finish()
        }
    };
    let mut out = [0; 32];
    out.copy_from_slice(hashed.as_ref());
    out
}

/// Whether two byte strings are equal, in time that depends on their lengths alone.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// HKDF-SHA512 (RFC 5869) of one secret and salt, for any number of 32-byte outputs. The library's own
/// extracts again for each output.
pub(crate) struct Derivation(Box<hmac::Key>);

impl Derivation {
    pub(crate) fn new(secret: &[u8; 32], salt: &[u8]) -> Self {
        let pseudorandom = hmac_sha512(&hmac::Key::new(hmac::HMAC_SHA512, salt), secret);
        Self(Box::new(hmac::Key::new(hmac::HMAC_SHA512, &*pseudorandom)))
    }

    /// The output for `info`, the concatenation of its parts: the beginning of the first block (§2.3),
    /// which has 64 bytes.
    pub(crate) fn output(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let block = hmac_sha512(&self.0, &[&info.concat()[..], &[1]].concat());
        let mut out = Zeroizing::new([0; 32]);
        for (out, byte) in out.iter_mut().zip(block.iter()) {
            *out = *byte;
        }
        out
    }
}

/// Into bytes that are wiped: the library's own tags are not.
fn hmac_sha512(key: &hmac::Key, data: &[u8]) -> Zeroizing<[u8; 64]> {
    let mut out = Zeroizing::new([0; 64]);
    certain(hmac::sign_to_buffer(key, data, &mut *out), "a buffer of the length of the tag takes it");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_of_the_concatenation() {
        let abc = [
            0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
            0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
        ];
        assert_eq!(sha256(&[b"abc"]), abc); // FIPS 180-4, example 1
        assert_eq!(sha256(&[b"a", b"", b"bc"]), abc);
    }

    #[test]
    fn equality_is_of_content_and_length() {
        assert!(equal(b"abc", b"abc") && equal(b"", b""));
        assert!(!equal(b"abc", b"abd") && !equal(b"abc", b"ab") && !equal(b"", b"a"));
    }

    #[test]
    fn outputs_are_those_of_the_librarys_hkdf() {
        use aws_lc_rs::hkdf;
        struct Bytes32;
        impl hkdf::KeyType for Bytes32 {
            fn len(&self) -> usize {
                32
            }
        }
        for length in [0_u8, 1, 32, 127, 128, 129, 255] {
            let salt: Vec<u8> = (0..length).collect();
            let secret = [length; 32];
            let theirs = hkdf::Salt::new(hkdf::HKDF_SHA512, &salt).extract(&secret);
            let mut expected = [0; 32];
            theirs.expand(&[b"in", b"fo"], Bytes32).unwrap().fill(&mut expected).unwrap();
            assert_eq!(*Derivation::new(&secret, &salt).output(&[b"i", b"nfo"]), expected);
        }
    }

    #[test]
    fn outputs_differ_by_secret_salt_and_info() {
        let output =
            |secret: u8, salt: &[u8], info: &[u8]| *Derivation::new(&[secret; 32], salt).output(&[info]);
        let one = output(1, b"salt", b"info");
        assert_eq!(one, output(1, b"salt", b"info"));
        for other in [output(2, b"salt", b"info"), output(1, b"Salt", b"info"), output(1, b"salt", b"Info")] {
            assert_ne!(one, other);
        }
    }
}
