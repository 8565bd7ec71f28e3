//! The second factor: when signing in, and again before what matters most.

use maud::{Markup, html};

use crate::field::{Field, Input, form};
use crate::frame::{Door, door, head, titled, wrong};
use crate::passkey;
use crate::paths;
use crate::text::shown;

/// What somebody can prove who they are with.
#[derive(Clone, Debug, Default)]
pub struct Proofs {
    /// A code from an authenticator app, if one is enrolled; only its error shows.
    pub code: Option<Field>,
    /// A recovery code, if any are left; only its error shows.
    pub recovery_code: Option<Field>,
    /// Whether a passkey can be used.
    pub passkey: bool,
    /// The password as well, where it is asked for; only its error shows.
    pub password: Option<Field>,
}

impl Proofs {
    fn wrong(&self) -> usize {
        let fields = [&self.code, &self.recovery_code, &self.password];
        fields.iter().filter(|field| field.as_ref().is_some_and(|field| field.error.is_some())).count()
    }
}

/// The second factor after the password. Posts `code` or `recovery_code`, and `next`, to
/// [`paths::SECOND_FACTOR`]; the passkey's button posts `credential`, `purpose` and `next` there, too.
#[derive(Clone, Debug, Default)]
pub struct SecondFactor {
    /// What stands around it.
    pub door: Door,
    /// What can be used.
    pub proofs: Proofs,
    /// What is wrong as a whole, such as too many tries.
    pub error: Option<String>,
    /// Where to go afterwards: a path of ours.
    pub next: String,
}

impl SecondFactor {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let asked = Asked {
            csrf: &self.door.csrf,
            action: paths::SECOND_FACTOR,
            purpose: "second-factor",
            next: &self.next,
            button: "Go on",
        };
        let content = html! {
            (head(&html! { "Second factor" }, Some("Your password was right. Now show that it is you.")))
            (wrong(self.error.as_deref(), 0))
            (asked.ways(&self.proofs))
            p class="foot" { a href=(paths::SIGN_IN) { "Sign in as somebody else" } }
        };
        let count = self.proofs.wrong() + usize::from(self.error.is_some());
        door(&self.door, &titled("Second factor", count), &content)
    }
}

/// Proving again who one is, for a few minutes. Posts `code`, `recovery_code` or `password`, and `next`, to
/// [`paths::STEP_UP`]; the passkey's button posts `credential`, `purpose` and `next` there, too.
#[derive(Clone, Debug, Default)]
pub struct StepUp {
    /// What stands around it.
    pub door: Door,
    /// What is about to be done, as the end of `Confirm that it is you, to …`.
    pub purpose: String,
    /// Why that needs it, in a sentence.
    pub why: String,
    /// What can be used. Nothing: no factor is enrolled, and the page leads to where that is done.
    pub proofs: Proofs,
    /// What is wrong as a whole.
    pub error: Option<String>,
    /// Where to go afterwards: a path of ours.
    pub next: String,
    /// Where to go instead: a path of ours.
    pub back: String,
}

impl StepUp {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let asked = Asked {
            csrf: &self.door.csrf,
            action: paths::STEP_UP,
            purpose: "step-up",
            next: &self.next,
            button: "Confirm",
        };
        let has_none = self.proofs.code.is_none()
            && self.proofs.recovery_code.is_none()
            && self.proofs.password.is_none()
            && !self.proofs.passkey;
        let content = html! {
            (head(&html! { "Confirm that it is you" }, None))
            p class="about" { "To " strong { (shown(&self.purpose)) } ". " (shown(&self.why)) }
            (wrong(self.error.as_deref(), 0))
            @if has_none {
                p { "You have no second factor yet. Add an authenticator app or a passkey first." }
                p { a class="button primary wide" href=(paths::FACTORS) { "Add a second factor" } }
            } @else {
                (asked.ways(&self.proofs))
            }
            p class="foot" { a href=(self.back) { "Go back without doing it" } }
        };
        let count = self.proofs.wrong() + usize::from(self.error.is_some());
        door(&self.door, &titled("Confirm that it is you", count), &content)
    }
}

/// How a proof is asked for.
struct Asked<'a> {
    csrf: &'a str,
    action: &'static str,
    purpose: &'static str,
    next: &'a str,
    button: &'static str,
}

impl Asked<'_> {
    fn ways(&self, proofs: &Proofs) -> Markup {
        let next = html! { input type="hidden" name="next" value=(self.next); };
        html! {
            @if proofs.passkey {
                (passkey::prove(self.csrf, self.action, self.purpose, "Use a passkey", &next))
                @if proofs.code.is_some() || proofs.password.is_some() {
                    p class="or" data-needs-script hidden { span { "or" } }
                } @else {
                    noscript { p { "Passkeys need JavaScript. Turn it on for this site to use one." } }
                }
            }
            @if proofs.code.is_some() || proofs.password.is_some() {
                (form(self.csrf, self.action, &html! {
                    (next)
                    @if let Some(password) = &proofs.password {
                        (Input::password("password", "Password", "current-password").max(1024).render(password))
                    }
                    @if let Some(code) = &proofs.code { (code_input(code)) }
                    button type="submit" class="primary wide" { (self.button) }
                }))
            }
            @if let Some(recovery) = &proofs.recovery_code {
                details class="more" open[recovery.error.is_some()] {
                    summary { "Use a recovery code" }
                    (form(self.csrf, self.action, &html! {
                        (next)
                        (Input::new("recovery_code", "Recovery code")
                            .hint("One of those you kept when you set this up. Each is good once.")
                            .class("code").secret().max(64).render(recovery))
                        button type="submit" class="wide" { "Use this code" }
                    }))
                }
            }
        }
    }
}

/// Six digits from an authenticator app.
pub(crate) fn code_input(code: &Field) -> Markup {
    Input::new("code", "Code from your authenticator app")
        .hint("Six digits. They change every 30 seconds.")
        .autocomplete("one-time-code")
        .inputmode("numeric")
        .secret()
        .class("code")
        .max(12)
        .focused_unless(&[code])
        .render(code)
}
