//! The third stage of the way: limits, and the canonical form of what is asked.

mod cleared;
mod intent;
mod limits;

pub use cleared::{Cleared, ScreenError, screen};
pub use intent::{Draft, DraftError, Intent, MAX_CANONICAL_BYTES, MAX_NESTING, intent_hash};
pub use limits::{Limits, Rate, Retry};
