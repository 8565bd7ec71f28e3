//! Cedar's decimals and moments, made without parsing the names of their constructors, which
//! `RestrictedExpression::new_decimal` and `new_datetime` do at every call (10 µs each).

use std::sync::LazyLock;

use cedar_policy::RestrictedExpression;
use cedar_policy_core::ast::{Name, RestrictedExpr};

/// The decimal that `text` writes; an error only when it is evaluated.
pub(crate) fn decimal(text: &str) -> RestrictedExpression {
    static DECIMAL: LazyLock<Name> = LazyLock::new(|| name("decimal"));
    call(&DECIMAL, text)
}

/// The moment that `text` writes; an error only when it is evaluated.
pub(crate) fn datetime(text: &str) -> RestrictedExpression {
    static DATETIME: LazyLock<Name> = LazyLock::new(|| name("datetime"));
    call(&DATETIME, text)
}

fn call(constructor: &Name, text: &str) -> RestrictedExpression {
    RestrictedExpr::call_extension_fn(constructor.clone(), [RestrictedExpr::val(text)]).into()
}

#[allow(clippy::expect_used, reason = "called with literals only, each an identifier")]
fn name(identifier: &'static str) -> Name {
    identifier.parse().expect("an identifier")
}
