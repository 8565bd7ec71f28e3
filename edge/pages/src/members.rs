//! Who is in the organization, who is invited, and who it belongs to.

use chancery_model::{MemberId, Role, Timestamp};
use maud::{Markup, html};

use crate::field::{Field, Input, button_form, form};
use crate::frame::{Frame, Here, empty, framed, head, titled, wrong};
use crate::moment::{day, left, relative};
use crate::paths;
use crate::text::{role_title, shown, spoken};

/// The members. Posts: [`paths::INVITE`] with `email` and `role`; `/members/invitations/{id}/resend` and
/// `/revoke`; `/members/{id}/role` with `role`; `/members/{id}/remove`; [`paths::TRANSFER`] with `member`.
#[derive(Clone, Debug)]
pub struct Members {
    /// What stands around it.
    pub frame: Frame,
    /// The members.
    pub members: Vec<MemberRow>,
    /// Invitations that nobody took yet.
    pub invitations: Vec<PendingInvitation>,
    /// The roles that can be given, for each what it may do in a few words.
    pub roles: Vec<RoleChoice>,
    /// The form to invite with; none when this person may not, or no seat is left.
    pub invite: Option<Invite>,
    /// Why nobody can be invited, such as that all seats are taken.
    pub invite_hindrance: Option<String>,
    /// To whom the organization can be handed on; empty for whoever does not own it.
    pub heirs: Vec<Heir>,
}

/// A role, and what it may do.
#[derive(Clone, Debug)]
pub struct RoleChoice {
    /// The role.
    pub role: Role,
    /// What it may do, in a few words.
    pub means: String,
}

/// A form to invite with.
#[derive(Clone, Debug, Default)]
pub struct Invite {
    /// Whom.
    pub email: Field,
    /// In which role: its word.
    pub role: Field,
}

/// Whom the organization can be handed on to.
#[derive(Clone, Debug)]
pub struct Heir {
    /// Who.
    pub id: MemberId,
    /// Their name.
    pub name: String,
}

/// One member.
#[derive(Clone, Debug)]
pub struct MemberRow {
    /// Who.
    pub id: MemberId,
    /// The name; none once erased.
    pub name: Option<String>,
    /// The address; none once erased, or for a service.
    pub email: Option<String>,
    /// The role.
    pub role: Role,
    /// What sets this member apart.
    pub marks: Marks,
    /// What this person may do to this member.
    pub may: MayDo,
    /// When they were last seen.
    pub seen_at: Option<Timestamp>,
    /// Since when they are a member.
    pub joined_at: Timestamp,
}

/// What sets a member apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marks {
    /// The person who looks at the page.
    pub is_you: bool,
    /// The organization is theirs.
    pub is_owner: bool,
    /// A service: it takes no seat, opens no pages, approves nothing.
    pub is_service: bool,
    /// They have a second factor.
    pub has_second_factor: bool,
}

/// What a person may do to a member.
#[derive(Clone, Copy, Debug, Default)]
pub struct MayDo {
    /// Give another role.
    pub change_role: bool,
    /// Remove them.
    pub remove: bool,
}

/// An invitation that nobody took yet.
#[derive(Clone, Debug)]
pub struct PendingInvitation {
    /// Its id, for the path.
    pub id: String,
    /// Whom.
    pub email: String,
    /// In which role.
    pub role: Role,
    /// Who invited.
    pub inviter: String,
    /// When.
    pub invited_at: Timestamp,
    /// Until when it can be taken.
    pub expires_at: Timestamp,
}

impl Members {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let count = self.invite.as_ref().map_or(0, |invite| {
            [&invite.email, &invite.role].iter().filter(|field| field.error.is_some()).count()
        });
        let content = html! {
            (head(&html! { "Members" }, Some("The people of this organization, and what each may do.")))
            (self.invite_section(count))
            @if !self.invitations.is_empty() {
                section aria-labelledby="invited" {
                    h2 id="invited" { "Invited" }
                    ul class="rows" { @for invitation in &self.invitations { (self.invitation(invitation)) } }
                }
            }
            section aria-labelledby="members" {
                h2 id="members" { "Members" span class="count" { (self.members.len()) } }
                (self.table())
                @if self.members.len() < 2 {
                    (empty("Nobody else yet", "An agent's request is answered by somebody else than who stands \
                        behind it: invite a second person."))
                }
            }
            @if !self.heirs.is_empty() { (self.transfer()) }
        };
        framed(&self.frame, Here::Members, &titled("Members", count), &content)
    }

    fn choices(&self) -> Vec<(String, String)> {
        let text = |choice: &RoleChoice| format!("{}: {}", role_title(choice.role), choice.means);
        self.roles.iter().map(|choice| (choice.role.to_string(), text(choice))).collect()
    }

    fn invite_section(&self, count: usize) -> Markup {
        html! {
            @if let Some(invite) = &self.invite {
                section aria-labelledby="invite" class="panel" {
                    h2 id="invite" { "Invite somebody" }
                    (wrong(None, count))
                    (form(&self.frame.csrf, paths::INVITE, &html! {
                        div class="together" {
                            (Input::email("email", "E-mail address").max(254).render(&invite.email))
                            (Input::new("role", "Role").render_choice(&invite.role, &self.choices()))
                            button type="submit" class="primary" { "Invite" }
                        }
                        p class="hint" { "The link in the mail is good for a few days, once, and only for this address." }
                    }))
                }
            } @else if let Some(hindrance) = &self.invite_hindrance {
                div class="notice" { p { (hindrance) } }
            }
        }
    }

    fn invitation(&self, invitation: &PendingInvitation) -> Markup {
        let csrf = &self.frame.csrf;
        let email = spoken(&invitation.email);
        html! {
            li class="row" {
                div class="row-main" {
                    h3 { (shown(&invitation.email)) span class="badge" { (role_title(invitation.role)) } }
                    p class="kind" {
                        "Invited by " (shown(&invitation.inviter)) " " (relative(invitation.invited_at, self.frame.now))
                        " · " (left(invitation.expires_at, self.frame.now))
                    }
                }
                @if self.invite.is_some() || self.invite_hindrance.is_some() {
                    div class="row-do" {
                        (button_form(csrf, &paths::of(paths::INVITE, &invitation.id, "resend"),
                            &html! { button type="submit" { "Send again" span class="aside" { " to " (email) } } }, None))
                        (button_form(csrf, &paths::of(paths::INVITE, &invitation.id, "revoke"),
                            &html! {
                                button type="submit" class="danger" {
                                    "Take back" span class="aside" { " the invitation of " (email) }
                                }
                            },
                            Some(&format!("Take back the invitation of {email}? Its link stops working."))))
                    }
                }
            }
        }
    }

    fn table(&self) -> Markup {
        html! {
            table class="listing" {
                caption class="aside" { "Members" }
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Role" } th scope="col" { "Last seen" }
                    th scope="col" { span class="aside" { "What can be done" } }
                } }
                tbody { @for member in &self.members { (self.member(member)) } }
            }
        }
    }

    fn member(&self, member: &MemberRow) -> Markup {
        let marks = member.marks;
        html! {
            tr {
                th scope="row" {
                    span class="who" {
                        @if let Some(name) = &member.name { (shown(name)) } @else { span class="kind" { "Erased" } }
                        @if marks.is_you { span class="badge" { "You" } }
                        @if marks.is_owner { span class="badge" { "Owner" } }
                        @if marks.is_service { span class="badge" { "Service" } }
                    }
                    @if let Some(email) = &member.email { span class="kind" { (shown(email)) } }
                    @if marks.is_service { span class="kind" { "Takes no seat, opens no pages, approves nothing" } }
                    @else if !marks.has_second_factor { span class="kind bad" { "No second factor" } }
                }
                td data-label="Role" { (role_title(member.role)) }
                td data-label="Last seen" {
                    @if let Some(at) = member.seen_at { (relative(at, self.frame.now)) } @else { "Never" }
                    span class="kind" { "Joined " (day(member.joined_at)) }
                }
                td class="do" { (self.change(member)) }
            }
        }
    }

    fn change(&self, member: &MemberRow) -> Markup {
        let csrf = &self.frame.csrf;
        let name = spoken(member.name.as_deref().unwrap_or("this member"));
        let id = format!("role-{}", member.id);
        let role = Field::of(member.role.as_str());
        let path = |verb| paths::of(paths::MEMBERS, &member.id.to_string(), verb);
        html! {
            @if member.may.change_role || member.may.remove {
                details class="more" {
                    summary { "Change" span class="aside" { " " (name) } }
                    @if member.may.change_role {
                        (form(csrf, &path("role"), &html! {
                            (Input::new("role", "Role").id(&id).render_choice(&role, &self.choices()))
                            button type="submit" { "Change role" }
                        }))
                    }
                    @if member.may.remove {
                        p class="hint" {
                            "Whoever is removed is signed out. Their keys are revoked, and their agents go to the owner."
                        }
                        (button_form(csrf, &path("remove"),
                            &html! { button type="submit" class="danger" { "Remove " (name) } },
                            Some(&format!("Remove {name} from the organization? Their keys are revoked at once."))))
                    }
                }
            }
        }
    }

    fn transfer(&self) -> Markup {
        let choices: Vec<(String, String)> =
            self.heirs.iter().map(|heir| (heir.id.to_string(), spoken(&heir.name))).collect();
        html! {
            section aria-labelledby="transfer" class="panel" {
                h2 id="transfer" { "Hand the organization on" }
                p class="about" { "The new owner can do what you can, and take it from you. You keep your role." }
                form method="post" action=(paths::TRANSFER)
                    data-confirm="Hand the organization on? Only the new owner can give it back." {
                    (crate::field::csrf_field(&self.frame.csrf))
                    div class="together" {
                        (Input::new("member", "New owner").render_choice(&Field::default(), &choices))
                        button type="submit" class="danger" { "Hand on" }
                    }
                }
            }
        }
    }
}
