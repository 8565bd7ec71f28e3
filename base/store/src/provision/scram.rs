//! SCRAM-SHA-256 verifiers, so that a password never travels in a statement.

use std::num::NonZeroU32;

use aws_lc_rs::{hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancery_crypto::Random;
use zeroize::Zeroizing;

/// What Postgres itself uses (`scram_iterations`). Our passwords are random keys: more would only
/// slow down every connection.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// The text that Postgres stores for a password (RFC 5803 in its own dress):
/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
pub(super) fn verifier(password: &str, random: &dyn Random) -> String {
    with_salt(password, &random.bytes())
}

fn with_salt(password: &str, salt: &[u8; 16]) -> String {
    let mut salted = Zeroizing::new([0; 32]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, password.as_bytes(), salted.as_mut());
    // RFC 5802 §3: StoredKey = H(HMAC(SaltedPassword, "Client Key")), ServerKey likewise, unhashed.
    let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_ref());
    let stored_key = chancery_crypto::sha256(&[hmac::sign(&key, b"Client Key").as_ref()]);
    let server_key = hmac::sign(&key, b"Server Key");
    format!(
        "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
        STANDARD.encode(salt),
        STANDARD.encode(stored_key),
        STANDARD.encode(server_key)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677 §3: user, pencil.
    #[test]
    fn matches_the_published_exchange() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        assert_eq!(
            with_salt("pencil", &salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }
}
