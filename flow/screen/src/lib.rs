//! Screening: the canonical form of what is asked; and the limits that the guard takes from.

mod cleared;
mod intent;
mod limits;

pub use cleared::{Cleared, RecallError, ScreenError, recall, screen};
pub use intent::{Draft, DraftError, Intent, MAX_CANONICAL_BYTES, MAX_NESTING, intent_hash};
pub use limits::{Entry, Limits, Rate, Rates, Retry};
