//! One's own account: sessions, factors, password, and its end.

mod delete;
mod enrol;
mod factors;
mod password;
mod sessions;

pub use delete::DeleteAccount;
pub use enrol::{RecoveryCodes, TotpEnrolment};
pub use factors::{Factors, Passkey, Totp};
pub use password::ChangePassword;
pub use sessions::{Session, Sessions};

use maud::{Markup, html};

use crate::frame::{Frame, Here, framed, head};
use crate::paths;

/// Which page of the account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Sessions,
    Factors,
    Password,
    Delete,
}

const PARTS: [(Part, &str, &str); 4] = [
    (Part::Sessions, paths::SESSIONS, "Sessions"),
    (Part::Factors, paths::FACTORS, "Second factors"),
    (Part::Password, paths::PASSWORD, "Password"),
    (Part::Delete, paths::DELETE_ACCOUNT, "Delete account"),
];

/// A page of the account, with the way to the others.
fn page(frame: &Frame, part: Part, title: &str, heading: &str, about: &str, content: &Markup) -> String {
    framed(
        frame,
        Here::Account,
        title,
        &html! {
            div class="sided" {
                nav class="side" aria-label="Account" {
                    ul {
                        @for (other, path, name) in PARTS {
                            li { a href=(path) aria-current=[(other == part).then_some("page")] { (name) } }
                        }
                    }
                }
                div class="body" { (head(&html! { (heading) }, Some(about))) (content) }
            }
        },
    )
}
