//! The value after a name: `name=value`, `"name": "value"`, `name%3Dvalue`, `--name value`.

use super::header::{after_scheme, cookies_end};
use super::names::{Name, Reading};
use super::pem;
use crate::kind::Kind;
use crate::span::{Open, Span};
use crate::text::{ALNUM, BLANK, DIGIT, DOTTED, LOWER, QUOTE, TOKEN, TOKEN68, Text, UPPER, is};

/// Signatures are no shorter.
const LEAST_SIGNATURE: usize = 20;
/// The longest name that is looked for.
const LONGEST_NAME: usize = 32;

/// What a value may be without being one.
const NOTHING: [&[u8]; 8] = [b"null", b"true", b"false", b"none", b"nil", b"undefined", b"some", b"n/a"];
/// Words that prose has after `token:` and the like.
const PROSE: [&[u8]; 24] = [
    b"a",
    b"an",
    b"bad",
    b"denied",
    b"does",
    b"empty",
    b"expected",
    b"expired",
    b"failed",
    b"has",
    b"invalid",
    b"is",
    b"malformed",
    b"mismatch",
    b"missing",
    b"must",
    b"no",
    b"not",
    b"required",
    b"revoked",
    b"the",
    b"unexpected",
    b"unknown",
    b"wrong",
];

/// What stands between a name and its value.
struct Separator {
    /// Where the value starts.
    value: usize,
    /// `=` in some spelling.
    equals: bool,
    /// A colon and a blank, and no quotes about the name: as in prose, or YAML.
    prose: bool,
    /// Percent-encoded.
    encoded: bool,
}

/// The value of the name that stands at `start` to `end`.
pub(super) fn named(text: &Text<'_>, name: &Name, start: usize, end: usize) -> Option<Span> {
    if matches!(name.reading, Reading::Strict | Reading::Signature) && !is_word(text, start) {
        return None;
    }
    let separator = separator(text, start, end).or_else(|| argument(text, start, end))?;
    let place = unwrap(text, separator.value);
    let slashes = (place..text.len()).find(|at| text.at(*at) != b'\\')? - place;
    if is(text.at(place + slashes), QUOTE) {
        return quoted(text, name, place + slashes, slashes);
    }
    let equals = separator.equals;
    match name.reading {
        Reading::Strict | Reading::Signature if !equals => return None,
        _ => {}
    }
    let inside = text.skip_blanks(place + 1);
    match text.at(place) {
        b'{' => None,
        b'[' if is(text.at(inside), QUOTE | DIGIT) || text.at(inside) == b'\\' => {
            Some(list(text, name, place))
        }
        _ => unquoted(text, name, place, &separator),
    }
}

/// Whether a name is a word by itself: nothing before it, or what ends a word in `camelCase`.
fn is_word(text: &Text<'_>, start: usize) -> bool {
    text.starts_word(start) || is(text.at(start), UPPER) && is(text.before(start, 1), LOWER | DIGIT)
}

fn separator(text: &Text<'_>, start: usize, end: usize) -> Option<Separator> {
    // Names are numbered, with one digit or two.
    let mut place = (end..end + 2).find(|at| !is(text.at(*at), DIGIT)).unwrap_or(end + 2);
    if text.at(place) == b']' && in_brackets(text, start) {
        place += 1;
    } else if text.has_any_case(place, b"%5D") {
        place += 3;
    }
    let mut quote = place;
    while text.at(quote) == b'\\' {
        quote += 1;
    }
    let in_quotes = if is(text.at(quote), QUOTE) {
        place = quote + 1;
        true
    } else if text.has(place, b"%22") {
        place += 3;
        true
    } else {
        false
    };
    place = text.skip_blanks(place);
    let (length, equals, encoded) = match (text.at(place), text.at(place + 1)) {
        (b'=' | b':', b'=') if text.at(place) == b'=' => return None,
        (b':', b':') => return None,
        (b'=', b'>') | (b':', b'=') => (2, true, false),
        (b'=', _) => (1, true, false),
        (b':', _) => (1, false, false),
        (b'%', b'3') if text.has_any_case(place, b"%3D") => (3, true, true),
        (b'%', b'3') if text.has_any_case(place, b"%3A") => (3, false, true),
        _ => return None,
    };
    place += length;
    let value = if text.has(place, b"%20") { place + 3 } else { text.skip_blanks(place) };
    let value = if encoded && text.has(value, b"%22") { value + 3 } else { value };
    Some(Separator { value, equals, prose: !equals && !in_quotes && value > place, encoded })
}

/// Whether a name is the last in brackets, as in forms: `user[password]=`. What is masked looks so too,
/// but for what stands before it.
fn in_brackets(text: &Text<'_>, start: usize) -> bool {
    let open = text.run_start(start, TOKEN, LONGEST_NAME);
    text.before(open, 1) == b'[' && (is(text.before(open, 2), ALNUM) || text.before(open, 2) == b'_')
}

/// A name as an argument of a command, `--name`, and a blank.
fn argument(text: &Text<'_>, start: usize, end: usize) -> Option<Separator> {
    let dashes = text.run_start(start, TOKEN, LONGEST_NAME);
    let begins = dashes == 0 || is(text.at(dashes - 1), BLANK | QUOTE);
    let value = text.skip_blanks(end);
    let fits =
        begins && text.has(dashes, b"--") && value > end && text.at(value) != b'-' && !text.has(value, b"[");
    fits.then_some(Separator { value, equals: true, prose: false, encoded: false })
}

/// Behind what wraps a value in quotes: `Some("`, `b"`.
fn unwrap(text: &Text<'_>, from: usize) -> usize {
    let mut place = from;
    for _ in 0..3 {
        let end = (place..place + LONGEST_NAME).find(|at| !is(text.at(*at), ALNUM)).unwrap_or(place);
        match text.at(end) {
            b'(' if end > place => place = end + 1,
            byte if end == place + 1 && is(byte, QUOTE) => return end,
            byte if end == place && (is(byte, QUOTE) || byte == b'\\') => return place,
            _ => break,
        }
    }
    from
}

/// A value in quotes, the opening one at `quote`.
fn quoted(text: &Text<'_>, name: &Name, quote: usize, backslashes: usize) -> Option<Span> {
    let mark = text.at(quote);
    let mut start = quote + 1;
    let closing = quote_end(text, start, mark, backslashes);
    let end = closing.unwrap_or(text.len());
    if name.reading == Reading::Credentials
        && let Some((after, _)) = after_scheme(text, start).filter(|(after, _)| *after < end)
    {
        start = after;
    }
    let open = if closing.is_none() { Open::Quote { quote: mark, backslashes } } else { Open::Word };
    let short = name.reading == Reading::Signature && !is_signature(text.slice(start, end));
    (start < end && !short).then_some(Span { start, end, kind: Some(name.kind), open })
}

/// Where a quote closes that opened with `backslashes` before it: at the first of its kind, or of one
/// around it, that is not escaped there. The backslashes of the closing one are not of the value.
pub(crate) fn quote_end(text: &Text<'_>, from: usize, quote: u8, backslashes: usize) -> Option<usize> {
    let mut run = 0;
    for place in from..text.len() {
        match text.at(place) {
            b'\\' => run += 1,
            byte => {
                if byte == quote && closes(run, backslashes) {
                    return Some(place - run.min(backslashes));
                }
                run = 0;
            }
        }
    }
    None
}

/// Whether a quote after `run` backslashes closes one after `opening`: strings in strings double them.
const fn closes(mut run: usize, mut opening: usize) -> bool {
    while opening > 0 {
        if run.is_multiple_of(2) {
            return true;
        }
        run = (run - 1) / 2;
        opening = (opening - 1) / 2;
    }
    run.is_multiple_of(2)
}

/// A list of values, to its bracket or to the end.
fn list(text: &Text<'_>, name: &Name, start: usize) -> Span {
    let end = (start..text.len()).find(|at| text.at(*at) == b']').map_or(text.len(), |at| at + 1);
    Span::of(name.kind, start, end)
}

fn unquoted(text: &Text<'_>, name: &Name, place: usize, separator: &Separator) -> Option<Span> {
    if let Some(block) = pem::block(text, place, place + pem::BEGIN.len()) {
        return Some(Span { end: unquoted_end(text, block.end, false).max(block.end), ..block });
    }
    let mut start = place;
    let end = match name.reading {
        Reading::Cookies => cookies_end(text, start),
        Reading::Credentials => match after_scheme(text, start) {
            Some((after, parameters)) => {
                start = after;
                if parameters { line_end(text, after) } else { unquoted_end(text, after, separator.encoded) }
            }
            None => unquoted_end(text, start, separator.encoded),
        },
        _ => unquoted_end(text, start, separator.encoded),
    };
    // An empty value, and the next name.
    if separator.equals && is(text.before(place, 1), BLANK) && is_member(text, place) {
        return None;
    }
    let value = text.slice(start, end);
    let any_of = |words: &[&[u8]]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    let nothing = value.is_empty() || any_of(&NOTHING) || separator.prose && any_of(&PROSE);
    let too_weak = match name.reading {
        // The working directory, and counts of tests.
        Reading::Strict => {
            value.first() == Some(&b'/') || value.len() < 4 && value.iter().all(|byte| is(*byte, DIGIT))
        }
        Reading::Signature => !is_signature(value),
        _ => false,
    };
    (!nothing && !too_weak).then_some(Span::of(name.kind, start, end))
}

/// Where a value ends that is not in quotes.
fn unquoted_end(text: &Text<'_>, start: usize, encoded: bool) -> usize {
    let mut end = start;
    while end < text.len() {
        match text.at(end) {
            b'&' | b'<' | b'>' => break,
            byte if is(byte, BLANK | QUOTE) => break,
            b'\\' if matches!(text.at(end + 1), b'n' | b'r' | b't' | b'u' | b'"' | b'\'' | b'\\') => break,
            b'%' if encoded && (text.has(end, b"%26") || text.has(end, b"%22")) => break,
            b',' | b';' if ends_member(text, end + 1) => break,
            _ => end += 1,
        }
    }
    trim(text, start, end)
}

/// Whether a value is as a signature is: long, and in base64.
fn is_signature(value: &[u8]) -> bool {
    value.len() >= LEAST_SIGNATURE && value.iter().all(|byte| is(*byte, TOKEN68) || *byte == b'%')
}

/// Whether a name, `=` and a value stand at a place.
fn is_member(text: &Text<'_>, place: usize) -> bool {
    let name = (place..place + LONGEST_NAME).find(|at| !is(text.at(*at), DOTTED)).unwrap_or(place);
    name > place && text.at(name) == b'=' && text.word_at(name + 1)
}

/// Whether a comma or semicolon before `place` ends a member: a blank, the end, or a name follows.
fn ends_member(text: &Text<'_>, place: usize) -> bool {
    let name = (place..place + LONGEST_NAME).find(|at| !is(text.at(*at), DOTTED)).unwrap_or(place);
    let byte = text.at(name);
    name == place && (is(byte, BLANK | QUOTE) || place >= text.len())
        || name > place && matches!(byte, b'=' | b':')
}

/// Without the punctuation that closes what is around a value, unless the value opened it.
fn trim(text: &Text<'_>, start: usize, mut end: usize) -> usize {
    let opens = |bracket| text.slice(start, end).contains(&bracket);
    let (round, square, curly) = (opens(b'('), opens(b'['), opens(b'{'));
    while end > start {
        let closing = match text.at(end - 1) {
            b',' | b';' => true,
            b')' => !round,
            b']' => !square || Kind::ends(text.slice(start, end - 1)),
            b'}' => !curly,
            _ => false,
        };
        if !closing {
            break;
        }
        end -= 1;
    }
    end
}

/// Where a line ends, or a string in it.
fn line_end(text: &Text<'_>, start: usize) -> usize {
    (start..text.len()).find(|at| is(text.at(*at), QUOTE) || text.at(*at) == b'\\').unwrap_or(text.len())
}
