//! Free text by a person.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A description or a reason: at most 1,000 bytes, no control characters but line feeds. May be
/// empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Note(Box<str>);

/// Text too long or unfit to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a text is at most 1000 bytes without control characters")]
pub struct NoteError;

impl Note {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Note {
    type Err = NoteError;
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let fits = text.len() <= 1_000 && !text.chars().any(|c| c.is_control() && c != '\n');
        if fits { Ok(Self(text.into())) } else { Err(NoteError) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes() {
        for good in ["", "two\nlines", &"x".repeat(1_000)] {
            assert!(good.parse::<Note>().is_ok(), "{good}");
        }
        for bad in ["a\0b", "\u{1b}[31m", &"x".repeat(1_001)] {
            assert!(bad.parse::<Note>().is_err(), "{bad:?}");
        }
    }
}
