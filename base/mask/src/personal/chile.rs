//! Chile: RUT, with the check digit of the Registro Civil, which may be a `K`.

use super::Found;
use super::groups::{Digits, is_date};
use super::label::Label;
use super::word::Word;
use crate::kind::Kind;
use crate::text::{ALNUM, is};

/// `12.345.678-5` or `12345678-5`; without its dash only after its name.
pub(super) fn rut(word: &Word<'_, '_>) -> Found {
    let (text, groups) = (word.text, &word.groups);
    let dotted = groups.begins(&[2, 3, 3], "..").or_else(|| groups.begins(&[1, 3, 3], ".."));
    let plain = groups.begins(&[8], "").or_else(|| groups.begins(&[7], ""));
    if let Some(body) = dotted.or(plain).filter(|body| text.at(*body) == b'-') {
        let digits = Digits::read(text, word.start, body)?;
        // A date and a number after it are a date and a number.
        let is_day = dotted.is_none() && is_date(digits.all()) && !word.is_called(Label::Chile);
        let fits = is_rut(digits.all(), text.at(body + 1)) && !is_day && word.stands(body + 2, Label::Chile);
        return fits.then_some((word.start, body + 2, Kind::Rut));
    }
    let body = word.end - 1;
    if !(8..=9).contains(&word.len()) || !word.is_called(Label::Chile) {
        return None;
    }
    let digits = Digits::read(text, word.start, body)?;
    let fits = digits.all().len() == word.len() - 1 && is_rut(digits.all(), text.at(body));
    (fits && word.stands(word.end, Label::Chile)).then_some((word.start, word.end, Kind::Rut))
}

fn is_rut(body: &[u8], check: u8) -> bool {
    let sum: u32 =
        body.iter().rev().zip((2..=7).cycle()).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    let expected = match 11 - sum % 11 {
        11 => b'0',
        10 => b'K',
        digit => b'0' + u8::try_from(digit).unwrap_or(0),
    };
    is(check, ALNUM) && check.to_ascii_uppercase() == expected
}
