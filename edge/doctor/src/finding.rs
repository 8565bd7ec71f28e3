//! What an examination says.

use serde::Serialize;

use crate::{Code, Severity};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What, in a stable word.
    pub code: Code,
    /// How bad that is.
    pub severity: Severity,
    /// On what: a table, a role, a file.
    pub subject: String,
    /// What it means, in a sentence.
    pub meaning: String,
    /// What puts it right: SQL or a command where there is one, else words.
    pub fix: String,
}

impl Finding {
    /// A finding of the code's severity.
    #[must_use]
    pub fn new(
        code: Code,
        subject: impl Into<String>,
        meaning: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: code.severity(),
            subject: subject.into(),
            meaning: meaning.into(),
            fix: fix.into(),
        }
    }

    /// Whether it has to be put right.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.severity == Severity::Finding
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All is as it should be.
    Held,
    /// Nothing is wrong, and something could be better.
    Advice,
    /// Something is wrong.
    Finding,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    /// What it is about, for people.
    pub name: &'static str,
    /// What was seen, for people: counts, names.
    pub seen: String,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
}

impl Check {
    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.findings.iter().any(Finding::counts) {
            true => Outcome::Finding,
            false if self.findings.is_empty() => Outcome::Held,
            false => Outcome::Advice,
        }
    }
}

/// All checks, in the order in which people read them.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// Every finding and every advice.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|check| &check.findings)
    }

    /// Whether nothing has to be put right.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !self.findings().any(Finding::counts)
    }
}
