//! Verified domains: what to write into DNS, and whether it was found there.

use chancery_model::Timestamp;
use maud::{Markup, html};

use super::OrganizationSettings;
use crate::field::{Field, Input, button_form, form};
use crate::frame::empty;
use crate::moment::{moment, relative};
use crate::paths;
use crate::text::{shown, spoken};

/// The domains whose people may join.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    /// Those that were added.
    pub added: Vec<Domain>,
    /// One to add.
    pub new: Field,
}

/// One domain.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its id, for the path.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name of the TXT record to set.
    pub record_name: String,
    /// Its value.
    pub record_value: String,
    /// Since when it is verified.
    pub verified_at: Option<Timestamp>,
    /// When the record was last looked for.
    pub looked_at: Option<Timestamp>,
}

impl Domains {
    pub(super) fn content(&self, settings: &OrganizationSettings) -> Markup {
        html! {
            @if self.added.is_empty() {
                (empty("No domains", "Members join by invitation alone."))
            } @else {
                ul class="rows" { @for domain in &self.added { (domain.row(settings)) } }
            }
            @if settings.may_change {
                (form(&settings.frame.csrf, paths::SETTINGS_DOMAINS, &html! {
                    div class="together" {
                        (Input::new("domain", "Add a domain").inputmode("url").max(253).render(&self.new))
                        button type="submit" { "Add" }
                    }
                }))
            }
        }
    }
}

impl Domain {
    fn row(&self, settings: &OrganizationSettings) -> Markup {
        let (csrf, now) = (&settings.frame.csrf, settings.frame.now);
        let path = |verb| paths::of(paths::SETTINGS_DOMAINS, &self.id, verb);
        let name = spoken(&self.name);
        html! {
            li class="row" {
                div class="row-main" {
                    h3 {
                        (shown(&self.name))
                        @if self.verified_at.is_some() { span class="badge good" { "Verified" } }
                        @else { span class="badge warn" { "Not verified" } }
                    }
                    @if let Some(at) = self.verified_at { p class="kind" { "Since " (moment(at)) } }

                    @if let Some(at) = self.looked_at { p class="kind" { "Last looked for " (relative(at, now)) } }
                }
                @if settings.may_change {
                    div class="row-do" {
                        @if self.verified_at.is_none() {
                            (button_form(csrf, &path("verify"), &html! {
                                button type="submit" { "Look now" span class="aside" { " for the record of " (name) } } }, None))
                        }
                        (button_form(csrf, &path("remove"), &html! {
                            button type="submit" class="danger" { "Remove" span class="aside" { " " (name) } } },
                            Some(&format!("Remove {name}? Its people join by invitation alone then."))))
                    }
                }
                @if self.verified_at.is_none() { div class="row-more" { (self.record(settings)) } }
            }
        }
    }

    fn record(&self, settings: &OrganizationSettings) -> Markup {
        let place = settings.domains.added.iter().position(|other| other.id == self.id).unwrap_or_default();
        let (name, value) = (format!("record-name-{place}"), format!("record-value-{place}"));
        html! {
            p class="hint" { "Set this record where the domain's DNS is kept:" }
            dl class="facts" {
                div { dt { "Type" } dd { code { "TXT" } } }
                @for (label, id, text) in [("Name", &name, &self.record_name), ("Value", &value, &self.record_value)] {
                    div { dt { (label) } dd {
                        code id=(id) { (shown(text)) }
                        button type="button" class="quiet small" data-copy=(id) hidden {
                            "Copy" span class="aside" { " the record's " (label) } }
                    } }
                }
            }
        }
    }
}
