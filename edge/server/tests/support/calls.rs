//! What the record says of calls, held against what reached their system and what callers were told.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use chancery_crypto::sha256;
use chancery_evidence::Hex;
use chancery_testkit::{Answer, Client};
use serde_json::Value;

use super::text;
use super::upstream::{Upstream, answer_of};

const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must become so.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// How a call was closed.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) outcome: String,
    pub(crate) digest: Option<String>,
    /// Whether whoever made it closed it, and not the sweep.
    pub(crate) by_caller: bool,
}

/// What the record says of calls, by intent.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// With its account, where the entry that opens it tells it.
    pub(crate) opened: HashMap<String, String>,
    pub(crate) closed: HashMap<String, Closed>,
}

impl Record {
    pub(crate) fn read(admin: &mut Client) -> Self {
        let (mut record, mut path) = (Self::default(), "/api/v1/record?limit=1000".to_owned());
        loop {
            let page = admin.get(&path).unwrap().json();
            for entry in page["data"].as_array().unwrap() {
                record.take(entry);
            }
            let Some(next) = page["page"]["next"].as_str() else { return record };
            path = format!("/api/v1/record?limit=1000&cursor={next}");
        }
    }

    fn take(&mut self, entry: &Value) {
        let payload = &entry["payload"];
        match entry["type"].as_str().unwrap() {
            "intent.allowed" | "intent.released" if payload["execution"].is_object() => {
                let intent = text(entry, "/refs/intent");
                let account = payload.pointer("/intent/canonical/resource/id").and_then(Value::as_str);
                let before = self.opened.insert(intent.clone(), account.unwrap_or_default().to_owned());
                assert_eq!(before, None, "{intent} is opened twice");
            }
            "intent.closed" => {
                let intent = text(entry, "/refs/intent");
                let closed = Closed {
                    outcome: text(payload, "/outcome"),
                    digest: payload["result_digest"].as_str().map(str::to_owned),
                    by_caller: payload["attempts"].is_u64(),
                };
                assert!(self.closed.insert(intent.clone(), closed).is_none(), "{intent} is closed twice");
            }
            _ => {}
        }
    }

    /// What must hold at any time: of calls, and of those who were told of a success.
    pub(crate) fn judge(&self, upstream: &Upstream, successes: &HashMap<String, String>) {
        let seen = upstream.seen();
        for one in &seen {
            assert!(self.opened.contains_key(&one.intent), "a call that the record does not hold: {one:?}");
        }
        let (mut intents, mut accounts) = (HashMap::new(), HashSet::new());
        for one in &seen {
            assert!(intents.insert(one.intent.as_str(), one).is_none(), "called twice: {one:?}");
            assert!(accounts.insert(one.account.as_str()), "asked for once, called twice: {one:?}");
        }
        for (intent, account) in successes {
            let closed = self.closed.get(intent).unwrap_or_else(|| panic!("{intent} was told, not closed"));
            assert_eq!(closed.outcome, "succeeded", "{account} was told to have succeeded");
        }
        for (intent, closed) in self.closed.iter().filter(|(_, closed)| closed.outcome == "succeeded") {
            let one = intents.get(intent.as_str()).expect("a success of a call that never came");
            assert!(one.answered, "a success of a call that was not answered: {one:?}");
            let digest = Hex(sha256(&[answer_of(&one.account).as_bytes()])).to_string();
            assert_eq!(closed.digest.as_ref(), Some(&digest), "{one:?}");
        }
    }
}

/// What an answer to an execution says of it: its intent and its state, if it says anything.
pub(crate) fn told(answer: &Answer) -> Option<(String, String)> {
    let data = answer.data();
    let state = data.pointer("/execution/status")?.as_str()?.to_owned();
    let status = match state.as_str() {
        "succeeded" => 200,
        "open" => 202,
        "failed" => 502,
        _ => 504,
    };
    assert_eq!(answer.status, status, "{data}");
    Some((text(&data, "/id"), state))
}
