//! Who may do what, written down a second time, from the documentation.

use std::collections::{BTreeSet, HashMap};

/// A person, by their place in the list.
pub(crate) type Who = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    Member(Who),
    Agent,
    /// The admin of another organization.
    Stranger,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) role: &'static str,
    pub(crate) created_by: Option<Who>,
    pub(crate) granted: (i64, Option<Who>),
    pub(crate) removed: bool,
}

/// So many people; admins only, or approvers too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) people: usize,
    pub(crate) admins: bool,
}

impl Demand {
    fn suits(self, voice: Voice) -> bool {
        voice.role == "admin" || (voice.role == "approver" && !self.admins)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    Escalate(Vec<Demand>),
    Deny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Approved { until: i64 },
    Rejected,
    Cancelled,
    Expired,
}

/// Who made a key, and the makers of the key that it was made with.
pub(crate) type Makers = BTreeSet<Who>;

/// What somebody answered, when, with a key of these makers.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) who: Who,
    pub(crate) key_makers: Makers,
    pub(crate) at: i64,
    pub(crate) agrees: bool,
}

/// Who agrees, in the role that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Voice {
    pub(crate) who: Who,
    role: &'static str,
}

/// What is asked for, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) action: &'static str,
    pub(crate) account: &'static str,
    pub(crate) amount: u32,
    pub(crate) on_behalf_of: Option<Who>,
    /// `none`, `token` or `execute`.
    pub(crate) carry: &'static str,
}

/// An intent that stands in the record.
#[derive(Debug)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) by: Holder,
    pub(crate) wanted: Wanted,
    pub(crate) behind: BTreeSet<Who>,
    /// The makers of the key it was asked with.
    pub(crate) asked_with: Makers,
    pub(crate) requested_at: i64,
    /// Of an escalated one.
    pub(crate) asked: Option<Asked>,
}

#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) demands: Vec<Demand>,
    pub(crate) expires_at: i64,
    pub(crate) state: State,
    pub(crate) given: Vec<Given>,
    pub(crate) released: bool,
}

impl Asked {
    pub(crate) fn state_at(&self, now: i64) -> State {
        match self.state {
            State::Pending if now >= self.expires_at => State::Expired,
            State::Approved { until } if now >= until => State::Expired,
            state => state,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) members: Vec<Member>,
    pub(crate) agent: (Who, Who),
    /// Who lets the agent act in their name, by which delegation.
    pub(crate) delegations: Vec<(Who, String)>,
    pub(crate) intents: HashMap<String, Intent>,
    pub(crate) order: Vec<String>,
    pub(crate) halted: bool,
    pub(crate) paused: bool,
    /// A policy that forbids transfers and payments.
    pub(crate) closed: bool,
    /// A policy that asks an admin as well.
    pub(crate) stricter: bool,
}

impl Model {
    /// Whoever created a member, and whoever created those.
    fn above(&self, who: Who) -> BTreeSet<Who> {
        let mut above = BTreeSet::new();
        let mut next = self.members[who].created_by;
        while let Some(one) = next {
            above.insert(one);
            next = self.members[one].created_by;
        }
        above
    }

    pub(crate) fn are_one(&self, one: Who, other: Who) -> bool {
        one == other || self.above(one).contains(&other) || self.above(other).contains(&one)
    }

    /// Whether somebody is another person than all who stand behind an intent, as of then and of now.
    pub(crate) fn is_another(&self, intent: &Intent, who: Who, key_makers: &Makers) -> bool {
        let mut behind = intent.behind.clone();
        if intent.by == Holder::Agent {
            behind.extend([self.agent.0, self.agent.1]);
        }
        let person = &self.members[who];
        let (granted_at, granted_by) = person.granted;
        let raised = granted_at >= intent.requested_at && granted_by.is_some_and(|by| behind.contains(&by));
        !person.removed
            && !behind.iter().any(|one| self.are_one(*one, who))
            && !intent.asked_with.contains(&who)
            && behind.is_disjoint(key_makers)
            && !raised
    }

    /// Somebody in the role they have.
    pub(crate) fn voice(&self, who: Who) -> Voice {
        Voice { who, role: self.members[who].role }
    }

    pub(crate) fn is_asked(&self, demands: &[Demand], who: Who) -> bool {
        demands.iter().any(|demand| demand.suits(self.voice(who)))
    }

    /// Those who agreed and still may, no higher than they agreed.
    pub(crate) fn agreed(&self, intent: &Intent) -> Vec<Voice> {
        let given = intent.asked.iter().flat_map(|asked| &asked.given);
        given
            .filter(|one| one.agrees && self.is_another(intent, one.who, &one.key_makers))
            .map(|one| match self.voice(one.who) {
                voice if voice.role == "admin" && self.members[one.who].granted.0 >= one.at => {
                    Voice { role: "approver", ..voice }
                }
                voice => voice,
            })
            .collect()
    }

    /// Whether among people there are enough of whom none is another's creature.
    pub(crate) fn suffices(&self, voices: &[Voice], demands: &[Demand]) -> bool {
        (0_u32..1 << voices.len()).any(|chosen| {
            let some: Vec<Voice> =
                (0..voices.len()).filter(|at| chosen >> at & 1 == 1).map(|at| voices[at]).collect();
            let apart = some
                .iter()
                .enumerate()
                .all(|(at, one)| some.iter().skip(at + 1).all(|other| !self.are_one(one.who, other.who)));
            apart
                && demands
                    .iter()
                    .all(|demand| some.iter().filter(|voice| demand.suits(**voice)).count() >= demand.people)
        })
    }

    /// What policy says of it now.
    pub(crate) fn verdict(&self, by: Holder, wanted: &Wanted) -> Verdict {
        if let Some(who) = wanted.on_behalf_of {
            let member = &self.members[who];
            let delegates = self.delegations.iter().any(|(delegator, _)| *delegator == who);
            let may_ask = !member.removed && matches!(member.role, "operator" | "admin");
            if by != Holder::Agent || !delegates || !may_ask {
                return Verdict::Deny;
            }
        }
        match wanted.action {
            "bank.transfer" | "bank.pay" if self.closed => Verdict::Deny,
            "bank.transfer" => {
                let mut demands = vec![Demand { people: 2, admins: false }];
                demands.extend(self.stricter.then_some(Demand { people: 1, admins: true }));
                Verdict::Escalate(demands)
            }
            "bank.pay" | "bank.balance" => Verdict::Allow,
            _ => Verdict::Deny,
        }
    }

    /// Whether an intent may be carried out now although it was escalated.
    pub(crate) fn may_release(&self, intent: &Intent, by: Holder, now: i64) -> Result<(), &'static str> {
        let Some(asked) = &intent.asked else { return Err("it was not escalated") };
        let demands = match self.verdict(intent.by, &intent.wanted) {
            Verdict::Deny => return Err("it is denied now"),
            Verdict::Allow => Vec::new(),
            Verdict::Escalate(demands) => demands,
        };
        let agreed = self.agreed(intent);
        let checks = [
            (intent.by == by, "another asked for it"),
            (!asked.released, "it was released before"),
            (matches!(asked.state_at(now), State::Approved { .. }), "it is not approved"),
            (!self.halted, "the organization is halted"),
            (!self.paused, "the connector is paused"),
            (self.suffices(&agreed, &demands), "not enough people agree now"),
        ];
        checks.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err(why))
    }
}
