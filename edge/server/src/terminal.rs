//! Standard output, for people and pipes. The log goes to standard error (`logging.rs`).

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// What is written to standard output.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    shown: bool,
    coloured: bool,
}

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// A heading.
    Bold,
    /// Of less weight.
    Dim,
    /// It held.
    Good,
    /// It did not.
    Bad,
    /// To be copied.
    Command,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Command => "36",
        }
    }
}

impl Terminal {
    /// Standard output; coloured when it is a terminal and `NO_COLOR` (<https://no-color.org>) is not
    /// set.
    #[must_use]
    pub fn stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let shown = io::stdout().is_terminal();
        Self { shown, coloured: wanted && shown }
    }

    /// Whether people see it, on a terminal: not a pipe, not a file.
    #[must_use]
    pub const fn is_shown(self) -> bool {
        self.shown
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When nobody reads any more, or the disk behind it is full.
    pub fn line(self, text: impl Display) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Writes a line beside what a program reads.
    ///
    /// # Errors
    /// As [`Terminal::line`].
    pub fn aside(self, text: impl Display) -> io::Result<()> {
        writeln!(io::stderr().lock(), "{text}")
    }

    /// An empty line.
    ///
    /// # Errors
    /// As [`Terminal::line`].
    pub fn gap(self) -> io::Result<()> {
        self.line("")
    }

    /// The text in a style, where styles are shown.
    #[must_use]
    pub fn paint(self, style: Style, text: impl Display) -> String {
        if self.coloured { format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()) } else { text.to_string() }
    }
}

/// Text from elsewhere on one line: what could move the cursor, change colours, turn the direction around or
/// not be seen at all is replaced.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_unseen(c) { '\u{fffd}' } else { c }).collect()
}

/// Whether a character has no shape of its own: Unicode's format characters, its separators of lines, and
/// what is ignored by default where a text is drawn.
const fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}'
        | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_elsewhere_controls_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{9b}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(
            printable("a\u{202e}b\u{200b}c\u{2028}d\u{e0041}"),
            "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}"
        );
        assert_eq!(printable("Å é 漢字 العربية 🙂"), "Å é 漢字 العربية 🙂");
    }

    #[test]
    fn styles_show_only_on_a_terminal() {
        assert_eq!(Terminal { shown: true, coloured: false }.paint(Style::Good, "x"), "x");
        assert_eq!(Terminal { shown: true, coloured: true }.paint(Style::Good, "x"), "\u{1b}[32mx\u{1b}[0m");
    }
}
