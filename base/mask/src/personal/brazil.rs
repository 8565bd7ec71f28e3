//! Brazil: CPF and CNPJ, with the check digits that Receita Federal defines.

use super::Found;
use super::groups::{Digits, is_date, weigh};
use super::label::Label;
use super::word::Word;
use crate::kind::Kind;
use crate::text::{DIGIT, LETTER, UPPER, is};

const CNPJ_WEIGHTS: [u32; 13] = [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];

/// `529.982.247-25`, or its eleven digits: two check digits are evidence enough.
pub(super) fn cpf(word: &Word<'_, '_>) -> Found {
    let groups = &word.groups;
    let end = groups
        .shaped(&[3, 3, 3, 2], "..-")
        .or_else(|| groups.shaped(&[11], ""))
        .or_else(|| groups.shaped(&[9, 2], "-"))
        .or_else(|| groups.shaped(&[3, 3, 3, 2], "   "))
        .or_else(|| groups.shaped(&[3, 3, 3, 2], "---"))?;
    let digits = Digits::read(word.text, word.start, end)?;
    (is_cpf(&digits) && word.stands(end, Label::Brazil)).then_some((word.start, end, Kind::Cpf))
}

fn is_cpf(digits: &Digits) -> bool {
    let [body @ .., first, second] = digits.all() else { return false };
    let check = |sum: u32| sum * 10 % 11 % 10;
    body.len() == 9
        && !digits.are_one()
        && check(weigh(body, (2..=10).rev())) == u32::from(*first)
        && check(weigh(digits.all(), (2..=11).rev())) == u32::from(*second)
}

/// `11.222.333/0001-81`, or its fourteen digits, unless they read as a time, which many logs have.
pub(super) fn cnpj(word: &Word<'_, '_>) -> Found {
    let groups = &word.groups;
    let bare = groups.shaped(&[14], "");
    let end = groups
        .shaped(&[2, 3, 3, 4, 2], "../-")
        .or(bare)
        .or_else(|| groups.shaped(&[8, 4, 2], "/-"))
        .or_else(|| groups.shaped(&[12, 2], "-"))?;
    let digits = Digits::read(word.text, word.start, end)?;
    let is_time = bare.is_some() && is_date(digits.all()) && !word.is_called(Label::Brazil);
    let fits = is_cnpj(digits.all()) && !digits.are_one() && !is_time && word.stands(end, Label::Brazil);
    fits.then_some((word.start, end, Kind::Cnpj))
}

/// The values are those of the characters, less that of `0`: 0 to 9 for digits, 17 to 42 for letters.
fn is_cnpj(values: &[u8]) -> bool {
    let [body @ .., first, second] = values else { return false };
    let check = |sum: u32| if sum % 11 < 2 { 0 } else { 11 - sum % 11 };
    body.len() == 12
        && check(weigh(body, CNPJ_WEIGHTS.into_iter().skip(1))) == u32::from(*first)
        && check(weigh(values, CNPJ_WEIGHTS)) == u32::from(*second)
}

/// The form with letters, given out since July 2026 (Instrução Normativa RFB 2.229/2024):
/// `12.ABC.345/01DE-35`; without its punctuation only after its name.
pub(super) fn cnpj_with_letters(word: &Word<'_, '_>) -> Found {
    let text = word.text;
    let plain = word.len() == 14 && word.is_called(Label::Brazil);
    let form: &[u8] = if plain { b"00000000000000" } else { b"00.000.000/0000-00" };
    let (mut values, mut letters) = ([0; 14], false);
    let mut places = values.iter_mut();
    for (offset, expected) in form.iter().enumerate() {
        let byte = text.at(word.start + offset);
        match expected {
            b'0' if is(byte, DIGIT | UPPER) => {
                letters |= is(byte, LETTER);
                if let Some(value) = places.next() {
                    *value = byte - b'0';
                }
            }
            _ if byte == *expected && !is(byte, DIGIT) => {}
            _ => return None,
        }
    }
    let end = word.start + form.len();
    // The check digits are digits, as the comparison with them shows.
    (letters && is_cnpj(&values) && word.stands(end, Label::Brazil)).then_some((word.start, end, Kind::Cnpj))
}
