//! The way out against real parts: sockets, TLS, a name server, all on this machine's loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod check;
mod corpora;
mod limits;
mod names;
mod pools;
mod reach;
mod redirects;
mod sent;
mod spoken;
mod support;
