//! What must hold for any bytes at all, at each place where a stranger's bytes are read.
//!
//! One function for each place. `tests/any_bytes.rs` calls them with seeds and with what proptest makes
//! up, on any toolchain; `fuzz/` calls the same functions from libFuzzer. Each reads its input twice:
//! as it is, and as changes to something valid, which reaches further than noise does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "whatever does not hold must be loud; nothing but tests is made of this"
)]

mod api_key;
mod bundle;
mod edit;
mod envelope;
mod intent;
mod number;
mod token;
mod url;

pub use api_key::api_key;
pub use bundle::bundle;
pub use envelope::envelope;
pub use intent::intent;
pub use number::number;
pub use token::token;
pub use url::url;

/// A name and the function that goes by it.
pub type Target = (&'static str, fn(&[u8]));

/// Every function of this crate, by the name of its fuzz target and of its folder in `fuzz/seeds`.
pub const TARGETS: [Target; 7] = [
    ("api_key", api_key),
    ("token", token),
    ("intent", intent),
    ("number", number),
    ("bundle", bundle),
    ("envelope", envelope),
    ("url", url),
];
