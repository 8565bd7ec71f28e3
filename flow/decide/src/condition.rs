//! When a policy applies: its condition, built once and evaluated for each request.

use std::sync::LazyLock;

use cedar_policy::Policy;
use cedar_policy_core::ast::{Expr, ExprKind, Literal, SlotEnv, ValueKind, Var};
use cedar_policy_core::evaluator::Evaluator;

/// The conjunction of a policy's scope and its conditions. Cedar's authorizer builds it anew for every
/// policy of every request; what it then does with it is what [`Condition::holds`] does.
#[derive(Debug)]
pub(crate) struct Condition {
    expression: Expr,
    /// Whether it looks at the time.
    pub(crate) tells_time: bool,
}

/// The policy can't be evaluated on the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Undecidable;

impl Condition {
    /// The condition of a policy, which has no slots: templates are no policies here.
    pub(crate) fn of(policy: &Policy) -> Self {
        let expression = policy.as_ref().condition();
        Self { tells_time: tells_time(&expression), expression }
    }

    /// Whether the policy applies to the evaluator's request. Cedar skips what it can't evaluate, a
    /// forbid as well as a permit; here that is an answer of its own, and the caller must refuse.
    pub(crate) fn holds(&self, evaluator: &Evaluator<'_>) -> Result<bool, Undecidable> {
        static NO_SLOTS: LazyLock<SlotEnv> = LazyLock::new(SlotEnv::new);
        let value = evaluator.interpret(&self.expression, &NO_SLOTS).map_err(|_| Undecidable)?;
        match value.value_kind() {
            ValueKind::Lit(Literal::Bool(holds)) => Ok(*holds),
            _ => Err(Undecidable),
        }
    }
}

/// Whether `context.now` can be seen: it is named, or the context is used other than by naming a part.
fn tells_time(expression: &Expr) -> bool {
    let is_context = |of: &Expr| matches!(of.expr_kind(), ExprKind::Var(Var::Context));
    let (mut named, mut whole) = (0_usize, 0_usize);
    for part in expression.subexpressions() {
        match part.expr_kind() {
            ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } if is_context(expr) => {
                if attr == "now" {
                    return true;
                }
                named += 1;
            }
            ExprKind::Var(Var::Context) => whole += 1,
            _ => {}
        }
    }
    // Each part that is named holds one mention of the whole.
    whole > named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_told_where_it_is_seen() {
        let seen = |when: &str| {
            let text = format!("permit(principal, action, resource) when {{ {when} }};");
            Condition::of(&text.parse().unwrap()).tells_time
        };
        for blind in ["true", "context.risk > 3", "context has connector && context.arguments.now == 1"] {
            assert!(!seen(blind), "{blind}");
        }
        for sees in [
            "context.now < datetime(\"2026-01-01\")",
            "context[\"now\"] == context.arguments.at",
            "context has now",
            "context.risk > 3 && [context].contains(context.facts)",
            "if context == {a: 1} then true else false",
        ] {
            assert!(seen(sees), "{sees}");
        }
    }
}
