//! The answer: an effect, and why.
//!
//! The fields of these types stand in the order of their names and hold whole numbers and text, so
//! that what serde writes is canonical (RFC 8785) already: the record hashes it, and a decision is
//! written once for the record and the answer alike ([`Decision::to_canonical`]).

use std::borrow::Cow;
use std::sync::Arc;

use chancery_model::Role;
use serde::{Deserialize, Serialize};

use crate::Risk;

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It may.
    Allow,
    /// It may once the requirements are met by people.
    Escalate,
    /// It may not.
    Deny,
}

/// Whose policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The installation's: only forbids, and no organization can loosen it.
    Installation,
    /// The organization's own.
    Organization,
}

/// Which policy, in which version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PolicyRef {
    /// The policy's id.
    pub id: Arc<str>,
    /// Whose it is.
    pub layer: Layer,
    /// Its name.
    pub name: Arc<str>,
    /// The version that was in force.
    pub version: u32,
}

/// One reason for the effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// A stable word for programs.
    pub code: &'static str,
    /// The same for people; never holds a value of the request.
    pub message: Cow<'static, str>,
    /// The policy it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRef>,
}

/// How a gate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing against it.
    Pass,
    /// People have to agree.
    Escalate,
    /// The end: later gates were not asked.
    Fail,
}

/// One gate of the trace, in the order they are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gate {
    /// Its name.
    pub gate: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: Cow<'static, str>,
}

/// What people have to do before an escalated intent may go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// How many different approvers.
    pub approvals: u8,
    /// What the policy tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Arc<str>>,
    /// The policy that asks; none when the risk score does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRef>,
    /// The role the approvers hold.
    pub role: Role,
    /// Seconds until it counts as refused.
    pub timeout_seconds: u32,
}

impl Requirement {
    /// Whether people with these roles, each of them another person, are those it asks for. An admin
    /// decides wherever an approver may.
    #[must_use]
    pub fn is_met_by(&self, agreed: &[Role]) -> bool {
        let count = agreed.iter().filter(|role| may_answer(**role, self.role)).count();
        count >= usize::from(self.approvals)
    }
}

/// Whether a person with role `role` may answer where `asked` is asked for.
#[must_use]
pub const fn may_answer(role: Role, asked: Role) -> bool {
    match asked {
        Role::Admin => matches!(role, Role::Admin),
        Role::Approver => matches!(role, Role::Approver | Role::Admin),
        // A policy can't ask for these.
        Role::Viewer | Role::Operator | Role::Agent => false,
    }
}

/// A decision with everything that explains it: what the API answers and the record keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The effect.
    pub effect: Effect,
    /// The gates that were asked, in order.
    pub gates: Vec<Gate>,
    /// The policies that determined the effect, in the order of the reasons.
    pub policies: Vec<PolicyRef>,
    /// Why, at least one; what decided comes first.
    pub reasons: Vec<Reason>,
    /// What people have to do; empty unless the effect is `escalate`.
    pub requirements: Vec<Requirement>,
    /// The risk score and what it is made of.
    pub risk: Risk,
    /// The hash of the Cedar schema it was made under.
    pub schema_hash: Arc<str>,
}

impl Decision {
    /// The canonical JSON of the decision; a test holds it to [`chancery_model::ijson::canonical`].
    ///
    /// # Errors
    /// None for the types as they are.
    pub fn to_canonical(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}
