//! Randomness, hashes, sealing, custody of the key-encrypting key, and signatures.
//!
//! Everything rests on aws-lc; this crate decides what is bound to what, and keeps secrets out of
//! `Debug`, error texts and freed memory. The keys form a chain: the KEK ([`Custody`], a file)
//! wraps an organization's [`DataKey`], which wraps those of its people ([`wrap_under`]); a data
//! key seals rows ([`seal`], [`Sealed`]) under a fresh key derived for each.
//!
//! **No function panics on the bytes it is given**, whatever they are: `tests/hostile.rs` holds the
//! crate to it. The only panic is for a machine that has no randomness or memory left.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

mod certain;
mod hash;
mod jwk;
mod kek;
mod kek_file;
mod random;
mod seal;
mod sealed;
mod sign;
mod suite;

pub use hash::{equal, sha256};
pub use jwk::JwkError;
pub use kek::{Custody, WrappedKey};
pub use kek_file::KekError;
pub use random::{Random, SeededRandom, SystemRandom};
pub use seal::{
    Context, DataKey, OpenError, kek_version, open, seal, sealed_under, unwrap_under, wrap_under,
};
pub use sealed::{SealError, Sealed};
pub use sign::{Algorithm, PublicKey, SignError, SigningKey, UnknownAlgorithm};
