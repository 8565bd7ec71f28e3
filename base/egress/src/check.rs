//! What is said of a URL without asking for it.

use std::fmt;
use std::net::SocketAddr;

use crate::failure::{Cause, Refusal};
use crate::target::Target;

/// Whether a URL may be asked for.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was read of it, where it could be.
    pub target: Option<Target>,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of checking a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be asked for, at these places.
    Allowed(Vec<SocketAddr>),
    /// It may not.
    Refused(Refusal),
    /// Its name could not be resolved, so nobody knows; asked for, it would fail.
    Unresolved(String),
}

impl Report {
    pub(crate) const fn allowed(target: Target, places: Vec<SocketAddr>) -> Self {
        Self { target: Some(target), verdict: Verdict::Allowed(places) }
    }

    pub(crate) const fn refused(target: Option<Target>, refusal: Refusal) -> Self {
        Self { target, verdict: Verdict::Refused(refusal) }
    }

    pub(crate) fn unknown(target: Target, cause: &Cause) -> Self {
        Self { target: Some(target), verdict: Verdict::Unresolved(cause.to_string()) }
    }

    /// Whether it may be asked for.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self.verdict, Verdict::Allowed(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(places) => {
                f.write_str("allowed:")?;
                places.iter().try_for_each(|place| write!(f, " {place}"))
            }
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::Unresolved(why) => write!(f, "unresolved: {why}"),
        }
    }
}
