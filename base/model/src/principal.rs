//! Who acts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{AgentId, MemberId, PrincipalId};

/// A stored or sent word that names none of the variants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind}")]
pub struct UnknownVariant {
    /// What was expected, such as `role`.
    pub kind: &'static str,
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $kind:literal { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in the API and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownVariant;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(UnknownVariant { kind: $kind }) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// What a principal may do by its place in the organization. Which permissions each carries is
    /// written in the installation's role policy, never in code.
    Role, "role" {
        /// Reads.
        Viewer = "viewer",
        /// Runs agents and keys.
        Operator = "operator",
        /// Decides on escalated intents.
        Approver = "approver",
        /// Administers the organization.
        Admin = "admin",
        /// Not a person: submits intents. Held by agents only.
        Agent = "agent",
    }
);

words!(
    /// Live acts on the world; test never verifies as live.
    Environment, "environment" {
        /// The real thing.
        Live = "live",
        /// A rehearsal.
        Test = "test",
    }
);

/// Who a request acts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "lowercase", expecting = "an object")]
pub enum Principal {
    /// A person.
    Member(MemberId),
    /// A program.
    Agent(AgentId),
}

impl Principal {
    /// The identifier alone.
    #[must_use]
    pub fn id(self) -> PrincipalId {
        match self {
            Self::Member(id) => id.into(),
            Self::Agent(id) => id.into(),
        }
    }

    /// `member` or `agent`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Member(_) => "member",
            Self::Agent(_) => "agent",
        }
    }

    /// The principal of a stored kind and id.
    ///
    /// # Errors
    /// When `kind` is neither `member` nor `agent`.
    pub fn from_parts(kind: &str, id: PrincipalId) -> Result<Self, UnknownVariant> {
        match kind {
            "member" => Ok(Self::Member(MemberId::from_uuid(id.as_uuid()))),
            "agent" => Ok(Self::Agent(AgentId::from_uuid(id.as_uuid()))),
            _ => Err(UnknownVariant { kind: "principal" }),
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.id())
    }
}
