//! Numbers of payment cards (ISO/IEC 7812): an issuer's prefix, its length, and Luhn's check digit.

use super::Found;
use super::groups::Digits;
use super::label::Label;
use super::word::Word;
use crate::kind::Kind;

/// How cards are embossed. What has one group has 13 to 19 digits.
const FORMS: [(&[usize], [&str; 2]); 5] = [
    (&[4, 4, 4, 4, 3], ["    ", "----"]),
    (&[4, 4, 4, 4], ["   ", "---"]),
    (&[4, 6, 5], ["  ", "--"]),
    (&[4, 6, 4], ["  ", "--"]),
    (&[6, 13], [" ", "-"]),
];

/// Six digits from and to, and which lengths go with them: bit `n` for `n` digits.
const ISSUERS: [(u32, u32, u32); 31] = [
    // Mir.
    (220_000, 220_499, SIXTEEN_TO_NINETEEN),
    // Mastercard.
    (222_100, 272_099, SIXTEEN),
    (510_000, 559_999, SIXTEEN),
    // Diners Club.
    (300_000, 305_999, FOURTEEN | SIXTEEN),
    (309_500, 309_599, FOURTEEN | SIXTEEN),
    (360_000, 369_999, FOURTEEN | SIXTEEN),
    (380_000, 399_999, FOURTEEN | SIXTEEN),
    // American Express.
    (340_000, 349_999, FIFTEEN),
    (370_000, 379_999, FIFTEEN),
    // JCB.
    (352_800, 358_999, SIXTEEN_TO_NINETEEN),
    // Visa.
    (400_000, 499_999, THIRTEEN | SIXTEEN | NINETEEN),
    // Maestro.
    (501_800, 501_899, THIRTEEN_TO_NINETEEN),
    (502_000, 502_099, THIRTEEN_TO_NINETEEN),
    (503_800, 503_899, THIRTEEN_TO_NINETEEN),
    (589_300, 589_399, THIRTEEN_TO_NINETEEN),
    (630_400, 630_499, THIRTEEN_TO_NINETEEN),
    (675_900, 676_399, THIRTEEN_TO_NINETEEN),
    // Elo.
    (504_175, 504_175, SIXTEEN),
    (506_699, 506_778, SIXTEEN),
    (509_000, 509_999, SIXTEEN),
    (636_297, 636_368, SIXTEEN),
    // Verve, Carnet.
    (506_099, 506_198, SIXTEEN_TO_NINETEEN),
    (506_199, 506_499, SIXTEEN),
    // RuPay.
    (508_500, 508_999, SIXTEEN),
    (606_985, 608_500, SIXTEEN),
    // Naranja, Cabal, Hipercard.
    (589_562, 589_562, SIXTEEN),
    (604_201, 604_219, SIXTEEN),
    (606_282, 606_282, SIXTEEN),
    // Discover, UnionPay, Troy.
    (601_100, 601_199, SIXTEEN_TO_NINETEEN),
    (620_000, 659_999, SIXTEEN_TO_NINETEEN),
    (979_200, 979_289, SIXTEEN),
];

const THIRTEEN: u32 = 1 << 13;
const FOURTEEN: u32 = 1 << 14;
const FIFTEEN: u32 = 1 << 15;
const SIXTEEN: u32 = 1 << 16;
const NINETEEN: u32 = 1 << 19;
const SIXTEEN_TO_NINETEEN: u32 = SIXTEEN | 1 << 17 | 1 << 18 | NINETEEN;
const THIRTEEN_TO_NINETEEN: u32 = THIRTEEN | FOURTEEN | FIFTEEN | SIXTEEN_TO_NINETEEN;

pub(super) fn find(word: &Word<'_, '_>) -> Found {
    let fits = |end: usize| {
        let digits = Digits::read(word.text, word.start, end);
        digits.is_some_and(|digits| is_card(digits.all())) && word.stands(end, Label::Card)
    };
    let length = word.groups.length();
    if (13..=19).contains(&length) {
        let end = word.groups.shaped(&[length], "")?;
        return fits(end).then_some((word.start, end, Kind::Card));
    }
    let forms =
        FORMS.iter().flat_map(|(lengths, separators)| separators.iter().map(move |marks| (lengths, marks)));
    let mut ends = forms.filter_map(|(lengths, marks)| word.groups.shaped(lengths, marks));
    ends.find(|end| fits(*end)).map(|end| (word.start, end, Kind::Card))
}

fn is_card(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(6).fold(0, |prefix, digit| prefix * 10 + u32::from(*digit));
    let length = 1_u32.checked_shl(u32::try_from(digits.len()).unwrap_or(u32::MAX)).unwrap_or(0);
    let issued =
        ISSUERS.iter().any(|(from, to, lengths)| (*from..=*to).contains(&prefix) && lengths & length != 0);
    issued && luhn(digits)
}

/// Luhn's check (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let twice = |digit: u8| if digit < 5 { digit * 2 } else { digit * 2 - 9 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(if place % 2 == 0 { *digit } else { twice(*digit) }))
        .sum();
    sum.is_multiple_of(10)
}
