//! Pages for what did not work. None tells a stranger that a thing exists.

use maud::html;

use crate::frame::{Door, door, head};
use crate::paths;
use crate::text::shown;

/// What did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// 403: the person may not do this.
    Forbidden,
    /// 403: the form was too old, or not from a page of ours.
    FormExpired,
    /// 404: there is no such thing here, for this person.
    NotFound,
    /// 429: too many requests.
    TooMany {
        /// After how many seconds to try again.
        retry_after_seconds: u32,
    },
    /// 500: a defect of the server.
    Internal,
    /// 503: nothing can be recorded, so nothing is done.
    Unavailable,
}

impl ProblemKind {
    /// The HTTP status it goes with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Forbidden | Self::FormExpired => 403,
            Self::NotFound => 404,
            Self::TooMany { .. } => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Forbidden => "You may not do this",
            Self::FormExpired => "That form was too old",
            Self::NotFound => "Nothing is here",
            Self::TooMany { .. } => "Too many tries",
            Self::Internal => "Something went wrong",
            Self::Unavailable => "Not now",
        }
    }

    fn text(self) -> String {
        match self {
            Self::Forbidden => "Your role does not allow it. Whoever administers the organization can change that.".to_owned(),
            Self::FormExpired => "Nothing was changed. Go back, load the page again, and repeat it.".to_owned(),
            Self::NotFound => {
                "The address is wrong, what was there is gone, or it is not for you to see.".to_owned()
            }
            Self::TooMany { retry_after_seconds } if retry_after_seconds <= 90 => {
                format!("Wait {retry_after_seconds} seconds, and try again.")
            }
            Self::TooMany { retry_after_seconds } => {
                format!("Wait {} minutes, and try again.", retry_after_seconds.div_ceil(60))
            }
            Self::Internal => {
                "That is our fault, not yours. Whoever runs this installation finds the cause under the number \
                    below.".to_owned()
            }
            Self::Unavailable => {
                "The server cannot record what happens, so nothing was done. Try again in a moment.".to_owned()
            }
        }
    }
}

/// A page for what did not work.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What did not work.
    pub kind: ProblemKind,
    /// The request's id, which the log has, too: `X-Request-Id`.
    pub request_id: String,
}

impl Problem {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let content = html! {
            p class="status" { (self.kind.status()) }
            (head(&html! { (self.kind.title()) }, None))
            p { (self.kind.text()) }
            dl class="facts" { div { dt { "Request" } dd { code id="request-id" { (shown(&self.request_id)) }
                button type="button" class="quiet small" data-copy="request-id" hidden { "Copy" } } } }
            p class="foot" { a href=(paths::HOME) { "Go to the start" } }
        };
        door(&Door::default(), self.kind.title(), &content)
    }
}
