//! Masking a text that is there as a whole.

use std::borrow::Cow;

use crate::scan::Scanner;

/// The text with everything that is found replaced by a word of its [`Kind`](crate::Kind); borrowed
/// when nothing was.
///
/// It takes time in proportion to the text, whatever stands in it. Masking what is masked brings nothing
/// back; masked things that touch one another may become one.
#[must_use]
pub fn mask(text: &str) -> Cow<'_, str> {
    match mask_bytes(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        // What is found begins and ends between characters.
        Cow::Owned(masked) => Cow::Owned(
            String::from_utf8(masked)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
        ),
    }
}

/// As [`mask`], for text that need not be UTF-8.
#[must_use]
pub fn mask_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut scanner = Scanner::new();
    let mut masked = Vec::new();
    let (mut copied, mut start) = (0, 0);
    loop {
        let rest = bytes.get(start..).unwrap_or_default();
        let line = memchr::memchr(b'\n', rest).map_or(rest, |end| rest.get(..end).unwrap_or_default());
        for span in scanner.scan(line, 0) {
            // A block of lines that goes on takes the end of the line before with it.
            let from = if span.kind.is_none() { start.saturating_sub(1) } else { start + span.start };
            masked.extend_from_slice(bytes.get(copied..from).unwrap_or_default());
            masked.extend_from_slice(span.kind.map_or("", |kind| kind.word()).as_bytes());
            copied = start + span.end;
        }
        scanner.end_line();
        start += line.len() + 1;
        if start >= bytes.len() {
            break;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(bytes);
    }
    masked.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Cow::Owned(masked)
}
