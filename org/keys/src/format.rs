//! The text of an API key: `{prefix}_{live|test}_{id}{secret}{checksum}`.
//!
//! `id` is the key's UUID (16 bytes, 22 digits of base62), `secret` 32 random bytes (43 digits),
//! `checksum` the CRC-32 (IEEE) of everything before it (4 bytes, 6 digits). The checksum lets a
//! scanner tell a key from noise and lets us refuse a typo without a query; it protects nothing.

use std::fmt;
use std::str::FromStr;

use chancery_crypto::{Random, equal, sha256};
use chancery_model::{Environment, KeyId};
use secrecy::SecretString;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::base62;

const ID_DIGITS: usize = 22;
const SECRET_DIGITS: usize = 43;
const CHECKSUM_DIGITS: usize = 6;

/// Separates the hash of a key from every other SHA-256 of ours.
const HASH_DOMAIN: &[u8] = b"chancery/api-key/v1";

/// What an installation's keys begin with: 2–8 of `a-z`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(Box<str>);

/// Text that is no prefix for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key prefix is 2 to 8 of `a-z`")]
pub struct KeyPrefixError;

impl KeyPrefix {
    /// The prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyPrefix {
    type Err = KeyPrefixError;
    fn from_str(text: &str) -> Result<Self, KeyPrefixError> {
        let fits = (2..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase());
        if fits { Ok(Self(text.into())) } else { Err(KeyPrefixError) }
    }
}

impl Default for KeyPrefix {
    fn default() -> Self {
        Self("chn".into())
    }
}

/// Why a text is not a key. Known without looking it up, and says nothing about which keys exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFormatError {
    /// It does not look like a key of this installation.
    #[error("not an API key of this installation")]
    Shape,
    /// It looks like one, but for a typo.
    #[error("the API key is mistyped: its checksum does not match")]
    Checksum,
}

/// A well-formed key as somebody presented it: not yet known to exist.
pub struct Presented {
    /// What it claims to act on; the hash vouches for it.
    pub environment: Environment,
    /// Which key.
    pub id: KeyId,
    /// The secret.
    pub secret: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Presented {
    /// Reads the text of a key.
    ///
    /// # Errors
    /// See [`KeyFormatError`].
    pub fn parse(text: &str, prefix: &KeyPrefix) -> Result<Self, KeyFormatError> {
        Self::read(text.as_bytes(), prefix)
    }

    fn read(text: &[u8], prefix: &KeyPrefix) -> Result<Self, KeyFormatError> {
        let rest = text.strip_prefix(prefix.as_str().as_bytes()).and_then(|rest| rest.strip_prefix(b"_"));
        let (word, rest) = rest.and_then(|rest| rest.split_at_checked(4)).ok_or(KeyFormatError::Shape)?;
        let environment = Environment::ALL.iter().copied().find(|e| e.as_str().as_bytes() == word);
        let environment = environment.ok_or(KeyFormatError::Shape)?;
        let digits = rest.strip_prefix(b"_").ok_or(KeyFormatError::Shape)?;
        if digits.len() != ID_DIGITS + SECRET_DIGITS + CHECKSUM_DIGITS
            || !digits.iter().all(u8::is_ascii_alphanumeric)
        {
            return Err(KeyFormatError::Shape);
        }
        let (body, stated) =
            text.split_at_checked(text.len() - CHECKSUM_DIGITS).ok_or(KeyFormatError::Shape)?;
        let mut checksum = [0; 4];
        base62::decode(stated, &mut checksum).ok_or(KeyFormatError::Checksum)?;
        if u32::from_be_bytes(checksum) != crc32fast::hash(body) {
            return Err(KeyFormatError::Checksum);
        }
        let (id_digits, rest) = digits.split_at_checked(ID_DIGITS).ok_or(KeyFormatError::Shape)?;
        let (secret_digits, _) = rest.split_at_checked(SECRET_DIGITS).ok_or(KeyFormatError::Shape)?;
        let (mut id, mut secret) = ([0; 16], Zeroizing::new([0; 32]));
        base62::decode(id_digits, &mut id).ok_or(KeyFormatError::Shape)?;
        base62::decode(secret_digits, &mut *secret).ok_or(KeyFormatError::Shape)?;
        Ok(Self { environment, id: KeyId::from_uuid(Uuid::from_bytes(id)), secret })
    }

    /// What the store compares.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.environment, &self.secret)
    }
}

/// The SHA-256 of a key's secret and environment: a live key can't pass for a test key or the other
/// way round. A fast hash, because nobody guesses 32 random bytes.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    fn of(environment: Environment, secret: &[u8; 32]) -> Self {
        // Every part has a fixed length, so no framing is needed.
        Self(sha256(&[HASH_DOMAIN, environment.as_str().as_bytes(), secret]))
    }

    /// Whether both are of the same secret, in constant time.
    #[must_use]
    pub fn equals(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }

    /// What is stored.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// Makes the secret of a new key: its text, to be shown once, and the hash to store.
#[must_use]
pub fn mint(
    prefix: &KeyPrefix,
    environment: Environment,
    id: KeyId,
    random: &dyn Random,
) -> (SecretString, SecretHash) {
    let mut secret = Zeroizing::new([0; 32]);
    random.fill(&mut *secret);
    (write(prefix, environment, id, &secret), SecretHash::of(environment, &secret))
}

fn write(
    prefix: &KeyPrefix,
    environment: Environment,
    id: KeyId,
    secret: &Zeroizing<[u8; 32]>,
) -> SecretString {
    let most = prefix.as_str().len() + "_live_".len() + ID_DIGITS + SECRET_DIGITS + CHECKSUM_DIGITS;
    // Exactly as much as it needs: growing would leave a copy of the secret in freed memory.
    let mut text = String::with_capacity(most);
    for part in [prefix.as_str(), "_", environment.as_str(), "_"] {
        text.push_str(part);
    }
    base62::encode(id.as_uuid().into_bytes(), ID_DIGITS, &mut text);
    base62::encode(secret.clone(), SECRET_DIGITS, &mut text);
    let checksum = crc32fast::hash(text.as_bytes());
    base62::encode(checksum.to_be_bytes(), CHECKSUM_DIGITS, &mut text);
    text.into()
}

#[cfg(test)]
mod tests {
    use chancery_crypto::SeededRandom;
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    fn prefix() -> KeyPrefix {
        KeyPrefix::default()
    }

    fn made(environment: Environment, seed: u64) -> (KeyId, String, SecretHash) {
        let random = SeededRandom::new(seed);
        let id = KeyId::from_uuid(Uuid::from_bytes((&random as &dyn Random).bytes()));
        let (text, hash) = mint(&prefix(), environment, id, &random);
        (id, text.expose_secret().to_owned(), hash)
    }

    #[test]
    fn the_format_is_what_scanners_were_told() {
        let id = KeyId::from_uuid(Uuid::from_u128(1));
        let text = write(&prefix(), Environment::Live, id, &Zeroizing::new([0; 32]));
        let body = format!("chn_live_{}1{}", "0".repeat(21), "0".repeat(43));
        assert_eq!(text.expose_secret(), format!("{body}0AmY8V"));
        assert_eq!(text.expose_secret().len(), 80);
    }

    #[test]
    fn prefixes() {
        for good in ["ch", "chn", "abcdefgh"] {
            assert!(good.parse::<KeyPrefix>().is_ok(), "{good}");
        }
        for bad in ["", "c", "abcdefghi", "Ch", "c1", "c_", "é"] {
            assert!(bad.parse::<KeyPrefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_single_character_typo_is_refused() {
        let (_, text, _) = made(Environment::Live, 1);
        let letters = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_- \n\x00\xff";
        for at in 0..text.len() {
            for letter in letters {
                let mut typo = text.clone().into_bytes();
                if typo[at] != *letter {
                    typo[at] = *letter;
                    assert!(Presented::read(&typo, &prefix()).is_err(), "{at} {letter}");
                }
            }
            let mut short = text.clone();
            short.remove(at);
            assert!(Presented::parse(&short, &prefix()).is_err(), "without {at}");
        }
    }

    #[test]
    fn neighbours_swapped_are_refused() {
        let (_, text, _) = made(Environment::Test, 2);
        for at in 1..text.len() {
            let mut typo = text.clone().into_bytes();
            typo.swap(at - 1, at);
            assert!(typo == text.as_bytes() || Presented::read(&typo, &prefix()).is_err(), "{at}");
        }
    }

    #[test]
    fn another_prefix_or_environment_with_a_right_checksum_is_not_this_key() {
        let (id, text, hash) = made(Environment::Test, 3);
        assert_eq!(Presented::parse(&text, &"other".parse().unwrap()).unwrap_err(), KeyFormatError::Shape);
        let secret = Presented::parse(&text, &prefix()).unwrap().secret;
        let as_live = write(&prefix(), Environment::Live, id, &secret);
        let as_live = Presented::parse(as_live.expose_secret(), &prefix()).unwrap();
        assert!(!as_live.hash().equals(&hash));
    }

    #[test]
    fn an_id_or_secret_beyond_its_size_is_refused() {
        for digits in
            [format!("{}{}", "z".repeat(22), "0".repeat(43)), format!("{}{}", "0".repeat(22), "z".repeat(43))]
        {
            let mut text = format!("chn_live_{digits}");
            let checksum = crc32fast::hash(text.as_bytes());
            base62::encode(checksum.to_be_bytes(), CHECKSUM_DIGITS, &mut text);
            assert_eq!(Presented::parse(&text, &prefix()).unwrap_err(), KeyFormatError::Shape);
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let (_, text, hash) = made(Environment::Live, 4);
        let presented = Presented::parse(&text, &prefix()).unwrap();
        assert_eq!(format!("{hash:?}"), "SecretHash(..)");
        assert_eq!(format!("{presented:?}"), format!("Presented {{ id: {}, .. }}", presented.id));
    }

    proptest! {
        #[test]
        fn what_is_minted_is_read_back(seed: u64, live: bool) {
            let environment = if live { Environment::Live } else { Environment::Test };
            let (id, text, hash) = made(environment, seed);
            let presented = Presented::parse(&text, &prefix()).unwrap();
            prop_assert_eq!((presented.id, presented.environment), (id, environment));
            prop_assert!(presented.hash().equals(&hash));
        }

        #[test]
        fn arbitrary_text_never_panics_and_is_no_key(text: String) {
            prop_assert!(Presented::parse(&text, &prefix()).is_err());
        }

        #[test]
        fn text_of_the_right_shape_is_no_key_without_its_checksum(digits in "chn_(live|test)_[0-9A-Za-z]{71}") {
            prop_assert!(Presented::parse(&digits, &prefix()).is_err());
        }
    }
}
