//! Sealed bytes, as whoever can write to the database may have changed them.

use chancery_crypto::{Context, DataKey, SeededRandom, open, seal, sealed_under};
use uuid::Uuid;

use crate::edit::edit;

const PLACE: Context<'_> =
    Context { org: None, table: "entries", column: "payload", row: "7", purpose: "payload" };

/// What the key did not seal does not open: not what was made up, not what was changed, not in another
/// place, not under another key. What it sealed opens as it was.
///
/// # Panics
/// When that does not hold.
pub fn envelope(data: &[u8]) {
    let random = SeededRandom::new(1);
    let [key, other] = [1, 2].map(|id| DataKey::generate(Uuid::from_u128(id), &random));
    assert!(open(&key, &PLACE, data).is_err(), "made-up bytes open");
    let named = sealed_under(data).is_ok();

    let (plaintext, script) = data.split_at(data.len() / 2);
    let sealed = seal(&key, &PLACE, plaintext, &random);
    assert_eq!(open(&key, &PLACE, &sealed).expect("it was sealed for here").as_slice(), plaintext);
    assert_eq!(sealed_under(&sealed).expect("it names its key"), key.id());
    assert!(!named || data.len() >= sealed.len() - plaintext.len(), "half an envelope names a key");
    assert!(open(&other, &PLACE, &sealed).is_err(), "it opens under another key");
    let row = String::from_utf8_lossy(script);
    let elsewhere = Context { row: &row, ..PLACE };
    assert!(row == PLACE.row || open(&key, &elsewhere, &sealed).is_err(), "it opens in another row");
    let edited = edit(&sealed, script);
    assert!(edited == sealed || open(&key, &PLACE, &edited).is_err(), "it opens though it was changed");
}
