use chancery_model::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::hash::Derivation;
use crate::{SeededRandom, SystemRandom};
use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hmac;

const PLAINTEXT: &[u8] = b"canary: attack at dawn";

fn key(number: u128) -> DataKey {
    DataKey::generate(Uuid::from_u128(number), &SystemRandom)
}

fn org(number: u8) -> Option<OrgId> {
    Some(OrgId::new(Timestamp::from_micros(1), [number; 10]))
}

fn place() -> Context<'static> {
    Context { org: org(1), table: "entries", column: "payload", row: "17", purpose: "record" }
}

#[test]
fn what_is_sealed_opens_with_its_key_in_its_place() {
    let key = key(1);
    for plaintext in [b"".as_slice(), b"a", PLAINTEXT, &[7; 5000]] {
        let envelope = seal(&key, &place(), plaintext, &SystemRandom);
        assert_eq!(envelope.len(), PREFIX_BYTES + plaintext.len() + TAG_BYTES);
        assert_eq!(envelope.capacity(), envelope.len(), "one allocation of the right size");
        assert_eq!(open(&key, &place(), &envelope).unwrap().as_slice(), plaintext);
        assert_eq!(sealed_under(&envelope).unwrap(), key.id());
    }
}

/// What each suite seals, with its number and hash.
fn suites(key: &DataKey, random: &dyn Random) -> [(u8, hmac::Algorithm, Vec<u8>); 2] {
    let sealed = |suite| key.sealer().seal_with(suite, &place(), PLAINTEXT, random);
    [(1, hmac::HMAC_SHA512, sealed(Suite::Sha512)), (2, hmac::HMAC_SHA256, sealed(Suite::Sha256))]
}

#[test]
fn the_header_is_laid_out_as_documented() {
    let envelope = seal(&key(9), &place(), PLAINTEXT, &SeededRandom::new(1));
    let random: &dyn Random = &SeededRandom::new(1);
    let salt: [u8; 32] = random.bytes();
    let nonce: [u8; 12] = random.bytes();
    assert_eq!(envelope[..3], [1, 0, 2]);
    assert_eq!(envelope[3..35], salt);
    assert_eq!(envelope[35..55], [0; 20]);
    assert_eq!(envelope[55..71], *Uuid::from_u128(9).as_bytes());
    assert_eq!(envelope[71..73], [0, 0]);
    assert_eq!(envelope[105..117], nonce);
}

#[test]
fn the_ciphertext_opens_by_the_documented_steps_alone() {
    let key = key(9);
    for (number, hash, envelope) in suites(&key, &SystemRandom) {
        let info = |word: &[u8]| [&[0, number], word].concat();
        let derivation = Derivation::new(hash, key.secret.expose_secret(), &envelope[3..35]);
        assert_eq!(envelope[1..3], [0, number]);
        assert_eq!(envelope[73..105], *derivation.output(&[&info(b"COMMITKEY")]));

        let mut bound = envelope[..105].to_vec();
        let org = *org(1).unwrap().as_uuid().as_bytes();
        let fields: [(&str, &[u8]); 5] = [
            ("column", b"payload"),
            ("org", &org),
            ("purpose", b"record"),
            ("row", b"17"),
            ("table", b"entries"),
        ];
        for part in fields.iter().flat_map(|(name, value)| [name.as_bytes(), value]) {
            bound.extend([[0; 7].as_slice(), &[part.len() as u8], part].concat());
        }
        let cipher = UnboundKey::new(&AES_256_GCM, &*derivation.output(&[&info(b"DERIVEKEY")])).unwrap();
        let nonce = Nonce::try_assume_unique_for_key(&envelope[105..117]).unwrap();
        let mut rest = envelope[117..].to_vec();
        let opened = LessSafeKey::new(cipher).open_in_place(nonce, Aad::from(bound), &mut rest).unwrap();
        assert_eq!(opened, PLAINTEXT);
    }
}

#[test]
fn both_suites_open_and_neither_under_the_number_of_the_other() {
    let key = key(1);
    for (number, _, mut envelope) in suites(&key, &SystemRandom) {
        assert_eq!(open(&key, &place(), &envelope).unwrap().as_slice(), PLAINTEXT);
        envelope[2] = 3 - number;
        assert!(matches!(open(&key, &place(), &envelope).unwrap_err(), OpenError::Commitment));
    }
}

#[test]
fn another_version_suite_or_layout_is_not_read() {
    let key = key(1);
    for at in [0, 1, 2, 71, 72] {
        let mut envelope = seal(&key, &place(), PLAINTEXT, &SystemRandom);
        envelope[at] ^= 4;
        assert!(matches!(open(&key, &place(), &envelope).unwrap_err(), OpenError::Malformed), "byte {at}");
        assert!(sealed_under(&envelope).is_err(), "byte {at}");
    }
}

#[test]
fn sealing_twice_gives_two_envelopes() {
    let key = key(1);
    let [one, two] = [(); 2].map(|()| seal(&key, &place(), PLAINTEXT, &SystemRandom));
    assert_ne!(one[3..35], two[3..35], "salts");
    assert_ne!(one[PREFIX_BYTES..], two[PREFIX_BYTES..], "ciphertexts");
}

#[test]
fn every_field_of_the_context_binds() {
    let key = key(1);
    let envelope = seal(&key, &place(), PLAINTEXT, &SystemRandom);
    for elsewhere in [
        Context { org: org(2), ..place() },
        Context { org: None, ..place() },
        Context { table: "intents", ..place() },
        Context { column: "salt", ..place() },
        Context { row: "18", ..place() },
        Context { purpose: "wrap", ..place() },
    ] {
        let error = open(&key, &elsewhere, &envelope).unwrap_err();
        assert!(matches!(error, OpenError::Altered), "{elsewhere:?}: {error}");
    }
}

#[test]
fn fields_that_read_the_same_in_a_row_are_still_different() {
    let key = key(1);
    let envelope = seal(&key, &Context { row: "a", table: "btablec", ..place() }, PLAINTEXT, &SystemRandom);
    assert!(open(&key, &Context { row: "atableb", table: "c", ..place() }, &envelope).is_err());
}

#[test]
fn another_key_does_not_open_even_under_the_same_name() {
    let envelope = seal(&key(1), &place(), PLAINTEXT, &SystemRandom);
    let other = open(&key(2), &place(), &envelope).unwrap_err();
    assert!(matches!(other, OpenError::WrongKey { sealed_under } if sealed_under == Uuid::from_u128(1)));
    // Refused by the commitment, before anything is decrypted.
    assert!(matches!(open(&key(1), &place(), &envelope).unwrap_err(), OpenError::Commitment));
}

#[test]
fn a_forged_commitment_is_refused_before_decryption() {
    let key = key(1);
    let mut envelope = seal(&key, &place(), PLAINTEXT, &SystemRandom);
    envelope[BOUND_BYTES - 1] ^= 1;
    assert!(matches!(open(&key, &place(), &envelope).unwrap_err(), OpenError::Commitment));
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    let key = key(1);
    let mut envelope = seal(&key, &place(), PLAINTEXT, &SystemRandom);
    for length in 0..envelope.len() {
        assert!(open(&key, &place(), &envelope[..length]).is_err(), "{length}");
        assert_eq!(sealed_under(&envelope[..length]).is_ok(), length >= PREFIX_BYTES + TAG_BYTES, "{length}");
    }
    envelope.push(0);
    assert!(open(&key, &place(), &envelope).is_err());
}

#[test]
fn every_flipped_bit_is_refused() {
    let key = key(1);
    let envelope = seal(&key, &place(), PLAINTEXT, &SystemRandom);
    for bit in 0..envelope.len() * 8 {
        let mut altered = envelope.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&key, &place(), &altered).is_err(), "bit {bit}");
    }
}

#[test]
fn a_wrapped_key_unwraps_as_itself_only() {
    let (parent, child) = (key(1), key(2));
    let bytes = wrap_under(&parent, &place(), &child, &SystemRandom);
    let again = unwrap_under(&parent, &place(), child.id(), &bytes).unwrap();
    let envelope = seal(&child, &place(), PLAINTEXT, &SystemRandom);
    assert_eq!(open(&again, &place(), &envelope).unwrap().as_slice(), PLAINTEXT);

    assert!(unwrap_under(&parent, &place(), Uuid::from_u128(3), &bytes).is_err(), "another child");
    assert!(unwrap_under(&key(3), &place(), child.id(), &bytes).is_err(), "another parent");
    assert!(unwrap_under(&parent, &Context { row: "18", ..place() }, child.id(), &bytes).is_err());
    let not_a_key = seal(&parent, &place(), PLAINTEXT, &SystemRandom);
    assert!(unwrap_under(&parent, &place(), child.id(), &not_a_key).is_err());
}

#[test]
fn debug_output_holds_no_secret() {
    let key = DataKey { id: Uuid::nil(), secret: SecretBox::new(Box::new([0xab; 32])) };
    assert_eq!(format!("{key:?}"), "DataKey { id: 00000000-0000-0000-0000-000000000000, .. }");
    assert!(!format!("{:?}", key.secret).contains("171"));
}

proptest! {
    #[test]
    fn anything_sealed_opens_and_any_change_does_not(
        plaintext in proptest::collection::vec(any::<u8>(), 0..300),
        row in "\\PC{0,40}",
        at in any::<proptest::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let key = key(5);
        let place = Context { row: &row, ..place() };
        let mut envelope = seal(&key, &place, &plaintext, &SystemRandom);
        let opened = open(&key, &place, &envelope).unwrap();
        prop_assert_eq!(&*opened, &plaintext);
        let at = at.index(envelope.len());
        envelope[at] ^= change;
        prop_assert!(open(&key, &place, &envelope).is_err());
    }

    #[test]
    fn different_contexts_have_different_bytes(
        one in ("[a-c]{0,3}", any::<bool>()), two in ("[a-c]{0,3}", any::<bool>()),
    ) {
        let bytes = |(row, has_org): &(String, bool)| {
            let mut out = Vec::new();
            Context { row, org: has_org.then(|| org(1)).flatten(), ..place() }.append_to(&mut out);
            out
        };
        prop_assert_eq!(one == two, bytes(&one) == bytes(&two));
    }
}
