//! The guarded way out: HTTP requests to URLs that strangers name, without reaching what they must not.
//!
//! [`Target::parse`] reads a URL once; [`Egress::send`] resolves its host, judges every address,
//! connects to one that was judged, and does all of it again for each redirect. [`Rules`] are what an
//! operator allows beyond public addresses over HTTPS; [`Permit`] is what one caller's request is let
//! do. Limits of time and size hold while an answer is read, and a [`Failure`] says whether the request
//! may have left.
//!
//! The crate stands alone: nothing in it knows of the rest of Chancery. README.md beside it says what
//! is refused, and `examples/fetch.rs` shows it at work.

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

mod address;
mod body;
mod check;
mod connection;
mod dial;
mod egress;
mod failure;
mod host;
mod limits;
mod listeners;
mod network;
mod outgoing;
mod pins;
mod pool;
mod progress;
mod redirect;
mod resolve;
mod rules;
mod target;
mod tls;

pub use address::{Nat64Prefix, Nat64PrefixError, Reason, refused};
pub use check::{Report, Verdict};
pub use egress::{Egress, Settings};
pub use failure::{Cause, Failure, FailureKind, Phase, Refusal, Sent, SetupError};
pub use host::{Host, Pattern, PatternError};
pub use limits::Limits;
pub use network::{Network, NetworkError};
pub use outgoing::{Answer, Outgoing, Permit};
pub use pins::{Pin, PinError, Pins};
pub use pool::{PoolKey, PoolLimits};
pub use rules::{Reach, Rules};
pub use target::{Scheme, Target, TargetError};
