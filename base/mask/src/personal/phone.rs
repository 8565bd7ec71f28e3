//! Telephone numbers: E.164, and the forms that are written where no country is.
//!
//! Digits alone are never one: ids, times and sizes would go with them. What decides is a `+`, brackets
//! about an area code, a name before the number, or groups as only telephone numbers have them.

use super::Found;
use super::groups::{Groups, separator};
use super::label::Label;
use super::word::Word;
use crate::kind::Kind;
use crate::text::{DIGIT, Text, is};

/// E.164: fifteen digits at most, with the country's.
const MOST: usize = 15;
/// The shortest with a country's code that are in use.
const LEAST: usize = 8;
/// The shortest without.
const LEAST_NATIONAL: usize = 7;

/// How many digits a country's numbers have at most, its code included, where that is fewer: so that a
/// number after one is not taken for its end.
const COUNTRIES: [(&[u8], usize); 10] = [
    (b"1", 11),
    (b"33", 12),
    (b"34", 11),
    (b"351", 12),
    (b"44", 13),
    (b"52", 13),
    (b"54", 13),
    (b"55", 13),
    (b"56", 11),
    (b"57", 12),
];

/// A form without a country's code: groups, what is between them, and what the number begins with.
type Form = (&'static [usize], &'static str, fn(&[u8]) -> bool);

/// Forms that are a telephone number's wherever they stand.
const FORMS: [Form; 19] = [
    // North America: 555-123-4567, 1-555-123-4567.
    (&[3, 3, 4], "--", north_american),
    (&[3, 3, 4], "..", north_american),
    (&[1, 3, 3, 4], "---", after_one),
    (&[1, 3, 3, 4], "...", after_one),
    // Brazil, Argentina, Mexico: 11 98765-4321, 11 4321-5678, 55-1234-5678.
    (&[2, 5, 4], " -", area),
    (&[2, 5, 4], "--", area),
    (&[2, 4, 4], " -", area),
    (&[2, 4, 4], "--", area),
    // With the digit for a call between areas: 011 98765-4321, 020 7946 0958, 06 12 34 56 78.
    (&[3, 5, 4], " -", trunk),
    (&[3, 4, 4], " -", trunk),
    (&[3, 4, 4], "--", trunk),
    (&[3, 4, 4], "  ", trunk),
    (&[4, 3, 4], "  ", trunk),
    (&[4, 3, 3], "  ", trunk),
    (&[5, 6], " ", trunk),
    (&[5, 3, 3], "  ", trunk),
    (&[2, 2, 2, 2, 2], "    ", trunk),
    (&[2, 2, 2, 2, 2], "....", trunk),
    (&[2, 4, 4], "  ", trunk),
];

/// Area and exchange begin with 2 to 9 (NANP).
fn north_american(number: &[u8]) -> bool {
    let digit = |at: usize| number.get(at).is_some_and(|digit| (b'2'..=b'9').contains(digit));
    digit(0) && digit(4)
}

fn after_one(number: &[u8]) -> bool {
    number.first() == Some(&b'1') && north_american(number.get(2..).unwrap_or_default())
}

fn area(number: &[u8]) -> bool {
    number.iter().take(2).all(|digit| (b'1'..=b'9').contains(digit))
}

fn trunk(number: &[u8]) -> bool {
    number.first() == Some(&b'0') && number.get(1).is_some_and(|digit| (b'1'..=b'9').contains(digit))
}

/// A number with `+`, which is at `plus` and ends at `start`.
pub(super) fn international(text: &Text<'_>, plus: usize, start: usize) -> Found {
    if !text.starts_word(plus) || !matches!(text.at(start), b'1'..=b'9') {
        return None;
    }
    let most = COUNTRIES.iter().find(|(code, _)| text.has(start, code)).map_or(MOST, |(_, most)| *most);
    let end = end_of(text, start, LEAST, most)?;
    Some((plus, end, Kind::Phone))
}

/// A number with its area in brackets, the first of them at `open`: `(11) 98765-4321`.
pub(super) fn in_brackets(text: &Text<'_>, open: usize) -> Found {
    let area_end = (open + 1..open + 6).find(|at| !is(text.at(*at), DIGIT))?;
    let area = area_end - open - 1;
    if !(2..=4).contains(&area) || text.at(area_end) != b')' || !text.starts_word(open) {
        return None;
    }
    let start = area_end + 1 + usize::from(matches!(text.at(area_end + 1), b' ' | b'-'));
    let groups = Groups::read(text, start);
    let two = |first: usize| ["-", " ", "."].iter().find_map(|mark| groups.shaped(&[first, 4], mark));
    let one = |length: usize| groups.shaped(&[length], "").filter(|_| (10..=11).contains(&(area + length)));
    let end = [3, 4, 5].into_iter().find_map(two).or_else(|| [7, 8, 9].into_iter().find_map(one))?;
    text.ends_word(end).then_some((open, end, Kind::Phone))
}

/// A number without `+` or brackets: of one of the forms, or after its name.
pub(super) fn national(word: &Word<'_, '_>) -> Found {
    let text = word.text;
    if word.is_called(Label::Phone) {
        return end_of(text, word.start, LEAST_NATIONAL, MOST).map(|end| (word.start, end, Kind::Phone));
    }
    let after_number = text.before(word.start, 1) == b' ' && is(text.before(word.start, 2), DIGIT);
    FORMS.iter().find_map(|(lengths, separators, begins)| {
        let end = word.groups.shaped(lengths, separators)?;
        // Numbers in a row, apart by blanks only, are a table.
        let in_row = after_number || word.groups.count() > lengths.len();
        let table = in_row && !separators.contains(['-', '.']);
        let fits = !table && begins(text.slice(word.start, end)) && word.stands(end, Label::Phone);
        fits.then_some((word.start, end, Kind::Phone))
    })
}

/// Where a number ends that starts with the digits at `start`: after as many groups as have `most` digits
/// together, if they have `least`.
fn end_of(text: &Text<'_>, start: usize, least: usize, most: usize) -> Option<usize> {
    let (mut place, mut count, mut end) = (start, 0, None);
    loop {
        let begin = place;
        while is(text.at(place), DIGIT) && count <= most {
            place += 1;
            count += 1;
        }
        if place == begin || count > most {
            break;
        }
        let whole = text.ends_word(place) || matches!(text.at(place), b'x' | b'X');
        if count >= least && whole {
            end = Some(place);
        }
        // A first group that is long enough is all: what stands behind a blank is another number.
        if begin == start && count >= LEAST && text.at(place) == b' ' {
            break;
        }
        place = match next_group(text, place) {
            Some(next) => next,
            None => break,
        };
    }
    end
}

/// Where the next group starts: behind one separator, or two where one is a bracket.
fn next_group(text: &Text<'_>, place: usize) -> Option<usize> {
    let bracket = |place: usize| place + usize::from(matches!(text.at(place), b'(' | b')'));
    let past = bracket(place);
    let past = past + separator(text, past).map_or(0, |(_, length)| length);
    let past = bracket(past);
    (past > place && is(text.at(past), DIGIT)).then_some(past)
}
