//! What holds for every page of the gallery: by reading its HTML, and in the full run by looking at it in
//! Chromium.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail loudly")]

mod browser;
mod contrast;
#[path = "../../examples/gallery/samples/mod.rs"]
mod samples;
mod walk;
