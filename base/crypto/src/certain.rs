//! Calls that can fail by their type, but not with the arguments we give them.

/// The value of a call that fails only when the machine has no memory or randomness left: then
/// nothing can be sealed or signed, and going on with anything less would be worse than stopping.
#[allow(clippy::expect_used, reason = "the only failures left are of the machine; see above")]
pub(crate) fn certain<T, E: std::fmt::Debug>(result: Result<T, E>, why: &'static str) -> T {
    result.expect(why)
}
