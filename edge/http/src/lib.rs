//! The HTTP surface: which routes there are, who may call each, and what a request goes through.
//!
//! * [`router`] is the server: every request goes through `serve.rs`, top to bottom.
//! * [`routes`] is the table of routes. A handler is `async fn(Cx<Guard, Input>) -> Result<Answer,
//!   ApiError>`: guard, input and answer are types, and the table and the OpenAPI document are
//!   made from them.
//! * [`ApiError`] is the one failure, rendered in one place; `refuse.rs` says which failure of
//!   which stage is which code.

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

mod answer;
mod app;
mod call;
mod client;
mod cursor;
mod cx;
mod error;
mod foreign;
mod guard;
mod head;
mod input;
#[cfg(test)]
mod input_tests;
mod observe;
pub mod openapi;
mod origins;
mod refuse;
mod restraint;
mod route;
mod routes;
mod serve;
mod strict;
mod way;

pub use answer::{Answer, Created, Events, Many, Plain, RECORD_SEQ, Respond};
pub use app::{App, Witness};
pub use client::{Edge, Peer, Proxies};
pub use cx::{Cx, Inner, Inside};
pub use error::ApiError;
pub use guard::{Access, AnyCaller, Guard, Needs, Public};
pub use head::{Head, IDEMPOTENCY_KEY, REQUEST_ID, RequestId};
pub use input::{Input, Json, Nothing, Query};
pub use origins::Origins;
pub use route::Route;
pub use routes::routes;
pub use serve::{Bounds, router};
