//! How a request stands, and who answered what.

use chancery_model::{Role, Timestamp};
use maud::{Markup, html};

use crate::moment::{moment, relative};
use crate::text::shown;

/// How a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// People have not answered enough.
    Pending,
    /// Enough people agreed, and nothing was done with it yet.
    Approved {
        /// Until when it can be.
        good_until: Timestamp,
    },
    /// It was used.
    Released {
        /// As what.
        what: Released,
        /// When.
        at: Timestamp,
    },
    /// It came to nothing.
    Ended {
        /// How.
        how: Ended,
        /// When.
        at: Timestamp,
    },
}

/// What an approval was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// A token was minted.
    Token,
    /// The connector is being called.
    Executing,
    /// The connector's system did it.
    Executed,
    /// It did not.
    Failed {
        /// Why, in a stable word.
        code: String,
    },
    /// Nobody knows.
    OutcomeUnknown,
}

/// How a request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Somebody refused.
    Rejected,
    /// Whoever asked took it back.
    Cancelled,
    /// Nobody answered in time.
    Expired,
    /// It was approved, and not carried out in its time.
    Unused,
}

impl State {
    pub(super) const fn is_pending(&self) -> bool {
        matches!(self, Self::Pending)
    }

    pub(super) fn badge(&self) -> Markup {
        let (class, text) = match self {
            Self::Pending => ("badge warn", "Waiting"),
            Self::Approved { .. } => ("badge good", "Approved"),
            Self::Released { what: Released::Token, .. } => ("badge good", "Released"),
            Self::Released { what: Released::Executing, .. } => ("badge warn", "Being carried out"),
            Self::Released { what: Released::Executed, .. } => ("badge good", "Carried out"),
            Self::Released { what: Released::Failed { .. }, .. } => ("badge bad", "Failed"),
            Self::Released { what: Released::OutcomeUnknown, .. } => ("badge bad", "Outcome unknown"),
            Self::Ended { how: Ended::Rejected, .. } => ("badge bad", "Rejected"),
            Self::Ended { how: Ended::Cancelled, .. } => ("badge", "Taken back"),
            Self::Ended { how: Ended::Expired | Ended::Unused, .. } => ("badge", "Expired"),
        };
        html! { span class=(class) { (text) } }
    }

    /// The same in a sentence.
    pub(super) fn sentence(&self, expires_at: Timestamp, now: Timestamp) -> Markup {
        html! {
            @match self {
                Self::Pending => {
                    @if expires_at > now {
                        "It can be answered until " (moment(expires_at)) ", " (relative(expires_at, now)) "."
                    } @else {
                        "The time to answer is over."
                    }
                }
                Self::Approved { good_until } => {
                    "Whoever asked can carry it out until " (moment(*good_until)) ". It is decided on again then."
                }
                Self::Released { what, at } => {
                    @match what {
                        Released::Token => "A token was given for it, once, ",
                        Released::Executing => "The connector is being called, since ",
                        Released::Executed => "The connector's system did it, ",
                        Released::Failed { code } => { "It was not done (" code { (shown(code)) } "), " }
                        Released::OutcomeUnknown => {
                            "Nobody knows whether it was done. Look at the connector's system before asking again. "
                            "Called "
                        }
                    }
                    (moment(*at)) "."
                }
                Self::Ended { how, at } => {
                    @match how {
                        Ended::Rejected => "Somebody refused, ",
                        Ended::Cancelled => "Whoever asked took it back, ",
                        Ended::Expired => "Not enough people answered in time. It ended ",
                        Ended::Unused => "It was approved, and not carried out in its time. It ended ",
                    }
                    (moment(*at)) "."
                }
            }
        }
    }
}

/// What people have to do, and who did.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// What is demanded. All of it has to be met.
    pub demands: Vec<Demand>,
    /// Who answered what, in the order of the answers.
    pub answers: Vec<Answered>,
}

/// How many people of which role have to agree.
#[derive(Clone, Debug)]
pub struct Demand {
    /// How many different people.
    pub approvals: u8,
    /// In which role.
    pub role: Role,
    /// How many have agreed.
    pub agreed: u8,
    /// What the policy tells those who answer.
    pub message: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Who: the name now, or none once erased.
    pub name: Option<String>,
    /// What.
    pub answer: Answer,
    /// Why; none where it is not to be seen.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may be done.
    Approve,
    /// It may not.
    Reject,
}

impl Progress {
    pub(super) fn content(&self, now: Timestamp) -> Markup {
        html! {
            h2 id="needs" { "What it needs" }
            ul class="demands" {
                @for demand in &self.demands {
                    li {
                        span class="number" { (demand.agreed.min(demand.approvals)) " of " (demand.approvals) }
                        " " (demand.role) @if demand.approvals != 1 { "s" }
                        @if let Some(message) = &demand.message { p class="hint" { (shown(message)) } }
                    }
                }
            }
            @if self.answers.is_empty() {
                p class="kind" { "Nobody has answered." }
            } @else {
                ol class="answers" { @for answered in &self.answers { (answered.row(now)) } }
            }
        }
    }
}

impl Answered {
    fn row(&self, now: Timestamp) -> Markup {
        html! {
            li {
                p {
                    strong { @if let Some(name) = &self.name { (shown(name)) } @else { "Erased" } }
                    @match self.answer {
                        Answer::Approve => span class="good" { " approved" },
                        Answer::Reject => span class="bad" { " rejected" },
                    }
                    " " span class="kind" { (relative(self.at, now)) }
                }
                @if let Some(reason) = &self.reason { blockquote { (shown(reason)) } }
            }
        }
    }
}
