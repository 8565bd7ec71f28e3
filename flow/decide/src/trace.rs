//! What is noted on the way through the gates, and what the decision is made of at its end.

use std::borrow::Cow;
use std::sync::Arc;

use crate::{Decision, Effect, Gate, Outcome, PolicyRef, Reason, Requirement, Risk};

/// A gate failed. Only [`Trace`] makes one, so a refusal always has its gate and its reason.
pub(crate) struct Refused(());

#[derive(Default)]
pub(crate) struct Trace {
    pub(crate) risk: Risk,
    reasons: Vec<Reason>,
    agreed: Vec<Reason>,
    permits: Vec<Reason>,
    gates: Vec<Gate>,
    requirements: Vec<Requirement>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { gates: Vec::with_capacity(7), ..Self::default() }
    }

    pub(crate) fn pass(&mut self, gate: &'static str, reason: &'static str) {
        self.gates.push(Gate { gate, outcome: Outcome::Pass, reason: reason.into() });
    }

    pub(crate) fn permitted(&mut self, message: Cow<'static, str>, policy: &PolicyRef) {
        self.permits.push(Reason { code: "permitted", message, policy: Some(policy.clone()) });
    }

    /// What would have asked people, and people agreed to.
    pub(crate) fn agreed(&mut self, reason: Reason) {
        self.agreed.push(reason);
    }

    /// A gate may escalate for several reasons; it stands in the trace once.
    pub(crate) fn escalate(&mut self, gate: &'static str, reason: Reason, requirement: Requirement) {
        if self.gates.last().is_none_or(|last| last.gate != gate) {
            self.gates.push(Gate { gate, outcome: Outcome::Escalate, reason: reason.message.clone() });
        }
        self.reasons.push(reason);
        self.requirements.push(requirement);
    }

    pub(crate) fn fail(
        &mut self,
        gate: &'static str,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Refused {
        self.refuse(gate, vec![Reason { code, message: message.into(), policy: None }])
    }

    /// A refusal by policies, at least one.
    pub(crate) fn fail_by<'p>(
        &mut self,
        gate: &'static str,
        code: &'static str,
        policies: impl IntoIterator<Item = (Cow<'static, str>, &'p PolicyRef)>,
    ) -> Refused {
        let reason =
            |(message, policy): (_, &PolicyRef)| Reason { code, message, policy: Some(policy.clone()) };
        self.refuse(gate, policies.into_iter().map(reason).collect())
    }

    /// What was noted before does not matter any more: a refusal asks nobody for anything.
    fn refuse(&mut self, gate: &'static str, reasons: Vec<Reason>) -> Refused {
        let reason = reasons.first().map_or(Cow::Borrowed("refused"), |reason| reason.message.clone());
        self.gates.push(Gate { gate, outcome: Outcome::Fail, reason });
        self.reasons = reasons;
        self.agreed.clear();
        self.permits.clear();
        self.requirements.clear();
        Refused(())
    }

    pub(crate) fn decide(mut self, ended: Result<(), Refused>, schema_hash: &Arc<str>) -> Decision {
        let effect = match ended {
            Err(Refused(())) => Effect::Deny,
            Ok(()) if self.requirements.is_empty() => Effect::Allow,
            Ok(()) => Effect::Escalate,
        };
        // Last, for what decided comes first: a permit decides only where nobody has to agree.
        self.reasons.append(&mut self.agreed);
        self.reasons.append(&mut self.permits);
        let mut policies: Vec<PolicyRef> = Vec::with_capacity(self.reasons.len());
        for policy in self.reasons.iter().filter_map(|reason| reason.policy.as_ref()) {
            if !policies.contains(policy) {
                policies.push(policy.clone());
            }
        }
        Decision {
            effect,
            reasons: self.reasons,
            risk: self.risk,
            gates: self.gates,
            requirements: self.requirements,
            policies,
            schema_hash: Arc::clone(schema_hash),
        }
    }
}
