//! What a request needs to be allowed to do. A key's scopes are a subset of these words, and the
//! installation's role policy says which roles hold which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A word that names no permission.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope")]
pub struct ParsePermissionError;

macro_rules! permissions {
    ($($(#[$meta:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// One thing that a route lets a caller do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Permission { $($(#[$meta])* #[serde(rename = $word)] $variant),+ }

        impl Permission {
            /// Every permission, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word: a key's scope.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for Permission {
            type Err = ParsePermissionError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(ParsePermissionError) }
            }
        }
    };
}

permissions!(
    /// Ask to act.
    IntentsSubmit = "intents:submit",
    /// Read intents and their evidence.
    IntentsRead = "intents:read",
    /// Read escalated intents and what people answered.
    ApprovalsRead = "approvals:read",
    /// Approve and reject escalated intents.
    ApprovalsDecide = "approvals:decide",
    /// Redeem a token.
    TokensVerify = "tokens:verify",
    /// Revoke tokens.
    TokensRevoke = "tokens:revoke",
    /// Read signing keys and their states.
    SigningKeysRead = "signing_keys:read",
    /// Rotate and retire signing keys.
    SigningKeysManage = "signing_keys:manage",
    /// Read agents.
    AgentsRead = "agents:read",
    /// Create and retire agents.
    AgentsManage = "agents:manage",
    /// Read API keys (never their secrets).
    KeysRead = "keys:read",
    /// Create, rotate and revoke API keys.
    KeysManage = "keys:manage",
    /// Read members.
    MembersRead = "members:read",
    /// Create members, change roles, remove members.
    MembersManage = "members:manage",
    /// Read delegations.
    DelegationsRead = "delegations:read",
    /// Make and revoke delegations.
    DelegationsManage = "delegations:manage",
    /// Read the action catalogue.
    ActionsRead = "actions:read",
    /// Change the action catalogue.
    ActionsManage = "actions:manage",
    /// Read policies.
    PoliciesRead = "policies:read",
    /// Write, activate and withdraw policies, apply packs.
    PoliciesManage = "policies:manage",
    /// Read connectors (never their credentials).
    ConnectorsRead = "connectors:read",
    /// Create, change, test and retire connectors, and write their credentials.
    ConnectorsManage = "connectors:manage",
    /// Read the organization's settings.
    SettingsRead = "settings:read",
    /// Change the organization's settings.
    SettingsManage = "settings:manage",
    /// Read and verify the record.
    RecordRead = "record:read",
    /// Halt and resume.
    EmergencyUse = "emergency:use",
);

impl Permission {
    /// Its bit in a set of permissions.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << (self as u64)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_has_its_own_bit_and_word() {
        assert!(Permission::ALL.len() <= 64);
        let bits: std::collections::HashSet<_> = Permission::ALL.iter().map(|p| p.bit()).collect();
        assert_eq!(bits.len(), Permission::ALL.len());
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
    }
}
