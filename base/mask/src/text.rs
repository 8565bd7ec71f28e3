//! A line that is searched: reading it byte by byte, sets of characters, and where a word starts.

use std::cell::Cell;

use crate::kind::Kind;

/// A set of ASCII characters, a bit for each part.
pub(crate) type Set = u16;

pub(crate) const DIGIT: Set = 1;
pub(crate) const UPPER: Set = 1 << 1;
pub(crate) const LOWER: Set = 1 << 2;
pub(crate) const DASH: Set = 1 << 3;
pub(crate) const UNDERSCORE: Set = 1 << 4;
pub(crate) const DOT: Set = 1 << 5;
/// `+` and `/`.
pub(crate) const PLUS_SLASH: Set = 1 << 6;
pub(crate) const EQUALS: Set = 1 << 7;
pub(crate) const TILDE: Set = 1 << 8;
/// White space and other control characters.
pub(crate) const BLANK: Set = 1 << 9;
/// `"`, `'` and `` ` ``.
pub(crate) const QUOTE: Set = 1 << 10;
/// `0-9a-f`.
pub(crate) const HEX: Set = 1 << 11;
/// The bytes of characters beyond ASCII.
pub(crate) const BEYOND: Set = 1 << 12;
/// `,;&<>()[]{}`: what ends a word in most notations.
pub(crate) const BRACKET: Set = 1 << 13;

pub(crate) const LETTER: Set = UPPER | LOWER;
pub(crate) const ALNUM: Set = DIGIT | LETTER;
pub(crate) const TOKEN: Set = ALNUM | DASH | UNDERSCORE;
pub(crate) const DOTTED: Set = TOKEN | DOT;
pub(crate) const BASE64: Set = ALNUM | PLUS_SLASH | EQUALS;
/// What credentials in a header are made of (RFC 9110, section 11.2, `token68`).
pub(crate) const TOKEN68: Set = DOTTED | TILDE | PLUS_SLASH | EQUALS;

const SETS: [Set; 256] = {
    let mut sets = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "it is below 256")]
        let set = match byte as u8 {
            b'0'..=b'9' => DIGIT | HEX,
            b'a'..=b'f' => LOWER | HEX,
            b'g'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            b'-' => DASH,
            b'_' => UNDERSCORE,
            b'.' => DOT,
            b'+' | b'/' => PLUS_SLASH,
            b'=' => EQUALS,
            b'~' => TILDE,
            b'"' | b'\'' | b'`' => QUOTE,
            0..=b' ' | 0x7f => BLANK,
            b',' | b';' | b'&' | b'<' | b'>' | b'(' | b')' | b'[' | b']' | b'{' | b'}' => BRACKET,
            0x80.. => BEYOND,
            _ => 0,
        };
        #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            sets[byte] = set;
        }
        byte += 1;
    }
    sets
};

/// Whether a byte belongs to a set.
pub(crate) fn is(byte: u8, set: Set) -> bool {
    SETS.get(usize::from(byte)).is_some_and(|sets| sets & set != 0)
}

/// The longest name, label or escape that is looked for before a place.
const LOOK_BACK: usize = 16;

/// How many sets runs are remembered for; as many as are asked for.
const RUNS: usize = 8;

/// A line. All reading goes through [`Text::at`], so that tests can count it.
pub(crate) struct Text<'a> {
    bytes: &'a [u8],
    /// Whether something that is masked stands right before it, and right behind.
    beside: (bool, bool),
    /// The last run found of each set: what lets many places in one run ask for its end.
    runs: [Cell<(Set, usize, usize)>; RUNS],
    #[cfg(test)]
    pub(crate) reads: Cell<usize>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            beside: (false, false),
            runs: Default::default(),
            #[cfg(test)]
            reads: Cell::new(0),
        }
    }

    /// The part from `start` to `end`, with something that is masked before it, or behind. It reads as
    /// it will when that is masked.
    pub(crate) fn part(&self, start: usize, end: usize, beside: (bool, bool)) -> Self {
        Self { beside, ..Self::new(self.slice(start, end)) }
    }

    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The byte at a place; NUL beyond the end.
    pub(crate) fn at(&self, place: usize) -> u8 {
        #[cfg(test)]
        self.reads.set(self.reads.get() + 1);
        self.bytes.get(place).copied().unwrap_or(0)
    }

    /// The byte `back` before a place; NUL before the start.
    pub(crate) fn before(&self, place: usize, back: usize) -> u8 {
        place.checked_sub(back).map_or(0, |at| self.at(at))
    }

    /// The bytes from `start` to `end`, or as many of them as there are.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end.min(self.len())).unwrap_or_default()
    }

    /// Whether `literal` stands at a place.
    pub(crate) fn has(&self, place: usize, literal: &[u8]) -> bool {
        self.slice(place, place + literal.len()) == literal
    }

    /// Whether `literal` stands at a place, in whatever case.
    pub(crate) fn has_any_case(&self, place: usize, literal: &[u8]) -> bool {
        self.slice(place, place + literal.len()).eq_ignore_ascii_case(literal)
    }

    /// Where the run of a set that begins at `from` ends; `from` when none does.
    pub(crate) fn run_end(&self, from: usize, set: Set) -> usize {
        let slot = self.runs.iter().find(|slot| slot.get().0 == set || slot.get().0 == 0);
        if let Some((known, start, end)) = slot.map(Cell::get)
            && known == set
            && (start..end).contains(&from)
        {
            return end;
        }
        let mut end = from;
        while end < self.len() && is(self.at(end), set) {
            end += 1;
        }
        if let Some(slot) = slot {
            slot.set((set, from, end));
        }
        end
    }

    /// Where the run of a set that ends at `to` starts, at most `most` before it.
    pub(crate) fn run_start(&self, to: usize, set: Set, most: usize) -> usize {
        let mut start = to;
        while start > 0 && to - start < most && is(self.at(start - 1), set) {
            start -= 1;
        }
        start
    }

    /// Whether a word may start at a place: none ends there, unless it is the end of an escape.
    pub(crate) fn starts_word(&self, place: usize) -> bool {
        !self.word_before(place) || self.escape_before(place).is_some()
    }

    /// Whether a word may end at a place: none goes on there.
    pub(crate) fn ends_word(&self, place: usize) -> bool {
        !self.word_at(place)
    }

    /// Whether a letter or digit stands before a place. A word of ours counts as one, for it stands for
    /// what was one: so masked text is read as the text was.
    pub(crate) fn word_before(&self, place: usize) -> bool {
        match place.checked_sub(1).map(|last| self.at(last)) {
            None => self.beside.0,
            Some(b']') => Kind::ends(self.slice(place.saturating_sub(LOOK_BACK), place)),
            Some(byte) => is(byte, ALNUM),
        }
    }

    /// Whether a letter or digit stands at a place, or a word of ours.
    pub(crate) fn word_at(&self, place: usize) -> bool {
        match self.at(place) {
            b'[' => Kind::starts(self.slice(place, place + LOOK_BACK)),
            _ if place >= self.len() => place == self.len() && self.beside.1,
            byte => is(byte, ALNUM),
        }
    }

    /// Where an escape starts that ends at a place: `\n`, `\u003d`, `%3D`, or a terminal's colour.
    pub(crate) fn escape_before(&self, place: usize) -> Option<usize> {
        let hex = |back| self.before(place, back).is_ascii_hexdigit();
        if self.before(place, 2) == b'\\' && matches!(self.before(place, 1), b'n' | b'r' | b't' | b'b' | b'f')
        {
            return Some(place - 2);
        }
        if self.before(place, 3) == b'%' && hex(2) && hex(1) {
            return Some(place - 3);
        }
        if self.before(place, 6) == b'\\' && self.before(place, 5) == b'u' && (1..5).all(hex) {
            return Some(place - 6);
        }
        self.colour_before(place)
    }

    /// Where a word starts whose run of letters begins at a place: after the escape that reaches into it.
    pub(crate) fn skip_escape(&self, start: usize) -> usize {
        let hex = |count| (0..count).all(|at| self.at(start + at).is_ascii_hexdigit());
        match self.before(start, 1) {
            b'\\' => match self.at(start) {
                b'n' | b'r' | b't' | b'b' | b'f' => start + 1,
                b'u' if (1..5).all(|at| self.at(start + at).is_ascii_hexdigit()) => start + 5,
                _ => start,
            },
            b'%' if hex(2) => start + 2,
            b'[' | b';' => {
                let mut end = start;
                while end - start < LOOK_BACK && matches!(self.at(end), b'0'..=b'9' | b';') {
                    end += 1;
                }
                if self.colour_before(end + 1).is_some() { end + 1 } else { start }
            }
            _ => start,
        }
    }

    /// Where a terminal's colour starts (ECMA-48, `ESC [ … m`) that ends at a place.
    pub(crate) fn colour_before(&self, place: usize) -> Option<usize> {
        if self.before(place, 1) != b'm' {
            return None;
        }
        let mut start = place - 1;
        while start > 0 && place - start < LOOK_BACK && matches!(self.at(start - 1), b'0'..=b'9' | b';') {
            start -= 1;
        }
        let start = start.checked_sub(2)?;
        (self.at(start) == 0x1b && self.at(start + 1) == b'[').then_some(start)
    }

    /// Where a terminal's colour ends that starts at a place.
    pub(crate) fn colour_end(&self, place: usize) -> Option<usize> {
        if self.at(place) != 0x1b || self.at(place + 1) != b'[' {
            return None;
        }
        let mut end = place + 2;
        while end - place < LOOK_BACK && matches!(self.at(end), b'0'..=b'9' | b';') {
            end += 1;
        }
        (self.at(end) == b'm').then_some(end + 1)
    }

    /// After blanks, at most four, and colours, as many.
    pub(crate) fn skip_blanks(&self, mut place: usize) -> usize {
        for _ in 0..8 {
            place = match self.at(place) {
                b' ' | b'\t' => place + 1,
                _ => match self.colour_end(place) {
                    Some(end) => end,
                    None => break,
                },
            };
        }
        place
    }
}
