//! A new password.

use maud::html;

use super::{Part, page};
use crate::field::{Field, Input, form};
use crate::frame::{Frame, titled, wrong};
use crate::paths;
use crate::recovery::{PasswordRules, new_password, username};

/// Changing one's password. Posts `current_password` and `password` to [`paths::PASSWORD`].
#[derive(Clone, Debug)]
pub struct ChangePassword {
    /// What stands around it.
    pub frame: Frame,
    /// What it has to be.
    pub rules: PasswordRules,
    /// The one until now, if there is one; only its error shows.
    pub current: Option<Field>,
    /// The new one; only its error shows.
    pub password: Field,
}

impl ChangePassword {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let current_wrong = self.current.as_ref().is_some_and(|field| field.error.is_some());
        let count = usize::from(current_wrong) + usize::from(self.password.error.is_some());
        let verb = if self.current.is_some() { "Change password" } else { "Set a password" };
        let content = html! {
            (wrong(None, count))
            (form(&self.frame.csrf, paths::PASSWORD, &html! {
                (username(&self.frame.email))
                @if let Some(current) = &self.current {
                    (Input::password("current_password", "Current password", "current-password")
                        .max(1024).render(current))
                }
                (new_password("New password", &self.rules, &self.password))
                button type="submit" class="primary" { (verb) }
            }))
        };
        let about = "You stay signed in here, and are signed out everywhere else.";
        page(&self.frame, Part::Password, &titled(verb, count), verb, about, &content)
    }
}
