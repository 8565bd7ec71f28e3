//! Why somebody did something: goes into the record.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A reason: 1 to 1000 bytes, no control characters but line feeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 1000)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// Text that is no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reason is 1 to 1000 bytes without control characters, and not blank")]
pub struct ReasonError;

impl Reason {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = ReasonError;
    fn try_from(text: String) -> Result<Self, ReasonError> {
        let fits = text.len() <= 1_000
            && !text.trim().is_empty()
            && !text.chars().any(|c| c.is_control() && c != '\n');
        if fits { Ok(Self(text)) } else { Err(ReasonError) }
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}
