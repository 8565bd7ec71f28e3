//! Mexico: CURP (RENAPO, Instructivo normativo) and RFC (SAT), each with its check digit.

use super::Found;
use super::label::Label;
use super::word::Word;
use crate::kind::Kind;
use crate::text::{ALNUM, DIGIT, LETTER, Text, is};

/// `HEGG560427MVZRRL04`: four letters, a date, the sex, state and consonants, a mark, a check digit.
pub(super) fn curp(word: &Word<'_, '_>) -> Found {
    const LENGTH: usize = 18;
    let text = word.text;
    let letters = |from: usize, to: usize| (from..to).all(|at| is(text.at(word.start + at), LETTER));
    if word.len() != LENGTH || !letters(0, 4) || !letters(11, 16) || !is_date(text, word.start + 4) {
        return None;
    }
    let sex = matches!(text.at(word.start + 10).to_ascii_uppercase(), b'H' | b'M' | b'X');
    let value = |at: usize| curp_value(text.at(word.start + at));
    let sum: u32 = (0..LENGTH - 1).zip((2..=18).rev()).map(|(at, weight)| value(at) * weight).sum();
    let checked = is(text.at(word.end - 1), DIGIT) && (10 - sum % 10) % 10 == value(LENGTH - 1);
    (sex && checked && word.stands(word.end, Label::Mexico)).then_some((word.start, word.end, Kind::Curp))
}

/// The place in `0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ`.
fn curp_value(byte: u8) -> u32 {
    match byte.to_ascii_uppercase() {
        digit @ b'0'..=b'9' => u32::from(digit - b'0'),
        letter @ b'A'..=b'N' => u32::from(letter - b'A') + 10,
        letter @ b'O'..=b'Z' => u32::from(letter - b'O') + 25,
        _ => 0,
    }
}

/// Whether six digits are a date, `YYMMDD`.
fn is_date(text: &Text<'_>, start: usize) -> bool {
    let digits = text.slice(start, start + 6);
    let [_, _, m, n, d, e] = digits else { return false };
    let number = |tens: u8, ones: u8| tens.wrapping_sub(b'0') * 10 + ones.wrapping_sub(b'0');
    digits.iter().all(|byte| is(*byte, DIGIT))
        && (1..=12).contains(&number(*m, *n))
        && (1..=31).contains(&number(*d, *e))
}

/// `GODE561231GR8`, `GODE-561231-GR8`: four letters of a person or three of an organization, among them
/// `Ñ` and `&`; a date; two marks; a check digit, which may be an `A`.
pub(super) fn rfc(word: &Word<'_, '_>) -> Found {
    let text = word.text;
    let date = (word.start..word.end).find(|at| is(text.at(*at), DIGIT))?;
    // The letters may be a word of their own, apart from a word that is only the date.
    let apart = date == word.start && matches!(text.before(date, 1), b'-' | b' ');
    let mark = text.before(date, 1);
    let letters_end = if apart { date - 1 } else { date };
    let marks = if apart && text.at(date + 6) == mark { date + 7 } else { date + 6 };
    let end = marks + 3;
    if date - word.start > 4 || apart != (marks > date + 6) || !is_date(text, date) || !text.ends_word(end) {
        return None;
    }
    let mut tail = [0; 9];
    for (place, value) in (date..date + 6).chain(marks..end).zip(&mut tail) {
        *value = Some(text.at(place)).filter(|byte| is(*byte, ALNUM)).map(rfc_value)?;
    }
    // The longer form first.
    [4, 3].into_iter().find_map(|count| {
        let (start, values) = letters_before(text, letters_end, count)?;
        let stands = start <= word.start && text.starts_word(start);
        (stands && is_rfc(&values, &tail)).then_some((start, end, Kind::Rfc))
    })
}

/// The values of `count` letters that end at `end`, and where they start. Three have a blank before them.
fn letters_before(text: &Text<'_>, end: usize, count: usize) -> Option<(usize, [u32; 4])> {
    let mut values = [37; 4];
    let mut start = end;
    for value in values.iter_mut().rev().take(count) {
        // Ñ and ñ are two bytes.
        if text.before(start, 2) == 0xc3 && matches!(text.before(start, 1), 0x91 | 0xb1) {
            *value = 38;
            start -= 2;
        } else {
            let byte = text.before(start, 1);
            *value = Some(byte).filter(|byte| is(*byte, LETTER) || *byte == b'&').map(rfc_value)?;
            start -= 1;
        }
    }
    Some((start, values))
}

/// The place in `0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ Ñ`.
fn rfc_value(byte: u8) -> u32 {
    if byte == b'&' { 24 } else { curp_value(byte) }
}

fn is_rfc(letters: &[u32; 4], tail: &[u32; 9]) -> bool {
    let [body @ .., check] = tail;
    let sum: u32 = letters.iter().chain(body).zip((2..=13).rev()).map(|(value, weight)| value * weight).sum();
    // 10 is written `A`, which has the value 10.
    (11 - sum % 11) % 11 == *check
}
