//! Intents for people: what was asked, what was decided, what people answered, and what came of it.

use anyhow::bail;
use chancery_api::Code;
use serde_json::Value;

use super::Answer;
use super::request::accepted;
use crate::terminal::{Style, Terminal, printable};

/// One thing that is told.
pub(super) fn line(terminal: Terminal, name: &str, what: &str) -> anyhow::Result<()> {
    Ok(terminal.line(format_args!("{name:<9} {}", printable(what)))?)
}

/// A part of an answer as text: empty where there is none.
pub(super) fn part(of: &Value, pointer: &str) -> String {
    match of.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn parts<'a>(of: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    of.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// A verdict, as whoever asked gets it, with its token or what came of the call.
pub(super) fn verdict(answer: &Answer, terminal: Terminal) -> anyhow::Result<()> {
    let Some(data) = answer.body.get("data") else { return Ok(()) };
    let effect = part(data, "/decision/effect");
    if effect.is_empty() {
        return Ok(());
    }
    heading(&effect, &part(data, "/id"), terminal)?;
    decision(data, terminal)?;
    for needed in parts(data, "/approval/requirements") {
        let within = needed.get("timeout_seconds").and_then(Value::as_u64);
        let within = within.map_or_else(String::new, |seconds| format!(" within {}", humane(seconds)));
        line(
            terminal,
            "needed",
            &format!("{} × {}{within}", part(needed, "/approvals"), part(needed, "/role")),
        )?;
    }
    if let token @ [_, ..] = answer.at("/data/token").as_bytes() {
        line(terminal, "token", &String::from_utf8_lossy(token))?;
        line(terminal, "until", answer.at("/data/token_expires_at"))?;
    }
    execution(data, terminal)
}

/// An intent with what became of it.
pub(super) fn intent(data: &Value, terminal: Terminal) -> anyhow::Result<()> {
    heading(&part(data, "/decision/effect"), &part(data, "/id"), terminal)?;
    line(terminal, "asked", &part(data, "/created_at"))?;
    line(terminal, "by", &format!("{} {}", part(data, "/principal/type"), part(data, "/principal/id")))?;
    asked(data, terminal)?;
    decision(data, terminal)?;
    if let Some(approval) = data.get("approval").filter(|approval| !approval.is_null()) {
        answers(approval, terminal)?;
        line(terminal, "people", &standing(approval))?;
    }
    execution(data, terminal)?;
    line(terminal, "entry", &part(data, "/record/seq"))
}

/// How an escalated intent stands, and until when.
pub(super) fn standing(approval: &Value) -> String {
    let status = part(approval, "/status");
    let (word, at) = match (status.as_str(), part(approval, "/released/as").as_str()) {
        ("pending", _) => ("until", "/expires_at"),
        (_, "token") => ("released as a token at", "/released/at"),
        (_, "execution") => ("executed at", "/released/at"),
        ("approved", _) => ("until", "/good_until"),
        _ => ("at", "/ended_at"),
    };
    match part(approval, at).as_str() {
        "" => status,
        at => format!("{status}, {word} {at}"),
    }
}

fn heading(effect: &str, id: &str, terminal: Terminal) -> anyhow::Result<()> {
    let style = if effect == "allow" { Style::Good } else { Style::Bad };
    let effect = terminal.paint(style, printable(effect));
    Ok(terminal.line(format_args!("{effect}  intent {}", printable(id)))?)
}

/// What exactly was asked for, as it was hashed.
pub(super) fn asked(data: &Value, terminal: Terminal) -> anyhow::Result<()> {
    let told = |name: &str, what: &str| if what.is_empty() { Ok(()) } else { line(terminal, name, what) };
    told("for", &part(data, "/intent/on_behalf_of"))?;
    let canonical = |pointer: &str| part(data, &format!("/intent/canonical/{pointer}"));
    told("action", &canonical("action"))?;
    told("on", &format!("{}/{}", canonical("resource/type"), canonical("resource/id")))?;
    let arguments = data.pointer("/intent/canonical/arguments").and_then(Value::as_object);
    for (name, value) in arguments.into_iter().flatten() {
        line(terminal, "with", &format!("{name} = {value}"))?;
    }
    told("through", &part(data, "/intent/connector"))
}

fn decision(data: &Value, terminal: Terminal) -> anyhow::Result<()> {
    if data.pointer("/decision/risk/score").is_some() {
        line(terminal, "risk", &part(data, "/decision/risk/score"))?;
    }
    for reason in parts(data, "/decision/reasons") {
        let message = part(reason, "/message");
        line(terminal, "reason", &if message.is_empty() { part(reason, "/code") } else { message })?;
    }
    Ok(())
}

/// An id, with a name where there is one.
pub(super) fn named(id: &str, name: &str) -> String {
    if name.is_empty() { id.to_owned() } else { format!("{name} ({id})") }
}

/// What people answered so far.
pub(super) fn answers(approval: &Value, terminal: Terminal) -> anyhow::Result<()> {
    for given in parts(approval, "/answers") {
        let (answer, by, at) = (part(given, "/answer"), part(given, "/member_id"), part(given, "/at"));
        line(
            terminal,
            "answer",
            &format!("{answer} by {} at {at}", named(&by, &part(given, "/member_name"))),
        )?;
    }
    Ok(())
}

/// What came of a call of the server's, where there was one.
fn execution(data: &Value, terminal: Terminal) -> anyhow::Result<()> {
    let Some(execution) = data.get("execution").filter(|execution| !execution.is_null()) else {
        return Ok(());
    };
    let status = part(execution, "/status");
    let style = if status == "succeeded" { Style::Good } else { Style::Bad };
    let with = |before: &str, pointer: &str| match part(execution, pointer).as_str() {
        "" => String::new(),
        text => format!("{before}{}", printable(text)),
    };
    terminal.line(format_args!(
        "{:<9} {}{}{} through {}",
        "call",
        terminal.paint(style, printable(&status)),
        with(", HTTP ", "/http_status"),
        with(", ", "/code"),
        printable(&part(execution, "/connector"))
    ))?;
    for (name, pointer) in [("ended", "/closed_at"), ("came back", "/answer"), ("base64", "/answer_base64")] {
        let what = part(execution, pointer);
        if !what.is_empty() {
            line(terminal, name, &what)?;
        }
    }
    Ok(())
}

/// What is wanted of an intent: then anything else is this program's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// An answer that does not refuse.
    Decision,
    /// That it is done.
    Execution,
}

/// Whether an answer is what was wanted.
pub(super) fn concluded(answer: &Answer, wanted: Wanted) -> anyhow::Result<()> {
    let id = printable(answer.at("/data/id"));
    // Their messages speak of `data`, which people have been told.
    match answer.at("/error/code") {
        code if code == Code::IntentDenied.as_str() => bail!("{code}: the intent is denied"),
        code if code == Code::ExecutionFailed.as_str() => bail!("{code}: the system did not do it"),
        code if code == Code::OutcomeUnknown.as_str() => {
            bail!("{code}: nobody knows whether the system did it; look there before asking for it again")
        }
        _ => accepted(answer)?,
    }
    if wanted == Wanted::Decision {
        return Ok(());
    }
    match answer.at("/data/execution/status") {
        "succeeded" => Ok(()),
        "open" => bail!("it is under way: `chancery intents show {id} --wait 25` tells how it ends"),
        _ => bail!("nothing was called: once people have agreed, `chancery intents execute {id}`"),
    }
}

/// Seconds as people say them: the largest unit that divides them.
fn humane(seconds: u64) -> String {
    let (unit, name) = [(86_400, "d"), (3_600, "h"), (60, "min")]
        .into_iter()
        .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit))
        .unwrap_or((1, "s"));
    format!("{} {name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seconds_are_said_in_the_largest_unit_that_divides_them() {
        assert_eq!([14_400, 90, 60, 172_800].map(humane), ["4 h", "90 s", "1 min", "2 d"]);
    }

    #[test]
    fn only_a_call_that_succeeded_is_what_was_wanted_of_one() {
        let told = |status: u16, body: Value| {
            let status = http::StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, text: body.to_string().into(), body };
            [Wanted::Execution, Wanted::Decision].map(|wanted| concluded(&answer, wanted).is_ok())
        };
        let of = |status: &str| json!({"data": {"id": "i", "execution": {"status": status}}});
        assert_eq!(told(200, of("succeeded")), [true, true]);
        assert_eq!(told(202, of("open")), [false, true]);
        assert_eq!(told(202, json!({"data": {"id": "i", "status": "escalated"}})), [false, true]);
        for (status, code) in [(502, "execution_failed"), (504, "outcome_unknown"), (403, "intent_denied")] {
            let body = json!({"data": {"id": "i"}, "error": {"code": code, "message": "m"}});
            assert_eq!(told(status, body), [false, false], "{code}");
        }
    }
}
