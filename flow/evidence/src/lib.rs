//! What makes the record provable to someone who trusts none of our machines: the entry's leaf and
//! its hashes, the Merkle tree over an organization's leaves, signed checkpoints, and the evidence
//! bundle with its offline verification.
//!
//! All of it is pure: no store, no clock, no network, and no panic on any bytes. `docs/evidence.md`
//! specifies the bundle for those who write a verifier of their own; `proof/verifier/verify.py` is
//! one, and a test holds the two to the same verdicts.

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

mod bundle;
mod finding;
mod frontier;
mod hex;
mod leaf;
pub mod merkle;
pub mod note;
#[cfg(feature = "sample")]
pub mod sample;
mod token;
mod trust;
mod verify;

pub use bundle::{Approval, Bundle, CallResult, Entry, FORMAT, Jws, Organization, Token, intent_hash, kind};
pub use finding::{Agreement, Closed, Finding, Report, TokenProof, Told};
pub use frontier::{Frontier, FrontierError};
pub use hex::Hex;
pub use leaf::{GENESIS, Leaf, LeafError, OwnedLeaf, commit, entry_hash};
pub use note::{Checkpoint, CheckpointSigner, NoteError, VerifierKey, origin};
pub use token::public_claims;
pub use trust::{Trust, TrustError};
pub use verify::verify;

/// A SHA-256 digest.
pub type Hash = [u8; 32];
