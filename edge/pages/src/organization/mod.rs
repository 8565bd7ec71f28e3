//! The organization's settings: each section is a form of its own, since each change is one entry.

mod domains;
mod sections;

pub use domains::{Domain, Domains};
pub use sections::{PasswordPolicy, Retention, SessionLimits, SignInMethods};

use maud::{Markup, html};

use crate::field::{Field, Input, form};
use crate::frame::{Frame, Here, framed, head, titled};
use crate::paths;
use crate::text::shown;

/// The organization's settings. Each section posts to a path of its own, and only its fields:
///
/// | path | fields |
/// |---|---|
/// | [`paths::SETTINGS_NAME`] | `name` |
/// | [`paths::SETTINGS_PASSWORDS`] | `min_length`, `min_strength`, `refuse_leaked`, `leak_outage` |
/// | [`paths::SETTINGS_SESSIONS`] | `idle_minutes`, `absolute_hours` |
/// | [`paths::SETTINGS_SIGN_IN`] | `second_factor_required`, `by_password`, `by_passkey`, `by_single_sign_on` |
/// | [`paths::SETTINGS_DOMAINS`] | `domain`; `/settings/domains/{id}/verify` and `/remove` |
/// | [`paths::SETTINGS_ADDRESSES`] | `addresses`: one network a line |
/// | [`paths::SETTINGS_STEP_UP`] | `step_up_at` |
/// | [`paths::SETTINGS_RETENTION`] | `request_log_days`, `payload_days` |
///
/// A box that is ticked posts `yes`, and one that is not posts nothing.
#[derive(Clone, Debug)]
pub struct OrganizationSettings {
    /// What stands around it.
    pub frame: Frame,
    /// Whether this person may change them.
    pub may_change: bool,
    /// The organization's name.
    pub name: Field,
    /// The short name, which stays.
    pub slug: String,
    /// The rules for passwords.
    pub passwords: PasswordPolicy,
    /// How long a session lasts.
    pub sessions: SessionLimits,
    /// How people sign in.
    pub sign_in: SignInMethods,
    /// The domains whose people may join.
    pub domains: Domains,
    /// From which networks people and keys come, one a line; empty is from everywhere.
    pub addresses: Field,
    /// The address that this page was asked for from.
    pub your_address: String,
    /// From which risk score on an approver proves again who they are.
    pub step_up_at: Field,
    /// How long things are kept.
    pub retention: Retention,
}

const SECTIONS: [(&str, &str); 8] = [
    ("general", "General"),
    ("sign-in", "Sign-in"),
    ("passwords", "Passwords"),
    ("sessions", "Sessions"),
    ("domains", "Domains"),
    ("addresses", "Addresses"),
    ("approving", "Approving"),
    ("retention", "Retention"),
];

impl OrganizationSettings {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let content = html! {
            div class="sided" {
                nav class="side" aria-label="Settings" {
                    ul { @for (id, name) in SECTIONS { li { a href={ "#" (id) } { (name) } } } }
                }
                div class="body" {
                    (head(&html! { "Settings" }, Some("They hold from the next request on, on every server.")))
                    @if !self.may_change {
                        div class="notice" { p { "You may see these, and not change them." } }
                    }
                    (self.general())
                    (section("sign-in", "Sign-in", None, &self.sign_in.content(self)))
                    (section("passwords", "Passwords", None, &self.passwords.content(self)))
                    (section("sessions", "Sessions", None, &self.sessions.content(self)))
                    (section("domains", "Domains",
                        Some("Who has an address at a verified domain may join without an invitation."),
                        &self.domains.content(self)))
                    (self.addresses())
                    (self.approving())
                    (section("retention", "Retention",
                        Some("The record itself is never shortened: what is erased leaves its proof."),
                        &self.retention.content(self)))
                }
            }
        };
        framed(&self.frame, Here::Settings, &titled("Settings", self.wrong()), &content)
    }

    fn wrong(&self) -> usize {
        let mut fields = vec![&self.name, &self.addresses, &self.step_up_at, &self.domains.new];
        fields.extend([
            &self.passwords.min_length,
            &self.sessions.idle_minutes,
            &self.sessions.absolute_hours,
        ]);
        fields.extend([&self.retention.request_log_days, &self.retention.payload_days]);
        fields.iter().filter(|field| field.error.is_some()).count()
            + usize::from(self.sign_in.error.is_some())
    }

    /// A form of one section, with its button; closed for whoever may not change it.
    fn form(&self, path: &str, legend: &str, fields: &Markup) -> Markup {
        form(
            &self.frame.csrf,
            path,
            &html! {
                fieldset disabled[!self.may_change] {
                    legend class="aside" { (legend) }
                    (fields)
                    @if self.may_change {
                        button type="submit" { "Save" span class="aside" { " " (legend) } }
                    }
                }
            },
        )
    }

    fn general(&self) -> Markup {
        let content = html! {
            (self.form(paths::SETTINGS_NAME, "General", &html! {
                (Input::new("name", "Name").max(200).render(&self.name))
            }))
            dl class="facts" { div { dt { "Short name" } dd { code { (self.slug) } } } }
        };
        section("general", "General", None, &content)
    }

    fn addresses(&self) -> Markup {
        let content = self.form(
            paths::SETTINGS_ADDRESSES,
            "Addresses",
            &html! {
                (Input::new("addresses", "Allowed networks").id("networks").optional().class("mono").max(20_000)
                    .hint("One a line, such as 192.0.2.0/24 or 2001:db8::/32. Empty: from everywhere.")
                    .render_lines(&self.addresses, 4))
                p class="hint" {
                    "You come from " (shown(&self.your_address))
                    ". A list without it is refused, so that you do not lock yourself out."
                }
            },
        );
        section("addresses", "Addresses", Some("From where people sign in and keys are used."), &content)
    }

    fn approving(&self) -> Markup {
        let content = self.form(
            paths::SETTINGS_STEP_UP,
            "Approving",
            &html! {
                (Input::number("step_up_at", "Second factor from a risk of")
                    .hint("0 to 100. Whoever approves a request with at least this risk shows their second factor \
                        again. 101: never.")
                    .render(&self.step_up_at))
            },
        );
        section("approving", "Approving", None, &content)
    }
}

fn section(id: &str, title: &str, about: Option<&str>, content: &Markup) -> Markup {
    let heading = format!("{id}-title");
    html! {
        section id=(id) aria-labelledby=(heading) class="setting" {
            div class="setting-head" {
                h2 id=(heading) { (title) }
                @if let Some(about) = about { p class="about" { (about) } }
            }
            div class="setting-body" { (content) }
        }
    }
}
