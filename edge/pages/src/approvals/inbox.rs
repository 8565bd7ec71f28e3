//! What waits.

use chancery_model::{IntentId, Timestamp};
use maud::{Markup, html};

use super::state::State;
use crate::frame::{Frame, Here, empty, framed, head};
use crate::moment::{left, relative};
use crate::paths;
use crate::text::shown;

/// The approval inbox. It keeps itself up to date by [`paths::APPROVALS_EVENTS`].
#[derive(Clone, Debug)]
pub struct Inbox {
    /// What stands around it.
    pub frame: Frame,
    /// What is listed: what ends first comes first; of what has ended, the newest.
    pub waiting: Vec<Waiting>,
    /// Whether what has ended is listed, and not what waits.
    pub shows_ended: bool,
    /// Where the list goes on: a path of ours.
    pub more: Option<String>,
}

/// A request in the list.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The intent, and the approval.
    pub id: IntentId,
    /// Who asks: the name now, or none once erased.
    pub requester: Option<String>,
    /// What for.
    pub action: String,
    /// On what kind of thing.
    pub resource_type: String,
    /// On which.
    pub resource_id: String,
    /// The risk score, 0 to 100.
    pub risk: u8,
    /// Since when.
    pub requested_at: Timestamp,
    /// Until when people can answer.
    pub expires_at: Timestamp,
    /// How it stands.
    pub state: State,
    /// What is still needed, in a few words: `1 more approver`.
    pub needs: String,
    /// Whether this person stands behind it.
    pub own: bool,
    /// Whether this person answered already.
    pub answered: bool,
}

impl Inbox {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let content = html! {
            (head(&html! { "Approvals" }, Some("What agents and people may not do before somebody agrees.")))
            div class="switcher" {
                nav aria-label="Which approvals" {
                    a href=(paths::APPROVALS) aria-current=[(!self.shows_ended).then_some("page")] { "Waiting" }
                    a href=(paths::APPROVALS_ENDED) aria-current=[self.shows_ended.then_some("page")] { "Ended" }
                }
                p class="live" data-live-state hidden { "Live" }
            }
            (self.list())
        };
        framed(&self.frame, Here::Approvals, "Approvals", &content)
    }

    fn list(&self) -> Markup {
        html! {
            div id="inbox" data-live=(paths::APPROVALS_EVENTS) data-news=(self.news()) {
                @if self.waiting.is_empty() {
                    @if self.shows_ended {
                        (empty("Nothing has ended yet",
                            "What was approved, rejected, taken back or not answered stands here."))
                    } @else {
                        (empty("Nothing waits",
                            "When a policy or a risk asks for a person, the request stands here at once."))
                    }
                } @else {
                    ul class="inbox" { @for waiting in &self.waiting { (waiting.row(self.frame.now)) } }
                }
                @if let Some(more) = &self.more { p class="actions" { a class="button" href=(more) { "Show more" } } }
            }
        }
    }

    /// What is read out when the list has changed.
    fn news(&self) -> String {
        match (self.waiting.len(), self.more.is_some()) {
            (0, _) => "Nothing waits.".to_owned(),
            (1, false) => "One request is listed.".to_owned(),
            (count, false) => format!("{count} requests are listed."),
            (count, true) => format!("The first {count} requests are listed."),
        }
    }
}

impl Waiting {
    fn row(&self, now: Timestamp) -> Markup {
        let title = format!("title-{}", self.id);
        html! {
            li class="request" {
                a class="request-link" id={ "request-" (self.id) } href={ (paths::APPROVALS) "/" (self.id) }
                    aria-labelledby=(title) {}
                div class="request-main" {
                    h2 id=(title) {
                        (shown(&self.action))
                        span class="target" { " on " (shown(&self.resource_type)) " " (shown(&self.resource_id)) }
                    }
                    p class="kind" {
                        "Asked by " span class="asker" { (requester(self.requester.as_deref())) }
                        " " (relative(self.requested_at, now))
                    }
                }
                div class="request-side" {
                    @if !self.state.is_pending() { (self.state.badge()) }
                    @else if self.own { span class="badge" { "Yours: others answer" } }
                    @else if self.answered { span class="badge good" { "You answered" } }
                    @else { span class="badge warn" { "Needs " (self.needs) } }
                    span class="kind" {
                        @if self.state.is_pending() { (left(self.expires_at, now)) " · " }
                        "risk " span class="number" { (self.risk) }
                    }
                }
            }
        }
    }
}

/// Who asked, or that it is not known any more.
pub(super) fn requester(name: Option<&str>) -> Markup {
    html! { @if let Some(name) = name { (shown(name)) } @else { "somebody whose data was erased" } }
}
