//! Connectors: the systems that can be called, what each takes, and what Chancery authenticates with
//! there.
//!
//! * [`Definition`]: where a system is and how each action becomes a call of it. What is called follows
//!   from the canonical form of an intent alone ([`Definition::render`], pure).
//! * [`connector`]: administration, and pausing. What changes something gives, beside the thing, the
//!   [`Change`](chancery_store::Change) whose entry lets it be committed.
//! * [`credential`]: written and never read back but to make a call ([`credential::open`]).
//! * [`usable`]: all that a call needs, in one query.
//! * [`Stops`]: which connectors are paused or retired, in memory while the organization's epoch stands.

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

mod base_url;
pub mod connector;
pub mod credential;
mod definition;
mod ended;
mod error;
mod fields;
mod fit;
mod limits;
mod operation;
mod ready;
mod render;
mod secret;
mod stops;
mod template;

pub use base_url::BaseUrl;
pub use connector::Connector;
pub use definition::{Definition, MAX_DEFINITION_BYTES, MAX_OPERATIONS};
pub use ended::{destroy_ended, ended};
pub use error::{ConnectorError, Invalid};
pub use limits::{Breaker, Limits, Retries};
pub use operation::{Operation, Probe};
pub use ready::{Ready, SealedCredential, usable};
pub use render::{Call, RenderError, Rendered};
pub use secret::{ClientAuth, Credential, CredentialDraft, CredentialKind};
pub use stops::{Stop, Stopped, Stops};

/// The tables of this crate.
pub const MIGRATIONS: &[chancery_store::Migration] = &[
    chancery_store::Migration {
        version: 70,
        name: "connectors",
        sql: include_str!("../migrations/0070_connectors.sql"),
    },
    chancery_store::Migration {
        version: 71,
        name: "ended credentials",
        sql: include_str!("../migrations/0071_ended_credentials.sql"),
    },
];
