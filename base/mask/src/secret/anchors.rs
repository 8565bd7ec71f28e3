//! One pass over a line for everything that a secret begins with or is named by.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::names::{NAMES, Name};
use super::vendors::{VENDORS, Vendor};
use super::{formats, header, pem, url, value};
use crate::span::{Span, add};
use crate::text::Text;

/// What a literal that was seen may be the beginning of.
#[derive(Clone, Copy)]
enum Anchor {
    Vendor(&'static Vendor),
    Name(&'static Name),
    /// A format of its own. Takes where the literal starts and ends.
    Format(Format),
}

type Format = fn(&Text<'_>, usize, usize) -> Option<Span>;

/// Formats that are more than a prefix and what follows it.
const FORMATS: [(&str, Format); 11] = [
    (pem::BEGIN, pem::block),
    ("://", url::userinfo),
    ("eyJ", formats::jwt),
    ("_live_", formats::own_key),
    ("_test_", formats::own_key),
    (":AA", formats::telegram),
    ("hooks.slack.com/", formats::slack_webhook),
    ("/api/webhooks/", formats::discord_webhook),
    ("Q~", formats::azure_secret),
    ("bearer", header::bearer),
    ("basic", header::basic),
];

struct Anchors {
    literals: AhoCorasick,
    meanings: Vec<Anchor>,
}

static ANCHORS: LazyLock<Option<Anchors>> = LazyLock::new(|| {
    let (mut literals, mut meanings) = (Vec::new(), Vec::new());
    for vendor in VENDORS {
        literals.push(vendor.prefix.to_owned());
        meanings.push(Anchor::Vendor(vendor));
    }
    for name in NAMES {
        let mut spellings = ["_", "-", ""].map(|between| name.text.replace('_', between)).to_vec();
        spellings.dedup();
        for spelling in spellings {
            literals.push(spelling);
            meanings.push(Anchor::Name(name));
        }
    }
    for (literal, format) in FORMATS {
        literals.push(literal.to_owned());
        meanings.push(Anchor::Format(format));
    }
    let literals = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(literals)
        .ok()?;
    Some(Anchors { literals, meanings })
});

/// Adds the secrets of a line to `spans`, in order, from `from` on: those too whose name or beginning
/// stands before it.
pub(crate) fn find(text: &Text<'_>, from: usize, spans: &mut Vec<Span>) {
    let Some(anchors) = ANCHORS.as_ref() else { return };
    let mut seen: Vec<(usize, usize, Anchor)> = Vec::new();
    for found in anchors.literals.find_overlapping_iter(text.slice(0, text.len())) {
        if let Some(anchor) = anchors.meanings.get(found.pattern().as_usize()) {
            seen.push((found.start(), found.end(), *anchor));
        }
    }
    // Of those that begin together the longest is the most certain.
    seen.sort_unstable_by_key(|(start, end, _)| (*start, usize::MAX - end));
    let mut covered = 0;
    for (start, end, anchor) in seen {
        // What lies in what was found needs no second look: so no text is read over and over.
        if start < covered {
            continue;
        }
        let found = match anchor {
            Anchor::Vendor(vendor) => vendor.find(text, start, end),
            Anchor::Name(name) => value::named(text, name, start, end),
            Anchor::Format(format) => format(text, start, end),
        };
        if let Some(mut span) = found {
            span.start = span.start.max(covered).max(from);
            if span.start < span.end {
                covered = span.end;
                add(spans, span);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literals_make_an_automaton() {
        assert!(ANCHORS.is_some());
    }
}
