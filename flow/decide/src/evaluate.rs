//! The decision. Gates in their order; the first that fails ends it, and whatever can't be decided
//! is refused.

use std::borrow::Cow;
use std::sync::Arc;

use cedar_policy_core::ast;
use cedar_policy_core::evaluator::Evaluator;
use chancery_model::{ActionName, Principal, Role};

use crate::catalogue::Action;
use crate::condition::Undecidable;
use crate::policies::{Rule, Slice};
use crate::request::{Checked, Questions};
use crate::text::DEFAULT_TIMEOUT_SECONDS;
use crate::trace::{Refused, Trace};
use crate::{Decision, Delegation, Facts, Layer, Policies, PolicyRef, Reason, Requirement, Risk, Thresholds};

/// Decides on a request. Pure: equal inputs give equal decisions.
#[must_use]
pub fn evaluate(policies: &Policies, thresholds: Thresholds, facts: &Facts<'_>) -> Decision {
    let mut trace = Trace::new();
    let ended = pass_gates(policies, thresholds, facts, &mut trace);
    trace.decide(ended, policies.catalogue().schema_hash())
}

fn pass_gates(
    policies: &Policies,
    thresholds: Thresholds,
    facts: &Facts<'_>,
    trace: &mut Trace,
) -> Result<(), Refused> {
    let (action, slice) = catalogue(policies, facts, trace)?;
    let arguments = action
        .arguments(facts.arguments)
        .map_err(|rule| trace.fail("arguments", "invalid_arguments", format!("arguments: {rule}")))?;
    trace.pass("arguments", "the arguments fit the action's schema");
    let stated = context(action, facts, trace)?;
    trace.risk = Risk::assess(action.definition(), facts.context, facts.environment);
    delegation(facts, trace)?;
    let checked = Checked { arguments, facts: stated, risk: trace.risk.score, tells_time: slice.tells_time };
    let questions = Questions::build(action, facts, checked).map_err(|_| {
        trace.fail("policy_installation", "policy_error", "the request can't be put to the policies")
    })?;
    let evaluators = questions.evaluators();
    let asked = Asked { policies, agreed: facts.agreed };
    installation(asked, slice, &evaluators, trace)?;
    organization(asked, slice, &evaluators, trace)?;
    risk(thresholds, facts.agreed, trace)
}

fn catalogue<'p>(
    policies: &'p Policies,
    facts: &Facts<'_>,
    trace: &mut Trace,
) -> Result<(&'p Action, &'p Slice), Refused> {
    const GATE: &str = "catalogue";
    let found = facts
        .action
        .parse::<ActionName>()
        .ok()
        .and_then(|name| Some((policies.catalogue().action(&name)?, policies.slice(&name)?)));
    let Some((action, slice)) = found else {
        return Err(trace.fail(GATE, "unknown_action", "the action is not in the catalogue"));
    };
    let expected = &action.definition().resource_type;
    if expected.as_str() != facts.resource_type {
        let message = format!("the action is on a resource of type `{expected}`");
        return Err(trace.fail(GATE, "wrong_resource_type", message));
    }
    trace.pass(GATE, "the action is in the catalogue");
    Ok((action, slice))
}

fn context(action: &Action, facts: &Facts<'_>, trace: &mut Trace) -> Result<ast::Value, Refused> {
    let none = serde_json::Value::Object(serde_json::Map::new());
    let stated = if facts.context.is_null() { &none } else { facts.context };
    let stated = action
        .context(stated)
        .map_err(|rule| trace.fail("context", "invalid_context", format!("context: {rule}")))?;
    trace.pass("context", "the stated facts fit the action's schema");
    Ok(stated)
}

fn delegation(facts: &Facts<'_>, trace: &mut Trace) -> Result<(), Refused> {
    let for_whom = facts.on_behalf_of.map(|subject| subject.principal);
    let reason = match (for_whom, facts.delegation) {
        (None, Delegation::NotAsked) => "it acts for nobody else",
        (Some(Principal::Member(_)), Delegation::Covers) => "a delegation covers the action",
        // Also where the two contradict each other.
        _ => return Err(trace.fail("delegation", "delegation_missing", "no delegation covers the action")),
    };
    trace.pass("delegation", reason);
    Ok(())
}

/// What both layers are asked with: the policies, and the roles of the people who agreed.
#[derive(Clone, Copy)]
struct Asked<'p> {
    policies: &'p Policies,
    agreed: &'p [Role],
}

fn installation(
    asked: Asked<'_>,
    slice: &Slice,
    evaluators: &[Evaluator<'_>],
    trace: &mut Trace,
) -> Result<(), Refused> {
    let gate = LayerGate { asked, layer: Layer::Installation, name: "policy_installation" };
    let forbids = gate.ask(&slice.installation, evaluators, trace)?;
    match gate.hold_forbids(&forbids.all(), trace)? {
        Held::Asks => {}
        Held::Agreed => trace.pass(gate.name, "the people whom it asks for agreed"),
        Held::Nothing => trace.pass(gate.name, "no policy of the installation forbids it"),
    }
    Ok(())
}

fn organization(
    asked: Asked<'_>,
    slice: &Slice,
    evaluators: &[Evaluator<'_>],
    trace: &mut Trace,
) -> Result<(), Refused> {
    let gate = LayerGate { asked, layer: Layer::Organization, name: "policy_organization" };
    // Permits and forbids both, before either is looked at: an error in any of them refuses.
    let forbids = gate.ask(&slice.forbids, evaluators, trace)?;
    let permits = gate.ask(&slice.permits, evaluators, trace)?;
    let forbids = forbids.all();
    gate.refuse_plain_forbids(&forbids, trace)?;
    match permits.each.iter().position(Vec::is_empty) {
        Some(0) => return Err(trace.fail(gate.name, "no_permit", "no policy permits it")),
        Some(_) => {
            return Err(trace.fail(gate.name, "no_permit", "no policy permits it to the member it acts for"));
        }
        None => {}
    }
    for (rule, policy) in permits.all() {
        trace.permitted(message(rule, || format!("permitted by policy `{}`", policy.name)), policy);
    }
    match gate.hold_forbids(&forbids, trace)? {
        Held::Asks => {}
        Held::Agreed => {
            trace.pass(gate.name, "a policy permits it and the people whom others ask for agreed")
        }
        Held::Nothing => trace.pass(gate.name, "a policy permits it and none forbids it"),
    }
    Ok(())
}

fn risk(thresholds: Thresholds, agreed: &[Role], trace: &mut Trace) -> Result<(), Refused> {
    let score = trace.risk.score;
    if score >= thresholds.deny_at() {
        let message = format!("the risk score {score} reaches the limit of {}", thresholds.deny_at());
        return Err(trace.fail("risk", "risk_too_high", message));
    }
    if score >= thresholds.escalate_at() {
        let message =
            format!("the risk score {score} reaches {}, which needs a person", thresholds.escalate_at());
        let requirement = Requirement {
            role: Role::Approver,
            approvals: 1,
            timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
            message: None,
            policy: None,
        };
        if requirement.is_met_by(agreed) {
            trace.agreed(Reason { code: "approved", message: message.into(), policy: None });
            trace.pass("risk", "the people whom the risk score needs agreed");
            return Ok(());
        }
        let reason = Reason { code: "risk_needs_approval", message: message.into(), policy: None };
        trace.escalate("risk", reason, requirement);
    } else {
        trace.pass("risk", "the risk score is below the thresholds");
    }
    Ok(())
}

/// A policy that applied.
type Applied<'p> = (&'p Rule, &'p PolicyRef);

/// The policies of a set that applied, for each who has to be permitted.
struct Answers<'p> {
    each: Vec<Vec<Applied<'p>>>,
}

impl<'p> Answers<'p> {
    /// Each once, in a stable order.
    fn all(&self) -> Vec<Applied<'p>> {
        let mut all: Vec<Applied<'p>> = Vec::new();
        for applied in self.each.iter().flatten() {
            if !all.iter().any(|(rule, _)| std::ptr::eq(*rule, applied.0)) {
                all.push(*applied);
            }
        }
        all.sort_by_key(|(rule, _)| rule.order());
        all
    }
}

#[derive(Clone, Copy)]
struct LayerGate<'p> {
    asked: Asked<'p>,
    layer: Layer,
    name: &'static str,
}

/// What a layer's forbids come to, where none is plain.
enum Held {
    /// None applies.
    Nothing,
    /// All that apply are lifted by people.
    Agreed,
    /// People have to agree.
    Asks,
}

impl<'p> LayerGate<'p> {
    /// Puts each question to permits or to forbids. One that can't be evaluated refuses: Cedar would
    /// skip it, and a forbid would be passed over in silence.
    fn ask(
        self,
        rules: &'p [Arc<Rule>],
        evaluators: &[Evaluator<'_>],
        trace: &mut Trace,
    ) -> Result<Answers<'p>, Refused> {
        let mut each = Vec::with_capacity(evaluators.len());
        for evaluator in evaluators {
            let mut applied = Vec::new();
            for rule in rules {
                let holds = rule.condition.holds(evaluator);
                match (holds, self.asked.policies.source(self.layer, rule)) {
                    (Ok(false), _) => {}
                    (Ok(true), Some(policy)) => applied.push((&**rule, policy)),
                    (Err(Undecidable), Some(policy)) => return Err(self.policy_error(policy, trace)),
                    (_, None) => return Err(trace.fail(self.name, "policy_error", "a policy is not known")),
                }
            }
            each.push(applied);
        }
        Ok(Answers { each })
    }

    fn policy_error(self, policy: &PolicyRef, trace: &mut Trace) -> Refused {
        let message = "a policy can't be evaluated on this request";
        trace.fail_by(self.name, "policy_error", [(message.into(), policy)])
    }

    /// Refuses if one of them can't be lifted.
    fn refuse_plain_forbids(self, forbids: &[Applied<'p>], trace: &mut Trace) -> Result<(), Refused> {
        let mut plain = forbids.iter().filter(|(rule, _)| rule.escalation.is_none()).peekable();
        if plain.peek().is_none() {
            return Ok(());
        }
        let reasons = plain.map(|(rule, policy)| {
            (message(rule, || format!("forbidden by policy `{}`", policy.name)), *policy)
        });
        Err(trace.fail_by(self.name, "forbidden", reasons))
    }

    /// Refuses if one of them can't be lifted; the others are, by the people who agreed, or ask for more.
    fn hold_forbids(self, forbids: &[Applied<'p>], trace: &mut Trace) -> Result<Held, Refused> {
        self.refuse_plain_forbids(forbids, trace)?;
        let mut held = if forbids.is_empty() { Held::Nothing } else { Held::Agreed };
        for (rule, policy) in forbids {
            let Some(escalation) = &rule.escalation else { continue };
            let text = message(rule, || format!("policy `{}` wants people to agree", policy.name));
            let requirement = Requirement {
                role: escalation.role,
                approvals: escalation.approvals,
                timeout_seconds: escalation.timeout_seconds,
                message: rule.message.clone(),
                policy: Some((*policy).clone()),
            };
            let reason = |code| Reason { code, message: text, policy: Some((*policy).clone()) };
            if requirement.is_met_by(self.asked.agreed) {
                trace.agreed(reason("approved"));
            } else {
                trace.escalate(self.name, reason("approval_required"), requirement);
                held = Held::Asks;
            }
        }
        Ok(held)
    }
}

fn message(rule: &Rule, otherwise: impl FnOnce() -> String) -> Cow<'static, str> {
    Cow::Owned(rule.message.as_deref().map_or_else(otherwise, str::to_owned))
}
