//! Mint: the signing keys of each organization, the tokens they sign, and whether a token that
//! comes back is good.
//!
//! A token is a JWS (RFC 7515) over [`Claims`]: single-use authority for one exact action. It is
//! made by [`mint`] and stays inside [`Minted`] until a [`chancery_store::Receipt`] proves that its
//! record is durable. It comes back as text, is read by [`UnverifiedToken::parse`] and becomes a
//! [`Redemption`] by [`verify`]; the committer then consumes its nonce with
//! [`token_uses::insert_batch`], and only a fresh nonce counts.

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

mod claims;
mod minted;
mod pool;
pub mod revocations;
mod signer;
pub mod signing_keys;
mod token;
pub mod token_uses;
mod trust;
mod verify;

pub use claims::{Actor, Claims, Lifetime, LifetimeError, Nonce, Resource};
pub use minted::{MintError, Minted, Mismatch, Terms, mint};
pub use pool::{KeyPool, PoolClosed, Stock};
pub use signer::{Signer, SigningKeys};
pub use token::{Malformed, UnverifiedToken};
pub use trust::Trust;
pub use verify::{CLOCK_SKEW_SECONDS, Expected, Redemption, VerifyError, verify};

/// The tables of this crate.
pub const MIGRATIONS: &[chancery_store::Migration] = &[
    chancery_store::Migration { version: 40, name: "mint", sql: include_str!("../migrations/0040_mint.sql") },
    chancery_store::Migration {
        version: 41,
        name: "next signing keys",
        sql: include_str!("../migrations/0041_next_signing_keys.sql"),
    },
    chancery_store::Migration {
        version: 42,
        name: "revoke by agent",
        sql: include_str!("../migrations/0042_revoke_by_agent.sql"),
    },
];
