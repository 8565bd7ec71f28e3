//! Portugal: NIF. Spain: NIF of citizens (DNI) and NIE of foreigners.

use super::Found;
use super::groups::{Digits, weigh};
use super::label::Label;
use super::word::Word;
use crate::kind::Kind;
use crate::text::{Text, UPPER, is};

/// The check letters of Spain, by the remainder of 23 (Real Decreto 1553/2005).
const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
/// What a Portuguese NIF begins with, by one digit or by two.
const ONES: [u8; 6] = [1, 2, 3, 5, 6, 8];
const TWOS: [u8; 13] = [45, 70, 71, 72, 74, 75, 77, 78, 79, 90, 91, 98, 99];

/// Spain: `12345678Z`, `12345678-Z`, `12.345.678-Z`. Portugal: nine digits, and only after their name:
/// one in ten of all numbers that long would pass.
pub(super) fn nif(word: &Word<'_, '_>) -> Found {
    citizen(word).or_else(|| portugal(word))
}

fn citizen(word: &Word<'_, '_>) -> Found {
    let (text, groups) = (word.text, &word.groups);
    let body = groups.begins(&[8], "").or_else(|| groups.begins(&[2, 3, 3], ".."))?;
    let letter = if text.at(body) == b'-' { body + 1 } else { body };
    let fits = has_letter(text, word.start, letter, 0)
        && (is(text.at(letter), UPPER) || word.is_called(Label::Iberia));
    (fits && word.stands(letter + 1, Label::Iberia)).then_some((word.start, letter + 1, Kind::Nif))
}

fn portugal(word: &Word<'_, '_>) -> Found {
    let end = word.groups.shaped(&[9], "").or_else(|| word.groups.shaped(&[3, 3, 3], "  "))?;
    let digits = Digits::read(word.text, word.start, end)?;
    let fits =
        is_portuguese(digits.all()) && word.is_called(Label::Iberia) && word.stands(end, Label::Iberia);
    fits.then_some((word.start, end, Kind::Nif))
}

/// `X1234567L`, `X-1234567-L`; and each number with the country before it, as for VAT: `PT123456789`,
/// `ES12345678Z`.
pub(super) fn with_country(word: &Word<'_, '_>) -> Found {
    let text = word.text;
    let start = if text.has(word.start, b"ES") { word.start + 2 } else { word.start };
    if let Some(end) = foreigner_end(text, start) {
        return word.stands(end, Label::Iberia).then_some((word.start, end, Kind::Nie));
    }
    let digits = |length: usize| Digits::read(text, word.start + 2, word.start + 2 + length);
    let fits = word.len() == 11
        && match text.slice(word.start, word.start + 2) {
            b"PT" => digits(9).is_some_and(|digits| is_portuguese(digits.all())),
            b"ES" => {
                digits(8).is_some_and(|digits| digits.all().len() == 8)
                    && has_letter(text, start, start + 8, 0)
            }
            _ => false,
        };
    (fits && word.stands(word.end, Label::Iberia)).then_some((word.start, word.end, Kind::Nif))
}

/// Where a NIE ends: `X`, `Y` or `Z`, seven digits, and a letter, with or without dashes.
fn foreigner_end(text: &Text<'_>, start: usize) -> Option<usize> {
    let first = text.at(start).checked_sub(b'X').filter(|first| *first < 3)?;
    let dash = |place: usize| place + usize::from(text.at(place) == b'-');
    let body = dash(start + 1);
    if !text.slice(body, body + 7).iter().all(u8::is_ascii_digit) {
        return None;
    }
    let letter = dash(body + 7);
    (is(text.at(letter), UPPER) && has_letter(text, body, letter, first)).then_some(letter + 1)
}

/// Whether the check letter at `letter` is that of the digits before it, `first` before them.
fn has_letter(text: &Text<'_>, start: usize, letter: usize, first: u8) -> bool {
    let Some(digits) = Digits::read(text, start, letter) else { return false };
    let number = digits.all().iter().fold(u32::from(first), |number, digit| number * 10 + u32::from(*digit));
    let expected = usize::try_from(number % 23).ok().and_then(|place| LETTERS.get(place));
    digits.all().len() >= 7 && expected == Some(&text.at(letter).to_ascii_uppercase())
}

/// The check digit is modulus 11, and 0 where that would be two digits.
fn is_portuguese(digits: &[u8]) -> bool {
    let [body @ .., check] = digits else { return false };
    let [tens, ones, ..] = body else { return false };
    let expected = match weigh(body, (2..=9).rev()) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    let given = ONES.contains(tens) || TWOS.contains(&(tens * 10 + ones));
    body.len() == 8 && given && expected == u32::from(*check)
}
