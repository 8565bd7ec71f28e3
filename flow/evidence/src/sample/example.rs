//! The worked example of `docs/evidence.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chancery_model::{CorrelationId, IntentId, ijson};
use serde_json::{Value, json};

use super::{Maker, Sample, SampleKeys};
use crate::bundle::kind;
use crate::{Hex, OwnedLeaf, intent_hash, merkle};

/// A small bundle that is the same each time: an allowed intent, its token, its use.
#[must_use]
pub fn example(keys: &SampleKeys) -> Sample {
    let mut maker = Maker::new(0, keys, None);
    maker.append(kind::ORG_CREATED, json!({"slug": "acme", "name": "Acme"}));
    let jwk = maker.publish_key();
    let at = maker.dice.time();
    let canonical = json!({
        "v": 1, "action": "payments.refund", "resource": {"type": "Invoice", "id": "INV-7"},
        "arguments": {"amount": 12.5, "currency": "EUR"},
    });
    let intent = json!({
        "id": IntentId::new(at, maker.dice.entropy()), "correlation_id": CorrelationId::new(at, maker.dice.entropy()),
        "hash": Hex(intent_hash(&canonical).unwrap()), "canonical": canonical, "context": {}, "connector": null,
        "on_behalf_of": null, "environment": "live",
    });
    let (claims, jws) = maker.mint(&intent, &jwk, at);
    let decision = json!({
        "effect": "allow", "reasons": [{"code": "policy", "message": "small refunds are allowed"}],
        "risk": {"score": 10, "factors": []}, "gates": [], "requirements": [], "policies": [], "schema_hash": "00",
    });
    let payload = json!({
        "intent": intent, "principal": {"type": "agent", "id": IntentId::new(at, maker.dice.entropy())},
        "key_id": IntentId::new(at, maker.dice.entropy()), "decision": decision, "token": claims,
    });
    maker.append(kind::ALLOWED, payload);
    let used = json!({
        "jti": claims["jti"], "intent_id": intent["id"], "intent_hash": intent["hash"], "audience": "billing",
    });
    maker.append(kind::TOKEN_USED, used);
    let mut bundle = maker.cut(Some(jws));
    bundle.organization.slug = Some("acme".to_owned());
    bundle.keys = vec![jwk];
    Sample { bundle, record: maker.record }
}

impl Sample {
    /// The values on the way to the verdict, as the document shows them.
    #[must_use]
    pub fn steps(&self) -> String {
        let mut text = String::new();
        let bundle = &self.bundle;
        for entry in &bundle.entries {
            let payload = ijson::canonical(&entry.payload).unwrap();
            let commitment = Hex(OwnedLeaf::parse(&entry.leaf).unwrap().commitment);
            let hash = Hex(merkle::leaf_hash(entry.leaf.as_bytes()));
            writeln!(text, "entry {}", entry.seq).unwrap();
            writeln!(text, "  canonical payload  {payload}").unwrap();
            writeln!(text, "  commitment         {commitment}").unwrap();
            writeln!(text, "  leaf hash          {hash}").unwrap();
            writeln!(text, "  entry hash         {}", entry.entry_hash).unwrap();
        }
        let intent = bundle.intent.as_ref().unwrap();
        writeln!(text, "root                 {}", Hex(self.record.checkpoint("").root)).unwrap();
        writeln!(text, "canonical intent     {}", ijson::canonical(&intent["canonical"]).unwrap()).unwrap();
        writeln!(text, "intent hash          {}", intent["hash"].as_str().unwrap()).unwrap();
        text
    }

    /// The bundle's file for people to read.
    #[must_use]
    pub fn pretty(&self) -> String {
        let mut bundle = self.bundle.clone();
        let sections = [&mut bundle.intent, &mut bundle.principal, &mut bundle.decision];
        let values = sections.into_iter().flatten();
        let values = values.chain(&mut bundle.keys);
        let values = values.chain(bundle.token.as_mut().map(|token| &mut token.claims));
        let values = values.chain(bundle.entries.iter_mut().filter_map(|entry| entry.payload.as_mut()));
        values.for_each(|value| *value = sorted(value));
        serde_json::to_string_pretty(&bundle).unwrap()
    }
}

/// The same value with the members of its objects in order, whichever order serde_json was built to keep.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(members) => {
            let ordered: BTreeMap<_, _> =
                members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            ordered.into_iter().collect()
        }
        plain => plain.clone(),
    }
}
