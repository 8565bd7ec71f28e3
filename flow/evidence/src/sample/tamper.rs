//! What can be done to the sections, and to what is told of people.

use serde_json::{Value, json};

use super::mutate::shred;
use super::rewrite::{silence, withhold};
use crate::bundle::kind;

pub(super) fn section(name: &str, bundle: &mut Value) -> Option<()> {
    match name {
        "section-intent" => bundle["intent"].pointer_mut("/canonical/arguments")?["added"] = json!(1),
        "section-principal" => bundle["principal"].as_object_mut()?["id"] = json!("someone else"),
        "section-decision" => bundle["decision"].as_object_mut()?["reasons"] = json!([]),
        "section-approval-added" => {
            let made_up = json!({"seq": 1, "type": kind::GRANTED, "payload": {"intent_id": "x"}});
            bundle["approvals"].as_array_mut()?.push(made_up);
        }
        "section-approval-dropped" => drop(bundle["approvals"].as_array_mut()?.pop()?),
        "section-approval-kind" => {
            let other = |kind: &Value| if kind == kind::GRANTED { kind::WITHDRAWN } else { kind::GRANTED };
            let first = bundle["approvals"].as_array_mut()?.first_mut()?;
            first["type"] = json!(other(&first["type"]));
        }
        "section-approvals-swapped" => {
            let approvals = bundle["approvals"].as_array_mut()?;
            let last = approvals.len().checked_sub(1)?;
            approvals.swap(0, last);
        }
        "section-released" => bundle["released"].as_object_mut()?["reasons"] = json!([]),
        "section-released-dropped" => silence(bundle, &["released"]),
        "section-execution" => bundle["execution"].as_object_mut()?["connector"] = json!("another"),
        "section-token-claims" => {
            bundle["token"].as_object_mut()?["claims"]["exp"] = json!(4_000_000_000_u64)
        }
        "section-result" => bundle["result"].as_object_mut()?["result_digest"] = json!("00".repeat(32)),
        "section-result-outcome" => {
            let outcome = &mut bundle["result"].as_object_mut()?["outcome"];
            *outcome = json!(if outcome == "succeeded" { "failed" } else { "succeeded" });
        }
        "section-result-added" => {
            bundle["result"].is_null().then_some(())?;
            bundle["result"] = json!({"outcome": "succeeded", "result_digest": null});
        }
        "section-dropped" => bundle["decision"] = Value::Null,
        _ => panic!("no mutation `{name}`"),
    }
    Some(())
}

pub(super) fn people(name: &str, bundle: &mut Value) -> Option<()> {
    // What follows is a lie about an intent that was released, and told in full.
    bundle["intent"].as_object()?;
    let was_released = bundle["released"].is_object();
    match name {
        "approval-dropped" => {
            was_released.then_some(())?;
            let at = standing(bundle)?;
            let seq = bundle["entries"].as_array_mut()?.remove(at)["seq"].take();
            bundle["approvals"].as_array_mut()?.retain(|approval| approval["seq"] != seq);
        }
        // Its leaf says that somebody else agreed.
        "approval-relabelled" => {
            let at = standing(bundle)?;
            let entry = &mut bundle["entries"][at];
            let leaf = entry["leaf"].as_str()?.replace("\"member\":\"01", "\"member\":\"02");
            entry["leaf"] = json!(leaf);
            let seq = entry["seq"].clone();
            shred(entry);
            bundle["approvals"].as_array_mut()?.retain(|approval| approval["seq"] != seq);
        }
        "approval-moved" => {
            let at = standing(bundle)?;
            let entries = bundle["entries"].as_array_mut()?;
            let entry = entries.remove(at);
            entries.push(entry);
            // The last was the last before.
            (at + 1 < entries.len()).then_some(())?;
        }
        "release-dropped" => {
            let hangs = !bundle["result"].is_null()
                || bundle["entries"]
                    .as_array()?
                    .iter()
                    .any(|entry| entry["leaf"].as_str().is_some_and(|leaf| leaf.contains(kind::TOKEN_USED)));
            (was_released && hangs).then_some(())?;
            let _ = withhold(bundle, &[kind::RELEASED])?;
            silence(bundle, &["released", "execution", "token"]);
        }
        _ => panic!("no mutation `{name}`"),
    }
    Some(())
}

/// The last entry of somebody who agreed: nobody takes that back.
fn standing(bundle: &Value) -> Option<usize> {
    let entries = bundle["entries"].as_array()?;
    let grants = |entry: &Value| entry["leaf"].as_str().is_some_and(|leaf| leaf.contains(kind::GRANTED));
    entries.iter().rposition(grants)
}
