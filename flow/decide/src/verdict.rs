//! Decide: a cleared intent becomes a verdict.
//!
//! The three kinds of verdict are proofs: only [`decide`] makes them, and the record takes all
//! three through one door. Nothing mints without a [`Permit`].

use chancery_model::{Role, Timestamp};
use chancery_screen::Cleared;

use crate::{Decision, Delegation, Effect, Facts, Policies, Subject, Thresholds, evaluate};

/// What a decision is made on besides the intent itself; all of it from database rows.
#[derive(Debug)]
pub struct Circumstances<'a> {
    /// The policies in force.
    pub policies: &'a Policies,
    /// The organization's risk thresholds.
    pub thresholds: Thresholds,
    /// The member in whose name the caller asks.
    pub on_behalf_of: Option<Subject>,
    /// Whether a stored delegation covers that.
    pub delegation: Delegation,
    /// The roles of the people who agreed to exactly this intent, each another person. None when it is
    /// decided on for the first time.
    pub agreed: &'a [Role],
    /// The moment of the decision.
    pub now: Timestamp,
}

macro_rules! verdict {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name {
            cleared: Cleared,
            decision: Decision,
        }

        impl $name {
            /// The intent and who asks.
            #[must_use]
            pub const fn cleared(&self) -> &Cleared {
                &self.cleared
            }

            /// The decision with its reasons.
            #[must_use]
            pub const fn decision(&self) -> &Decision {
                &self.decision
            }
        }
    };
}

verdict!(
    /// The intent may be carried out, now.
    ///
    /// It comes out of [`decide`], which takes the proof before it:
    ///
    /// ```no_run
    /// use chancery_decide::{Circumstances, Permit, Verdict, decide};
    /// use chancery_screen::Cleared;
    /// fn decides(cleared: Cleared, circumstances: &Circumstances<'_>) -> Option<Permit> {
    ///     match decide(cleared, circumstances) {
    ///         Verdict::Permit(permit) => Some(permit),
    ///         Verdict::Escalation(_) | Verdict::Refusal(_) => None,
    ///     }
    /// }
    /// ```
    ///
    /// What was not screened is not decided on, nobody else makes a permit, and an escalation is none:
    ///
    /// ```compile_fail,E0308
    /// # use chancery_decide::{Circumstances, Verdict, decide};
    /// # use chancery_screen::Intent;
    /// fn skips(intent: Intent, circumstances: &Circumstances<'_>) -> Verdict {
    ///     decide(intent, circumstances)
    /// }
    /// ```
    /// ```compile_fail,E0451
    /// # use chancery_decide::{Decision, Permit};
    /// # use chancery_screen::Cleared;
    /// fn forges(cleared: Cleared, decision: Decision) -> Permit {
    ///     Permit { cleared, decision }
    /// }
    /// ```
    /// ```compile_fail,E0308
    /// # use chancery_decide::{Escalation, Permit};
    /// fn passes_off(escalation: Escalation) -> Permit {
    ///     escalation
    /// }
    /// ```
    /// ```compile_fail,E0277
    /// # use chancery_decide::Permit;
    /// fn twice<T: Clone>() {}
    /// twice::<Permit>();
    /// ```
    Permit
);
verdict!(
    /// People have to agree first.
    Escalation
);
verdict!(
    /// The intent may not be carried out.
    Refusal
);

/// What was decided.
#[derive(Debug)]
pub enum Verdict {
    /// It may.
    Permit(Permit),
    /// It may once people agree.
    Escalation(Escalation),
    /// It may not.
    Refusal(Refusal),
}

/// Decides on a cleared intent.
#[must_use]
pub fn decide(cleared: Cleared, circumstances: &Circumstances<'_>) -> Verdict {
    let record = cleared.caller().caller().record();
    let intent = cleared.intent();
    let decision = evaluate(
        circumstances.policies,
        circumstances.thresholds,
        &Facts {
            org: record.org,
            subject: Subject { principal: record.holder, role: record.holder_role, owner: record.owner },
            on_behalf_of: circumstances.on_behalf_of,
            delegation: circumstances.delegation,
            action: intent.action.as_str(),
            resource_type: intent.resource_type.as_str(),
            resource_id: intent.resource_id.as_str(),
            arguments: &intent.arguments,
            context: &intent.context,
            environment: intent.environment,
            connector: intent.connector.as_ref().map(chancery_model::Audience::as_str),
            agreed: circumstances.agreed,
            now: circumstances.now,
        },
    );
    match decision.effect {
        Effect::Allow => Verdict::Permit(Permit { cleared, decision }),
        Effect::Escalate => Verdict::Escalation(Escalation { cleared, decision }),
        Effect::Deny => Verdict::Refusal(Refusal { cleared, decision }),
    }
}
