//! Bounded text. Every name that comes from outside is one of these before anything reads it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest resource identifier, in bytes.
pub const MAX_RESOURCE_ID_BYTES: usize = 512;

/// Text that breaks the rule of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct NameError {
    /// The rule, as a sentence for the caller.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $check:expr, $rule:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(NameError { rule: $rule }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

fn is_slug(text: &str) -> bool {
    (2..=48).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && !text.ends_with('-')
}

fn is_identifier(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_action(text: &str) -> bool {
    text.len() <= 96 && text.split('.').all(is_identifier)
}

fn is_resource_type(text: &str) -> bool {
    // `Agent`, `Member` and the like are ours: a resource of that type could pose as a principal.
    text.len() <= 64
        && is_identifier(text)
        && !matches!(
            text,
            "Agent"
                | "Member"
                | "Organization"
                | "Action"
                | "Role"
                | "Record"
                | "Set"
                | "String"
                | "Long"
                | "Bool"
                | "Boolean"
                | "Entity"
                | "Extension"
        )
}

fn is_printable(text: &str, most_bytes: usize) -> bool {
    !text.is_empty() && text.len() <= most_bytes && !text.chars().any(char::is_control)
}

name!(
    /// An organization's short name, as it stands in addresses: 2–48 of `a-z 0-9 -`.
    Slug,
    is_slug,
    "a slug is 2 to 48 of `a-z`, `0-9` and `-`, beginning with a letter and not ending with `-`"
);
name!(
    /// The name of an action, such as `payments.refund`.
    ActionName,
    is_action,
    "an action name is at most 96 bytes of dot-separated words of `A-Z a-z 0-9 _`, each beginning with a letter"
);
name!(
    /// The type of a resource, such as `Invoice`.
    ResourceType,
    is_resource_type,
    "a resource type is at most 64 of `A-Z a-z 0-9 _`, beginning with a letter, and not a reserved word"
);
name!(
    /// Which resource of its type: 1–512 bytes without control characters.
    ResourceId,
    |text| is_printable(text, MAX_RESOURCE_ID_BYTES),
    "a resource id is 1 to 512 bytes without control characters"
);
name!(
    /// Who may redeem a token: 1–128 of `A-Z a-z 0-9 . _ - : /`.
    Audience,
    |text| (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'/')),
    "an audience is 1 to 128 of `A-Z a-z 0-9 . _ - : /`"
);
name!(
    /// A name for people to read: 1–200 bytes without control characters.
    DisplayName,
    |text| is_printable(text, 200),
    "a name is 1 to 200 bytes without control characters"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for good in ["acme", "a1", "a-b-c"] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
        for bad in ["", "a", "-a", "a-", "Acme", "a_b", "1a", "a/b", "a b", "é"] {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
    }

    #[test]
    fn actions_and_types() {
        for good in ["read", "payments.refund", "a.b.c_2"] {
            assert!(good.parse::<ActionName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a\"", "1a", "a.1"] {
            assert!(bad.parse::<ActionName>().is_err(), "{bad}");
        }
        assert!("Invoice".parse::<ResourceType>().is_ok());
        for bad in ["", "Agent", "Member", "a.b", "a::b", "1"] {
            assert!(bad.parse::<ResourceType>().is_err(), "{bad}");
        }
    }

    #[test]
    fn resource_ids_take_what_people_use_but_no_nul() {
        assert!("inv/2026 № 7".parse::<ResourceId>().is_ok());
        for bad in ["", "a\0b", "a\nb"] {
            assert!(bad.parse::<ResourceId>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(513).parse::<ResourceId>().is_err());
    }
}
