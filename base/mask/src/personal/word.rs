//! A word that may be a number, and what surrounds it.

use super::groups::Groups;
use super::label::Label;
use crate::text::{ALNUM, Text, is};

/// A word of letters and digits with at least one digit.
pub(super) struct Word<'a, 'b> {
    pub(super) text: &'a Text<'b>,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The groups of digits from its start on; none when it begins with a letter.
    pub(super) groups: Groups,
}

impl<'a, 'b> Word<'a, 'b> {
    pub(super) fn read(text: &'a Text<'b>, start: usize, end: usize) -> Self {
        Self { text, start, end, groups: Groups::read(text, start) }
    }

    /// How long the word is.
    pub(super) const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether a number may stand from its start to `end`: it is no part of something longer that dashes
    /// or dots join, such as a UUID, a version or a fraction; or its name stands before it.
    pub(super) fn stands(&self, end: usize, label: Label) -> bool {
        let joined = |mark: u8, beyond: u8| matches!(mark, b'-' | b'.') && is(beyond, ALNUM);
        let before = joined(self.text.before(self.start, 1), self.text.before(self.start, 2));
        let after = joined(self.text.at(end), self.text.at(end + 1));
        self.text.ends_word(end) && !after && (!before || self.is_called(label))
    }

    /// Whether the name before it says that it is such a number.
    pub(super) fn is_called(&self, label: Label) -> bool {
        label.stands_before(self.text, self.start)
    }
}
