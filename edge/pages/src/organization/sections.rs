//! Sections of the settings that are nothing but fields.

use maud::{Markup, html};

use super::OrganizationSettings;
use crate::field::{Field, Input, tick};
use crate::paths;

/// The rules for passwords.
#[derive(Clone, Debug, Default)]
pub struct PasswordPolicy {
    /// The fewest characters.
    pub min_length: Field,
    /// How hard to guess, as zxcvbn scores it: `0` to `4`.
    pub min_strength: Field,
    /// Whether passwords known from leaks are refused.
    pub refuse_leaked: bool,
    /// What to do while the list of leaks cannot be asked: `allow` or `refuse`.
    pub leak_outage: Field,
}

impl PasswordPolicy {
    pub(super) fn content(&self, settings: &OrganizationSettings) -> Markup {
        let strengths = [
            ("0", "Anything"),
            ("1", "Not the most common"),
            ("2", "Some effort"),
            ("3", "Hard"),
            ("4", "Very hard"),
        ];
        let outages = [
            ("allow", "Take the password; the built-in list still holds"),
            ("refuse", "Refuse the password until the list answers"),
        ];
        settings.form(
            paths::SETTINGS_PASSWORDS,
            "Passwords",
            &html! {
                (Input::number("min_length", "Fewest characters").hint("8 to 128.").render(&self.min_length))
                (Input::new("min_strength", "How hard to guess").render_choice(&self.min_strength, &owned(&strengths)))
                (tick("refuse_leaked", "Refuse passwords known from leaks",
                    Some("Asked by the first five digits of a hash: the password itself goes nowhere."), self.refuse_leaked))
                (Input::new("leak_outage", "While the list of leaks does not answer")
                    .render_choice(&self.leak_outage, &owned(&outages)))
            },
        )
    }
}

/// How long a session lasts.
#[derive(Clone, Debug, Default)]
pub struct SessionLimits {
    /// After how many minutes without a request it ends.
    pub idle_minutes: Field,
    /// After how many hours it ends in any case.
    pub absolute_hours: Field,
}

impl SessionLimits {
    pub(super) fn content(&self, settings: &OrganizationSettings) -> Markup {
        settings.form(
            paths::SETTINGS_SESSIONS,
            "Sessions",
            &html! {
                (Input::number("idle_minutes", "Minutes without a request").hint("5 to 43200, which is 30 days.")
                    .render(&self.idle_minutes))
                (Input::number("absolute_hours", "Hours in all").hint("1 to 2160, which is 90 days.")
                    .render(&self.absolute_hours))
            },
        )
    }
}

/// How people sign in.
#[derive(Clone, Debug, Default)]
pub struct SignInMethods {
    /// Whether a second factor is required.
    pub second_factor_required: bool,
    /// By e-mail and password.
    pub by_password: bool,
    /// By a passkey.
    pub by_passkey: bool,
    /// By an identity provider; none where none is set up.
    pub by_single_sign_on: Option<bool>,
    /// What is wrong, such as that nothing is left.
    pub error: Option<String>,
}

impl SignInMethods {
    pub(super) fn content(&self, settings: &OrganizationSettings) -> Markup {
        settings.form(
            paths::SETTINGS_SIGN_IN,
            "Sign-in",
            &html! {
                (tick("second_factor_required", "Require a second factor",
                    Some("Whoever has none adds one before anything else. A passkey counts as both."),
                    self.second_factor_required))
                div role="group" aria-labelledby="methods"
                    aria-describedby=[self.error.as_ref().map(|_| "methods-error")] {
                    p class="label" id="methods" { "Allowed methods" }
                    (tick("by_password", "E-mail and password", None, self.by_password))
                    (tick("by_passkey", "Passkey", None, self.by_passkey))
                    @if let Some(is_on) = self.by_single_sign_on {
                        (tick("by_single_sign_on", "Identity provider", None, is_on))
                    }
                    @if let Some(error) = &self.error { p class="error" id="methods-error" { (error) } }
                }
            },
        )
    }
}

/// How long things are kept, in days.
#[derive(Clone, Debug, Default)]
pub struct Retention {
    /// The log of requests.
    pub request_log_days: Field,
    /// What entries carry besides their proof; empty is for good.
    pub payload_days: Field,
}

impl Retention {
    pub(super) fn content(&self, settings: &OrganizationSettings) -> Markup {
        settings.form(
            paths::SETTINGS_RETENTION,
            "Retention",
            &html! {
                (Input::number("request_log_days", "Request log, in days").hint("1 to 365.")
                    .render(&self.request_log_days))
                (Input::number("payload_days", "Payloads of entries, in days").optional()
                    .hint("Arguments, reasons and answers. Empty: for good.").render(&self.payload_days))
            },
        )
    }
}

fn owned(choices: &[(&str, &str)]) -> Vec<(String, String)> {
    choices.iter().map(|&(word, text)| (word.to_owned(), text.to_owned())).collect()
}
