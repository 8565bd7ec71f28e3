//! The strict check of a policy before it is written: what can't be read, what can't be enforced and
//! what could never apply is refused, with its line and column.

use std::sync::LazyLock;

use cedar_policy::{Effect, PolicySet, Schema, ValidationMode, Validator};
use serde::Serialize;

use crate::catalogue::{ANY_RESOURCE, common_schema};
use crate::text::{PolicyText, Statement};
use crate::{Catalogue, Layer, PolicyProblem};

/// How far a policy may reach from an entity of the request: its attributes, not theirs. A decision
/// gets the entities this needs and no more.
const MAX_DEREFERENCES: u32 = 1;

/// What a checked text holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PolicyCheck {
    /// How many permits.
    pub permits: usize,
    /// How many forbids that nobody can lift.
    pub forbids: usize,
    /// How many forbids that people can lift.
    pub escalations: usize,
}

/// Checks the text of a policy of `layer` against the catalogue. Installation policies are checked
/// against what every organization has, whatever its catalogue.
///
/// # Errors
/// Every problem that was found, in the order of the text.
pub fn check_policy(
    text: &str,
    catalogue: &Catalogue,
    layer: Layer,
) -> Result<PolicyCheck, Vec<PolicyProblem>> {
    let parsed = PolicyText::parse(text)?;
    let mut problems: Vec<_> = parsed
        .statements
        .iter()
        .filter(|statement| !allowed_in(layer, statement))
        .map(|statement| PolicyProblem::at(text, statement.offset, "an installation policy can only forbid"))
        .collect();
    if let Some(offset) = text.find(ANY_RESOURCE) {
        problems.push(PolicyProblem::at(text, offset, format!("`{ANY_RESOURCE}` is a reserved word")));
    }
    let schema = match layer {
        Layer::Organization => catalogue.schema(),
        Layer::Installation => {
            COMMON_SCHEMA.as_ref().map_err(|error| vec![PolicyProblem::at(text, 0, error)])?
        }
    };
    problems.extend(validate(text, schema)?);
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems.dedup();
    if !problems.is_empty() {
        return Err(problems);
    }
    let count = |kind: fn(&Statement) -> bool| parsed.statements.iter().filter(|s| kind(s)).count();
    Ok(PolicyCheck {
        permits: count(|s| s.policy.effect() == Effect::Permit),
        forbids: count(|s| s.policy.effect() == Effect::Forbid && s.escalation.is_none()),
        escalations: count(|s| s.escalation.is_some()),
    })
}

/// Whether a policy may stand in that layer at all.
pub(crate) fn allowed_in(layer: Layer, statement: &Statement) -> bool {
    layer == Layer::Organization || statement.policy.effect() == Effect::Forbid
}

static COMMON_SCHEMA: LazyLock<Result<Schema, String>> = LazyLock::new(common_schema);

fn validate(text: &str, schema: &Schema) -> Result<Vec<PolicyProblem>, Vec<PolicyProblem>> {
    // Parsed again: the source places of the validator's messages are those of the original text.
    let set: PolicySet = text
        .parse()
        .map_err(|error: cedar_policy::ParseErrors| vec![PolicyProblem::at(text, 0, error.to_string())])?;
    let result =
        Validator::new(schema.clone()).validate_with_level(&set, ValidationMode::Strict, MAX_DEREFERENCES);
    let errors = result.validation_errors().map(|error| PolicyProblem::from_cedar(text, error));
    // Cedar only warns of policies that can never apply and of characters that look like others.
    let warnings = result.validation_warnings().map(|warning| PolicyProblem::from_cedar(text, warning));
    Ok(errors.chain(warnings).collect())
}
