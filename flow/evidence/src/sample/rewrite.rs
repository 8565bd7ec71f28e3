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
            return Some(
                compact
                    .replacen(&format!("\"seq\":{first}"), &format!("\"seq\":{first}.0e0"), 1)
                    .into_bytes(),
            );
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
        "use-withheld" => {
            let is_use =
                |entry: &Value| entry["leaf"].as_str().is_some_and(|leaf| leaf.contains(kind::TOKEN_USED));
            bundle["entries"].as_array_mut()?.retain(|entry| !is_use(entry));
        }
        "use-shredded" => shred_all(&mut bundle, &[kind::TOKEN_USED])?,
        "approvals-shredded" => {
            shred_all(&mut bundle, &[kind::GRANTED, kind::REJECTED])?;
            bundle["approvals"] = json!([]);
        }
        "neighbour-added" => {
            let have: Vec<_> = sample.bundle.entries.iter().map(|entry| entry.seq).collect();
            let seq = sample.record.find(|seq, kind| kind == "agent.created" && !have.contains(&seq))?;
            insert(bundle["entries"].as_array_mut()?, sample, seq);
        }
        _ => panic!("no rewrite `{name}`"),
    }
    serde_json::to_vec(&bundle).ok()
}

/// Takes the payloads of the entries of some types; `None` when there are none.
fn shred_all(bundle: &mut Value, kinds: &[&str]) -> Option<()> {
    let of = |entry: &Value, kind: &str| entry["leaf"].as_str().is_some_and(|leaf| leaf.contains(kind));
    let mut any = None;
    for entry in bundle["entries"].as_array_mut()? {
        if entry["payload"].is_object() && kinds.iter().any(|kind| of(entry, kind)) {
            shred(entry);
            any = Some(());
        }
    }
    any
}
