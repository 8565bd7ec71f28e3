//! Postgres, and nothing else: the embedded cluster, the logins, the migrations, and the only ways
//! to a row.
//!
//! * [`Scoped`] is the way to rows of an organization: a transaction that carries who asks, under
//!   forced row-level security. [`Scoped<Write>`](Scoped) has no commit of its own: only the holder
//!   of the [`CommitRight`], which the record is given once, can commit it.
//! * [`Keyring`] hands out the keys that seal an organization's data.
//! * [`Receipt`] proves that something was committed; it is what releases an answer or a token.

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

mod change;
mod commit;
pub mod embedded;
mod error;
mod keyring;
mod migrate;
pub mod provision;
mod scope;
mod store;
mod wrapping;

pub use change::{Change, Epoch, Halt};
pub use commit::{CommitRight, Committed, Receipt, Statement};
pub use error::StoreError;
pub use keyring::{Keyring, KeyringError};
pub use migrate::{MIGRATIONS, MigrateError, Migrated, Migration, migrate, migrated};
pub use scope::{Read, Scope, Scoped, Write};
pub use store::{PoolSizes, Store};
pub use wrapping::{exclude_wrapping, keep_kek_versions};
