//! What is to happen in a sample.

use serde_json::{Value, json};

use super::Flaw;
use super::dice::Dice;

/// The course of an intent.
pub(super) struct Plan {
    /// What is decided first.
    pub(super) effect: &'static str,
    /// What people have to do.
    pub(super) requirements: Value,
    /// What comes of asking them.
    pub(super) end: End,
    /// What the intent is allowed for, if it is.
    pub(super) gives: Gives,
}

/// What comes of asking people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Not all have answered.
    Pending,
    /// One of them refuses.
    Rejected,
    /// Whoever asked takes it back.
    Cancelled,
    /// Not enough answer in time.
    Expired,
    /// Enough agree, and it is not carried out.
    Approved,
    /// Enough agree, and it is decided on again.
    Released,
}

/// What an allowed intent is released for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    /// A token.
    Token,
    /// A call of ours.
    Call,
    /// Neither.
    Nothing,
}

impl Plan {
    pub(super) fn roll(dice: &mut Dice) -> Self {
        let requirement = |dice: &mut Dice| json!({"approvals": 1 + dice.below(2), "role": dice.pick(&["approver", "admin"])});
        let effect = *dice.pick(&["allow", "allow", "escalate", "escalate", "escalate", "deny"]);
        let ends = [End::Pending, End::Rejected, End::Cancelled, End::Expired, End::Approved];
        let end = if dice.one_in(2) { End::Released } else { *dice.pick(&ends) };
        let mut gives = *dice.pick(&[Gives::Token, Gives::Token, Gives::Call, Gives::Nothing]);
        if effect == "escalate" && gives == Gives::Nothing {
            gives = Gives::Call;
        }
        let count = if effect == "escalate" { 1 + dice.below(2) } else { 0 };
        Self { effect, requirements: (0..count).map(|_| requirement(dice)).collect(), end, gives }
    }

    /// The course in which a flaw shows.
    pub(super) fn to_show(flaw: Flaw, dice: &mut Dice) -> Self {
        let gives = match flaw {
            Flaw::ResultOfAnother
            | Flaw::ResultWithoutOutcome
            | Flaw::ClosedTwice
            | Flaw::ClosedEarly
            | Flaw::ClosedAsAnother => Gives::Call,
            _ => Gives::Token,
        };
        let escalates = match flaw {
            Flaw::OpeningRefersToNoToken | Flaw::ReleasedUnasked => false,
            flaw if flaw.is_of_people() => true,
            _ => dice.one_in(2),
        };
        let requirements = match flaw {
            Flaw::NothingRequired => json!([]),
            _ if escalates => {
                json!([{"approvals": 2, "role": "approver"}, {"approvals": 1, "role": "admin"}])
            }
            _ => json!([]),
        };
        let effect = if escalates { "escalate" } else { "allow" };
        Self { effect, requirements, end: End::Released, gives }
    }

    /// The roles of the fewest people who are all that is required.
    pub(super) fn people(&self) -> Vec<&'static str> {
        let most = |wanted: &str| {
            let of_role = |one: &&Value| wanted.is_empty() || one["role"] == wanted;
            let all = self.requirements.as_array().unwrap().iter().filter(of_role);
            all.map(|one| one["approvals"].as_u64().unwrap()).max().unwrap_or(0)
        };
        let admins = most("admin");
        (0..most("")).map(|at| if at < admins { "admin" } else { "approver" }).collect()
    }
}
