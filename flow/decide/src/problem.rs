//! What is wrong with a policy, and where.

use std::fmt;

use miette::Diagnostic;
use serde::Serialize;

/// One thing that is wrong with the text of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyProblem {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// How to put it right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl PolicyProblem {
    /// A problem at a byte of the text.
    pub(crate) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            line: count(before.matches('\n').count() + 1),
            column: count(last_line.chars().count() + 1),
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What Cedar reports.
    pub(crate) fn from_cedar(text: &str, diagnostic: &dyn Diagnostic) -> Self {
        let offset =
            diagnostic.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
        let message = diagnostic.to_string();
        let hint = diagnostic.help().map(|help| without_number(&help.to_string()));
        Self { hint, ..Self::at(text, offset, without_number(&message)) }
    }
}

/// Cedar names policies by their place in the text, which line and column tell better.
fn without_number(message: &str) -> String {
    let rest = message.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, "));
    rest.map_or(message, |(_, rest)| rest).to_owned()
}
