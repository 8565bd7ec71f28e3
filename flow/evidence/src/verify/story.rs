//! What happened to the intent, as the leaves tell it: whoever gives the bundle can keep payloads back, and
//! none of this is to be hidden that way.

use super::entries::Read;
use crate::Finding;
use crate::bundle::kind;

/// The names under which a leaf refers to what it is about.
const INTENT: &str = "intent";
const PRINCIPAL: &str = "principal";
const TOKEN: &str = "token";
pub(super) const MEMBER: &str = "member";

/// The entries about the intent that there is at most one of, and what hangs on them.
#[derive(Clone, Copy)]
pub(super) struct Story<'a> {
    /// The entry that decided the intent first.
    pub(super) opening: &'a Read<'a>,
    /// Its effect, by its type.
    pub(super) effect: &'static str,
    /// The entry that let it happen after people agreed.
    pub(super) released: Option<&'a Read<'a>>,
    /// The entry that tells of the use of its token.
    pub(super) used: Option<&'a Read<'a>>,
    /// The entry that tells how its call ended.
    pub(super) closed: Option<&'a Read<'a>>,
}

/// The effect of an opening entry, by its type.
fn effect(kind: &str) -> Option<&'static str> {
    match kind {
        kind::ALLOWED => Some("allow"),
        kind::ESCALATED => Some("escalate"),
        kind::DENIED => Some("deny"),
        _ => None,
    }
}

/// What a leaf of this type must refer to.
fn must_name(kind: &str) -> &'static [&'static str] {
    match kind {
        kind::GRANTED | kind::REJECTED | kind::WITHDRAWN => &[INTENT, MEMBER],
        kind::RELEASED | kind::RELEASE_DENIED => &[INTENT, PRINCIPAL],
        kind::TOKEN_USED => &[INTENT, TOKEN],
        kind::CANCELLED | kind::EXPIRED | kind::CLOSED => &[INTENT],
        _ => &[],
    }
}

impl<'a> Story<'a> {
    /// Finds the story and checks its leaves; `None` when there is not one entry that opens the intent.
    pub(super) fn read(entries: &'a [Read<'a>], findings: &mut Vec<Finding>) -> Option<Self> {
        let mut refuse = |code, message: &str| findings.push(Finding::new(code, message));
        let mut openings = entries.iter().filter_map(|entry| Some((entry, effect(&entry.kind)?)));
        let (Some((opening, effect)), None) = (openings.next(), openings.next()) else {
            refuse("opening", "expected one entry that opens an intent");
            return None;
        };
        let mut once = |kind: &str| {
            let mut found = entries.iter().filter(|entry| entry.kind == kind);
            let first = found.next();
            if found.next().is_some() {
                refuse("once", "an intent was released or closed, or its token used, more than once");
            }
            first
        };
        let (released, used, closed) = (once(kind::RELEASED), once(kind::TOKEN_USED), once(kind::CLOSED));
        let story = Self { opening, effect, released, used, closed };
        if !entries.iter().all(|entry| story.is_of(entry)) {
            refuse("refs", "an entry's leaf refers to another intent, token or principal, or to none");
        }
        if !entries.iter().all(|entry| story.tells_of_its_payload(entry)) {
            refuse("refs", "an entry's leaf does not refer to what its payload tells of");
        }
        story.course(entries, &mut refuse);
        Some(story)
    }

    /// The entry that lets the intent happen: its token or call rests on it.
    pub(super) fn allowing(&self) -> Option<&'a Read<'a>> {
        if self.opening.kind == kind::ALLOWED { Some(self.opening) } else { self.released }
    }

    /// The token that was minted, if one was.
    pub(super) fn token(&self) -> Option<&'a str> {
        self.allowing().and_then(|entry| entry.refers_to(TOKEN))
    }

    /// Whether a leaf refers to this intent, its token and its principal, as far as one of its type does.
    fn is_of(&self, entry: &Read<'_>) -> bool {
        let same = |name| match name {
            INTENT => self.opening.refers_to(INTENT),
            TOKEN => self.token(),
            PRINCIPAL => self.opening.refers_to(PRINCIPAL),
            other => entry.refers_to(other),
        };
        let must = must_name(&entry.kind);
        let named =
            must.iter().all(|name| entry.refers_to(name).is_some() && entry.refers_to(name) == same(name));
        let fits = |name| entry.refers_to(name).is_none_or(|it| same(name) == Some(it));
        let is_opening = std::ptr::eq(entry, self.opening);
        named && fits(INTENT) && fits(TOKEN) && (!is_opening || entry.refers_to(INTENT).is_some())
    }

    /// Whether a leaf refers to what its payload tells of, where it has one.
    fn tells_of_its_payload(&self, entry: &Read<'_>) -> bool {
        let names = |name: &str, pointer: &str| {
            let said = entry.payload.and_then(|payload| payload.pointer(pointer));
            entry.refers_to(name) == said.and_then(serde_json::Value::as_str)
        };
        if entry.payload.is_none() {
            return true;
        }
        match entry.kind.as_str() {
            kind::RELEASED | kind::RELEASE_DENIED => {
                names(PRINCIPAL, "/principal/id") && names(TOKEN, "/token/jti")
            }
            answer if kind::ANSWERS.contains(&answer) => names(MEMBER, "/approver/id"),
            _ if std::ptr::eq(entry, self.opening) => {
                names(INTENT, "/intent/id") && names(PRINCIPAL, "/principal/id") && names(TOKEN, "/token/jti")
            }
            _ => true,
        }
    }

    /// What can follow on what.
    fn course(&self, entries: &[Read<'_>], refuse: &mut impl FnMut(&'static str, &str)) {
        let about = |wanted: fn(&str) -> bool| entries.iter().filter(move |entry| wanted(&entry.kind));
        let again = |kind: &str| [kind::RELEASED, kind::RELEASE_DENIED].contains(&kind);
        let asked = |kind: &str| kind::is_approval(kind);
        let after = |entry: &Read<'_>, before: Option<&Read<'_>>| before.is_none_or(|it| it.seq < entry.seq);
        let escalated = self.opening.kind == kind::ESCALATED;
        if !escalated && about(asked).chain(about(again)).next().is_some() {
            refuse("escalation", "people answered, or it was decided on again, though it was not escalated");
        }
        let in_order = about(asked).chain(about(again)).all(|entry| after(entry, Some(self.opening)))
            && self.released.is_none_or(|released| about(asked).all(|entry| after(released, Some(entry))))
            && [self.used, self.closed].into_iter().flatten().all(|entry| after(entry, self.allowing()));
        if !in_order {
            refuse("order", "an entry stands before one that it can only follow");
        }
        if self.released.is_some() && about(|kind| kind::REFUSALS.contains(&kind)).next().is_some() {
            refuse("ended", "it was released although it was rejected, cancelled or expired");
        }
    }
}
