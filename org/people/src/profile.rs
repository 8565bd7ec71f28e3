//! What we know of a person: the part that is erased with them.

use std::fmt;
use std::str::FromStr;

use chancery_model::DisplayName;
use serde::{Deserialize, Serialize};

/// Who a member is. Its `Debug` shows nothing: a person's name is for pages, not for logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The name others see.
    pub name: DisplayName,
    /// The address mail goes to. Not verified.
    pub email: Email,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile(..)")
    }
}

/// An e-mail address as it was given: at most 254 bytes (RFC 5321 §4.5.3.1.3) of the form
/// `local@domain`, without spaces or control characters. Whether mail arrives is not known from it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(Box<str>);

/// Text that is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address is `local@domain`, at most 254 bytes without spaces")]
pub struct EmailError;

impl Email {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = EmailError;
    fn from_str(text: &str) -> Result<Self, EmailError> {
        let clean = text.len() <= 254 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        match text.rsplit_once('@') {
            // A quoted local part may hold `@`; nobody has one, and mail systems disagree about it.
            Some((local, domain))
                if clean && !local.is_empty() && !local.contains('@') && !domain.is_empty() =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(EmailError),
        }
    }
}

impl TryFrom<String> for Email {
    type Error = EmailError;
    fn try_from(text: String) -> Result<Self, EmailError> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0.into()
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["a@b", "ada.lovelace+x@example.org", "ü@exämple.org"] {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in ["", "@", "a@", "@b", "a b@c", "a@b\n", "a@b@c", &long] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_person_is_never_printed() {
        let profile =
            Profile { name: "Ada Lovelace".parse().unwrap(), email: "ada@example.org".parse().unwrap() };
        let shown = format!("{profile:?} {:?}", profile.email);
        assert!(!shown.contains("Ada") && !shown.contains("ada"), "{shown}");
    }
}
