//! What tells who a person is: addresses, telephone numbers, cards, accounts, national numbers.

mod argentina;
mod brazil;
mod card;
mod chile;
mod email;
mod groups;
mod iban;
mod iberia;
mod label;
mod mexico;
mod phone;
mod word;

use self::word::Word;
use crate::kind::Kind;
use crate::secret::discord;
use crate::span::{Span, add};
use crate::text::{ALNUM, DIGIT, Text, is};

/// Something that was found: where it starts and ends, and its kind.
type Found = Option<(usize, usize, Kind)>;
type Finder = fn(&Word<'_, '_>) -> Found;

/// Tried in this order at digits.
const NUMBERS: [Finder; 9] = [
    card::find,
    brazil::cnpj,
    brazil::cpf,
    argentina::cuit,
    chile::rut,
    iberia::nif,
    mexico::rfc,
    brazil::cnpj_with_letters,
    phone::national,
];

/// Tried in this order at a word that begins with digits and has letters too.
const NUMBERS_WITH_LETTERS: [Finder; 4] = [iberia::nif, chile::rut, mexico::rfc, brazil::cnpj_with_letters];

/// Tried in this order at a word that begins with a letter and has digits too.
const CODES: [Finder; 5] =
    [iban::find, mexico::curp, mexico::rfc, iberia::with_country, brazil::cnpj_with_letters];

/// Adds what is personal to the secrets of a line, in order, from `from` on. Nothing of it reaches into
/// a secret.
pub(crate) fn find(text: &Text<'_>, from: usize, spans: &mut Vec<Span>) {
    let secrets = std::mem::take(spans);
    // The first part has what was searched before to look back at.
    let (mut start, mut floor) = (0, from);
    for secret in secrets {
        between(text, (start, secret.start), floor, spans);
        spans.push(secret);
        (start, floor) = (secret.end, secret.end);
    }
    between(text, (start, text.len()), floor, spans);
}

fn between(line: &Text<'_>, (start, end): (usize, usize), floor: usize, spans: &mut Vec<Span>) {
    if end <= floor {
        return;
    }
    let text = line.part(start, end, (start > 0, end < line.len()));
    let floor = floor - start;
    let mut place = floor;
    while place < text.len() {
        let (next, found) = step(&text, floor, place);
        place = next;
        // An address may begin with what was taken for a number.
        if let Some((from, to, kind)) = found
            && from >= floor
        {
            add(spans, Span::of(kind, start + from, start + to));
            place = to;
        }
    }
    #[cfg(test)]
    line.reads.set(line.reads.get() + text.reads.get());
}

/// What is found at a place, and where to go on when nothing is. Nothing reaches back beyond `floor`.
fn step(text: &Text<'_>, floor: usize, place: usize) -> (usize, Found) {
    let next = place + 1;
    match text.at(place) {
        byte if is(byte, ALNUM) => at_word(text, place),
        b'@' => (next, email::find(text, floor, place, next)),
        b'%' if text.has(place, b"%40") => (place + 3, email::find(text, floor, place, place + 3)),
        b'%' if text.has_any_case(place, b"%2B") => (place + 3, phone::international(text, place, place + 3)),
        b'%' if text.escape_before(place + 3) == Some(place) => (place + 3, None),
        b'+' => (next, phone::international(text, place, next)),
        b'(' => (next, phone::in_brackets(text, place)),
        0x1b => (text.colour_end(place).unwrap_or(next), None),
        b'\\' if text.escape_before(place + 2) == Some(place) => (place + 2, None),
        b'\\' if text.escape_before(place + 6) == Some(place) => (place + 6, None),
        _ => (next, None),
    }
}

fn at_word(text: &Text<'_>, start: usize) -> (usize, Found) {
    let (mut end, mut digits) = (start, 0);
    while end < text.len() && is(text.at(end), ALNUM) {
        digits += usize::from(is(text.at(end), DIGIT));
        end += 1;
    }
    if let Some(end) = discord(text, start, end) {
        return (end, Some((start, end, Kind::Token)));
    }
    // Two letters and a dot may begin a CNPJ, a letter and a dash a NIE; no other number begins with a
    // word without a digit.
    let may_begin = digits > 0 || matches!((end - start, text.at(end)), (2, b'.') | (1, b'-'));
    if !may_begin || !text.starts_word(start) {
        return (end, None);
    }
    let word = Word::read(text, start, end);
    let finders: &[Finder] = if !is(text.at(start), DIGIT) {
        &CODES
    } else if digits < end - start {
        &NUMBERS_WITH_LETTERS
    } else if word.groups.is_short() {
        // A bare number of few digits is nobody's, unless it begins what has letters too.
        match (digits, text.at(end)) {
            (2, b'.') => &[brazil::cnpj_with_letters],
            (6, b'-' | b' ') => &[mexico::rfc],
            _ => return (end, None),
        }
    } else {
        &NUMBERS
    };
    (end, finders.iter().find_map(|find| find(&word)))
}
