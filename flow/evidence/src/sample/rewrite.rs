//! What can be done to a bundle that still says the same, or less, and must be accepted.

use serde_json::{Value, json};

use super::Sample;
use super::mutate::{insert, shred};
use crate::bundle::kind;

/// The names [`rewrite`] knows.
pub const REWRITES: &[&str] = &[
    "indented",
    "members-reversed",
    "escaped",
    "numbers-respelled",
    "cosigned",
    "token-withheld",
    "use-withheld",
    "use-shredded",
    "approvals-shredded",
    "release-shredded",
    "release-withheld",
    "denied-again-shredded",
    "result-shredded",
    "neighbour-added",
];

/// Applies a rewrite, after which the bundle must still be accepted; `None` when there is nothing
/// to rewrite.
#[must_use]
pub fn rewrite(name: &str, sample: &Sample) -> Option<Vec<u8>> {
    let mut bundle = serde_json::to_value(&sample.bundle).unwrap();
    let compact = serde_json::to_string(&bundle).unwrap();
    match name {
        "indented" => return serde_json::to_vec_pretty(&bundle).ok(),
        "members-reversed" => {
            let mut members: Vec<_> = bundle
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| format!("{}:{value}", json!(name)))
                .collect();
            members.reverse();
            return Some(format!("{{{}}}", members.join(",")).into_bytes());
        }
        "escaped" => {
            let escape = |text: String, character: char| match character {
                '\u{80}'.. => {
                    let mut units = [0; 2];
                    let units = character.encode_utf16(&mut units).iter();
                    units.fold(text, |text, unit| format!("{text}\\u{unit:04X}"))
                }
                _ => text + character.encode_utf8(&mut [0; 4]),
            };
            return Some(compact.chars().fold(String::new(), escape).into_bytes());
        }
        "numbers-respelled" => {
            let first = sample.bundle.entries.first()?.seq;
            let respelled = |text: String, end| {
                text.replacen(&format!("\"seq\":{first}{end}"), &format!("\"seq\":{first}.0e0{end}"), 1)
            };
            return Some([',', '}'].into_iter().fold(compact, respelled).into_bytes());
        }
        "cosigned" => {
            let note = sample.bundle.checkpoint.clone();
            let line = format!("\u{2014} witness.example {}\n", "AAAA".repeat(25));
            bundle["checkpoint"] = json!(note + &line.repeat(16));
        }
        "token-withheld" => {
            bundle["token"].get_mut("jws")?.as_object()?;
            bundle["token"]["jws"] = Value::Null;
        }
        "neighbour-added" => {
            let have: Vec<_> = sample.bundle.entries.iter().map(|entry| entry.seq).collect();
            let seq = sample.record.find(|seq, kind| kind == "agent.created" && !have.contains(&seq))?;
            insert(bundle["entries"].as_array_mut()?, sample, seq);
        }
        _ => less(name, &mut bundle, sample)?,
    }
    serde_json::to_vec(&bundle).ok()
}

/// Tells less of what happened.
fn less(name: &str, bundle: &mut Value, sample: &Sample) -> Option<()> {
    match name {
        "use-withheld" => {
            let _ = withhold(bundle, &[kind::TOKEN_USED])?;
        }
        "use-shredded" => shred_all(bundle, kind::TOKEN_USED)?,
        "approvals-shredded" => {
            shred_all(bundle, "\"approval.")?;
            bundle["approvals"] = json!([]);
        }
        "release-shredded" => {
            shred_all(bundle, kind::RELEASED)?;
            silence(bundle, &["released", "execution", "token"]);
        }
        "release-withheld" => {
            sample.bundle.released.as_ref()?;
            let all = [kind::RELEASED, kind::TOKEN_USED, kind::CLOSED];
            let _ = withhold(bundle, &all)?;
            silence(bundle, &["released", "execution", "token", "result"]);
        }
        "denied-again-shredded" => shred_all(bundle, kind::RELEASE_DENIED)?,
        "result-shredded" => {
            shred_all(bundle, kind::CLOSED)?;
            silence(bundle, &["result"]);
        }
        _ => panic!("no rewrite `{name}`"),
    }
    Some(())
}

fn leaf_has(entry: &Value, part: &str) -> bool {
    entry["leaf"].as_str().is_some_and(|leaf| leaf.contains(part))
}

/// Takes the payloads of the entries that have a part in their leaf; `None` when there are none.
fn shred_all(bundle: &mut Value, part: &str) -> Option<()> {
    let mut any = None;
    for entry in bundle["entries"].as_array_mut()? {
        if entry["payload"].is_object() && leaf_has(entry, part) {
            shred(entry);
            any = Some(());
        }
    }
    any
}

/// Takes the entries of some types; gives how many, `None` when there are none.
pub(super) fn withhold(bundle: &mut Value, kinds: &[&str]) -> Option<usize> {
    let entries = bundle["entries"].as_array_mut()?;
    let before = entries.len();
    entries.retain(|entry| !kinds.iter().any(|kind| leaf_has(entry, kind)));
    (entries.len() < before).then(|| before - entries.len())
}

pub(super) fn silence(bundle: &mut Value, sections: &[&str]) {
    sections.iter().for_each(|section| bundle[*section] = Value::Null);
}
