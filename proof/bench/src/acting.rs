//! What acting costs: executing beside its two commits, and the inbox of many open approvals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chancery_testkit::Client;
use serde_json::{Value, json};

use crate::setting::{Disk, Setting};

/// Its name.
pub(crate) const NAME: &str = "acting";

/// How often each is asked.
const TIMES: usize = 500;
/// Open approvals.
const OPEN: usize = 10_000;

/// What was found.
#[derive(Debug)]
pub(crate) struct Acting {
    /// Median time of a decision: one request, one commit.
    pub(crate) decision: Duration,
    /// Median time of an execution: one request, two commits, one call.
    pub(crate) execution: Duration,
    /// Median time of the call's other side, asked by itself.
    pub(crate) upstream: Duration,
    /// Of the inbox with so many open, 50 of them shown: median and 99th percentile.
    pub(crate) inbox: [Duration; 2],
    /// How many were open.
    pub(crate) open: usize,
}

/// Measures a server whose upstream stands beside it.
pub(crate) fn measure(server: &Path) -> anyhow::Result<Acting> {
    const LOCAL: &str = "127.0.0.1";
    let environment = [("CHANCERY_EGRESS__ALLOW", LOCAL), ("CHANCERY_EGRESS__ALLOW_PLAIN_HTTP", LOCAL)];
    let setting = Setting::with(server, Disk::AsItIs, &environment)?;
    let upstream = upstream()?;
    let mut admin = setting.client(&setting.admin_key);
    let definition = json!({"base_url": format!("http://{upstream}"),
        "operations": {"bench.act_0": {"method": "POST", "path": "/act/{resource.id}", "body": "arguments"}}});
    admin.made("/api/v1/connectors", &json!({"name": "bench", "definition": definition}))?;
    let mut agent = setting.client(&setting.agent_key);
    let intent = |number: usize, execute: bool| {
        json!({"action": "bench.act_0", "resource": {"type": "Thing", "id": format!("t{number}")},
            "arguments": {"amount": number % 1000}, "connector": "bench", "token": false, "execute": execute})
    };
    let mut ask = |number, execute| -> anyhow::Result<()> {
        let answer = agent.post("/api/v1/intents", &intent(number, execute))?;
        ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
        Ok(())
    };
    // In turns, so that both see the same machine.
    let (mut decisions, mut executions) = (Vec::new(), Vec::new());
    for number in 0..TIMES + 50 {
        decisions.push(timed(|| ask(number, false))?);
        executions.push(timed(|| ask(number, true))?);
    }
    let calls = (0..TIMES).map(|_| timed(|| asked(&upstream))).collect::<anyhow::Result<Vec<_>>>()?;
    let inbox = inbox(&setting, &mut admin)?;
    Ok(Acting {
        decision: at(decisions.split_off(50), 50),
        execution: at(executions.split_off(50), 50),
        upstream: at(calls, 50),
        inbox: [at(inbox.clone(), 50), at(inbox, 99)],
        open: OPEN,
    })
}

/// Opens as many approvals as are to be open, and times the inbox.
fn inbox(setting: &Setting, admin: &mut Client) -> anyhow::Result<Vec<Duration>> {
    let text = "@escalate(\"approver\") @approvals(\"2\") forbid(principal, action == Action::\"bench.act_1\", resource);";
    let made = admin.made("/api/v1/policies", &json!({"name": "two look", "text": text}))?;
    let id = made.get("id").and_then(Value::as_str).context("no id")?;
    admin.made(&format!("/api/v1/policies/{id}/activate"), &json!({"version": 1}))?;
    let mut agent = setting.client(&setting.agent_key);
    for number in 0..OPEN {
        let body = json!({"action": "bench.act_1", "resource": {"type": "Thing", "id": format!("t{number}")},
            "arguments": {"amount": 1, "note": "a note of some length, as people write them"}});
        let answer = agent.post("/api/v1/intents", &body)?;
        ensure!(answer.status == 202, "{}", String::from_utf8_lossy(&answer.body));
    }
    (0..TIMES)
        .map(|_| {
            timed(|| {
                let answer = admin.get("/api/v1/approvals")?;
                ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
                Ok(())
            })
        })
        .collect()
}

fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed())
}

/// The time that so many of a hundred did not exceed.
fn at(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(place).copied().unwrap_or_default()
}

/// A system that says yes to everything, over connections that stay: its address.
fn upstream() -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

fn serve(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut answers = stream.try_clone()?;
    let mut asked = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        while asked.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        asked.read_exact(&mut vec![0; length])?;
        answers.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n{\"done\":true}")?;
    }
}

/// The upstream, asked by itself over a new connection.
fn asked(address: &str) -> anyhow::Result<()> {
    let answer = Client::new(address, None).get("/act")?;
    ensure!(answer.status == 200, "the upstream does not answer");
    Ok(())
}
