//! One type for each kind of identifier, so that one can't be passed for another.
//!
//! All are UUIDv7 (RFC 9562): they sort by creation and index well. Making one takes the moment
//! and ten random bytes from the caller; nothing here reads a clock or a random source.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

/// The random part of a new identifier.
pub type EntropyBytes = [u8; 10];

/// Text that is not an identifier of the kind asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a `{kind}`: expected a UUID")]
pub struct ParseIdError {
    /// The kind that was expected, such as `intent id`.
    pub kind: &'static str,
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $kind:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier made at `at` with ten random bytes.
            #[must_use]
            pub fn new(at: Timestamp, entropy: EntropyBytes) -> Self {
                let millis = u64::try_from(at.as_micros() / 1_000).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid())
            }

            /// The identifier of a row that was read.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The value Postgres stores.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                // Only the hyphenated form: one identifier has one spelling.
                if text.len() != 36 {
                    return Err(ParseIdError { kind: $kind });
                }
                Uuid::try_parse(text).map(Self).map_err(|_| ParseIdError { kind: $kind })
            }
        }
    };
}

id!(
    /// An organization: the unit of isolation.
    OrgId,
    "organization id"
);
id!(
    /// A person in an organization.
    MemberId,
    "member id"
);
id!(
    /// A program that acts.
    AgentId,
    "agent id"
);
id!(
    /// A member or an agent, when which of the two does not matter.
    PrincipalId,
    "principal id"
);
id!(
    /// An API key (not its secret).
    KeyId,
    "api key id"
);
id!(
    /// One request to act.
    IntentId,
    "intent id"
);
id!(
    /// What ties the entries of one story together.
    CorrelationId,
    "correlation id"
);
id!(
    /// A policy, over all its versions.
    PolicyId,
    "policy id"
);
id!(
    /// A connector: a system that can be called.
    ConnectorId,
    "connector id"
);
id!(
    /// What a connector authenticates with.
    CredentialId,
    "credential id"
);
id!(
    /// A stored permission for an agent to act on a member's behalf.
    DelegationId,
    "delegation id"
);
id!(
    /// A key that signs an organization's tokens.
    SigningKeyId,
    "signing key id"
);
id!(
    /// A key that seals the data of one subject; destroying it shreds that data.
    SubjectKeyId,
    "subject key id"
);
id!(
    /// A token (its `jti`).
    TokenId,
    "token id"
);

impl From<MemberId> for PrincipalId {
    fn from(id: MemberId) -> Self {
        Self(id.0)
    }
}

impl From<AgentId> for PrincipalId {
    fn from(id: AgentId) -> Self {
        Self(id.0)
    }
}

impl From<IntentId> for CorrelationId {
    fn from(id: IntentId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_version_7_and_sort_by_time() {
        let early = OrgId::new(Timestamp::from_micros(1_000_000_000), [255; 10]);
        let late = OrgId::new(Timestamp::from_micros(1_000_001_000), [0; 10]);
        assert_eq!(early.as_uuid().get_version_num(), 7);
        assert!(early < late);
    }

    #[test]
    fn only_the_hyphenated_spelling_is_an_id() {
        let id = AgentId::new(Timestamp::from_micros(5_000), [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "x", "{00000000-0000-0000-0000-000000000000}", "00000000000000000000000000000000"] {
            assert!(wrong.parse::<AgentId>().is_err(), "{wrong}");
        }
    }
}
