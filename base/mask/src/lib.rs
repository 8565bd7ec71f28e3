//! Masks secrets and persons' data in text: one layer under every log.
//!
//! [`mask`] replaces each thing that is found by a word that says its [`Kind`], such as `[email]`.
//! [`MaskWriter`] does so for everything that is written through it, line by line. Keys and tokens are
//! found by their makers' formats or by the name before them, numbers of persons by their check digits.
//!
//! The crate stands alone: nothing in it knows of the rest of Chancery. README.md beside it says what
//! is found, by what rule, and what is not.

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

mod kind;
mod mask;
mod personal;
mod scan;
mod secret;
mod span;
mod text;
mod writer;

pub use kind::Kind;
pub use mask::{mask, mask_bytes};
pub use writer::MaskWriter;
