//! Envelopes that know the type of what they hold.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::{Context, DataKey, OpenError, Random, open, seal};

/// A `T`, sealed: its JSON in an envelope ([`seal`]). What Postgres stores is its bytes.
pub struct Sealed<T> {
    envelope: Vec<u8>,
    holds: PhantomData<fn() -> T>,
}

/// A value that JSON can't write, so that it was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a `{kind}` could not be written as JSON to seal it")]
pub struct SealError {
    /// The type of the value.
    pub kind: &'static str,
}

impl<T> Sealed<T> {
    /// The sealed value of a row that was read; [`Sealed::open`] finds out whether it is one.
    #[must_use]
    pub const fn from_bytes(envelope: Vec<u8>) -> Self {
        Self { envelope, holds: PhantomData }
    }

    /// The envelope.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.envelope
    }

    /// The envelope, to be stored.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.envelope
    }
}

impl<T: Serialize> Sealed<T> {
    /// Seals `value` under `key`, bound to `context`.
    ///
    /// # Errors
    /// When the value can't be written as JSON.
    pub fn seal(
        key: &DataKey,
        context: &Context<'_>,
        value: &T,
        random: &dyn Random,
    ) -> Result<Self, SealError> {
        // The text of serde's error may quote the value: it goes no further.
        let json = serde_json::to_vec(value).map_err(|_| SealError { kind: std::any::type_name::<T>() })?;
        Ok(Self::from_bytes(seal(key, context, &Zeroizing::new(json), random)))
    }
}

impl<T: DeserializeOwned> Sealed<T> {
    /// Opens the value.
    ///
    /// # Errors
    /// As [`open`]; also when it holds something else than a `T`.
    pub fn open(&self, key: &DataKey, context: &Context<'_>) -> Result<T, OpenError> {
        let json = open(key, context, &self.envelope)?;
        serde_json::from_slice(&json).map_err(|_| OpenError::Content { expected: std::any::type_name::<T>() })
    }
}

impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self::from_bytes(self.envelope.clone())
    }
}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.envelope.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRandom;

    const PLACE: Context<'_> =
        Context { org: None, table: "connectors", column: "credential", row: "7", purpose: "credential" };

    #[test]
    fn a_value_comes_back_as_its_type_and_as_no_other() {
        let random = SeededRandom::new(1);
        let key = DataKey::generate(uuid::Uuid::from_u128(7), &random);
        let sealed = Sealed::seal(&key, &PLACE, &("canary".to_owned(), 3_u8), &random).unwrap();
        let stored = Sealed::<(String, u8)>::from_bytes(sealed.clone().into_bytes());
        assert_eq!(stored.open(&key, &PLACE).unwrap(), ("canary".to_owned(), 3));

        let other = Sealed::<(u8, u8)>::from_bytes(sealed.into_bytes()).open(&key, &PLACE).unwrap_err();
        assert!(matches!(other, OpenError::Content { .. }));
        assert!(!format!("{other} {other:?} {stored:?}").contains("canary"));
    }

    #[test]
    fn what_json_cannot_write_is_not_sealed() {
        let random = SeededRandom::new(1);
        let key = DataKey::generate(uuid::Uuid::from_u128(7), &random);
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(Sealed::seal(&key, &PLACE, &map, &random).is_err());
    }
}
