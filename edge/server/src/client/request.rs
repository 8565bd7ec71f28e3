//! One request, and how its answer is shown.

use anyhow::bail;
use http::Method;
use serde_json::Value;

use super::table::{Column, Reader, facts, lines};
use super::told::part;
use super::{Answer, Connection};
use crate::terminal::{Style, Terminal, printable};

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    method: Method,
    path: String,
    body: Option<Value>,
    show: Show,
}

/// How an answer is shown to people.
#[derive(Clone, Copy, Debug)]
pub(super) enum Show {
    /// `data` is one thing.
    Facts,
    /// `data` is many things.
    Table(&'static [Column]),
    /// One text, at a JSON pointer (RFC 6901).
    Text(&'static str),
    /// The body, as it came.
    Body,
    /// What is wrong with something, a line each; that something is wrong is this program's failure too.
    Problems,
}

impl Request {
    /// Asks for many things.
    pub(super) fn list(path: &str, page: &Page, columns: &'static [Column]) -> Self {
        let path = format!("{path}?{}", page.query());
        Self { method: Method::GET, path, body: None, show: Show::Table(columns) }
    }

    /// Asks for many things that come all at once.
    pub(super) fn all(path: &str, columns: &'static [Column]) -> Self {
        Self { method: Method::GET, path: path.to_owned(), body: None, show: Show::Table(columns) }
    }

    /// Asks for one thing.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, show: Show::Facts }
    }

    /// Sends something.
    pub(super) fn send(method: Method, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), body: Some(body), show: Show::Facts }
    }

    /// Orders something that needs no words.
    pub(super) fn order(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: None, show: Show::Facts }
    }

    /// The same, shown otherwise.
    pub(super) const fn shown(mut self, show: Show) -> Self {
        self.show = show;
        self
    }

    /// The same with one more query parameter, when there is one.
    pub(super) fn with_query(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.path.push_str(&format!("&{name}={}", escaped(value)));
        }
        self
    }

    /// Asks, and gives the answer.
    pub(super) async fn ask(&self, to: &Connection) -> anyhow::Result<Answer> {
        to.ask(self.method.clone(), &self.path, self.body.as_ref()).await
    }

    /// Asks, and shows the answer.
    pub(super) async fn perform(
        self,
        to: &Connection,
        as_json: bool,
        terminal: Terminal,
    ) -> anyhow::Result<()> {
        let answer = self.ask(to).await?;
        if as_json {
            terminal.line(String::from_utf8_lossy(&answer.text).trim_end())?;
        } else if answer.status.is_success() {
            show(&answer, self.show, terminal)?;
        } else {
            problems(&answer, terminal)?;
        }
        accepted(&answer)?;
        match answer.body.pointer("/data/valid") {
            Some(Value::Bool(false)) if matches!(self.show, Show::Problems) => bail!("it is not valid"),
            _ => Ok(()),
        }
    }
}

fn show(answer: &Answer, how: Show, terminal: Terminal) -> anyhow::Result<()> {
    let data = answer.body.get("data").unwrap_or(&answer.body);
    match (how, data) {
        (Show::Body, _) | (_, Value::Null) => {
            terminal.line(String::from_utf8_lossy(&answer.text).trim_end())?
        }
        (Show::Problems, _) => {
            problems(answer, terminal)?;
            if data.get("valid") == Some(&Value::Bool(true)) {
                terminal.line("it is valid")?;
            }
        }
        (Show::Text(at), _) => {
            for line in answer.at(at).lines() {
                terminal.line(printable(line))?;
            }
        }
        (Show::Table(columns), Value::Array(rows)) => {
            for (number, line) in lines(columns, rows, Reader::of(terminal)).into_iter().enumerate() {
                terminal.line(if number == 0 { terminal.paint(Style::Bold, line) } else { line })?;
            }
            if let Some(next) = answer.body.pointer("/page/next").and_then(Value::as_str) {
                let more = format!("there is more: --cursor {}", printable(next));
                terminal.line(terminal.paint(Style::Dim, more))?;
            }
        }
        (_, thing) => {
            for line in facts(thing) {
                terminal.line(line)?;
            }
        }
    }
    Ok(())
}

/// What is wrong with a text, a line each, with what may have been meant.
fn problems(answer: &Answer, terminal: Terminal) -> anyhow::Result<()> {
    let found = answer.body.pointer("/data/problems").and_then(Value::as_array).into_iter().flatten();
    for problem in found {
        let hint = match part(problem, "/hint").as_str() {
            "" => String::new(),
            hint => format!(" ({hint})"),
        };
        let (line, column, message) =
            (part(problem, "/line"), part(problem, "/column"), part(problem, "/message"));
        terminal.line(printable(&format!("{line}:{column}: {message}{hint}")))?;
    }
    Ok(())
}

/// An answer that refuses becomes this program's failure.
pub(super) fn accepted(answer: &Answer) -> anyhow::Result<()> {
    if answer.status.is_success() {
        return Ok(());
    }
    let (code, message) = (answer.at("/error/code"), answer.at("/error/message"));
    if code.is_empty() {
        bail!("the server answered {}", answer.status);
    }
    let field = match answer.at("/error/field") {
        "" => String::new(),
        field => format!(" (`{field}`)"),
    };
    bail!("{}", printable(&format!("{code}: {message}{field}")));
}

/// Which part of a list.
#[derive(clap::Args, Clone, Debug)]
pub struct Page {
    /// How many at most.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// Where to go on, as the list before said.
    #[arg(long)]
    pub cursor: Option<String>,
}

impl Page {
    fn query(&self) -> String {
        match &self.cursor {
            Some(cursor) => format!("limit={}&cursor={}", self.limit, escaped(cursor)),
            None => format!("limit={}", self.limit),
        }
    }
}

/// Text for a part of a path or a query: everything but letters, digits and `-._~` as `%XX`
/// (RFC 3986 §2.3).
pub(super) fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_can_not_leave_its_place_in_a_path() {
        assert_eq!(escaped("../a b?c&d=é"), "..%2Fa%20b%3Fc%26d%3D%C3%A9");
    }

    #[test]
    fn a_refusal_is_told_with_its_code_and_field() {
        let answer = |status, body: &str| Answer {
            status: http::StatusCode::from_u16(status).unwrap(),
            text: body.to_owned().into(),
            body: serde_json::from_str(body).unwrap_or_default(),
        };
        let told = |status, body| accepted(&answer(status, body)).unwrap_err().to_string();
        assert!(accepted(&answer(201, "{}")).is_ok());
        assert_eq!(told(400, r#"{"error":{"code":"c","message":"m","field":"f"}}"#), "c: m (`f`)");
        assert_eq!(told(404, r#"{"error":{"code":"c","message":"m"}}"#), "c: m");
        assert_eq!(told(502, "<html>"), "the server answered 502 Bad Gateway");
    }
}
