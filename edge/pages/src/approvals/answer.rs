//! Answering: by a reason, and one of two buttons.

use maud::{Markup, html};

use crate::field::{Field, Input, csrf_field};
use crate::paths;

/// What this person can do about a request.
#[derive(Clone, Debug)]
pub enum AnswerForm {
    /// Approve or reject it. Posts `reason` to `/approvals/{id}/approve` or `/approvals/{id}/reject`.
    Open {
        /// Why; with an error where it was missing.
        reason: Field,
        /// Whether approving asks for the second factor again.
        steps_up: bool,
        /// Why an answer was not taken, such as that somebody was faster.
        error: Option<String>,
    },
    /// They agreed, and others are still needed: they can take it back. Posts `reason` to
    /// `/approvals/{id}/withdraw`.
    Given {
        /// Why it is taken back.
        reason: Field,
    },
    /// They stand behind it, and may not answer.
    Own,
    /// Their role does not answer this, for this reason.
    NotAsked {
        /// A sentence.
        why: String,
    },
    /// Nobody has to answer any more.
    Closed,
}

impl AnswerForm {
    pub(super) const fn error(&self) -> Option<&String> {
        match self {
            Self::Open { error: Some(error), .. } => Some(error),
            Self::Open { reason, .. } | Self::Given { reason } => reason.error.as_ref(),
            Self::Own | Self::NotAsked { .. } | Self::Closed => None,
        }
    }

    pub(super) fn content(&self, csrf: &str, id: &str) -> Markup {
        let path = |verb| paths::of(paths::APPROVALS, id, verb);
        html! {
            @match self {
                Self::Open { reason, steps_up, error } => {
                    h2 id="answer" { "Your answer" }
                    @if let Some(error) = error { div class="notice failed" role="alert" { p { (error) } } }
                    form method="post" action=(path("approve")) data-draft {
                        (csrf_field(csrf))
                        (Input::new("reason", "Reason")
                            .hint("For the record, and for whoever asked.").max(1000).render_lines(reason, 3))
                        div class="pair" {
                            button type="submit" class="primary" { "Approve" }
                            button type="submit" class="danger" formaction=(path("reject")) { "Reject" }
                        }
                        p class="hint" {
                            "One rejection ends the request."
                            @if *steps_up { " Approving asks for your second factor again: the risk is high." }
                        }
                    }
                }
                Self::Given { reason } => {
                    h2 id="answer" { "You agreed" }
                    p class="kind" { "Others are still needed. Until then you can take it back." }
                    details class="more" open[reason.error.is_some()] {
                        summary { "Take your answer back" }
                        form method="post" action=(path("withdraw")) data-draft {
                            (csrf_field(csrf))
                            (Input::new("reason", "Reason").max(1000).render_lines(reason, 3))
                            button type="submit" { "Take it back" }
                        }
                    }
                }
                Self::Own => {
                    h2 id="answer" { "You can't answer this" }
                    p {
                        "You stand behind this request: you asked, you made or own whoever did, or one of them made you. "
                        "Somebody else answers it."
                    }
                }
                Self::NotAsked { why } => { h2 id="answer" { "You can't answer this" } p { (why) } }
                Self::Closed => {}
            }
        }
    }
}
