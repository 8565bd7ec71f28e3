//! Cedar's decimals and moments.

use std::sync::LazyLock;

use cedar_policy_core::ast::{Name, RestrictedExpr, Value};
use cedar_policy_core::evaluator::RestrictedEvaluator;
use cedar_policy_core::extensions::Extensions;

/// The decimal that `text` writes; `None` when it writes none.
pub(crate) fn decimal(text: &str) -> Option<Value> {
    static DECIMAL: LazyLock<Name> = LazyLock::new(|| name("decimal"));
    call(&DECIMAL, text)
}

/// The moment that `text` writes; `None` when it writes none.
pub(crate) fn datetime(text: &str) -> Option<Value> {
    static DATETIME: LazyLock<Name> = LazyLock::new(|| name("datetime"));
    call(&DATETIME, text)
}

/// The constructor's name is parsed once: Cedar's own `new_decimal` does so at every call (10 µs).
fn call(constructor: &Name, text: &str) -> Option<Value> {
    let call = RestrictedExpr::call_extension_fn(constructor.clone(), [RestrictedExpr::val(text)]);
    RestrictedEvaluator::new(Extensions::all_available()).interpret(call.as_borrowed()).ok()
}

#[allow(clippy::expect_used, reason = "called with literals only, each an identifier")]
fn name(identifier: &'static str) -> Name {
    identifier.parse().expect("an identifier")
}
