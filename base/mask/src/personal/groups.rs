//! Digits in groups, as people write long numbers.

use crate::text::{DIGIT, Text, is};

/// As many groups as the longest form has.
const MOST: usize = 6;
/// As many digits as the longest number has, which is a card's, and one more.
const DIGITS: usize = 20;
/// Fewer digits than this make no number of anybody's.
const LEAST: usize = 7;

#[derive(Clone, Copy, Default)]
struct Group {
    length: usize,
    end: usize,
    /// What stands between it and the next: one of ` -./`, or NUL when no digit follows.
    separator: u8,
}

/// Groups of digits, with one separator between each and the next.
#[derive(Default)]
pub(super) struct Groups {
    groups: [Group; MOST],
    count: usize,
}

impl Groups {
    /// The first groups from `start` on.
    pub(super) fn read(text: &Text<'_>, start: usize) -> Self {
        let mut read = Self::default();
        let mut place = start;
        for group in &mut read.groups {
            let begin = place;
            while is(text.at(place), DIGIT) {
                place += 1;
            }
            if place == begin {
                break;
            }
            read.count += 1;
            let next = separator(text, place).filter(|(_, length)| is(text.at(place + length), DIGIT));
            *group = Group { length: place - begin, end: place, separator: next.map_or(0, |(mark, _)| mark) };
            let Some((_, length)) = next else { break };
            place += length;
        }
        read
    }

    /// Whether this is one group of few digits.
    pub(super) fn is_short(&self) -> bool {
        self.count < 2 && self.length() < LEAST
    }

    /// How many digits the first group has.
    pub(super) fn length(&self) -> usize {
        self.groups.first().map_or(0, |group| group.length)
    }

    /// How many groups there are; of more than the longest form has, that many.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Where the groups end, when the first are as long as `lengths` and stand apart by `separators`.
    /// What follows them may be apart by a blank or a slash only.
    pub(super) fn shaped(&self, lengths: &[usize], separators: &str) -> Option<usize> {
        let end = self.begin_as(lengths, separators)?;
        matches!(end.separator, 0 | b' ' | b'/').then_some(end.end)
    }

    /// As [`Groups::shaped`], whatever follows.
    pub(super) fn begins(&self, lengths: &[usize], separators: &str) -> Option<usize> {
        self.begin_as(lengths, separators).map(|group| group.end)
    }

    fn begin_as(&self, lengths: &[usize], separators: &str) -> Option<&Group> {
        let groups = self.groups.get(..lengths.len())?;
        let as_long = groups.iter().zip(lengths).all(|(group, length)| group.length == *length);
        let apart = groups.iter().zip(separators.bytes()).all(|(group, mark)| group.separator == mark);
        groups.last().filter(|_| as_long && apart)
    }
}

/// What separates groups, as one of ` -./`, and how many bytes it takes.
pub(super) fn separator(text: &Text<'_>, place: usize) -> Option<(u8, usize)> {
    match text.at(place) {
        byte @ (b' ' | b'-' | b'.' | b'/') => Some((byte, 1)),
        // A blank, and a slash, in a URL.
        b'+' => Some((b' ', 1)),
        b'%' if text.has(place, b"%20") => Some((b' ', 3)),
        b'%' if text.has_any_case(place, b"%2F") => Some((b'/', 3)),
        // U+00A0; U+2009 and U+202F; U+2010 to U+2015.
        0xc2 if text.at(place + 1) == 0xa0 => Some((b' ', 2)),
        0xe2 if text.at(place + 1) == 0x80 => match text.at(place + 2) {
            0x89 | 0xaf => Some((b' ', 3)),
            0x90..=0x95 => Some((b'-', 3)),
            _ => None,
        },
        _ => None,
    }
}

/// The digits of a piece of text, as numbers.
pub(super) struct Digits {
    digits: [u8; DIGITS],
    count: usize,
}

impl Digits {
    /// The digits from `start` to `end`: nothing when there are more than a number has.
    pub(super) fn read(text: &Text<'_>, start: usize, end: usize) -> Option<Self> {
        let mut read = Self { digits: [0; DIGITS], count: 0 };
        let mut place = start;
        while place < end {
            match text.at(place) {
                digit if is(digit, DIGIT) => {
                    *read.digits.get_mut(read.count)? = digit - b'0';
                    read.count += 1;
                    place += 1;
                }
                _ => place += separator(text, place).map_or(1, |(_, length)| length),
            }
        }
        Some(read)
    }

    pub(super) fn all(&self) -> &[u8] {
        self.digits.get(..self.count).unwrap_or_default()
    }

    /// Whether they are the same throughout: what people write when they write anything.
    pub(super) fn are_one(&self) -> bool {
        self.all().windows(2).all(|pair| pair.first() == pair.last())
    }
}

/// The sum of digits, each times its weight.
pub(super) fn weigh(digits: &[u8], weights: impl IntoIterator<Item = u32>) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum()
}

/// Whether eight digits begin as a date does, `YYYYMMDD`, of this century or the last.
pub(super) fn is_date(digits: &[u8]) -> bool {
    let [a, b, _, _, m, n, d, e, ..] = digits else { return false };
    let century = a * 10 + b;
    matches!(century, 19 | 20) && (1..=12).contains(&(m * 10 + n)) && (1..=31).contains(&(d * 10 + e))
}
