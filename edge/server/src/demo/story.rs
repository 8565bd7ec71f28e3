//! How the story is told: numbered steps, what was asked, what came back, whether it held.

use std::sync::{Mutex, PoisonError};

use http::Method;
use serde_json::Value;

use crate::client::{Answer, Connection};
use crate::logging::Kept;
use crate::terminal::{Style, Terminal, printable};

/// The longest a request or an answer is shown.
const WIDEST: usize = 150;

/// Somebody who asks the server.
#[derive(Debug)]
pub(super) struct Speaker {
    pub(super) name: &'static str,
    pub(super) connection: Connection,
}

/// The story so far.
#[derive(Debug)]
pub(super) struct Story {
    terminal: Terminal,
    steps: usize,
    held: usize,
    failed: usize,
    /// All that the server answered.
    heard: Mutex<String>,
    /// All that it logged.
    log: Kept,
}

impl Story {
    pub(super) fn begin(terminal: Terminal, log: Kept) -> anyhow::Result<Self> {
        terminal.line(terminal.paint(Style::Bold, "Chancery: an agent asks before it acts."))?;
        terminal.line(
            "A server of its own with an embedded Postgres, in a temporary folder; every request is real.",
        )?;
        Ok(Self { terminal, steps: 0, held: 0, failed: 0, heard: Mutex::default(), log })
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &str) -> anyhow::Result<()> {
        self.steps += 1;
        self.terminal.gap()?;
        let number = self.steps;
        Ok(self.terminal.line(self.terminal.paint(Style::Bold, format_args!("{number:>2}. {title}")))?)
    }

    /// Says something of the step.
    pub(super) fn say(&self, text: &str) -> anyhow::Result<()> {
        Ok(self.terminal.line(format_args!("    {text}"))?)
    }

    /// Lets somebody ask the server, and shows both sides.
    pub(super) async fn ask(
        &self,
        who: &Speaker,
        (method, path): (Method, &str),
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let sent = body.map(shown).unwrap_or_default();
        let line = cut(&format!("{} → {method} {path} {sent}", who.name));
        self.terminal.line(format_args!("    {}", self.terminal.paint(Style::Dim, line)))?;
        let answer = who.connection.ask(method, path, body).await?;
        self.terminal.line(format_args!("    ← {}", cut(&gist(&answer))))?;
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push_str(&String::from_utf8_lossy(&answer.text));
        drop(heard);
        Ok(answer)
    }

    /// All that the server answered so far.
    pub(super) fn heard(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All that it logged so far.
    pub(super) fn logged(&self) -> String {
        self.log.text()
    }

    /// Says whether something held.
    pub(super) fn check(&mut self, held: bool, what: &str) -> anyhow::Result<()> {
        let (style, mark) = if held { (Style::Good, "✓") } else { (Style::Bad, "✗") };
        if held {
            self.held += 1
        } else {
            self.failed += 1
        }
        Ok(self.terminal.line(self.terminal.paint(style, format_args!("    {mark} {}", printable(what))))?)
    }

    /// Ends the story; gives whether everything held.
    pub(super) fn end(self) -> anyhow::Result<bool> {
        self.terminal.gap()?;
        let (held, all) = (self.held, self.held + self.failed);
        let style = if self.failed == 0 { Style::Good } else { Style::Bad };
        self.terminal.line(self.terminal.paint(style, format_args!("{held} of {all} held.")))?;
        Ok(self.failed == 0 && all > 0)
    }
}

/// What a request comes down to. A token is long and says nothing to a reader.
fn shown(body: &Value) -> String {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if body.get("action").is_none() {
        let said = ["/name", "/role", "/reason"].into_iter().map(text).find(|said| !said.is_empty());
        return said.unwrap_or_default().to_owned();
    }
    let arguments = body.get("arguments").map(Value::to_string).unwrap_or_default();
    let how = match (body.get("token"), body.get("execute")) {
        (Some(_), _) => "the token, for ",
        (None, Some(_)) => "execute ",
        (None, None) => "",
    };
    format!("{how}{} {}/{} {arguments}", text("/action"), text("/resource/type"), text("/resource/id"))
}

/// What an answer comes down to.
fn gist(answer: &Answer) -> String {
    let status = answer.status.as_u16();
    let mut gist = match answer.at("/error/code") {
        "" => status.to_string(),
        code => format!("{status} {code}"),
    };
    let mut add = |text: String| {
        gist.push_str(" · ");
        gist.push_str(&text);
    };
    if let effect @ [_, ..] = answer.at("/data/decision/effect").as_bytes() {
        add(String::from_utf8_lossy(effect).into_owned());
    }
    for (pointer, name) in [("/data/decision/risk/score", "risk"), ("/data/record/seq", "entry")] {
        if let Some(number) = answer.body.pointer(pointer) {
            add(format!("{name} {number}"));
        }
    }
    if !answer.at("/data/token").is_empty() {
        add("a token, good once".to_owned());
    }
    if answer.body.pointer("/data/execution").is_some() {
        add(format!("the call {}", answer.at("/data/execution/status")));
    } else if answer.body.pointer("/data/decision").is_none() && !answer.at("/data/status").is_empty() {
        add(answer.at("/data/status").to_owned());
    }
    if answer.body.pointer("/data/decision").is_none() && !answer.at("/error/message").is_empty() {
        add(answer.at("/error/message").to_owned());
    }
    printable(&gist)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WIDEST {
        return text.to_owned();
    }
    text.chars().take(WIDEST - 1).chain(['…']).collect()
}
