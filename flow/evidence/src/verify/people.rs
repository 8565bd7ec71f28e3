//! Who agreed, and whether it was enough.

use serde_json::Value;

use super::entries::Read;
use super::story::MEMBER;
use super::text;
use crate::bundle::kind;

/// The answers that stand: the last of each person, where that is that they agree.
pub(super) fn agreed<'a>(entries: &'a [Read<'a>]) -> Vec<&'a Read<'a>> {
    let answers = || entries.iter().filter(|entry| kind::ANSWERS.contains(&entry.kind.as_str()));
    let taken_back = |answer: &Read<'_>| {
        answers().any(|other| other.seq > answer.seq && other.refers_to(MEMBER) == answer.refers_to(MEMBER))
    };
    answers().filter(|answer| answer.kind == kind::GRANTED && !taken_back(answer)).collect()
}

/// The role in which a person answered; `None` when the payload that states it is not there.
pub(super) fn role<'a>(answer: &Read<'a>) -> Option<&'a str> {
    text(answer.payload?.get("approver")?, "role")
}

/// Whether these people are all that a decision's requirements ask for; it has at least one.
pub(super) fn are_enough(agreed: &[&Read<'_>], decision: Option<&Value>) -> bool {
    let requirements = decision.and_then(|decision| decision.get("requirements")).and_then(Value::as_array);
    requirements.is_some_and(|requirements| {
        !requirements.is_empty() && requirements.iter().all(|requirement| is_met_by(agreed, requirement))
    })
}

fn is_met_by(agreed: &[&Read<'_>], requirement: &Value) -> bool {
    let Some(needed @ 1..) = requirement.get("approvals").and_then(Value::as_u64) else { return false };
    // An admin decides wherever an approver may.
    let roles: &[&str] = match text(requirement, "role") {
        Some("admin") => &["admin"],
        Some("approver") => &["approver", "admin"],
        _ => return false,
    };
    let fits =
        |answer: &&&Read<'_>| answer.payload.is_none() || role(answer).is_some_and(|it| roles.contains(&it));
    agreed.iter().filter(fits).count() as u64 >= needed
}
