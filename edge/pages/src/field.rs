//! Forms and their fields: a label, a hint and an error for each, all tied together by ids.

use maud::{Markup, html};

/// What somebody typed, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// The value to show: what was typed, or what is set. Passwords and codes are never sent back, so it
    /// is ignored for them.
    pub value: String,
    /// What is wrong, as a sentence that says how to put it right.
    pub error: Option<String>,
}

impl Field {
    /// A field with a value and nothing wrong.
    #[must_use]
    pub fn of(value: impl Into<String>) -> Self {
        Self { value: value.into(), error: None }
    }

    /// A field whose value was refused.
    #[must_use]
    pub fn refused(value: impl Into<String>, error: impl Into<String>) -> Self {
        Self { value: value.into(), error: Some(error.into()) }
    }
}

/// A form that posts, with its `csrf` field.
pub(crate) fn form(csrf: &str, action: &str, content: &Markup) -> Markup {
    html! { form method="post" action=(action) { (csrf_field(csrf)) (content) } }
}

/// A form of one button, which asks first where the script runs.
pub(crate) fn button_form(csrf: &str, action: &str, button: &Markup, confirm: Option<&str>) -> Markup {
    html! {
        form method="post" action=(action) class="inline" data-confirm=[confirm] { (csrf_field(csrf)) (button) }
    }
}

/// The field that shows a post comes from a page of ours.
pub(crate) fn csrf_field(csrf: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(csrf); }
}

/// One input with everything around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    id: &'a str,
    name: &'a str,
    label: &'a str,
    kind: &'a str,
    autocomplete: &'a str,
    inputmode: Option<&'a str>,
    hint: Option<&'a str>,
    max: Option<u32>,
    optional: bool,
    class: Option<&'a str>,
    focused: bool,
    secret: bool,
}

impl<'a> Input<'a> {
    /// A required line of text, whose id is its name.
    pub(crate) const fn new(name: &'a str, label: &'a str) -> Self {
        Self {
            id: name,
            name,
            label,
            kind: "text",
            autocomplete: "off",
            inputmode: None,
            hint: None,
            max: None,
            optional: false,
            class: None,
            focused: false,
            secret: false,
        }
    }

    /// An e-mail address.
    pub(crate) const fn email(name: &'a str, label: &'a str) -> Self {
        Self { kind: "email", inputmode: Some("email"), ..Self::new(name, label) }
    }

    /// A password.
    pub(crate) const fn password(name: &'a str, label: &'a str, autocomplete: &'a str) -> Self {
        Self { kind: "password", autocomplete, secret: true, ..Self::new(name, label) }
    }

    /// A whole number.
    pub(crate) const fn number(name: &'a str, label: &'a str) -> Self {
        Self { inputmode: Some("numeric"), class: Some("short"), max: Some(9), ..Self::new(name, label) }
    }

    pub(crate) const fn id(self, id: &'a str) -> Self {
        Self { id, ..self }
    }

    pub(crate) const fn autocomplete(self, autocomplete: &'a str) -> Self {
        Self { autocomplete, ..self }
    }

    pub(crate) const fn inputmode(self, inputmode: &'a str) -> Self {
        Self { inputmode: Some(inputmode), ..self }
    }

    pub(crate) const fn hint(self, hint: &'a str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    pub(crate) const fn max(self, characters: u32) -> Self {
        Self { max: Some(characters), ..self }
    }

    pub(crate) const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    pub(crate) const fn class(self, class: &'a str) -> Self {
        Self { class: Some(class), ..self }
    }

    /// What is typed is never sent back.
    pub(crate) const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The field to begin with, unless one of the page's has an error: that has the focus then.
    pub(crate) fn focused_unless(self, fields: &[&Field]) -> Self {
        Self { focused: fields.iter().all(|field| field.error.is_none()), ..self }
    }

    /// The input with its label, hint and error.
    pub(crate) fn render(&self, field: &Field) -> Markup {
        let around = self.around(field);
        html! {
            div class="field" {
                (around.label)
                @let reveals = self.kind == "password";
                div class=[reveals.then_some("reveal")] {
                    input id=(self.id) name=(self.name) type=(self.kind) class=[self.class]
                        value=[(!self.secret && !field.value.is_empty()).then_some(&field.value)]
                        autocomplete=(self.autocomplete) inputmode=[self.inputmode] maxlength=[self.max]
                        spellcheck="false" autocapitalize=[(self.kind != "text").then_some("none")]
                        required[!self.optional] aria-invalid=[field.error.as_ref().map(|_| "true")]
                        aria-describedby=[around.described_by]
                        autofocus[self.focused || field.error.is_some()];
                    @if reveals {
                        button type="button" class="quiet" data-reveal=(self.id) aria-pressed="false" hidden {
                            "Show" span class="aside" { " " (self.label) }
                        }
                    }
                }
                (around.error)
            }
        }
    }

    /// Several lines, instead of one.
    pub(crate) fn render_lines(&self, field: &Field, rows: u8) -> Markup {
        let around = self.around(field);
        html! {
            div class="field" {
                (around.label)
                textarea id=(self.id) name=(self.name) rows=(rows) class=[self.class] maxlength=[self.max]
                    required[!self.optional] aria-invalid=[field.error.as_ref().map(|_| "true")]
                    aria-describedby=[around.described_by] autofocus[field.error.is_some()]
                    // HTML drops one line break after the tag: without it, the value's own would be lost.
                    { "\n" (field.value) }
                (around.error)
            }
        }
    }

    /// One of several words, each with its text, instead of a line.
    pub(crate) fn render_choice(&self, field: &Field, choices: &[(String, String)]) -> Markup {
        let around = self.around(field);
        html! {
            div class="field" {
                (around.label)
                select id=(self.id) name=(self.name) required[!self.optional]
                    aria-invalid=[field.error.as_ref().map(|_| "true")] aria-describedby=[around.described_by] {
                    @for (word, text) in choices {
                        option value=(word) selected[*word == field.value] { (text) }
                    }
                }
                (around.error)
            }
        }
    }

    fn around(&self, field: &Field) -> Around {
        let (hint_id, error_id) = (format!("{}-hint", self.id), format!("{}-error", self.id));
        let ids: Vec<&str> = [self.hint.map(|_| &*hint_id), field.error.as_ref().map(|_| &*error_id)]
            .into_iter()
            .flatten()
            .collect();
        Around {
            label: html! {
                label for=(self.id) { (self.label) @if self.optional { span class="kind" { " (optional)" } } }
                @if let Some(hint) = self.hint { p class="hint" id=(hint_id) { (hint) } }
            },
            error: html! {
                @if let Some(error) = &field.error { p class="error" id=(error_id) { (error) } }
            },
            described_by: (!ids.is_empty()).then(|| ids.join(" ")),
        }
    }
}

struct Around {
    label: Markup,
    error: Markup,
    described_by: Option<String>,
}

/// A box to tick.
pub(crate) fn tick(name: &str, label: &str, hint: Option<&str>, is_ticked: bool) -> Markup {
    let hint_id = format!("{name}-hint");
    html! {
        div class="tick" {
            input type="checkbox" id=(name) name=(name) value="yes" checked[is_ticked]
                aria-describedby=[hint.map(|_| &hint_id)];
            div {
                label for=(name) { (label) }
                @if let Some(hint) = hint { p class="hint" id=(hint_id) { (hint) } }
            }
        }
    }
}
