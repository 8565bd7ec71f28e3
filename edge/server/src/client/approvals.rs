//! `approvals`.

use chancery_model::IntentId;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::Way;
use super::request::{Page, Request, accepted};
use super::told::{answers, asked, line, named, part, standing};
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
                ("RELEASED", "/released/as"),
                ("ASKS", "/requester_name"),
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
            match answer.body.get("data") {
                _ if way.json => terminal.line(String::from_utf8_lossy(&answer.text).trim_end())?,
                Some(data) => tell(data, terminal)?,
                None => {}
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
fn tell(data: &Value, terminal: Terminal) -> anyhow::Result<()> {
    let status = terminal.paint(Style::Bold, printable(&part(data, "/status")));
    terminal.line(format_args!("{status}  intent {}", printable(&part(data, "/id"))))?;
    let requester = named(&part(data, "/requester/id"), &part(data, "/requester_name"));
    line(terminal, "asks", &format!("{} {requester}", part(data, "/requester/type")))?;
    line(terminal, "since", &part(data, "/requested_at"))?;
    asked(data, terminal)?;
    line(terminal, "risk", &part(data, "/risk/score"))?;
    for reason in data.pointer("/reasons").and_then(Value::as_array).into_iter().flatten() {
        line(terminal, "why", &part(reason, "/message"))?;
    }
    for needed in data.pointer("/requirements").and_then(Value::as_array).into_iter().flatten() {
        line(terminal, "needed", &format!("{} × {}", part(needed, "/approvals"), part(needed, "/role")))?;
    }
    answers(data, terminal)?;
    if data.get("own") == Some(&Value::Bool(true)) {
        line(terminal, "own", "you stand behind it, and can't answer it")?;
    }
    line(terminal, "stands", &standing(data))?;
    line(terminal, "hash", &part(data, "/intent/hash"))
}
