//! What can be wrong with a connector.

use chancery_store::{KeyringError, StoreError};

/// A part of a definition that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pointer}`: {rule}")]
pub struct Invalid {
    /// JSON Pointer (RFC 6901) to the part.
    pub pointer: String,
    /// The rule, as a sentence for the caller.
    pub rule: String,
}

impl Invalid {
    pub(crate) fn new(pointer: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), rule: rule.into() }
    }
}

/// Why a connector was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The definition breaks a rule.
    #[error(transparent)]
    Definition(#[from] Invalid),
    /// A part of a credential breaks its rule.
    #[error("{rule}")]
    Credential {
        /// Which part.
        field: &'static str,
        /// The rule, as a sentence for the caller.
        rule: &'static str,
    },
    /// Another connector has this name.
    #[error("another connector has this name")]
    NameTaken,
    /// The change would change nothing.
    #[error("the connector is like that already")]
    Unchanged,
    /// The connector was retired, for good.
    #[error("the connector is retired")]
    Retired,
    /// Its data could not be sealed.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The store did not do it.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for ConnectorError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken { constraint } if constraint == "connectors_name" => Self::NameTaken,
            other => Self::Store(other),
        }
    }
}

impl From<sqlx::Error> for ConnectorError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}
