//! A forgotten password, a new one, and the address that belongs to an account.

use maud::{Markup, html};

use crate::field::{Field, Input, csrf_field, form};
use crate::frame::{Door, door, head, titled, wrong};
use crate::paths;

/// Asking for a link to set a new password. Posts `email` to [`paths::FORGOT`].
#[derive(Clone, Debug, Default)]
pub struct Forgot {
    /// What stands around it.
    pub door: Door,
    /// The address.
    pub email: Field,
    /// Whether it was sent. The answer is the same whether there is such an account.
    pub was_sent: bool,
}

impl Forgot {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let content = html! {
            @if self.was_sent {
                (head(&html! { "Look into your mail" }, None))
                p {
                    "If there is an account with this address, a link to set a new password is on its way. "
                    "It is good for an hour, and once."
                }
                p class="hint" {
                    "Nothing came? Look among the spam, or ask whoever runs this installation: it may send no mail."
                }
                p class="foot" { a href=(paths::SIGN_IN) { "Back to signing in" } }
            } @else {
                (head(&html! { "Forgot your password?" }, Some("We send you a link to set a new one.")))
                (form(&self.door.csrf, paths::FORGOT, &html! {
                    (Input::email("email", "E-mail address").autocomplete("username").max(254)
                        .focused_unless(&[]).render(&self.email))
                    button type="submit" class="primary wide" { "Send the link" }
                }))
                p class="foot" { a href=(paths::SIGN_IN) { "Back to signing in" } }
            }
        };
        let title = if self.was_sent { "Look into your mail" } else { "Forgot your password?" };
        door(&self.door, &titled(title, usize::from(self.email.error.is_some())), &content)
    }
}

/// What the organization asks of a password.
#[derive(Clone, Debug, Default)]
pub struct PasswordRules {
    /// The fewest characters.
    pub min_length: u32,
    /// Whether passwords that are known from leaks are refused.
    pub refuses_leaked: bool,
    /// Whether those that are easily guessed are.
    pub refuses_guessable: bool,
}

/// A new password and its rules.
pub(crate) fn new_password(label: &str, rules: &PasswordRules, password: &Field) -> Markup {
    let mut hint =
        format!("At least {} characters; a few words are easier to keep than signs.", rules.min_length);
    match (rules.refuses_guessable, rules.refuses_leaked) {
        (true, true) => hint.push_str(" Not one that is easily guessed or known from a leak."),
        (true, false) => hint.push_str(" Not one that is easily guessed."),
        (false, true) => hint.push_str(" Not one that is known from a leak."),
        (false, false) => {}
    }
    Input::password("password", label, "new-password").hint(&hint).max(1024).render(password)
}

/// Setting a new password with the link from the mail. Posts `token` and `password` to [`paths::RESET`].
#[derive(Clone, Debug, Default)]
pub struct Reset {
    /// What stands around it.
    pub door: Door,
    /// What the link carried.
    pub token: String,
    /// Whose password it is, to be kept with it by a password manager.
    pub email: String,
    /// What it has to be.
    pub rules: PasswordRules,
    /// The new one; only its error shows.
    pub password: Field,
    /// Whether the link is no good: used, too old, or never made.
    pub is_void: bool,
}

impl Reset {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let count = usize::from(self.password.error.is_some());
        let content = html! {
            @if self.is_void {
                (void("This link does not work any more", "It was used, or it is too old. Ask for another one."))
                p { a class="button primary wide" href=(paths::FORGOT) { "Ask for another link" } }
            } @else {
                (head(&html! { "Set a new password" }, Some("You are signed out everywhere else when it is set.")))
                (wrong(None, count))
                (form(&self.door.csrf, paths::RESET, &html! {
                    input type="hidden" name="token" value=(self.token);
                    (username(&self.email))
                    (new_password("New password", &self.rules, &self.password))
                    button type="submit" class="primary wide" { "Set the password" }
                }))
            }
        };
        let title = if self.is_void { "This link does not work any more" } else { "Set a new password" };
        door(&self.door, &titled(title, count), &content)
    }
}

/// Whose password a form is about, for the password manager. It is shown, and not to be changed.
pub(crate) fn username(email: &str) -> Markup {
    html! {
        div class="field" {
            label for="username" { "Account" }
            input id="username" type="email" autocomplete="username" value=(email) readonly;
        }
    }
}

pub(crate) fn void(title: &str, text: &str) -> Markup {
    html! { (head(&html! { (title) }, None)) p { (text) } }
}

/// Confirming an address with the link from the mail: by a button, since programs follow links in mail, too.
/// Posts `token` to [`paths::VERIFY`].
#[derive(Clone, Debug, Default)]
pub struct VerifyEmail {
    /// What stands around it.
    pub door: Door,
    /// What the link carried.
    pub token: String,
    /// Whether the link is no good: used, too old, or never made.
    pub is_void: bool,
}

impl VerifyEmail {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let content = html! {
            @if self.is_void {
                (void("This link does not work any more",
                    "It was used, or it is too old. Sign in, and a new one can be sent."))
                p { a class="button primary wide" href=(paths::SIGN_IN) { "Sign in" } }
            } @else {
                (head(&html! { "Confirm your address" }, Some("One press, and your e-mail address is confirmed.")))
                form method="post" action=(paths::VERIFY) {
                    (csrf_field(&self.door.csrf))
                    input type="hidden" name="token" value=(self.token);
                    button type="submit" class="primary wide" { "Confirm" }
                }
            }
        };
        door(&self.door, "Confirm your address", &content)
    }
}
