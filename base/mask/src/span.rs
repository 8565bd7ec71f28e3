//! What was found in a line, in order.

use crate::kind::Kind;

/// How something goes on that reaches the end of what was read: a line that comes in pieces goes on
/// with the next, a PEM block with the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// To the next blank, quote or bracket.
    Word,
    /// To the closing quote, with as many backslashes before it as the opening one had.
    Quote { quote: u8, backslashes: usize },
    /// As long as lines look like the inside of a PEM block.
    Pem,
}

/// A place in a line that is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// What it is; nothing when it goes on with what was masked before.
    pub(crate) kind: Option<Kind>,
    pub(crate) open: Open,
}

impl Span {
    pub(crate) const fn of(kind: Kind, start: usize, end: usize) -> Self {
        Self { start, end, kind: Some(kind), open: Open::Word }
    }
}

/// Adds a place to those found. Places that overlap become one, named for the first.
pub(crate) fn add(spans: &mut Vec<Span>, mut span: Span) {
    while let Some(last) = spans.pop_if(|last| span.start < last.end) {
        if last.start <= span.start {
            span.kind = last.kind;
        }
        if last.end > span.end {
            span.open = last.open;
        }
        span.start = span.start.min(last.start);
        span.end = span.end.max(last.end);
    }
    spans.push(span);
}
