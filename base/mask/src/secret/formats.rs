//! Formats that are more than a prefix and what follows it.

use crate::kind::Kind;
use crate::span::Span;
use crate::text::{ALNUM, DIGIT, DOTTED, LOWER, PLUS_SLASH, TILDE, TOKEN, Text, is};

/// The fewest characters of a JOSE header: `{"alg":"…"}` takes more.
const LEAST_HEADER: usize = 12;

/// A JWS or JWE in its compact form (RFC 7515, section 7.1; RFC 7516, section 7.1): `eyJ` is how
/// base64url of `{"` begins. A header and the beginning of a second part are enough, for lines get cut.
pub(super) fn jwt(text: &Text<'_>, start: usize, _: usize) -> Option<Span> {
    if !text.has(start, b"eyJ") || !text.starts_word(start) {
        return None;
    }
    let mut end = text.run_end(start, TOKEN);
    if end - start < LEAST_HEADER || text.at(end) != b'.' {
        return None;
    }
    let header = end;
    // A JWE has five parts, and one of them may be empty.
    for _ in 0..4 {
        if text.at(end) != b'.' {
            break;
        }
        end = text.run_end(end + 1, TOKEN);
    }
    while text.at(end - 1) == b'.' {
        end -= 1;
    }
    (end > header).then_some(Span::of(Kind::Token, start, end))
}

/// Digits after the environment: 22 of the id, 43 of the secret, 6 of the checksum.
const OWN_KEY: usize = 71;

/// A key of Chancery: `{prefix}_{live|test}_` and 71 letters and digits, where the prefix is the
/// installation's own, 2 to 8 of `a-z` (`chancery-keys`). The length is the evidence, so the prefix need
/// not be known.
pub(super) fn own_key(text: &Text<'_>, start: usize, end: usize) -> Option<Span> {
    let prefix = text.skip_escape(text.run_start(start, ALNUM, 16));
    let lower = prefix < start && text.slice(prefix, start).iter().all(|byte| is(*byte, LOWER));
    let stop = text.run_end(end, ALNUM);
    (lower && (2..=8).contains(&(start - prefix)) && stop - end == OWN_KEY).then_some(Span::of(
        Kind::Key,
        prefix,
        stop,
    ))
}

/// A bot's token of Telegram: its id, a colon, `AA` and 33 more (core.telegram.org/bots/api).
pub(super) fn telegram(text: &Text<'_>, start: usize, _: usize) -> Option<Span> {
    let id = text.run_start(start, DIGIT, 12);
    let end = text.run_end(start + 1, TOKEN);
    let fits = (8..=11).contains(&(start - id)) && (34..=37).contains(&(end - start - 1));
    (fits && text.has(start, b":AA")).then_some(Span::of(Kind::Token, id, end))
}

/// The path of an incoming webhook of Slack, which is all that it takes to post.
pub(super) fn slack_webhook(text: &Text<'_>, _: usize, end: usize) -> Option<Span> {
    let stop = text.run_end(end, TOKEN | PLUS_SLASH);
    (stop - end >= 20).then_some(Span::of(Kind::Key, end, stop))
}

/// The token in the URL of a webhook of Discord, after its id.
pub(super) fn discord_webhook(text: &Text<'_>, _: usize, end: usize) -> Option<Span> {
    let slash = text.run_end(end, DIGIT);
    if slash == end || text.at(slash) != b'/' {
        return None;
    }
    let stop = text.run_end(slash + 1, TOKEN);
    (stop - slash > 40).then_some(Span::of(Kind::Token, slash + 1, stop))
}

/// A client's secret of Azure (Entra ID): three characters, a digit, `Q~`, and 31 to 34 more.
pub(super) fn azure_secret(text: &Text<'_>, start: usize, end: usize) -> Option<Span> {
    let begin = start.checked_sub(4)?;
    let mut stop = text.run_end(end, DOTTED | TILDE);
    while stop > end && text.at(stop - 1) == b'.' {
        stop -= 1;
    }
    let fits = is(text.at(start - 1), DIGIT) && (31..=34).contains(&(stop - end));
    let begins = text.skip_escape(text.run_start(start, DOTTED | TILDE, 12)) == begin;
    (fits && begins).then_some(Span::of(Kind::Key, begin, stop))
}

/// A bot's token of Discord, at a word: the id's digits in base64, which begin with `M`, `N` or `O`;
/// six or more characters of time; 27 or more of a code.
pub(crate) fn discord(text: &Text<'_>, start: usize, end: usize) -> Option<usize> {
    if !(23..=28).contains(&(end - start))
        || text.at(end) != b'.'
        || !matches!(text.at(start), b'M' | b'N' | b'O')
    {
        return None;
    }
    let time = text.run_end(end + 1, TOKEN);
    if !(6..=7).contains(&(time - end - 1)) || text.at(time) != b'.' {
        return None;
    }
    let code = text.run_end(time + 1, TOKEN);
    (code - time > 27).then_some(code)
}
