//! The intent that an agent sends.

use chancery_model::{Environment, IntentId, Timestamp, ijson};
use chancery_screen::{Draft, Intent, MAX_CANONICAL_BYTES, intent_hash};
use serde_json::{Value, json};

use crate::edit::edit;

const VALID: &[u8] = br#"{"action":"payments.refund","resource":{"type":"Invoice","id":"INV-7"},
"arguments":{"amount":12.5,"currency":"EUR","lines":[1,2,{"a":null}]},"context":{"reason":"\u00e9"},
"connector":"billing"}"#;

/// What is read has one canonical text, which reads as the same value and as nothing else; what is
/// hashed is that text, bounded, and holds exactly action, resource and arguments.
///
/// # Panics
/// When that does not hold.
pub fn intent(data: &[u8]) {
    read(data);
    read(&edit(VALID, data));
}

fn read(text: &[u8]) {
    let Ok(sent) = ijson::parse(text) else { return };
    let lenient: Value = serde_json::from_slice(text).expect("what is I-JSON is JSON");
    assert_eq!(sent.is_object(), lenient.is_object());
    let canonical = ijson::canonical(&sent).expect("what was read can be written");
    let again = ijson::parse(canonical.as_bytes()).expect("what was written can be read");
    assert_eq!(again, sent, "`{canonical}` reads as another value");
    assert_eq!(ijson::canonical(&again).expect("as before"), canonical, "a value has two canonical texts");
    check(&sent);
}

fn check(sent: &Value) {
    let text = |pointer: &str| sent.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let draft = Draft {
        action: text("/action").unwrap_or_default(),
        resource_type: text("/resource/type").unwrap_or_default(),
        resource_id: text("/resource/id").unwrap_or_default(),
        arguments: sent.get("arguments").cloned(),
        context: sent.get("context").cloned(),
        connector: text("/connector"),
        on_behalf_of: text("/on_behalf_of"),
    };
    let id = IntentId::new(Timestamp::from_micros(1_800_000_000_000_000), [7; 10]);
    let Ok(intent) = Intent::check(draft, id, id.into(), Environment::Live) else { return };
    assert!(intent.canonical().len() <= MAX_CANONICAL_BYTES);
    let expected = json!({
        "v": 1, "action": intent.action.as_str(), "arguments": intent.arguments,
        "resource": {"type": intent.resource_type.as_str(), "id": intent.resource_id.as_str()},
    });
    assert_eq!(ijson::canonical(&expected).expect("it was read"), intent.canonical());
    let hash = intent_hash(&intent.action, &intent.resource_type, &intent.resource_id, &intent.arguments);
    assert_eq!(&hash.expect("it was hashed"), intent.hash(), "an enforcement point computes another hash");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_intent_that_is_changed_is_valid() {
        let sent = ijson::parse(VALID).unwrap();
        assert!(sent.get("arguments").is_some_and(Value::is_object));
        check(&sent);
    }
}
