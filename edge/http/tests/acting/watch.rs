//! What must hold whatever happens: seen in the record and at the system that is called.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::model::Intent;
use super::office::{CREDENTIAL, Office, text};

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seq: u64,
    requests: usize,
    /// The entries that opened calls: intents and places.
    opened: HashMap<String, u64>,
    released: HashSet<String>,
    closed: HashSet<String>,
    used: HashSet<String>,
    called: HashMap<String, usize>,
    /// What happened at all, so that a test can tell that it tried something.
    pub(crate) kinds: HashMap<String, usize>,
}

impl Watch {
    pub(crate) fn skip(&mut self, entries: &[Value]) {
        self.seq = entries.last().map_or(0, |entry| entry["seq"].as_u64().unwrap());
    }

    pub(crate) fn calls(&self) -> usize {
        self.called.values().sum()
    }
}

/// An entry that is new.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) kind: String,
    pub(crate) intent: String,
    pub(crate) executes: bool,
}

impl Office<'_> {
    /// The entries about intents that came since the last look, after checking what holds of any.
    pub(crate) async fn news(&mut self) -> Vec<News> {
        let mut news = Vec::new();
        for entry in self.record(self.watch.seq).await {
            self.watch.seq = entry["seq"].as_u64().unwrap();
            let kind = text(&entry, "/type");
            *self.watch.kinds.entry(kind.clone()).or_default() += 1;
            let intent = text(&entry, "/correlation_id");
            let executes = entry["payload"].get("execution").is_some();
            let watch = &mut self.watch;
            if matches!(kind.as_str(), "intent.allowed" | "intent.released") && executes {
                let before = watch.opened.insert(intent.clone(), watch.seq);
                assert_eq!(before, None, "a call of {intent} is opened once");
            }
            let once = match kind.as_str() {
                "intent.released" => watch.released.insert(intent.clone()),
                "intent.closed" => {
                    assert!(watch.opened.contains_key(&intent), "{intent} is closed, not opened");
                    watch.closed.insert(intent.clone())
                }
                "token.used" => watch.used.insert(text(&entry, "/refs/token")),
                _ => true,
            };
            assert!(once, "{kind} of {intent} came twice");
            if kind.starts_with("intent.") {
                news.push(News { kind, intent, executes });
            }
        }
        news
    }

    /// That whatever reached the system stands in the record as opened, when it came and still. Once the
    /// model knows of the last answer.
    pub(crate) fn examine_calls(&mut self) {
        let seen = self.upstream.seen();
        for request in seen.iter().skip(self.watch.requests) {
            let id = request.headers["x-intent"].to_str().unwrap().to_owned();
            let opened = self.watch.opened.get(&id).unwrap_or_else(|| panic!("nothing opened {request:?}"));
            let stood = Some(("open".to_owned(), i64::try_from(*opened).unwrap()));
            assert_eq!(request.release, stood, "what came was not opened before: {request:?}");
            let intent = &self.model.intents[&id];
            assert_eq!((request.method.as_str(), &request.path, &request.body), self.call_of(intent).parts());
            assert_eq!(request.headers["authorization"], format!("Bearer {CREDENTIAL}"));
            if let Some(asked) = &intent.asked {
                assert!(asked.released, "what people have to agree to was called: {intent:?}");
            }
            let called = self.watch.called.entry(id).or_default();
            *called += 1;
            let most = if request.method == "GET" { 2 } else { 1 };
            assert!(*called <= most, "called {called} times: {request:?}");
        }
        self.watch.requests = seen.len();
        // Every request waits for its call, so what was opened is closed by now.
        assert_eq!(self.watch.opened.len(), self.watch.closed.len());
    }

    fn call_of(&self, intent: &Intent) -> Call {
        let wanted = &intent.wanted;
        let account = format!("{}/accounts/{}", self.definition.prefix, wanted.account);
        let body = format!(r#"{{"amount":{}}}"#, wanted.amount);
        match wanted.action {
            "bank.transfer" => Call("POST", format!("{account}/transfers"), body),
            "bank.pay" => Call("POST", format!("{account}/payments"), body),
            "bank.balance" => Call("GET", account, String::new()),
            other => panic!("{other} is never called"),
        }
    }
}

struct Call(&'static str, String, String);

impl Call {
    fn parts(&self) -> (&str, &String, &String) {
        (self.0, &self.1, &self.2)
    }
}
