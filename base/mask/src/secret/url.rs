//! What stands before the host of a URL (RFC 3986, section 3.2.1).

use crate::kind::Kind;
use crate::span::Span;
use crate::text::{ALNUM, BLANK, DIGIT, HEX, QUOTE, Text, is};

/// From this length on, a user's name without a password is taken for a key: those of Sentry have 32.
const LEAST_KEY: usize = 20;
/// How far beyond a slash a password is followed.
const FURTHER: usize = 256;

/// The password of `scheme://user:password@host`, or the key of `scheme://key@host`.
pub(super) fn userinfo(text: &Text<'_>, _: usize, start: usize) -> Option<Span> {
    let authority = end(text, start, b"/?#", usize::MAX);
    let colon = (start..authority).find(|at| text.at(*at) == b':');
    let at = (start..authority).rev().find(|at| text.at(*at) == b'@');
    let Some(at) = at else {
        // Many a password has a slash, which should be `%2F`. A port has none.
        let colon = colon?;
        if (colon + 1..authority).all(|place| is(text.at(place), DIGIT)) {
            return None;
        }
        let word = end(text, authority, b"", FURTHER);
        let at = (authority..word).rev().find(|at| text.at(*at) == b'@')?;
        return Some(Span::of(Kind::Password, colon + 1, at));
    };
    match colon.filter(|colon| *colon < at) {
        // A key before the colon, as in the old DSNs of Sentry, goes with the secret after it.
        Some(colon) if is_key(text, start, colon) => Some(Span::of(Kind::Key, start, at)),
        Some(colon) if colon + 1 < at => Some(Span::of(Kind::Password, colon + 1, at)),
        Some(_) => None,
        None => is_key(text, start, at).then_some(Span::of(Kind::Key, start, at)),
    }
}

/// Where a piece of a URL ends: at one of `stops`, or where a URL does.
fn end(text: &Text<'_>, start: usize, stops: &[u8], most: usize) -> usize {
    let mut end = start;
    while end < text.len() && end - start < most {
        let byte = text.at(end);
        if is(byte, BLANK | QUOTE) || matches!(byte, b'<' | b'>' | b'\\') || stops.contains(&byte) {
            break;
        }
        end += 1;
    }
    end
}

fn is_key(text: &Text<'_>, start: usize, end: usize) -> bool {
    let user = text.slice(start, end);
    end - start >= LEAST_KEY
        && user.iter().any(|byte| is(*byte, DIGIT))
        && (user.iter().all(|byte| is(*byte, HEX))
            || user.iter().all(|byte| is(*byte, ALNUM) || *byte == b'_'))
}
