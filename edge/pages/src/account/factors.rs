//! What somebody proves with who they are, besides the password.

use chancery_model::Timestamp;
use maud::{Markup, html};

use super::{Part, page};
use crate::field::{Field, Input, button_form, csrf_field, form};
use crate::frame::{Frame, empty};
use crate::moment::{day, relative};
use crate::paths;
use crate::text::{shown, spoken};

/// The second factors and passkeys. Posts: [`paths::TOTP_BEGIN`], [`paths::TOTP_REMOVE`] and
/// [`paths::RECOVERY_CODES`] with nothing but `csrf`; [`paths::PASSKEYS`] with `name`, `credential` and
/// `purpose`; `/account/passkeys/{id}/rename` with `name`; `/account/passkeys/{id}/remove`.
#[derive(Clone, Debug)]
pub struct Factors {
    /// What stands around it.
    pub frame: Frame,
    /// The authenticator app, if one is enrolled.
    pub totp: Option<Totp>,
    /// The passkeys.
    pub passkeys: Vec<Passkey>,
    /// The name for a new passkey.
    pub new_passkey: Field,
    /// Whether the organization requires a second factor.
    pub is_required: bool,
}

/// An authenticator app.
#[derive(Clone, Debug)]
pub struct Totp {
    /// Since when.
    pub added_at: Timestamp,
    /// How many recovery codes are left.
    pub recovery_codes_left: u32,
}

/// A passkey.
#[derive(Clone, Debug)]
pub struct Passkey {
    /// Its id, for the path.
    pub id: String,
    /// Its name; with an error when a new one was refused.
    pub name: Field,
    /// Since when.
    pub added_at: Timestamp,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
}

impl Factors {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let content = html! {
            @if self.is_required && self.totp.is_none() && self.passkeys.is_empty() {
                div class="notice" role="status" {
                    p { (shown(&self.frame.organization)) " requires a second factor. Add one to go on." }
                }
            }
            (self.authenticator())
            section aria-labelledby="passkeys" {
                h2 id="passkeys" { "Passkeys" }
                p class="about" { "Your device or security key signs you in, and a false site gets nothing from it." }
                @if self.passkeys.is_empty() {
                    (empty("No passkeys yet", "Add one for each device that you use."))
                } @else {
                    ul class="rows" { @for passkey in &self.passkeys { (self.passkey(passkey)) } }
                }
                (self.add())
            }
        };
        let about = "What you show besides your password, or instead of it.";
        page(&self.frame, Part::Factors, "Second factors", "Second factors", about, &content)
    }

    fn authenticator(&self) -> Markup {
        let csrf = &self.frame.csrf;
        html! {
            section aria-labelledby="authenticator" {
                h2 id="authenticator" { "Authenticator app" }
                @if let Some(totp) = &self.totp {
                    ul class="rows" { li class="row" {
                        div class="row-main" {
                            h3 { "Codes from an app" span class="badge good" { "On" } }
                            p class="kind" { "Since " (day(totp.added_at)) }
                            p class="kind" { (recovery_left(totp.recovery_codes_left)) }
                        }
                        div class="row-do" {
                            (button_form(csrf, paths::RECOVERY_CODES,
                                &html! { button type="submit" { "New recovery codes" } },
                                Some("Make new recovery codes? The old ones stop working.")))
                            (button_form(csrf, paths::TOTP_REMOVE,
                                &html! {
                                    button type="submit" class="danger" {
                                        "Remove" span class="aside" { " the authenticator app" }
                                    }
                                },
                                Some("Remove the authenticator app? Its codes and your recovery codes stop working.")))
                        }
                    } }
                } @else {
                    p class="about" { "An app on your phone shows a code of six digits, which you type when you sign in." }
                    (button_form(csrf, paths::TOTP_BEGIN,
                        &html! { button type="submit" class="primary" { "Set up an app" } }, None))
                }
            }
        }
    }

    fn passkey(&self, passkey: &Passkey) -> Markup {
        let csrf = &self.frame.csrf;
        let name = spoken(&passkey.name.value);
        let id = format!("rename-{}", passkey.id);
        html! {
            li class="row" {
                div class="row-main" {
                    h3 { (shown(&passkey.name.value)) }
                    p class="kind" {
                        "Added " (day(passkey.added_at)) " · "
                        @if let Some(at) = passkey.used_at { "used " (relative(at, self.frame.now)) }
                        @else { "never used" }
                    }
                    details class="more" open[passkey.name.error.is_some()] {
                        summary { "Rename" span class="aside" { " " (name) } }
                        (form(csrf, &paths::of(paths::PASSKEYS, &passkey.id, "rename"), &html! {
                            (Input::new("name", "New name").id(&id).max(100).render(&passkey.name))
                            button type="submit" { "Rename" }
                        }))
                    }
                }
                div class="row-do" {
                    (button_form(csrf, &paths::of(paths::PASSKEYS, &passkey.id, "remove"),
                        &html! { button type="submit" class="danger" { "Remove" span class="aside" { " " (name) } } },
                        Some(&format!("Remove the passkey {name}? It does not sign you in any more."))))
                }
            }
        }
    }

    fn add(&self) -> Markup {
        html! {
            noscript { p class="hint" { "Adding a passkey needs JavaScript: turn it on for this site." } }
            form method="post" action=(paths::PASSKEYS) class="beside-button" data-passkey="create"
                data-options=(paths::PASSKEY_CREATION) hidden {
                (csrf_field(&self.frame.csrf))
                input type="hidden" name="purpose" value="add";
                input type="hidden" name="credential";
                (Input::new("name", "Name of a new passkey").id("passkey-name").hint("Such as the device it is on.")
                    .max(100).render(&self.new_passkey))
                button type="submit" class="primary" { "Add a passkey" }
                p class="error" role="alert" data-passkey-error hidden {}
            }
        }
    }
}

fn recovery_left(left: u32) -> Markup {
    html! {
        @match left {
            0 => span class="bad" { "No recovery codes are left: make new ones" },
            1 => span class="bad" { "One recovery code is left: make new ones soon" },
            2..=3 => span class="bad" { (left) " recovery codes are left: make new ones soon" },
            _ => { (left) " recovery codes are left" }
        }
    }
}
