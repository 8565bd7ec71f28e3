//! Whom the verifier trusts. It comes from the one who verifies, never from what is verified.

use crate::VerifierKey;

/// The checkpoint keys a verifier trusts.
#[derive(Clone, Debug)]
pub struct Trust {
    keys: Vec<VerifierKey>,
}

/// Text that is not a trust file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// A line is not a key.
    #[error("line {line}: {reason}")]
    Line {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// No line is a key.
    #[error("no key: expected at least one line `name+id+key`")]
    Empty,
}

impl Trust {
    /// Reads a trust file: one verifier key a line; lines that are blank or begin with `#` say
    /// nothing.
    ///
    /// # Errors
    /// When a line is anything else, or there is no key.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let keys = text
            .lines()
            .enumerate()
            .map(|(number, line)| (number + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(line, text)| {
                text.parse().map_err(|error: crate::note::VerifierKeyError| TrustError::Line {
                    line,
                    reason: error.to_string(),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(TrustError::Empty) } else { Ok(Self { keys }) }
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }
}
