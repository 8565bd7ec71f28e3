//! The text of a policy, read: Cedar policies with the annotations that are ours.

use std::sync::Arc;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet};
use chancery_crypto::sha256;
use chancery_evidence::Hex;
use chancery_model::Role;

use crate::PolicyProblem;
use crate::condition::Condition;

/// The largest text of a policy.
pub const MAX_POLICY_BYTES: usize = 64 * 1024;
/// The most approvals that a policy can ask for.
pub const MAX_APPROVALS: u8 = 20;
/// How long approvers have when the policy doesn't say: a day.
pub const DEFAULT_TIMEOUT_SECONDS: u32 = 24 * 60 * 60;
/// The longest that a policy can give them: 30 days.
pub const MAX_TIMEOUT_SECONDS: u32 = 30 * 24 * 60 * 60;
const MIN_TIMEOUT_SECONDS: u32 = 60;
const MAX_MESSAGE_BYTES: usize = 1_000;

/// What an escalating forbid asks of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Escalation {
    pub(crate) role: Role,
    pub(crate) approvals: u8,
    pub(crate) timeout_seconds: u32,
}

/// One Cedar policy of a text.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Its id is the text's hash and its place in it, so that equal texts are equal everywhere.
    pub(crate) policy: Policy,
    pub(crate) condition: Arc<Condition>,
    pub(crate) escalation: Option<Escalation>,
    pub(crate) message: Option<Arc<str>>,
    pub(crate) offset: usize,
}

/// A text that was read.
#[derive(Debug)]
pub(crate) struct PolicyText {
    pub(crate) hash: [u8; 32],
    pub(crate) statements: Vec<Statement>,
}

impl PolicyText {
    /// Reads a text without regard to any schema.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<PolicyProblem>> {
        if text.len() > MAX_POLICY_BYTES {
            let rule = format!("a policy is at most {MAX_POLICY_BYTES} bytes");
            return Err(vec![PolicyProblem::at(text, 0, rule)]);
        }
        let set: PolicySet = text.parse().map_err(|errors: cedar_policy::ParseErrors| {
            errors.iter().map(|error| PolicyProblem::from_cedar(text, error)).collect::<Vec<_>>()
        })?;
        let hash = sha256(&[text.as_bytes()]);
        let mut problems: Vec<_> = set
            .templates()
            .map(|template| {
                let offset = template.as_ref().loc().map_or(0, |loc| loc.start());
                PolicyProblem::at(text, offset, "a template is not a policy")
                    .with_hint("replace `?principal` and `?resource`")
            })
            .collect();
        let mut policies: Vec<_> = set.policies().map(|policy| (offset(policy), policy)).collect();
        policies.sort_by_key(|(offset, _)| *offset);
        if policies.is_empty() && problems.is_empty() {
            problems.push(PolicyProblem::at(text, 0, "no policy in the text"));
        }
        let mut statements = Vec::with_capacity(policies.len());
        for (index, (offset, policy)) in policies.into_iter().enumerate() {
            let named = policy.new_id(PolicyId::new(format!("{}.{index}", Hex(hash))));
            match Statement::read(bare(&named), offset) {
                Ok(statement) => statements.push(statement),
                Err(found) => {
                    problems.extend(found.into_iter().map(|message| PolicyProblem::at(text, offset, message)))
                }
            }
        }
        if problems.is_empty() { Ok(Self { hash, statements }) } else { Err(problems) }
    }
}

impl Statement {
    fn read(policy: Policy, offset: usize) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut annotations = Annotations::default();
        for (key, value) in policy.annotations() {
            if let Err(problem) = annotations.take(key, value) {
                problems.push(problem);
            }
        }
        let Annotations { role, approvals, timeout, message } = annotations;
        if role.is_none() && (approvals.is_some() || timeout.is_some()) {
            problems.push("`@approvals` and `@timeout` mean nothing without `@escalate`".to_owned());
        }
        if role.is_some() && policy.effect() == Effect::Permit {
            problems.push("`@escalate` belongs on a forbid: it says who may lift it".to_owned());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let escalation = role.map(|role| Escalation {
            role,
            approvals: approvals.unwrap_or(1),
            timeout_seconds: timeout.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
        });
        let condition = Arc::new(Condition::of(&policy));
        Ok(Self { policy, condition, escalation, message, offset })
    }
}

#[derive(Default)]
struct Annotations {
    role: Option<Role>,
    approvals: Option<u8>,
    timeout: Option<u32>,
    message: Option<Arc<str>>,
}

impl Annotations {
    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "id" | "description" => {}
            "message" if !value.is_empty() && value.len() <= MAX_MESSAGE_BYTES => {
                self.message = Some(value.into())
            }
            "message" => return Err(format!("`@message` is 1 to {MAX_MESSAGE_BYTES} bytes")),
            "escalate" => match value.parse() {
                Ok(role @ (Role::Approver | Role::Admin)) => self.role = Some(role),
                _ => return Err("`@escalate` names who decides: `approver` or `admin`".to_owned()),
            },
            "approvals" => match value.parse() {
                Ok(count @ 1..=MAX_APPROVALS) => self.approvals = Some(count),
                _ => return Err(format!("`@approvals` is a number from 1 to {MAX_APPROVALS}")),
            },
            "timeout" => {
                let rule = "`@timeout` is a number and `s`, `m`, `h` or `d`, from 1m to 30d, such as `4h`";
                self.timeout = Some(timeout_seconds(value).ok_or(rule)?);
            }
            _ => {
                return Err(format!(
                    "unknown annotation `@{key}`: there are escalate, approvals, timeout, message, id, description"
                ));
            }
        }
        Ok(())
    }
}

fn timeout_seconds(text: &str) -> Option<u32> {
    let (number, unit) = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
        .iter()
        .find_map(|(suffix, seconds)| text.strip_suffix(suffix).map(|number| (number, *seconds)))?;
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let seconds = number.parse::<u32>().ok().filter(|_| plain)?.checked_mul(unit)?;
    (MIN_TIMEOUT_SECONDS..=MAX_TIMEOUT_SECONDS).contains(&seconds).then_some(seconds)
}

fn offset(policy: &Policy) -> usize {
    policy.as_ref().loc().map_or(0, |loc| loc.start())
}

/// The policy without its source text, which Cedar would copy into every set that holds it.
fn bare(policy: &Policy) -> Policy {
    policy.as_ref().clone().into()
}
