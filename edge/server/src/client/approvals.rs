//! `approvals`.

use anyhow::Context as _;
use chancery_model::IntentId;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::request::{Page, Request, accepted};
use super::{Answer, Way};
use crate::terminal::{Style, Terminal, printable};

const AT: &str = "/api/v1/approvals";

/// `approvals`.
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// List escalated intents that wait for people.
    List {
        /// Which part.
        #[command(flatten)]
        page: Page,
        /// Also those that wait for nobody any more.
        #[arg(long)]
        ended: bool,
    },
    /// Show one: who asks, for exactly what, why people are asked, and who answered.
    Show {
        /// The intent's id.
        id: IntentId,
    },
    /// Agree to exactly this intent.
    Approve(Answering),
    /// Refuse it: one refusal ends it.
    Reject(Answering),
    /// Take your own answer back, while others are still needed.
    Withdraw(Answering),
}

/// An answer.
#[derive(Args, Clone, Debug)]
pub struct Answering {
    /// The intent's id.
    id: IntentId,
    /// For the record, and for whoever asked.
    #[arg(long)]
    reason: String,
}

impl Answering {
    fn request(self, how: &str) -> Request {
        Request::send(Method::POST, format!("{AT}/{}/{how}", self.id), json!({ "reason": self.reason }))
    }
}

/// Does one of them.
pub(super) async fn run(way: &Way, command: ApprovalsCommand, terminal: Terminal) -> anyhow::Result<()> {
    let to = way.connect()?;
    let request = match command {
        ApprovalsCommand::List { page, ended } => {
            let columns = &[
                ("ID", "/id"),
                ("SINCE", "/requested_at"),
                ("STATUS", "/status"),
                ("RISK", "/risk/score"),
                ("ACTION", "/intent/canonical/action"),
                ("RESOURCE", "/intent/canonical/resource/id"),
                ("ARGUMENTS", "/intent/canonical/arguments"),
                ("WHY", "/reasons/0/message"),
            ];
            Request::list(AT, &page, columns).with_query("ended", ended.then_some("true"))
        }
        ApprovalsCommand::Show { id } => {
            let answer = Request::get(format!("{AT}/{id}")).ask(&to).await?;
            if way.json || !answer.status.is_success() {
                terminal.line(String::from_utf8_lossy(&answer.text).trim_end())?;
            } else {
                tell(&answer, terminal)?;
            }
            return accepted(&answer);
        }
        ApprovalsCommand::Approve(answering) => answering.request("approve"),
        ApprovalsCommand::Reject(answering) => answering.request("reject"),
        ApprovalsCommand::Withdraw(answering) => answering.request("withdraw"),
    };
    request.perform(&to, way.json, terminal).await
}

/// What somebody has to know who is to answer.
fn tell(answer: &Answer, terminal: Terminal) -> anyhow::Result<()> {
    let data = answer.body.get("data").context("the answer has no `data`")?;
    let text = |pointer: &str| data.pointer(pointer).map_or_else(String::new, words);
    let line = |name: &str, what: &str| terminal.line(format_args!("{name:<9} {}", printable(what)));
    terminal.line(format_args!("{}  {}", terminal.paint(Style::Bold, text("/status")), text("/id")))?;
    line("asks", &format!("{} {}", text("/requester/type"), text("/requester/id")))?;
    if data.pointer("/intent/on_behalf_of").is_some_and(|member| !member.is_null()) {
        line("for", &text("/intent/on_behalf_of"))?;
    }
    line("action", &text("/intent/canonical/action"))?;
    let resource = "/intent/canonical/resource";
    line("on", &format!("{}/{}", text(&format!("{resource}/type")), text(&format!("{resource}/id"))))?;
    let arguments = data.pointer("/intent/canonical/arguments").and_then(Value::as_object);
    for (name, value) in arguments.into_iter().flatten() {
        line("with", &format!("{name} = {value}"))?;
    }
    line("through", &text("/intent/connector"))?;
    line("risk", &text("/risk/score"))?;
    for reason in data.pointer("/reasons").and_then(Value::as_array).into_iter().flatten() {
        line("why", reason.get("message").map_or_else(String::new, words).as_str())?;
    }
    for needed in data.pointer("/requirements").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| needed.get(name).map_or_else(String::new, words);
        line("needed", &format!("{} × {}", part("approvals"), part("role")))?;
    }
    for given in data.pointer("/answers").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| given.get(name).map_or_else(String::new, words);
        line("answer", &format!("{} by {} at {}", part("answer"), part("member_id"), part("at")))?;
    }
    line("until", &text("/expires_at"))?;
    line("hash", &text("/intent/hash"))?;
    Ok(())
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
