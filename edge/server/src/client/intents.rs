//! `intents`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use chancery_api::Code;
use chancery_model::{IntentId, ijson};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::request::{Page, Request, Show, accepted};
use super::told::{self, Wanted, concluded};
use super::{Answer, Connection, Way};
use crate::terminal::Terminal;

const AT: &str = "/api/v1/intents";

/// How often, and with which pause, evidence is asked for that is not under a checkpoint yet.
const EVIDENCE_TRIES: usize = 5;
const EVIDENCE_PAUSE: Duration = Duration::from_secs(1);
/// The longest that one request asks to wait, in seconds, and the least time between two.
const LONGEST_WAIT: f64 = 25.0;
const ASKING_PAUSE: Duration = Duration::from_secs(1);

/// `intents`.
#[derive(Debug, Subcommand)]
pub enum IntentsCommand {
    /// Ask to act.
    Submit(Box<Submission>),
    /// List intents.
    List {
        /// Which part.
        #[command(flatten)]
        page: Page,
        /// Only these: `allowed`, `escalated` or `denied`.
        #[arg(long)]
        status: Option<String>,
    },
    /// Show one intent.
    Show {
        /// The intent's id.
        id: IntentId,
        /// Wait so many seconds, at most 3600, while people have not answered or it is being executed.
        #[arg(long, value_name = "SECONDS", default_value_t = 0,
            value_parser = clap::value_parser!(u32).range(..=3600))]
        wait: u32,
    },
    /// Fetch the token of an escalated intent that people agreed to.
    Token {
        /// The intent's id.
        id: IntentId,
    },
    /// Have an escalated intent executed that people agreed to; fails unless it succeeds.
    Execute {
        /// The intent's id.
        id: IntentId,
    },
    /// Take an escalated intent back.
    Cancel {
        /// The intent's id.
        id: IntentId,
        /// For the record.
        #[arg(long)]
        reason: String,
    },
    /// Fetch the evidence of an intent.
    Evidence {
        /// The intent's id.
        id: IntentId,
        /// Write it to this file.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// An intent to submit.
#[derive(Args, Clone, Debug)]
pub struct Submission {
    #[command(flatten)]
    subject: Subject,
    /// Facts beside the arguments, as JSON.
    #[arg(long, value_name = "JSON", value_parser = object)]
    context: Option<Value>,
    /// Who will redeem the token; the organization itself if absent.
    #[arg(long, value_name = "AUDIENCE")]
    connector: Option<String>,
    /// Only decide: no token.
    #[arg(long)]
    no_token: bool,
    /// Have the connector called at once, in place of a token; fails unless that succeeds.
    #[arg(long, requires = "connector", conflicts_with = "no_token")]
    execute: bool,
    /// The member on whose behalf the agent asks.
    #[arg(long, value_name = "MEMBER")]
    on_behalf_of: Option<String>,
    /// A word of your own for this request: sent again with it within a day, it is decided and carried out
    /// once, and answered as it was.
    #[arg(long, value_name = "WORD")]
    idempotency_key: Option<String>,
    /// Fetch the evidence, too, and write it to this file.
    #[arg(long, value_name = "FILE")]
    save_evidence: Option<PathBuf>,
}

/// What is to be done, to what.
#[derive(Args, Clone, Debug)]
pub(super) struct Subject {
    /// The action, such as `payments.refund`.
    pub action: String,
    /// What to do it to: `TYPE/ID`, such as `Payment/pay_1`.
    #[arg(value_parser = resource)]
    pub resource: Value,
    /// An argument; again for each. What reads as JSON is JSON, anything else is text.
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = argument)]
    pub args: Vec<(String, Value)>,
    /// All arguments, as JSON.
    #[arg(long, value_name = "JSON", value_parser = object, conflicts_with = "args")]
    pub arguments: Option<Value>,
}

impl Subject {
    /// The members of a request's body.
    ///
    /// # Errors
    /// When an argument is named twice.
    pub(super) fn members(self) -> anyhow::Result<Map<String, Value>> {
        let mut named = Map::new();
        for (name, value) in self.args {
            if named.insert(name.clone(), value).is_some() {
                bail!("`--arg {name}` stands twice");
            }
        }
        let arguments = self.arguments.unwrap_or(Value::Object(named));
        let members = [("action", self.action.into()), ("resource", self.resource), ("arguments", arguments)];
        Ok(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

fn resource(text: &str) -> Result<Value, &'static str> {
    let (kind, id) = text.split_once('/').ok_or("expected `TYPE/ID`")?;
    Ok(json!({ "type": kind, "id": id }))
}

fn argument(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("expected `NAME=VALUE`")?;
    // What is JSON to anybody must be so exactly: a number that is rounded is another number.
    let is_json = serde_json::from_str::<Value>(value).is_ok();
    let value = if is_json { ijson::parse(value.as_bytes()).map_err(|it| it.message)? } else { value.into() };
    Ok((name.to_owned(), value))
}

fn object(text: &str) -> Result<Value, String> {
    match ijson::parse(text.as_bytes()) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("expected an object".to_owned()),
        Err(error) => Err(error.message),
    }
}

/// Does one of them.
pub(super) async fn run(way: &Way, command: IntentsCommand, terminal: Terminal) -> anyhow::Result<()> {
    let to = way.connect()?;
    let request = match command {
        IntentsCommand::Submit(submission) => return submit(&to, *submission, way.json, terminal).await,
        IntentsCommand::List { page, status } => {
            let columns = &[
                ("ID", "/id"),
                ("TIME", "/created_at"),
                ("STATUS", "/status"),
                ("RISK", "/risk"),
                ("ACTION", "/action"),
                ("RESOURCE", "/resource_type"),
            ];
            Request::list(AT, &page, columns).with_query("status", status.as_deref())
        }
        IntentsCommand::Show { id, wait } => {
            let answer = settled(&to, id, Duration::from_secs(wait.into())).await?;
            match answer.body.get("data") {
                Some(data) if !way.json => told::intent(data, terminal)?,
                _ if way.json => as_it_came(&answer, terminal)?,
                _ => {}
            }
            return accepted(&answer);
        }
        IntentsCommand::Token { id } => {
            let answer = to.ask(Method::POST, &format!("{AT}/{id}/token"), Some(&json!({}))).await?;
            shown(&answer, way.json, terminal)?;
            return concluded(&answer, Wanted::Decision);
        }
        IntentsCommand::Execute { id } => {
            let answer = to.ask(Method::POST, &format!("{AT}/{id}/execute"), Some(&json!({}))).await?;
            shown(&answer, way.json, terminal)?;
            return concluded(&answer, Wanted::Execution);
        }
        IntentsCommand::Cancel { id, reason } => {
            Request::send(Method::POST, format!("{AT}/{id}/cancel"), json!({ "reason": reason }))
        }
        IntentsCommand::Evidence { id, output: None } => {
            Request::get(format!("{AT}/{id}/evidence")).shown(Show::Body)
        }
        IntentsCommand::Evidence { id, output: Some(file) } => {
            return save_evidence(&to, id, &file, way.json, terminal).await;
        }
    };
    request.perform(&to, way.json, terminal).await
}

async fn submit(
    to: &Connection,
    wanted: Submission,
    as_json: bool,
    terminal: Terminal,
) -> anyhow::Result<()> {
    let mut body = wanted.subject.members()?;
    body.extend(wanted.context.map(|context| ("context".to_owned(), context)));
    body.extend(wanted.connector.map(|connector| ("connector".to_owned(), connector.into())));
    body.insert("token".to_owned(), (!wanted.no_token && !wanted.execute).into());
    body.insert("execute".to_owned(), wanted.execute.into());
    body.extend(wanted.on_behalf_of.map(|member| ("on_behalf_of".to_owned(), member.into())));
    let answer = to.ask_once(AT, &Value::Object(body), wanted.idempotency_key.as_deref()).await?;
    shown(&answer, as_json, terminal)?;
    if let (Some(file), Ok(id)) = (&wanted.save_evidence, answer.at("/data/id").parse()) {
        save_evidence(to, id, file, as_json, terminal).await?;
    }
    concluded(&answer, if wanted.execute { Wanted::Execution } else { Wanted::Decision })
}

/// An answer that holds a decision, for people or as it came.
fn shown(answer: &Answer, as_json: bool, terminal: Terminal) -> anyhow::Result<()> {
    if as_json { as_it_came(answer, terminal) } else { told::verdict(answer, terminal) }
}

fn as_it_came(answer: &Answer, terminal: Terminal) -> anyhow::Result<()> {
    Ok(terminal.line(String::from_utf8_lossy(&answer.text).trim_end())?)
}

/// An intent as it stands, as soon as nothing is to become of it or the time is over. A server waits as long
/// as one request may take there; then it is asked again.
async fn settled(to: &Connection, id: IntentId, wait: Duration) -> anyhow::Result<Answer> {
    let until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now()).as_secs_f64().ceil();
        let asked = Instant::now();
        let answer = Request::get(format!("{AT}/{id}?wait={:.0}", left.min(LONGEST_WAIT))).ask(to).await?;
        let open =
            answer.at("/data/approval/status") == "pending" || answer.at("/data/execution/status") == "open";
        if !open || Instant::now() >= until {
            return Ok(answer);
        }
        // One that may not wait at all is asked no more than so often.
        tokio::time::sleep_until((asked + ASKING_PAUSE).min(until)).await;
    }
}

/// Writes the evidence of an intent to a file, once its entries are under a checkpoint.
async fn save_evidence(
    to: &Connection,
    id: IntentId,
    file: &Path,
    as_json: bool,
    terminal: Terminal,
) -> anyhow::Result<()> {
    for _ in 0..EVIDENCE_TRIES {
        let answer = to.ask(Method::GET, &format!("{AT}/{id}/evidence"), None).await?;
        if answer.at("/error/code") == Code::CheckpointPending.as_str() {
            tokio::time::sleep(EVIDENCE_PAUSE).await;
            continue;
        }
        accepted(&answer)?;
        std::fs::write(file, &answer.text)
            .with_context(|| format!("`{}` can't be written", file.display()))?;
        let told = format!("the evidence is in {}", file.display());
        let said = if as_json { terminal.aside(told) } else { terminal.line(told) };
        return Ok(said?);
    }
    bail!("the evidence is still not under a checkpoint; ask again with `chancery intents evidence {id}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_becomes_json() {
        assert_eq!(argument("amount=40"), Ok(("amount".to_owned(), json!(40))));
        assert_eq!(argument("note=a=b"), Ok(("note".to_owned(), json!("a=b"))));
        assert_eq!(argument("ids=[1,2]"), Ok(("ids".to_owned(), json!([1, 2]))));
        assert!(argument("amount").is_err());
        for rounded in ["100.00000000000000001", "1e-400", r#"{"a":1,"a":2}"#] {
            assert!(argument(&format!("amount={rounded}")).is_err(), "{rounded}");
        }
        assert!(object(r#"{"amount":4,"amount":40}"#).is_err());
        assert_eq!(resource("Payment/a/b"), Ok(json!({ "type": "Payment", "id": "a/b" })));
        assert!(resource("Payment").is_err());
        assert!(object("[]").is_err() && object("{").is_err() && object("{}").is_ok());
    }
}
