//! Reading a JSON object member by member, so that an error names the very member.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::Invalid;

/// An object being read. What nobody asked for is an error: [`Fields::end`].
pub(crate) struct Fields<'a> {
    at: String,
    members: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

/// The pointer to a member.
pub(crate) fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A value that must be an object.
pub(crate) fn object<'a>(value: &'a Value, at: &str) -> Result<&'a Map<String, Value>, Invalid> {
    value.as_object().ok_or_else(|| Invalid::new(at, "must be an object"))
}

/// A value that must be a string.
pub(crate) fn text<'a>(value: &'a Value, at: &str) -> Result<&'a str, Invalid> {
    value.as_str().ok_or_else(|| Invalid::new(at, "must be a string"))
}

impl<'a> Fields<'a> {
    pub(crate) fn of(value: &'a Value, at: impl Into<String>) -> Result<Self, Invalid> {
        let at = at.into();
        Ok(Self { members: object(value, &at)?, at, known: Vec::new() })
    }

    /// A member with the pointer to it, if it is there.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<(&'a Value, String)> {
        self.known.push(name);
        self.members.get(name).map(|value| (value, below(&self.at, name)))
    }

    /// A member that must be there.
    pub(crate) fn need(&mut self, name: &'static str) -> Result<(&'a Value, String), Invalid> {
        let at = below(&self.at, name);
        self.take(name).ok_or_else(|| Invalid::new(at, "is missing"))
    }

    /// A whole number within a range.
    pub(crate) fn whole(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, Invalid> {
        let Some((value, at)) = self.take(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Invalid::new(
                at,
                format!("must be a whole number from {} to {}", range.start(), range.end()),
            )),
        }
    }

    /// `true` or `false`.
    pub(crate) fn truth(&mut self, name: &'static str) -> Result<Option<bool>, Invalid> {
        let Some((value, at)) = self.take(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| Invalid::new(at, "must be true or false"))
    }

    /// That nothing else is there.
    pub(crate) fn end(self) -> Result<(), Invalid> {
        match self.members.keys().find(|name| !self.known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let known = self.known.join("`, `");
                Err(Invalid::new(below(&self.at, name), format!("is unknown; what is known: `{known}`")))
            }
        }
    }
}
