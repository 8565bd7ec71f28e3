//! The end of an account.

use maud::html;

use super::{Part, page};
use crate::field::{Field, Input, form};
use crate::frame::{Frame, titled, wrong};
use crate::paths;

/// Deleting one's account. Posts `email` to [`paths::DELETE_ACCOUNT`]; a step-up comes before it is done.
#[derive(Clone, Debug)]
pub struct DeleteAccount {
    /// What stands around it.
    pub frame: Frame,
    /// The address, typed to show that it is meant.
    pub email: Field,
    /// Why it cannot be done now, such as being the last admin; then there is no form.
    pub hindrances: Vec<String>,
}

impl DeleteAccount {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let count = usize::from(self.email.error.is_some());
        let content = html! {
            h2 { "What happens" }
            ul class="plain" {
                li { "You are signed out everywhere, and your API keys are revoked." }
                li { "Your name, address and what identifies you are erased, for good." }
                li { "The record keeps that somebody acted, and its proofs stay valid. It no longer tells who." }
            }
            @if self.hindrances.is_empty() {
                (wrong(None, count))
                (form(&self.frame.csrf, paths::DELETE_ACCOUNT, &html! {
                    @let hint = format!("Type {} to show that you mean it.", self.frame.email);
                    (Input::email("email", "Your e-mail address").hint(&hint).max(254).render(&self.email))
                    button type="submit" class="danger solid" { "Delete my account" }
                }))
            } @else {
                div class="notice failed" {
                    p { "It cannot be done yet:" }
                    ul { @for hindrance in &self.hindrances { li { (hindrance) } } }
                }
            }
        };
        let about = "This cannot be taken back. You are asked for your second factor first.";
        page(&self.frame, Part::Delete, &titled("Delete account", count), "Delete account", about, &content)
    }
}
