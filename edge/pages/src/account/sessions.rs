//! Where somebody is signed in.

use chancery_model::Timestamp;
use maud::{Markup, html};

use super::{Part, page};
use crate::field::button_form;
use crate::frame::{Frame, empty};
use crate::moment::{moment, relative};
use crate::paths;
use crate::text::{shown, spoken};

/// Where somebody is signed in. Posts nothing but `csrf` to `/account/sessions/{id}/end` and
/// [`paths::SESSIONS_END_OTHERS`].
#[derive(Clone, Debug)]
pub struct Sessions {
    /// What stands around it.
    pub frame: Frame,
    /// The sessions, this one first.
    pub sessions: Vec<Session>,
}

/// One session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id, for the path.
    pub id: String,
    /// The device, as its browser calls itself: `Firefox on Linux`.
    pub device: String,
    /// The address it was last seen from.
    pub address: String,
    /// How it began: `password and code`, `passkey`.
    pub method: String,
    /// Since when.
    pub began_at: Timestamp,
    /// When it was last seen.
    pub seen_at: Timestamp,
    /// Whether it is the one that this page is seen with.
    pub is_this: bool,
}

impl Sessions {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let others = self.sessions.iter().filter(|session| !session.is_this).count();
        let content = html! {
            ul class="rows" {
                @for session in &self.sessions { (self.row(session)) }
            }
            @if others == 0 {
                (empty("Nowhere else", "This is the only place where you are signed in."))
            } @else {
                (button_form(&self.frame.csrf, paths::SESSIONS_END_OTHERS,
                    &html! { button type="submit" class="danger" { "Sign out everywhere else" } },
                    Some("Sign out everywhere but here? Whoever uses those sessions has to sign in again.")))
            }
        };
        let about = "Where you are signed in. End what you do not know, and set a new password then.";
        page(&self.frame, Part::Sessions, "Sessions", "Sessions", about, &content)
    }

    fn row(&self, session: &Session) -> Markup {
        let device = spoken(&session.device);
        html! {
            li class="row" {
                div class="row-main" {
                    h2 { (shown(&session.device)) @if session.is_this { span class="badge good" { "This one" } } }
                    p class="kind" { (shown(&session.address)) " · " (shown(&session.method)) }
                    p class="kind" {
                        "Seen " (relative(session.seen_at, self.frame.now)) " · since " (moment(session.began_at))
                    }
                }
                @if !session.is_this {
                    div class="row-do" {
                        (button_form(&self.frame.csrf, &paths::of("/account/sessions", &session.id, "end"),
                            &html! { button type="submit" { "Sign out" span class="aside" { " " (device) } } }, None))
                    }
                }
            }
        }
    }
}
