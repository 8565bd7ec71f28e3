//! Argentina: CUIT and CUIL, as AFIP (now ARCA) gives them out.

use super::Found;
use super::groups::{Digits, weigh};
use super::label::Label;
use super::word::Word;
use crate::kind::Kind;

/// What they begin with: persons, and organizations.
const TYPES: [u8; 9] = [20, 23, 24, 25, 26, 27, 30, 33, 34];

/// `20-12345678-6`, or its eleven digits: the type and the check digit leave one number in a hundred.
pub(super) fn cuit(word: &Word<'_, '_>) -> Found {
    let groups = &word.groups;
    let end = groups
        .shaped(&[2, 8, 1], "--")
        .or_else(|| groups.shaped(&[11], ""))
        .or_else(|| groups.shaped(&[2, 2, 3, 3, 1], "-..-"))
        .or_else(|| groups.shaped(&[2, 8, 1], "  "))
        .or_else(|| groups.shaped(&[2, 8, 1], "//"))?;
    let digits = Digits::read(word.text, word.start, end)?;
    (is_cuit(digits.all()) && word.stands(end, Label::Argentina)).then_some((word.start, end, Kind::Cuit))
}

fn is_cuit(digits: &[u8]) -> bool {
    let [tens, ones, ..] = digits else { return false };
    // A remainder that would need two digits is given another type instead.
    let sum = weigh(digits, [5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
    digits.len() == 11 && TYPES.contains(&(tens * 10 + ones)) && sum.is_multiple_of(11)
}
