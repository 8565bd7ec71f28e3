//! Numbers of bank accounts (ISO 13616): a country, its length, and the remainder of 97.

use super::Found;
use super::label::Label;
use super::word::Word;
use crate::kind::Kind;
use crate::text::{DIGIT, LETTER, LOWER, UPPER, is};

/// The longest, that of Russia.
const LONGEST: usize = 33;

/// The countries of the registry (SWIFT, release 99), and how long their numbers are.
const LENGTHS: &[u8] = b"AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29\
ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21\
LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27\
SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

/// In one piece, or apart by blanks or dashes, as it is printed.
pub(super) fn find(word: &Word<'_, '_>) -> Found {
    let text = word.text;
    let (a, b) = (text.at(word.start), text.at(word.start + 1));
    let one_case = is(a, UPPER) && is(b, UPPER) || is(a, LOWER) && is(b, LOWER);
    if !one_case || !is(text.at(word.start + 2), DIGIT) || !is(text.at(word.start + 3), DIGIT) {
        return None;
    }
    let length = length_of([a.to_ascii_uppercase(), b.to_ascii_uppercase()])?;
    let (mut values, mut count, mut place) = ([0; LONGEST], 0, word.start);
    let letters = if is(a, UPPER) { UPPER } else { LOWER };
    while count < length {
        let byte = text.at(place);
        if is(byte, DIGIT | letters) {
            *values.get_mut(count)? = byte.to_ascii_uppercase();
            count += 1;
        } else if !matches!(byte, b' ' | b'-' | b'+') || !is(text.at(place + 1), DIGIT | LETTER) {
            return None;
        }
        place += 1;
    }
    let fits = remainder(values.get(..length)?) == 1 && word.stands(place, Label::Iberia);
    fits.then_some((word.start, place, Kind::Iban))
}

fn length_of(country: [u8; 2]) -> Option<usize> {
    let entry = LENGTHS.chunks_exact(4).find(|entry| entry.starts_with(&country))?;
    let [_, _, tens, ones] = entry else { return None };
    Some(usize::from((tens - b'0') * 10 + (ones - b'0')))
}

/// The remainder of 97 (ISO 7064, MOD 97-10): the first four characters last, letters as 10 to 35.
fn remainder(number: &[u8]) -> u32 {
    let (head, body) = number.split_at_checked(4).unwrap_or_default();
    body.iter().chain(head).fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.saturating_sub(b'A')) + 10) % 97,
    })
}
