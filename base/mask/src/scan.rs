//! One line: secrets first, then persons' data in what they leave.

use crate::kind::Kind;
use crate::personal;
use crate::secret;
use crate::span::{Open, Span};
use crate::text::{BLANK, BRACKET, QUOTE, Text, is};

/// Searches line after line, and remembers what goes on.
pub(crate) struct Scanner {
    carry: Option<Open>,
    spans: Vec<Span>,
}

impl Scanner {
    pub(crate) const fn new() -> Self {
        Self { carry: None, spans: Vec::new() }
    }

    /// Finds what is to be masked in a line or a piece of one. What stands before `from` was searched
    /// already and is there to be looked back at.
    pub(crate) fn scan(&mut self, line: &[u8], from: usize) -> &[Span] {
        self.search(&Text::new(line), from);
        &self.spans
    }

    pub(crate) fn search(&mut self, text: &Text<'_>, from: usize) {
        self.spans.clear();
        let mut start = from;
        if let Some(open) = self.carry.take() {
            let end = resume(text, from, open);
            if let Some((end, open)) = end {
                self.spans.push(Span { start: from, end, kind: None, open });
                start = end;
            }
        }
        if start < text.len() {
            secret::find(text, start, &mut self.spans);
            personal::find(text, start, &mut self.spans);
        }
        // What is masked already is left, so that nothing is copied for it.
        self.spans.retain(|span| span.kind.is_none() || !Kind::is_word(text.slice(span.start, span.end)));
        self.carry = self.spans.last().filter(|last| last.end == text.len()).map(|last| last.open);
    }

    /// What was found last.
    pub(crate) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Nothing that was found goes on: what comes next is searched anew.
    pub(crate) fn forget(&mut self) {
        self.carry = None;
    }

    /// The line has ended. Whether a PEM block may go on in the next.
    pub(crate) fn end_line(&mut self) -> bool {
        self.carry = self.carry.filter(|open| *open == Open::Pem);
        self.carry.is_some()
    }
}

/// Where what goes on at `from` ends, and how it would go on from there.
fn resume(text: &Text<'_>, from: usize, open: Open) -> Option<(usize, Open)> {
    let mut end = from;
    match open {
        Open::Word => {
            while end < text.len() && !is(text.at(end), BLANK | QUOTE | BRACKET) {
                end += 1;
            }
        }
        Open::Quote { quote, backslashes } => {
            end = secret::quote_end(text, from, quote, backslashes).unwrap_or(text.len());
        }
        Open::Pem => return secret::pem_body(text, from),
    }
    (end > from || from == text.len()).then_some((end, open))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What makes searches run over the same text again and again, when anything does.
    const UNITS: [&str; 62] = [
        "a",
        "a@",
        "@",
        "a@a.",
        "é@é.",
        "a%40",
        "%40",
        "a+b=",
        "a+b=@",
        "eyJ",
        "eyJa.",
        "eyJaaaaaaaaaa.",
        "password=",
        "password:",
        "token: ",
        "token=[",
        "token=['",
        "token=['x' ",
        "token=a,b",
        "token=a;",
        "token",
        "--token ",
        "=token",
        "://a:b",
        "://",
        "://a:b/",
        "://a@",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "-----END ",
        "-",
        "sk-",
        "-sk-0a",
        "ghp_0",
        "4111 ",
        "4111111111111111 ",
        "1 ",
        "1-",
        "1.",
        "(11) ",
        "+1",
        "+1 ",
        "phone 1",
        "\\",
        "\\\"",
        "\"",
        "password=\\\"",
        "\u{1b}[",
        "\u{1b}[1;",
        "\u{1b}[1m",
        "_live_",
        ":AA1",
        "1:AA",
        "Basic ",
        "Bearer ",
        "cookie: a; ",
        "12.",
        "GB29",
        "GB29 ",
        "[email]",
        "[password]=",
        "Authorization: Digest ",
    ];

    /// How often a byte may be read: a bound, not what is usual.
    const MOST_READS: usize = 300;

    fn reads(text: &str) -> usize {
        let text = Text::new(text.as_bytes());
        Scanner::new().search(&text, 0);
        text.reads.get()
    }

    #[test]
    fn work_grows_with_the_text_and_no_faster() {
        let mut worst = (0, "");
        for unit in UNITS {
            let repeated = |length: usize| reads(&unit.repeat(length / unit.len()));
            let (few, many) = (repeated(32 << 10), repeated(64 << 10));
            assert!(many <= few * 5 / 2, "{unit:?}: {few} reads, then {many}");
            worst = worst.max((many, unit));
        }
        let many = reads(&worst.1.repeat((1 << 20) / worst.1.len()));
        assert!(many <= MOST_READS << 20, "{:?}: {} reads a byte", worst.1, many >> 20);
    }
}
