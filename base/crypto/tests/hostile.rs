//! No function panics on the bytes it is given, and none of them open, unwrap or verify.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::LazyLock;

use chancery_crypto::{
    Algorithm, Context, Custody, DataKey, PublicKey, Sealed, SigningKey, SystemRandom, open, sealed_under,
    unwrap_under,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

const PLACE: Context<'_> = Context { org: None, table: "t", column: "c", row: "r", purpose: "p" };
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

static KEYS: LazyLock<[SigningKey; 3]> =
    LazyLock::new(|| ALGORITHMS.map(|algorithm| SigningKey::generate(algorithm).unwrap()));

/// Bytes that look like an envelope as far as the first `version ‖ suite`, or like nothing.
fn envelopes() -> impl Strategy<Value = Vec<u8>> {
    (0..3u8, prop::collection::vec(any::<u8>(), 0..400)).prop_map(|(suite, mut bytes)| {
        if suite > 0 && bytes.len() > 73 {
            bytes[..3].copy_from_slice(&[1, 0, suite]);
            bytes[71..73].copy_from_slice(&[0, 0]);
        }
        bytes
    })
}

fn members() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("RSA")),
        Just(json!("EC")),
        Just(json!("OKP")),
        Just(json!("P-256")),
        Just(json!("Ed25519")),
        Just(json!("AQAB")),
        Just(Value::Null),
        Just(json!(["verify"])),
        any::<i64>().prop_map(Value::from),
        "[A-Za-z0-9_-]{0,44}".prop_map(Value::from),
        "[A-Za-z0-9_-]{42,43}".prop_map(Value::from),
        "[A-Za-z0-9_-]{342}".prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn envelopes_of_any_bytes(bytes in envelopes()) {
        let key = DataKey::generate(Uuid::nil(), &SystemRandom);
        let _ = sealed_under(&bytes);
        prop_assert!(open(&key, &PLACE, &bytes).is_err());
        prop_assert!(unwrap_under(&key, &PLACE, Uuid::nil(), &bytes).is_err());
        prop_assert!(Sealed::<Value>::from_bytes(bytes).open(&key, &PLACE).is_err());
    }

    #[test]
    fn keys_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>()) {
        for (algorithm, key) in ALGORITHMS.into_iter().zip(KEYS.iter()) {
            prop_assert!(SigningKey::from_pkcs8(algorithm, &bytes).is_err());
            let mut altered = key.to_pkcs8();
            let at = at.index(altered.len());
            altered[at] ^= bytes.first().copied().unwrap_or(1);
            if let Ok(key) = SigningKey::from_pkcs8(algorithm, &altered) {
                let _ = key.sign(&bytes);
            }
        }
    }

    #[test]
    fn signatures_and_raw_keys_of_any_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..300), raw in any::<[u8; 32]>(),
    ) {
        for key in KEYS.iter() {
            prop_assert!(!key.public().verify(b"message", &bytes));
        }
        let key = PublicKey::from_ed25519(&raw);
        let _ = key.verify(b"message", &bytes);
        let _ = key.to_jwk("kid");
    }

    #[test]
    fn jwks_of_any_members(
        jwk in prop::collection::hash_map(
            prop::sample::select(vec!["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "d", "kid"]),
            members(), 0..8,
        ),
    ) {
        let jwk: Value = jwk.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if let Ok(key) = PublicKey::from_jwk(&jwk) {
            prop_assert!(!key.verify(b"message", &[7; 64]));
            prop_assert_eq!(PublicKey::from_jwk(&key.to_jwk("kid")), Ok(key));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn key_files_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), line in "[ -~\n]{0,80}") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek.toml");
        let custody = Custody::create(&path, &SystemRandom).unwrap();
        prop_assert!(custody.unwrap(&PLACE, Uuid::nil(), &bytes).is_err());
        let good = fs::read(&path).unwrap();
        for content in [bytes.clone(), [&good, bytes.as_slice()].concat(), [line.as_bytes(), &good].concat()] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let _ = Custody::load(&path);
        }
    }
}
