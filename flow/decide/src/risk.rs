//! The risk score: the larger of what the catalogue and the caller say, plus points for what makes
//! an action dangerous. A caller's facts only ever add.

use chancery_model::Environment;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ActionDefinition, ActionEffect};

/// The highest score.
pub const MAX_RISK: u8 = 100;

/// Scores at which an organization wants a person, and at which it wants nothing to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawThresholds")]
pub struct Thresholds {
    escalate_at: u8,
    deny_at: u8,
}

/// Thresholds that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("thresholds need `escalate_at` <= `deny_at` <= 101 (101: never)")]
pub struct ThresholdsError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawThresholds {
    escalate_at: u8,
    deny_at: u8,
}

impl TryFrom<RawThresholds> for Thresholds {
    type Error = ThresholdsError;
    fn try_from(raw: RawThresholds) -> Result<Self, ThresholdsError> {
        Self::new(raw.escalate_at, raw.deny_at)
    }
}

impl Thresholds {
    /// What a new organization has.
    pub const DEFAULT: Self = Self { escalate_at: 70, deny_at: 90 };

    /// Thresholds from scores; 101 is a score that is never reached.
    ///
    /// # Errors
    /// When `escalate_at` is above `deny_at`, or that above 101.
    pub const fn new(escalate_at: u8, deny_at: u8) -> Result<Self, ThresholdsError> {
        if escalate_at <= deny_at && deny_at <= MAX_RISK + 1 {
            Ok(Self { escalate_at, deny_at })
        } else {
            Err(ThresholdsError)
        }
    }

    /// The lowest score that needs a person.
    #[must_use]
    pub const fn escalate_at(self) -> u8 {
        self.escalate_at
    }

    /// The lowest score that is refused.
    #[must_use]
    pub const fn deny_at(self) -> u8 {
        self.deny_at
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A score and what it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Risk {
    /// What was added up; more than 100 in all still scores 100.
    pub factors: Vec<Factor>,
    /// 0 to 100.
    pub score: u8,
}

/// One part of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Factor {
    /// What it is for.
    pub name: &'static str,
    /// What it adds.
    pub points: u8,
}

/// The fact by which a caller states a higher base risk than the catalogue's.
pub(crate) const STATED_RISK: &str = "base_risk_score";

/// A fact that a caller may state about any action, and what it adds to the score.
pub(crate) struct ReservedFact {
    pub(crate) name: &'static str,
    /// The value that counts; the other one adds nothing, and takes nothing away.
    counts_when: bool,
    factor: Factor,
}

const fn reserved(name: &'static str, counts_when: bool, factor: &'static str, points: u8) -> ReservedFact {
    ReservedFact { name, counts_when, factor: Factor { name: factor, points } }
}

/// The facts that count for the score and are kept out of the policies' sight.
pub(crate) const RESERVED_FACTS: [ReservedFact; 4] = [
    reserved("requires_privileged_access", true, "requires_privileged_access", 15),
    reserved("touches_production", true, "touches_production", 15),
    reserved("contains_sensitive_data", true, "contains_sensitive_data", 15),
    reserved("policy_compliant", false, "not_policy_compliant", 30),
];
const DESTRUCTIVE: Factor = Factor { name: "destructive", points: 15 };
const LIVE: Factor = Factor { name: "live_environment", points: 10 };

impl Risk {
    /// The score of an action with these facts, which have passed the catalogue's check.
    pub(crate) fn assess(action: &ActionDefinition, context: &Value, environment: Environment) -> Self {
        let stated =
            context.get(STATED_RISK).and_then(Value::as_u64).and_then(|risk| u8::try_from(risk).ok());
        let base = match stated {
            Some(points) if points > action.base_risk => Factor { name: "stated_risk", points },
            _ => Factor { name: "base_risk", points: action.base_risk },
        };
        let facts = RESERVED_FACTS.iter().filter(|fact| {
            context.get(fact.name).and_then(Value::as_bool).is_some_and(|stated| stated == fact.counts_when)
        });
        let factors: Vec<_> = [
            (base.points > 0).then_some(base),
            (action.effect == ActionEffect::Destructive).then_some(DESTRUCTIVE),
            (environment == Environment::Live).then_some(LIVE),
        ]
        .into_iter()
        .flatten()
        .chain(facts.map(|fact| fact.factor))
        .collect();
        let score = factors.iter().fold(0_u8, |sum, factor| sum.saturating_add(factor.points)).min(MAX_RISK);
        Self { score, factors }
    }
}
