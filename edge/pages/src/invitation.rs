//! An invitation, as whoever is invited sees it.

use chancery_model::{Role, Timestamp};
use maud::{Markup, html};

use crate::field::{Field, Input, form};
use crate::frame::{Door, door, head, titled, wrong};
use crate::moment::moment;
use crate::paths;
use crate::recovery::{PasswordRules, new_password, username, void};
use crate::text::{role_title, shown};

/// Taking an invitation. Posts `token`, and where there is no account yet `name` and `password`, to
/// [`paths::INVITATION`].
#[derive(Clone, Debug, Default)]
pub struct Invitation {
    /// What stands around it.
    pub door: Door,
    /// How it stands.
    pub state: InvitationState,
}

/// How an invitation stands.
#[derive(Clone, Debug, Default)]
pub enum InvitationState {
    /// It can be taken.
    Open(Box<Offer>),
    /// It was used, taken back, is too old, or was never made: a stranger is not told which.
    #[default]
    Void,
}

/// What is offered.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What the link carried.
    pub token: String,
    /// Who invites.
    pub inviter: String,
    /// To which organization.
    pub organization: String,
    /// In which role.
    pub role: Role,
    /// What that role may do, in a few words.
    pub role_means: String,
    /// Whom: only somebody with this address can take it.
    pub email: String,
    /// Until when.
    pub expires_at: Timestamp,
    /// Who takes it.
    pub taker: Taker,
}

/// Who takes an invitation.
#[derive(Clone, Debug)]
pub enum Taker {
    /// Somebody without an account: a name and a password are asked for.
    New {
        /// The name others will see.
        name: Field,
        /// The password; only its error shows.
        password: Field,
        /// What it has to be.
        rules: PasswordRules,
    },
    /// Somebody with an account, who is signed in as the one invited.
    SignedIn,
    /// Somebody with an account, who has to sign in first.
    SignedOut,
    /// Somebody signed in with another address.
    Another {
        /// Which.
        email: String,
    },
}

impl Invitation {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        match &self.state {
            InvitationState::Void => door(
                &self.door,
                "This invitation does not work any more",
                &html! {
                    (void("This invitation does not work any more",
                        "It was used, taken back, or is too old. Ask whoever invited you for another one."))
                    p class="foot" { a href=(paths::SIGN_IN) { "Sign in" } }
                },
            ),
            InvitationState::Open(offer) => {
                let count = offer.wrong();
                door(&self.door, &titled("Invitation", count), &offer.content(&self.door.csrf, count))
            }
        }
    }
}

impl Offer {
    fn wrong(&self) -> usize {
        match &self.taker {
            Taker::New { name, password, .. } => {
                [name, password].iter().filter(|field| field.error.is_some()).count()
            }
            Taker::SignedIn | Taker::SignedOut | Taker::Another { .. } => 0,
        }
    }

    fn content(&self, csrf: &str, count: usize) -> Markup {
        html! {
            (head(&html! { "Join " (shown(&self.organization)) }, None))
            dl class="facts" {
                div { dt { "Invited by" } dd { (shown(&self.inviter)) } }
                div { dt { "Role" } dd { (role_title(self.role)) p class="hint" { (self.role_means) } } }
                @if !matches!(self.taker, Taker::New { .. }) { div { dt { "For" } dd { (shown(&self.email)) } } }
                div { dt { "Good until" } dd { (moment(self.expires_at)) } }
            }
            (wrong(None, count))
            @match &self.taker {
                Taker::New { name, password, rules } => (form(csrf, paths::INVITATION, &html! {
                    input type="hidden" name="token" value=(self.token);
                    (Input::new("name", "Your name").hint("As others in the organization see it.")
                        .autocomplete("name").max(200).focused_unless(&[name, password]).render(name))
                    (username(&self.email))
                    (new_password("Password", rules, password))
                    button type="submit" class="primary wide" { "Join" }
                })),
                Taker::SignedIn => (form(csrf, paths::INVITATION, &html! {
                    input type="hidden" name="token" value=(self.token);
                    button type="submit" class="primary wide" { "Join" }
                })),
                Taker::SignedOut => {
                    p {
                        "You have an account with this address. "
                        "Sign in with it, and open the link of the invitation again."
                    }
                    p { a class="button primary wide" href=(paths::SIGN_IN) { "Sign in" } }
                }
                Taker::Another { email } => {
                    p { "You are signed in as " (shown(email)) ". Only the address above can take this invitation." }
                    (form(csrf, paths::SIGN_OUT, &html! { button type="submit" class="wide" { "Sign out" } }))
                }
            }
        }
    }
}
