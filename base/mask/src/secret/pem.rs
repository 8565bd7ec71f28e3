//! Private keys in PEM (RFC 7468; RFC 1421 for the old headers; OpenSSH's and OpenPGP's blocks).

use crate::kind::Kind;
use crate::span::{Open, Span};
use crate::text::{BASE64, BLANK, Text, is};

/// What a block begins with, before its label.
pub(super) const BEGIN: &str = "-----BEGIN ";
/// A block's label is no longer.
const LONGEST_LABEL: usize = 48;
/// From this length on, base64 amid a line is a block's and no word.
const LEAST_PIECE: usize = 32;
/// Lines of a block that are not base64.
const HEADERS: [&[u8]; 5] = [b"Proc-Type:", b"DEK-Info:", b"Comment:", b"Version:", b"Hash:"];

/// The private key whose `-----BEGIN ` is at `start`, as far as this line has it.
pub(super) fn block(text: &Text<'_>, start: usize, label: usize) -> Option<Span> {
    if !text.has(start, BEGIN.as_bytes()) {
        return None;
    }
    let label_end = dashes(text, label)?;
    if !text.slice(label, label_end).windows(11).any(|words| words == b"PRIVATE KEY") {
        return None;
    }
    let head = label_end + 5;
    let (end, open) = body(text, head).unwrap_or((head, Open::Word));
    Some(Span { start, end, kind: Some(Kind::Key), open })
}

/// Where the dashes are that end a label.
fn dashes(text: &Text<'_>, label: usize) -> Option<usize> {
    (label..label + LONGEST_LABEL).take_while(|at| *at < text.len()).find(|at| text.has(*at, b"-----"))
}

/// Where the inside of a block ends that goes on at `from`, its last line included, and whether it may
/// go on in the next line. Nothing when what stands there is not of a block.
///
/// Lines may be apart by `\n` as strings have it, or by blanks. What is neither base64 nor a header
/// ends the block, so that what follows a broken one is not lost.
pub(crate) fn body(text: &Text<'_>, from: usize) -> Option<(usize, Open)> {
    let mut end = from;
    loop {
        let (piece, fresh) = line_start(text, end);
        if piece == text.len() {
            return Some((piece, Open::Pem));
        }
        if text.has(piece, b"-----END ") {
            let end = dashes(text, piece + 9).map_or(piece + 9, |end| end + 5);
            return Some((end, Open::Word));
        }
        let stop = if HEADERS.iter().any(|header| text.has(piece, header)) {
            header_end(text, piece)
        } else {
            let stop = text.run_end(piece, BASE64);
            let whole = stop == text.len() || matches!(text.at(stop), b'\\' | b'\r');
            let last = text.has(line_start(text, stop).0, b"-----END ");
            // A line of its own, or long enough to be no word.
            let fits = last || stop - piece >= LEAST_PIECE || whole && (fresh || piece == from);
            if fits { stop } else { piece }
        };
        if stop == piece {
            return (end > from).then_some((end, Open::Word));
        }
        end = stop;
    }
}

/// Where a block's next line starts, and whether a line's end as strings have it stands before it.
fn line_start(text: &Text<'_>, mut place: usize) -> (usize, bool) {
    let mut fresh = false;
    loop {
        let mut end = place;
        while text.at(end) == b'\\' {
            end += 1;
        }
        if end > place && matches!(text.at(end), b'n' | b'r' | b't') {
            fresh = true;
            place = end + 1;
        } else if end == place && place < text.len() && is(text.at(place), BLANK) {
            place += 1;
        } else {
            return (place, fresh);
        }
    }
}

fn header_end(text: &Text<'_>, from: usize) -> usize {
    (from..text.len()).find(|at| matches!(text.at(*at), b'\\' | b'"' | b'\'')).unwrap_or(text.len())
}
