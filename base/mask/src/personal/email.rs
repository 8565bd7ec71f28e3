//! E-mail addresses: RFC 5321 and 6531, as they are in use.

use super::Found;
use crate::kind::Kind;
use crate::text::{ALNUM, BEYOND, DASH, DIGIT, DOT, DOTTED, LETTER, Text, UNDERSCORE, is};

/// As far as an address is followed to the left of its `@`: RFC 5321 allows 64 octets, and escapes of a
/// URL take three for one.
const LONGEST_LOCAL: usize = 192;
/// The longest name of a host (RFC 1035), in characters of four bytes at most.
const LONGEST_DOMAIN: usize = 1012;

/// The address about the `@` that is at `at` and ends at `host`. Its host has a dot and ends in letters:
/// `user@host` and `package@1.2.3` are none.
pub(super) fn find(text: &Text<'_>, floor: usize, at: usize, host: usize) -> Found {
    let end = host_end(text, host)?;
    let start = local_start(text, floor, at);
    // The user of every Git host is nobody.
    let nobody = text.slice(start, at) == b"git";
    (start < at && !nobody).then_some((start, end, Kind::Email))
}

/// Where what stands before the `@` starts. Of the characters that RFC 5321 allows those are left out
/// that separate names from values, and parts of URLs.
fn local_start(text: &Text<'_>, floor: usize, at: usize) -> usize {
    let mut start = at;
    while start > floor && at - start < LONGEST_LOCAL {
        start = match text.at(start - 1) {
            _ if is_mark(text.before(start, 3), text.before(start, 2)) || text.before(start, 2) == 0xc2 => {
                break;
            }
            byte if is(byte, BEYOND) || is(byte, DOTTED) || matches!(byte, b'+' | b'\'') => {
                match text.escape_before(start).filter(|escape| text.at(*escape) == b'%') {
                    Some(escape) if is_local(text, escape) => escape,
                    Some(_) => break,
                    None => start - 1,
                }
            }
            // An address in an address, as in `bounces+alice=example.com@`.
            b'=' if tagged(text, start - 1) => start - 1,
            _ => break,
        };
    }
    let mut start = text.skip_escape(start);
    // Between characters, and without a quote before it.
    while start < at && (matches!(text.at(start), 0x80..=0xbf | b'\'' | b'.')) {
        start += 1;
    }
    start
}

/// Whether an escape `%XX` is of a character that belongs to an address.
fn is_local(text: &Text<'_>, escape: usize) -> bool {
    let digit = |at: usize| char::from(text.at(escape + at)).to_digit(16).unwrap_or(0);
    u8::try_from(digit(1) * 16 + digit(2)).is_ok_and(|byte| is(byte, DOTTED | BEYOND) || byte == b'+')
}

/// Whether two bytes begin a mark beyond ASCII, such as `“`, `。` or `：`: U+2000 to U+203F, U+3000 to
/// U+303F, U+FF00 to U+FF3F. Those of two bytes begin with C2.
const fn is_mark(first: u8, second: u8) -> bool {
    matches!((first, second), (0xe2 | 0xe3, 0x80) | (0xef, 0xbc))
}

/// Whether a tag, `+` and a word, stands before `place`.
fn tagged(text: &Text<'_>, place: usize) -> bool {
    let start = text.run_start(place, DOTTED, 64);
    start < place && text.before(start, 1) == b'+' && is(text.before(start, 2), ALNUM)
}

/// Where a host ends: after its last part that can be the last.
fn host_end(text: &Text<'_>, start: usize) -> Option<usize> {
    let set = ALNUM | DASH | DOT | BEYOND | UNDERSCORE;
    let (mut end, mut label, mut numbers) = (None, start, 0);
    let mut place = start;
    while place - start <= LONGEST_DOMAIN {
        let byte = text.at(place);
        if byte == b'.' || !is(byte, set) || byte == 0xc2 || is_mark(byte, text.at(place + 1)) {
            if place == label {
                break;
            }
            let part = text.slice(label, place);
            numbers += usize::from(part.iter().all(|byte| is(*byte, DIGIT)));
            // Several numbers make a version or an address of a machine.
            if label > start && is_last(part) && numbers < 2 {
                end = Some(place);
            }
            label = place + 1;
            if byte != b'.' {
                break;
            }
        }
        place += 1;
    }
    end
}

/// Whether a part of a host can be the last: two letters or more, and perhaps more after a dash.
fn is_last(part: &[u8]) -> bool {
    let letters = part.iter().take_while(|byte| is(**byte, LETTER | BEYOND)).count();
    letters >= 2 && part.get(letters).is_none_or(|byte| matches!(byte, b'-' | b'_'))
}
