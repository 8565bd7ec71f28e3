//! What stands around the content of every page: head, header, navigation, news and foot.

use chancery_model::Timestamp;
use maud::{DOCTYPE, Markup, html};

use crate::asset::{SCRIPT, STYLESHEET};
use crate::field::csrf_field;
use crate::paths;
use crate::text::{shown, spoken};

/// What happened to the form that was sent, told once on the page that follows.
#[derive(Clone, Debug)]
pub struct Flash {
    /// Whether it went well.
    pub tone: Tone,
    /// What happened, in a sentence.
    pub text: String,
}

/// How news is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It was done.
    Done,
    /// It is good to know.
    Note,
    /// It was not done.
    Failed,
}

impl Tone {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Done => "notice done",
            Self::Note => "notice",
            Self::Failed => "notice failed",
        }
    }
}

/// Around a page for somebody who is not signed in, or not quite.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// Goes with every form.
    pub csrf: String,
    /// The organization it is about, where that is known and may be told.
    pub organization: Option<String>,
    /// What happened before.
    pub flash: Option<Flash>,
}

/// Around a page for somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Goes with every form.
    pub csrf: String,
    /// The organization's name.
    pub organization: String,
    /// Whether the person is in others, too, and can go there.
    pub in_several: bool,
    /// The person's name.
    pub name: String,
    /// The person's e-mail address.
    pub email: String,
    /// The moment the page is made: times are told from here.
    pub now: Timestamp,
    /// The pages that the person may open, in the navigation.
    pub opens: Opens,
    /// What happened before.
    pub flash: Option<Flash>,
    /// Why everything is halted, if it is: told on every page.
    pub halted: Option<String>,
}

/// What the navigation offers; the routes guard the pages themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opens {
    /// The approval inbox, and how many requests wait there for this person.
    pub approvals: Option<u32>,
    /// The members.
    pub members: bool,
    /// The organization's settings.
    pub settings: bool,
}

/// Which entry of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Here {
    Approvals,
    Members,
    Settings,
    Account,
    Elsewhere,
}

/// A page for somebody who is signed in.
pub(crate) fn framed(frame: &Frame, here: Here, title: &str, content: &Markup) -> String {
    let title = format!("{title} · {} · Chancery", spoken(&frame.organization));
    document(
        &title,
        "framed",
        &html! {
            (header(frame, here))
            @if let Some(why) = &frame.halted {
                div class="halted" role="status" {
                    p { strong { "Halted." } " Nothing acts in this organization. " (shown(why)) }
                }
            }
            main id="content" tabindex="-1" { (news(frame.flash.as_ref())) (content) }
        },
    )
}

/// A page with one matter, in the middle: for somebody who is not signed in, or not quite.
pub(crate) fn door(door: &Door, title: &str, content: &Markup) -> String {
    document(
        &format!("{title} · Chancery"),
        "door",
        &html! {
            header class="door-head" {
                a class="brand" href=(paths::HOME) { (mark()) "Chancery" }
                @if let Some(organization) = &door.organization { p class="organization" { (shown(organization)) } }
            }
            main id="content" tabindex="-1" { (news(door.flash.as_ref())) div class="card" { (content) } }
        },
    )
}

fn document(title: &str, class: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="same-origin";
                title { (title) }
                link rel="icon" href=(ICON);
                link rel="stylesheet" href=(STYLESHEET.path());
                script src=(SCRIPT.path()) defer {}
            }
            body class=(class) { a class="skip" href="#content" { "Skip to content" } (body) }
        }
    }
    .into_string()
}

fn header(frame: &Frame, here: Here) -> Markup {
    html! {
        header class="bar" {
            div class="bar-top" {
                a class="brand" href=(paths::HOME) { (mark()) span class="brand-name" { "Chancery" } }
                span class="organization" {
                    (shown(&frame.organization))
                    @if frame.in_several { a class="switch" href=(paths::ORGANIZATIONS) { "Switch" } }
                }
                div class="person" {
                    (shown(&frame.name))
                    form method="post" action=(paths::SIGN_OUT) class="inline" {
                        (csrf_field(&frame.csrf))
                        button type="submit" class="quiet" { "Sign out" }
                    }
                }
            }
            (navigation(frame.opens, here))
        }
    }
}

fn navigation(opens: Opens, here: Here) -> Markup {
    html! {
        nav class="tabs" aria-label="Main" {
            ul {
                @if let Some(waiting) = opens.approvals {
                    li { a href=(paths::APPROVALS) aria-current=[current(here, Here::Approvals)] {
                        "Approvals"
                        @if waiting > 0 { span class="count" { (waiting) span class="aside" { " waiting" } } }
                    } }
                }
                @if opens.members {
                    li { a href=(paths::MEMBERS) aria-current=[current(here, Here::Members)] { "Members" } }
                }
                @if opens.settings {
                    li { a href=(paths::SETTINGS) aria-current=[current(here, Here::Settings)] { "Settings" } }
                }
                li { a href=(paths::SESSIONS) aria-current=[current(here, Here::Account)] { "Account" } }
            }
        }
    }
}

fn current(here: Here, entry: Here) -> Option<&'static str> {
    (here == entry).then_some("page")
}

fn news(flash: Option<&Flash>) -> Markup {
    html! {
        div class="news" {
            @if let Some(flash) = flash {
                @let role = if flash.tone == Tone::Failed { "alert" } else { "status" };
                div class=(flash.tone.class()) role=(role) { p { (shown(&flash.text)) } }
            }
        }
        // What the script has to say is read out from here.
        p id="spoken" class="aside" role="status" aria-live="polite" {}
    }
}

/// The head of a page: its title, a line about it, and what can be done.
pub(crate) fn head(title: &Markup, about: Option<&str>) -> Markup {
    html! {
        div class="head" {
            h1 { (title) }
            @if let Some(about) = about { p class="about" { (about) } }
        }
    }
}

/// That there is nothing, and what to do about it.
pub(crate) fn empty(title: &str, text: &str) -> Markup {
    html! { div class="empty" { h2 { (title) } p { (text) } } }
}

/// The title of a document, which says first whether something is wrong in its form.
pub(crate) fn titled(title: &str, wrong: usize) -> String {
    if wrong == 0 { title.to_owned() } else { format!("Error: {title}") }
}

/// What is wrong with a form as a whole, or how many of its fields are.
pub(crate) fn wrong(error: Option<&str>, fields: usize) -> Markup {
    html! {
        @if let Some(error) = error {
            div class="notice failed" role="alert" { p { (error) } }
        } @else if fields > 0 {
            div class="notice failed" role="alert" {
                p {
                    @if fields == 1 { "One field needs another look." }
                    @else { (fields) " fields need another look." }
                }
            }
        }
    }
}

/// The mark: a seal with a ribbon's fold.
fn mark() -> Markup {
    html! {
        svg class="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false" {
            circle cx="12" cy="12" r="10.5" {}
            path d="M15.8 8.6a5 5 0 1 0 0 6.8" {}
        }
    }
}

/// The same as a picture, for the browser's tab.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E\
%3Ccircle cx='12' cy='12' r='12' fill='%230f5c6b'/%3E%3Cpath d='M16 8.4a5.2 5.2 0 1 0 0 7.2' fill='none' \
stroke='%23fff' stroke-width='2.4' stroke-linecap='round'/%3E%3C/svg%3E";
