//! The text of an API key.

use chancery_crypto::Random;
use chancery_keys::format::{KeyPrefix, Presented, mint};
use chancery_model::{Environment, KeyId};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::edit::edit;

/// Randomness that is not random.
struct Given([u8; 32]);

impl Random for Given {
    fn fill(&self, out: &mut [u8]) {
        out.iter_mut().zip(self.0.iter().cycle()).for_each(|(out, byte)| *out = *byte);
    }
}

fn write(environment: Environment, id: KeyId, secret: [u8; 32]) -> SecretString {
    mint(&KeyPrefix::default(), environment, id, &Given(secret)).0
}

/// A key has one text: what reads as a key is what would be written for it, and what was written reads
/// as itself. One wrong character is noticed without a query.
///
/// # Panics
/// When that does not hold.
pub fn api_key(data: &[u8]) {
    read(&String::from_utf8_lossy(data));
    let Some((&[which], rest)) = data.split_first_chunk::<1>() else { return };
    let Some((id, rest)) = rest.split_first_chunk::<16>() else { return };
    let Some((secret, script)) = rest.split_first_chunk::<32>() else { return };
    let environment = if which & 1 == 0 { Environment::Live } else { Environment::Test };
    let id = KeyId::from_uuid(Uuid::from_bytes(*id));
    let (text, hash) = mint(&KeyPrefix::default(), environment, id, &Given(*secret));
    let text = text.expose_secret();
    let presented = Presented::parse(text, &KeyPrefix::default()).expect("what was minted reads");
    assert_eq!((presented.environment, presented.id, *presented.secret), (environment, id, *secret));
    assert!(presented.hash().equals(&hash), "the hash of what was minted is what is stored");

    let edited = String::from_utf8_lossy(&edit(text.as_bytes(), script)).into_owned();
    read(&edited);
    let wrong = text.bytes().zip(edited.bytes()).filter(|(one, two)| one != two).count();
    if edited.len() == text.len() && wrong == 1 {
        assert!(Presented::parse(&edited, &KeyPrefix::default()).is_err(), "a typo passes for a key");
    }
}

fn read(text: &str) {
    if let Ok(presented) = Presented::parse(text, &KeyPrefix::default()) {
        let written = write(presented.environment, presented.id, *presented.secret);
        assert_eq!(written.expose_secret(), text, "one key has two texts");
    }
}
