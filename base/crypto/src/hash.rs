//! Hashes, comparison and derivation.

use aws_lc_rs::{constant_time, digest, hmac};
use zeroize::Zeroizing;

use crate::certain::certain;

/// SHA-256 (FIPS 180-4) of the concatenation of `parts`.
///
/// Nothing marks where one part ends: parts of varying length need their own framing. One part is hashed
/// in one call, which costs a third less than several: where there are many short ones to hash, and none is
/// secret, they are joined first.
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

/// HKDF (RFC 5869) of one secret and salt, for any number of 32-byte outputs. The library's own extracts
/// again for each output.
pub(crate) struct Derivation(Box<hmac::Key>);

impl Derivation {
    /// By HMAC with SHA-256 or a longer hash.
    pub(crate) fn new(algorithm: hmac::Algorithm, secret: &[u8; 32], salt: &[u8]) -> Self {
        let mut pseudorandom = wiped();
        let pseudorandom = sign(&hmac::Key::new(algorithm, salt), secret, &mut pseudorandom);
        Self(Box::new(hmac::Key::new(algorithm, pseudorandom)))
    }

    /// The output for `info`, the concatenation of its parts: the beginning of the first block (§2.3),
    /// which is as long as the hash.
    pub(crate) fn output(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut block = wiped();
        let block = sign(&self.0, &[&info.concat()[..], &[1]].concat(), &mut block);
        let mut out = Zeroizing::new([0; 32]);
        for (out, byte) in out.iter_mut().zip(block.iter()) {
            *out = *byte;
        }
        out
    }
}

/// Room for the longest tag.
fn wiped() -> Zeroizing<[u8; 64]> {
    Zeroizing::new([0; 64])
}

/// Into bytes that are wiped: the library's own tags are not.
fn sign<'a>(key: &hmac::Key, data: &[u8], out: &'a mut [u8; 64]) -> &'a [u8] {
    let tag = hmac::sign_to_buffer(key, data, out).map(|tag| &*tag);
    certain(tag, "64 bytes take any tag")
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
        let pairs = [(hmac::HMAC_SHA256, hkdf::HKDF_SHA256), (hmac::HMAC_SHA512, hkdf::HKDF_SHA512)];
        for (ours, theirs) in pairs {
            for length in [0_u8, 1, 32, 63, 64, 65, 127, 128, 129, 255] {
                let salt: Vec<u8> = (0..length).collect();
                let secret = [length; 32];
                let theirs = hkdf::Salt::new(theirs, &salt).extract(&secret);
                let mut expected = [0; 32];
                theirs.expand(&[b"in", b"fo"], Bytes32).unwrap().fill(&mut expected).unwrap();
                assert_eq!(*Derivation::new(ours, &secret, &salt).output(&[b"i", b"nfo"]), expected);
            }
        }
    }

    #[test]
    fn outputs_differ_by_hash_secret_salt_and_info() {
        let output = |hash, secret: u8, salt: &[u8], info: &[u8]| {
            *Derivation::new(hash, &[secret; 32], salt).output(&[info])
        };
        let (short, long) = (hmac::HMAC_SHA256, hmac::HMAC_SHA512);
        let one = output(short, 1, b"salt", b"info");
        assert_eq!(one, output(short, 1, b"salt", b"info"));
        for other in [
            output(long, 1, b"salt", b"info"),
            output(short, 2, b"salt", b"info"),
            output(short, 1, b"Salt", b"info"),
            output(short, 1, b"salt", b"Info"),
        ] {
            assert_ne!(one, other);
        }
    }
}
