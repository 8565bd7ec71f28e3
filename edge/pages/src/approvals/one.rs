//! One request, whole.

use chancery_model::{IntentId, Timestamp};
use maud::{Markup, html};
use serde_json::Value;

use super::answer::AnswerForm;
use super::inbox::requester;
use super::state::{Progress, State};
use crate::frame::{Frame, Here, framed, titled};
use crate::moment::{moment, relative};
use crate::paths;
use crate::text::{shown, spoken};
use crate::tree::{source, tree};

/// One request: who asks for what exactly, why people are asked, and what they answered.
#[derive(Clone, Debug)]
pub struct OneApproval {
    /// What stands around it.
    pub frame: Frame,
    /// The intent, and the approval.
    pub id: IntentId,
    /// Who asks.
    pub requester: Requester,
    /// What is asked; none once erased.
    pub asked: Option<Asked>,
    /// Why people are asked.
    pub reasons: Vec<Reason>,
    /// The risk.
    pub risk: Risk,
    /// What people have to do, and who did.
    pub progress: Progress,
    /// How it stands.
    pub state: State,
    /// Since when.
    pub requested_at: Timestamp,
    /// Until when people can answer.
    pub expires_at: Timestamp,
    /// What this person can do about it.
    pub answer: AnswerForm,
    /// The number of the decision's entry in the record.
    pub entry: u64,
    /// Server-sent events about it: `event: change` when it is another than before. A path of ours.
    pub events: Option<String>,
}

/// Who asks.
#[derive(Clone, Debug, Default)]
pub struct Requester {
    /// The name now; none once erased.
    pub name: Option<String>,
    /// `agent` or `member`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Who owns it, where it is an agent.
    pub owner: Option<String>,
    /// In whose name it asks.
    pub on_behalf_of: Option<String>,
}

/// What is asked. The page reads action, resource and arguments from the canonical form alone, so what
/// people see is what the hash is of.
#[derive(Clone, Debug)]
pub struct Asked {
    /// JCS (RFC 8785) of `{"v":1,"action","resource":{"type","id"},"arguments"}`.
    pub canonical: String,
    /// Its hash, in hex.
    pub hash: String,
    /// The canonical form of the circumstances that whoever asks has stated.
    pub context: String,
    /// Through which connector.
    pub connector: Option<String>,
}

/// Why people are asked.
#[derive(Clone, Debug)]
pub struct Reason {
    /// A stable word.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// The policy it comes from.
    pub policy: Option<PolicyName>,
}

/// A policy.
#[derive(Clone, Debug)]
pub struct PolicyName {
    /// Its name.
    pub name: String,
    /// The version in force.
    pub version: u32,
}

/// How risky it is.
#[derive(Clone, Debug, Default)]
pub struct Risk {
    /// 0 to 100.
    pub score: u8,
    /// What it is made of.
    pub factors: Vec<Factor>,
    /// From which score on a person is asked in this organization.
    pub escalate_at: u8,
    /// From which score on it is denied; 101 is never.
    pub deny_at: u8,
}

/// One part of a score.
#[derive(Clone, Debug)]
pub struct Factor {
    /// What it is for.
    pub name: String,
    /// What it adds.
    pub points: u8,
}

/// What is read from the canonical form.
struct Read {
    action: Option<String>,
    resource: Option<(String, String)>,
    arguments: Option<Value>,
}

impl Read {
    fn from(asked: &Asked) -> Self {
        let value: Value = serde_json::from_str(&asked.canonical).unwrap_or(Value::Null);
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Self {
            action: text("/action"),
            resource: text("/resource/type").zip(text("/resource/id")),
            arguments: value.get("arguments").cloned(),
        }
    }
}

impl OneApproval {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let read = self.asked.as_ref().map(Read::from);
        let action = read.as_ref().and_then(|read| read.action.as_deref()).unwrap_or("a request");
        let content = html! {
            p class="back" { a href=(paths::APPROVALS) { "Approvals" } }
            div id="approval" data-live=[self.events.as_ref()] data-news="This request has changed." {
                p class="notice" data-live-stale hidden {
                    "This request has changed since you opened it. " a href="" { "Load it again" }
                }
                div class="head" {
                    h1 {
                        (shown(action))
                        @if let Some((kind, id)) = read.as_ref().and_then(|read| read.resource.as_ref()) {
                            span class="target" { "on " (shown(kind)) " " (shown(id)) }
                        }
                    }
                    p class="about" {
                        (self.state.badge())
                        " asked by " span class="asker" { (requester(self.requester.name.as_deref())) }
                        " " (relative(self.requested_at, self.frame.now))
                    }
                }
                div class="decide" {
                    div class="decide-main" {
                        (self.what(read.as_ref()))
                        (self.why())
                        (self.risk.content())
                        (self.source())
                    }
                    div class="decide-side" {
                        section class="panel" aria-labelledby="state" {
                            h2 id="state" { "How it stands" }
                            p { (self.state.sentence(self.expires_at, self.frame.now)) }
                            (self.progress.content(self.frame.now))
                        }
                        @if !matches!(self.answer, AnswerForm::Closed) {
                            section class="panel" aria-labelledby="answer" {
                                (self.answer.content(&self.frame.csrf, &self.id.to_string()))
                            }
                        }
                    }
                }
            }
        };
        let title = titled(&spoken(action), usize::from(self.answer.error().is_some()));
        framed(&self.frame, Here::Approvals, &title, &content)
    }

    fn what(&self, read: Option<&Read>) -> Markup {
        let who = &self.requester;
        html! {
            section aria-labelledby="what" {
                h2 id="what" { "What is asked" }
                dl class="facts" {
                    div { dt { "Who asks" } dd {
                        (requester(who.name.as_deref()))
                        span class="kind" { (shown(&who.kind)) " " code { (shown(&who.id)) } }
                    } }
                    @if let Some(owner) = &who.owner { div { dt { "Whose agent" } dd { (shown(owner)) } } }
                    @if let Some(whose) = &who.on_behalf_of { div { dt { "In the name of" } dd { (shown(whose)) } } }
                    @if let Some(read) = read {
                        div { dt { "Action" } dd { code { (shown(read.action.as_deref().unwrap_or("unreadable"))) } } }
                        @if let Some((kind, id)) = &read.resource {
                            div { dt { "On" } dd { (shown(kind)) " " code { (shown(id)) } } }
                        }
                    }
                    @if let Some(connector) = self.asked.as_ref().and_then(|asked| asked.connector.as_ref()) {
                        div { dt { "Through" } dd { (shown(connector)) } }
                    }
                }
                @if let Some(read) = read {
                    h3 { "With exactly these arguments" }
                    div class="values" {
                        @if let Some(arguments) = &read.arguments { (tree(arguments)) }
                        @else { span class="kind" { "none" } }
                    }
                } @else {
                    div class="notice" { p { "What was asked has been erased. Its proof stays in the record." } }
                }
                @if let Some(asked) = &self.asked { (context(&asked.context)) }
            }
        }
    }

    fn why(&self) -> Markup {
        html! {
            section aria-labelledby="why" {
                h2 id="why" { "Why people are asked" }
                ul class="reasons" {
                    @for reason in &self.reasons {
                        li {
                            p { (shown(&reason.message)) }
                            p class="kind" {
                                code { (shown(&reason.code)) }
                                @if let Some(policy) = &reason.policy {
                                    " · policy " (shown(&policy.name)) ", version " (policy.version)
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn source(&self) -> Markup {
        html! {
            section aria-labelledby="proof" {
                h2 id="proof" { "Proof" }
                dl class="facts" {
                    div { dt { "Request" } dd { code { (self.id) } } }
                    div { dt { "Asked" } dd { (moment(self.requested_at)) } }
                    div { dt { "Entry" } dd { "Number " (self.entry) " of the record" } }
                    @if let Some(asked) = &self.asked {
                        div { dt { "Intent hash" } dd { code id="intent-hash" { (shown(&asked.hash)) }
                            button type="button" class="quiet small" data-copy="intent-hash" hidden {
                                "Copy" span class="aside" { " the intent hash" } } } }
                    }
                }
                @if let Some(asked) = &self.asked {
                    details class="more" {
                        summary { "The canonical form that the hash is of" }
                        (source("canonical", "Canonical form", &asked.canonical))
                    }
                }
            }
        }
    }
}

fn context(context: &str) -> Markup {
    let value: Value = serde_json::from_str(context).unwrap_or(Value::Null);
    let is_empty = value.as_object().is_none_or(serde_json::Map::is_empty);
    html! {
        @if !is_empty {
            h3 { "Stated circumstances" }
            p class="hint" { "Whoever asks says so; nobody has checked it. It can raise the risk, and never lower it." }
            div class="values" { (tree(&value)) }
        }
    }
}

impl Risk {
    fn content(&self) -> Markup {
        let score = self.score.min(100);
        html! {
            section aria-labelledby="risk" {
                h2 id="risk" { "Risk" }
                p class="score" { span class="number" { (self.score) } " of 100" }
                svg class="gauge" viewBox="0 0 100 4" preserveAspectRatio="none" width="100" height="4"
                    aria-hidden="true" focusable="false" {
                    rect class="gauge-rest" x="0" y="0" width="100" height="4" {}
                    rect class="gauge-score" x="0" y="0" width=(score) height="4" {}
                    @for mark in [self.escalate_at, self.deny_at].iter().filter(|mark| (1..100).contains(*mark)) {
                        rect class="gauge-mark" x=(mark) y="0" width="0.4" height="4" {}
                    }
                }
                p class="kind" {
                    "A person is asked from " (self.escalate_at)
                    @if self.deny_at <= 100 { ", and it is denied from " (self.deny_at) } "."
                }
                @if !self.factors.is_empty() {
                    dl class="facts tight" {
                        @for factor in &self.factors {
                            div { dt { (shown(&factor.name.replace('_', " "))) } dd class="number" { "+" (factor.points) } }
                        }
                    }
                }
            }
        }
    }
}
