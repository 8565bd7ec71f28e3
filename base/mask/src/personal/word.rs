//! A word that may be a number, and what surrounds it.

use super::groups::Groups;
use super::label::Label;
use crate::text::Text;

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
        let joins = |mark: u8| matches!(mark, b'-' | b'.');
        let before = joins(self.text.before(self.start, 1)) && self.text.word_before(self.start - 1);
        let after = joins(self.text.at(end)) && self.text.word_at(end + 1);
        self.text.ends_word(end) && !after && (!before || self.is_called(label))
    }

    /// Whether the name before it says that it is such a number.
    pub(super) fn is_called(&self, label: Label) -> bool {
        label.stands_before(self.text, self.start)
    }
}
