//! Why a catalogue or policy is not changed.

use chancery_decide::{CatalogueError, CompileError, PolicyProblem};
use chancery_store::StoreError;

/// A change that is refused. All but [`Self::Store`] are for the caller to read.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The catalogue does not take a definition.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The policy's text has problems.
    #[error("the policy has {} problem(s), the first at {}", .0.len(), first(.0))]
    Problems(Vec<PolicyProblem>),
    /// A policy in force would not hold any more.
    #[error("policy `{policy}` is in force and would break at {}", first(.problems))]
    Breaks {
        /// The name of the policy.
        policy: String,
        /// What would be wrong with it.
        problems: Vec<PolicyProblem>,
    },
    /// The policies can't be in force together.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// There is no such action, policy, version or pack.
    #[error("no such {0}")]
    Missing(&'static str),
    /// Another policy has the name.
    #[error("another policy has this name")]
    NameTaken,
    /// It already is as asked.
    #[error("nothing would change")]
    Unchanged,
    /// The store did not do it.
    #[error(transparent)]
    Store(StoreError),
}

fn first(problems: &[PolicyProblem]) -> String {
    problems.first().map(ToString::to_string).unwrap_or_default()
}

impl From<StoreError> for PolicyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken { constraint } if constraint == "policies_name" => Self::NameTaken,
            other => Self::Store(other),
        }
    }
}

impl From<sqlx::Error> for PolicyError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}
