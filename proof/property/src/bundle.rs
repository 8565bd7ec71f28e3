//! An evidence bundle, as whoever wants to deceive its reader may have changed it.

use std::sync::LazyLock;

use chancery_evidence::sample::{SampleKeys, example, sample};
use chancery_evidence::{Bundle, Trust, verify};
use chancery_model::ijson;
use serde::Deserialize as _;
use serde_json::Value;

use crate::edit::{edit, place};

/// Seeds of small samples, whose keys and so whose bytes are the same in each process.
const SEEDS: [u64; 6] = [3, 6, 9, 12, 15, 18];

/// Bundles of records that the trusted key signed.
struct Genuine {
    trust: Trust,
    bundles: Vec<Bundle>,
}

static GENUINE: LazyLock<Genuine> = LazyLock::new(|| {
    let keys = SampleKeys::generate();
    let mut bundles: Vec<Bundle> = SEEDS.iter().map(|seed| sample(*seed, &keys).bundle).collect();
    bundles.push(example(&keys).bundle);
    let any = |shows: fn(&Bundle) -> bool| assert!(bundles.iter().any(shows), "the samples show too little");
    any(|bundle| bundle.released.is_some() && bundle.token.is_some());
    any(|bundle| bundle.result.is_some());
    Genuine { trust: Trust::parse(&keys.trust()).unwrap(), bundles }
});

/// A bundle that verifies shows nothing but what stands in the record of which it speaks: parts may be
/// missing from it, none may be other than they were signed, and what is missing of an entry that is shown is
/// told, as is the use of a token, a release and the end of a call.
///
/// # Panics
/// When that does not hold.
pub fn bundle(data: &[u8]) {
    judge(data);
    let Some((&which, script)) = data.split_first() else { return };
    let bundles = &GENUINE.bundles;
    let original = serde_json::to_value(&bundles[usize::from(which / 2) % bundles.len()]).unwrap();
    let edited = if which & 1 == 0 {
        edit(original.to_string().as_bytes(), script)
    } else {
        transplant(original, script).to_string().into_bytes()
    };
    judge(&edited);
}

/// `value` with parts of it put in the place of others, as `script` says: two places to each.
fn transplant(mut value: Value, script: &[u8]) -> Value {
    for change in script.chunks_exact(6) {
        let mut all = Vec::new();
        pointers(&value, String::new(), &mut all);
        let at = |half: &[u8]| &all[place([half[0], half[1], half[2]]) % all.len()];
        let from = value.pointer(at(&change[..3])).cloned();
        let to = value.pointer_mut(at(&change[3..]));
        if let (Some(from), Some(to)) = (from, to) {
            *to = from;
        }
    }
    value
}

/// The JSON pointers (RFC 6901) of a value's parts.
fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                pointers(member, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                pointers(item, format!("{at}/{number}"), found);
            }
        }
        _ => {}
    }
    found.push(at);
}

fn judge(bytes: &[u8]) {
    let report = match verify(bytes, &GENUINE.trust) {
        Ok(report) => report,
        Err(findings) => return assert!(!findings.is_empty(), "it is refused and nothing is wrong"),
    };
    let shown = Bundle::deserialize(&ijson::parse(bytes).expect("it was read")).expect("it was read");
    let signed = GENUINE.bundles.iter().find(|bundle| bundle.organization.id == report.org);
    let signed = signed.expect("it is of a record that nobody signed");
    assert_eq!(shown.entries.len(), report.entries);
    for entry in &shown.entries {
        let genuine = signed.entries.iter().find(|genuine| genuine.seq == entry.seq);
        let genuine = genuine.expect("an entry was made up");
        assert_eq!(entry.leaf, genuine.leaf);
        assert!(entry.payload.is_none() || entry.payload == genuine.payload, "a payload was made up");
    }
    let place = |kind: &str| {
        let of_kind = format!("\"type\":\"{kind}\"");
        shown.entries.iter().find(|entry| entry.leaf.contains(&of_kind)).map(|entry| entry.seq)
    };
    let used = report.token.and_then(|token| token.used);
    assert_eq!(used, place("token.used"), "a use is hidden");
    assert_eq!(report.released, place("intent.released"), "a release is hidden");
    assert_eq!(report.closed.map(|closed| closed.seq), place("intent.closed"), "a result is hidden");
    let bare = shown.entries.iter().filter(|entry| entry.payload.is_none()).map(|entry| entry.seq);
    assert!(bare.eq(report.without_payload.iter().map(|entry| entry.seq)), "a missing payload is hidden");
    let same = |shown: &Option<Value>, genuine: &Option<Value>| shown.is_none() || shown == genuine;
    assert!(same(&shown.intent, &signed.intent), "the intent is another");
    assert!(same(&shown.principal, &signed.principal), "the principal is another");
    assert!(same(&shown.decision, &signed.decision), "the decision is another");
    assert!(same(&shown.released, &signed.released), "the second decision is another");
    assert!(same(&shown.execution, &signed.execution), "the call is another");
    assert!(shown.result.is_none() || shown.result == signed.result, "the result is another");
    assert!(shown.approvals.iter().all(|it| signed.approvals.contains(it)), "an approval was made up");
    if let (Some(shown), Some(signed)) = (&shown.token, &signed.token) {
        assert_eq!(shown.claims, signed.claims, "the token is another");
    }
    assert!(shown.organization.slug.is_none() || shown.organization.slug == signed.organization.slug);
}
