//! Signing in: e-mail and password, or a passkey; and choosing the organization.

use chancery_model::Role;
use maud::html;

use crate::field::{Field, Input, csrf_field, form};
use crate::frame::{Door, Frame, Here, door, framed, head, titled, wrong};
use crate::passkey;
use crate::paths;
use crate::text::{role_title, shown};

/// Signing in. Posts `email`, `password` and `next` to [`paths::SIGN_IN`]; the passkey's button posts
/// `credential`, `purpose` and `next` to [`paths::SIGN_IN_PASSKEY`].
#[derive(Clone, Debug, Default)]
pub struct SignIn {
    /// What stands around it.
    pub door: Door,
    /// The address.
    pub email: Field,
    /// The password; only its error shows.
    pub password: Field,
    /// What is wrong as a whole: the same whether the address is unknown or the password wrong.
    pub error: Option<String>,
    /// Whether passkeys are offered.
    pub passkey: bool,
    /// Whether e-mail and password are offered.
    pub by_password: bool,
    /// Where to go afterwards: a path of ours.
    pub next: String,
}

impl SignIn {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let fields = [&self.email, &self.password];
        let count = fields.iter().filter(|field| field.error.is_some()).count();
        let next = html! { input type="hidden" name="next" value=(self.next); };
        // Browsers offer passkeys in the field of the address, too.
        let username = if self.passkey { "username webauthn" } else { "username" };
        let content = html! {
            (head(&html! { "Sign in" }, None))
            (wrong(self.error.as_deref(), count))
            @if self.by_password {
                (form(&self.door.csrf, paths::SIGN_IN, &html! {
                    (next)
                    (Input::email("email", "E-mail address").autocomplete(username).max(254)
                        .focused_unless(&fields).render(&self.email))
                    (Input::password("password", "Password", "current-password").max(1024).render(&self.password))
                    p class="beside" { a href=(paths::FORGOT) { "Forgot your password?" } }
                    button type="submit" class="primary wide" { "Sign in" }
                }))
            }
            @if self.passkey {
                @if self.by_password { p class="or" data-needs-script hidden { span { "or" } } }
                (passkey::prove(&self.door.csrf, paths::SIGN_IN_PASSKEY, "sign-in", "Sign in with a passkey", &next))
                @if !self.by_password {
                    noscript { p { "Passkeys need JavaScript. Turn it on for this site to sign in." } }
                }
            }
        };
        door(&self.door, &titled("Sign in", count + usize::from(self.error.is_some())), &content)
    }
}

/// One organization that a person is in.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Its id, which is posted.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its short name.
    pub slug: String,
    /// The person's role in it.
    pub role: Role,
    /// Whether it is the one that the person is in now.
    pub is_current: bool,
}

/// Choosing the organization, once it is known who it is. Posts `organization` and `next` to
/// [`paths::ORGANIZATIONS`].
#[derive(Clone, Debug)]
pub struct ChooseOrganization {
    /// What stands around it.
    pub around: Around,
    /// What there is to choose from.
    pub memberships: Vec<Membership>,
    /// What is wrong, such as that the person is no member any more.
    pub error: Option<String>,
    /// Where to go afterwards: a path of ours.
    pub next: String,
}

/// Whether somebody is about to be signed in, or is.
#[derive(Clone, Debug)]
pub enum Around {
    /// While signing in.
    SigningIn(Door),
    /// To switch.
    SignedIn(Box<Frame>),
}

impl ChooseOrganization {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let csrf = match &self.around {
            Around::SigningIn(door) => &door.csrf,
            Around::SignedIn(frame) => &frame.csrf,
        };
        let content = html! {
            (head(&html! { "Choose an organization" }, Some("You are a member of several. You can switch later.")))
            (wrong(self.error.as_deref(), 0))
            ul class="choices" {
                @for membership in &self.memberships {
                    li {
                        form method="post" action=(paths::ORGANIZATIONS) {
                            (csrf_field(csrf))
                            input type="hidden" name="next" value=(self.next);
                            button type="submit" name="organization" value=(membership.id)
                                aria-current=[membership.is_current.then_some("true")] {
                                span class="choice" { (shown(&membership.name)) }
                                span class="kind" {
                                    (membership.slug) " · " (role_title(membership.role))
                                    @if membership.is_current { " · you are here" }
                                }
                            }
                        }
                    }
                }
            }
        };
        match &self.around {
            Around::SigningIn(outside) => door(outside, "Choose an organization", &content),
            Around::SignedIn(frame) => framed(
                frame,
                Here::Elsewhere,
                "Choose an organization",
                &html! { div class="narrow" { (content) } },
            ),
        }
    }
}
