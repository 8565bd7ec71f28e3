//! What is measured.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::load::Target;
use crate::setting::Setting;

/// One measurement.
#[derive(Debug)]
pub(crate) struct Measurement {
    /// Its name.
    pub(crate) name: String,
    /// What is sent.
    pub(crate) target: Target,
    /// What it is compared with.
    pub(crate) against: Against,
}

/// What a measurement is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// The floor in requests a second.
    Floor(u32),
    /// Bare RSA-2048 signatures on one core.
    Rsa,
    /// Decisions without a token, measured in turns with it.
    Decisions,
    /// Nothing.
    Nothing,
}

/// Distinct requests of a measurement.
const REQUESTS: u32 = 512;

/// The measurement that others are compared with.
pub(crate) const DECISIONS: &str = "decision without token";
/// The same, of many organizations.
pub(crate) const MANY: &str = "decision without token, many organizations";
/// The same on a slow disk.
pub(crate) const SLOW: &str = "decision without token, slow fsync";
/// The same with a record that writes nothing.
pub(crate) const NULL: &str = "decision without token, null record";

/// The measurements whose names contain `only`, each made when its turn comes: it sets up what it needs.
pub(crate) fn all<'a>(setting: &'a Setting, only: &'a str) -> impl Iterator<Item = Measurement> + 'a {
    type Make = fn(&Setting, &str) -> Option<Measurement>;
    let makers: [(&str, Make); 6] = [
        (DECISIONS, |setting, name| Some(decisions(setting, name, 7000))),
        ("decision without token, idempotency key", |setting, name| Some(keyed(setting, name))),
        ("decision with an RS256 token", |setting, name| Some(tokens(setting, "RS256", name, Against::Rsa))),
        ("decision with an ES256 token", |setting, name| {
            Some(tokens(setting, "ES256", name, Against::Decisions))
        }),
        ("tokens/verify", redemptions),
        ("api key check and a read (GET /api/v1/me)", reads),
    ];
    makers
        .into_iter()
        .filter(move |(name, _)| name.contains(only))
        .filter_map(move |(name, make)| make(setting, name))
}

fn reads(setting: &Setting, name: &str) -> Option<Measurement> {
    let requests = vec![request("GET", "/api/v1/me", &setting.agent_key, None)];
    Some(Measurement {
        name: name.to_owned(),
        target: target(setting, requests, false),
        against: Against::Nothing,
    })
}

/// Decisions that are recorded, without a token.
pub(crate) fn decisions(setting: &Setting, name: &str, floor: u32) -> Measurement {
    let requests = (0..REQUESTS).map(|number| submit(&setting.agent_key, number, false)).collect();
    Measurement {
        name: name.to_owned(),
        target: target(setting, requests, false),
        against: Against::Floor(floor),
    }
}

/// The same, each under an idempotency key of its own.
fn keyed(setting: &Setting, name: &str) -> Measurement {
    let keyed = |number: u32| {
        let request = String::from_utf8(submit(&setting.agent_key, number, false)).unwrap_or_default();
        request.replacen("\r\n", &format!("\r\nidempotency-key: {number}\r\n"), 1).into_bytes()
    };
    let requests = (0..60_000).map(keyed).collect();
    Measurement {
        name: name.to_owned(),
        target: target(setting, requests, true),
        against: Against::Decisions,
    }
}

fn tokens(setting: &Setting, algorithm: &str, name: &str, against: Against) -> Measurement {
    set_algorithm(setting, algorithm);
    let requests = (0..REQUESTS).map(|number| submit(&setting.agent_key, number, true)).collect();
    Measurement { name: name.to_owned(), target: target(setting, requests, false), against }
}

fn set_algorithm(setting: &Setting, algorithm: &str) {
    let body = json!({"settings": {"token_algorithm": algorithm}}).to_string();
    let mut admin = setting.client(&setting.admin_key);
    let _ = admin.send("PATCH", "/api/v1/organization", &[], Some(body.as_bytes()));
}

/// Tokens made beforehand, each redeemed once.
fn redemptions(setting: &Setting, name: &str) -> Option<Measurement> {
    set_algorithm(setting, "ES256");
    let mut agent = setting.client(&setting.agent_key);
    let mut requests = Vec::new();
    for number in 0..20_000 {
        let answer = agent.post("/api/v1/intents", &intent(number, true)).ok()?;
        let data = answer.data();
        let token = data.get("token").and_then(Value::as_str)?.to_owned();
        let asked = intent(number, true);
        let body = json!({"token": token, "action": asked.get("action"), "resource": asked.get("resource"),
                          "arguments": asked.get("arguments")});
        requests.push(request("POST", "/api/v1/tokens/verify", &setting.redeemer_key, Some(&body)));
    }
    Some(Measurement {
        name: name.to_owned(),
        target: target(setting, requests, true),
        against: Against::Floor(3000),
    })
}

/// Decisions of one agent in each of many organizations.
pub(crate) fn many(setting: &Setting, keys: &[String]) -> Measurement {
    let number = |index: usize| u32::try_from(index).unwrap_or(0) * 10;
    let requests: Vec<_> =
        keys.iter().enumerate().map(|(index, key)| submit(key, number(index), false)).collect();
    Measurement {
        name: format!("{MANY} ({})", requests.len()),
        target: target(setting, requests, false),
        against: Against::Decisions,
    }
}

fn target(setting: &Setting, requests: Vec<Vec<u8>>, once: bool) -> Target {
    let once = once.then(Rc::default);
    Target { address: setting.address().to_owned(), requests: Rc::new(requests), once }
}

fn intent(number: u32, token: bool) -> Value {
    json!({
        "action": format!("bench.act_{}", number % 10),
        "resource": {"type": "Thing", "id": format!("thing-{number}")},
        "arguments": {"amount": number % 1000, "note": "a note of some length, as people write them"},
        "connector": "bench",
        "token": token,
    })
}

pub(crate) fn submit(key: &str, number: u32, token: bool) -> Vec<u8> {
    request("POST", "/api/v1/intents", key, Some(&intent(number, token)))
}

fn request(method: &str, path: &str, key: &str, body: Option<&Value>) -> Vec<u8> {
    let body = body.map(Value::to_string).unwrap_or_default();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
