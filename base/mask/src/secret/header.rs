//! Credentials after their scheme (RFC 9110, section 11), where no header's name stands before them.

use crate::kind::Kind;
use crate::span::Span;
use crate::text::{BLANK, DIGIT, EQUALS, LOWER, QUOTE, TOKEN68, Text, UPPER, is};

/// The schemes, in lower case. Those of the second list are followed by a list of parameters.
const SCHEMES: [&[u8]; 7] = [b"bearer", b"basic", b"token", b"apikey", b"api-key", b"negotiate", b"key"];
const WITH_PARAMETERS: [&[u8]; 3] = [b"digest", b"aws4-hmac-sha256", b"hawk"];

/// Where what follows a scheme starts, and whether it is a list of parameters.
pub(super) fn after_scheme(text: &Text<'_>, start: usize) -> Option<(usize, bool)> {
    let of = |schemes: &[&[u8]]| {
        let scheme = schemes.iter().find(|scheme| text.has_any_case(start, scheme))?;
        blank(text, start + scheme.len())
    };
    of(&SCHEMES).map(|at| (at, false)).or_else(|| of(&WITH_PARAMETERS).map(|at| (at, true)))
}

/// Where the blank ends that must follow a scheme: a space, or one in a URL.
fn blank(text: &Text<'_>, place: usize) -> Option<usize> {
    if text.has(place, b"%20") {
        return Some(place + 3);
    }
    let end = text.skip_blanks(place);
    (end > place).then_some(end)
}

/// `Bearer` and a token (RFC 6750): long, or with digits in it, for the word is one of prose too.
pub(super) fn bearer(text: &Text<'_>, start: usize, end: usize) -> Option<Span> {
    let (from, to) = credentials(text, start, end)?;
    let digit = || text.slice(from, to).iter().any(|byte| is(*byte, DIGIT));
    (to - from >= 32 || to - from >= 12 && digit()).then_some(Span::of(Kind::Token, from, to))
}

/// `Basic` and base64 (RFC 7617): with digits, padding, or capitals after small letters.
pub(super) fn basic(text: &Text<'_>, start: usize, end: usize) -> Option<Span> {
    let (from, to) = credentials(text, start, end)?;
    let body = text.slice(from, to);
    let any = |set| body.iter().skip(1).any(|byte| is(*byte, set));
    let base64 = any(DIGIT) || body.last() == Some(&b'=') || any(UPPER) && any(LOWER);
    (to - from >= 8 && base64).then_some(Span::of(Kind::Token, from, to))
}

fn credentials(text: &Text<'_>, start: usize, end: usize) -> Option<(usize, usize)> {
    if !text.starts_word(start) {
        return None;
    }
    let from = blank(text, end)?;
    let padding = text.run_end(from, TOKEN68 & !EQUALS);
    let mut to = text.run_end(padding, EQUALS);
    // `name=value` and `name="value"` are something else; base64 comes in fours.
    let is_name = text.word_at(to)
        || is(text.at(to), TOKEN68)
        || is(text.at(to), QUOTE) && !(to - from).is_multiple_of(4)
        || text.at(to) == b'\\' && is(text.at(to + 1), QUOTE) && !(to - from).is_multiple_of(4);
    if to > padding && is_name {
        return None;
    }
    while to > from && text.at(to - 1) == b'.' {
        to -= 1;
    }
    Some((from, to))
}

/// Where cookies end that are not in quotes (RFC 6265, section 4): they go on after `; `.
pub(super) fn cookies_end(text: &Text<'_>, start: usize) -> usize {
    let mut end = start;
    while end < text.len() && !is(text.at(end), QUOTE) {
        if is(text.at(end), BLANK) && !(text.at(end) == b' ' && text.before(end, 1) == b';') {
            break;
        }
        // A line's end in a string of JSON.
        if text.at(end) == b'\\' {
            break;
        }
        end += 1;
    }
    while end > start && matches!(text.at(end - 1), b';' | b' ' | b',' | b'}' | b')') {
        end -= 1;
    }
    end
}
