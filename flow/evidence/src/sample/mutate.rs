//! What can be done to a bundle that must be refused.

use chancery_model::{OrgId, Timestamp};
use serde_json::{Value, json};

use super::dice::Dice;
use base64::Engine as _;

use super::{BASE64URL, Sample, SampleKeys, ed25519, sign_jws, tamper};
use crate::bundle::kind;
use crate::{Checkpoint, CheckpointSigner, Hex, OwnedLeaf, commit};

/// The names [`mutate`] knows.
pub const MUTATIONS: &[&str] = &[
    "format",
    "organization-id",
    "organization-slug",
    "section-intent",
    "section-principal",
    "section-decision",
    "section-approval-added",
    "section-approval-dropped",
    "section-approval-kind",
    "section-approvals-swapped",
    "section-released",
    "section-released-dropped",
    "section-execution",
    "section-token-claims",
    "section-result",
    "section-result-outcome",
    "section-result-added",
    "section-dropped",
    "approval-dropped",
    "approval-relabelled",
    "approval-moved",
    "release-dropped",
    "payload",
    "payload-and-section",
    "payload-recommitted",
    "payload-shredded-alone",
    "salt-shredded-alone",
    "salt",
    "member-dropped",
    "member-added",
    "member-added-inside",
    "opening-dropped",
    "opening-shredded",
    "second-opening",
    "foreign-use",
    "foreign-use-shredded",
    "foreign-approval",
    "foreign-release",
    "entry-duplicated",
    "entries-swapped",
    "leaves-swapped",
    "payloads-swapped",
    "leaf-kind",
    "leaf-respelled",
    "seq",
    "prev-hash",
    "entry-hash",
    "proof-truncated",
    "proof-extended",
    "proof-hash",
    "proofs-swapped",
    "checkpoint-stranger",
    "checkpoint-renamed",
    "checkpoint-other-organization",
    "checkpoint-size",
    "checkpoint-root",
    "checkpoint-extended",
    "checkpoint-older",
    "checkpoint-signature",
    "checkpoint-unsigned",
    "keys-unproven",
    "keys-doubled",
    "keys-dropped",
    "key-entry-dropped",
    "token-signature",
    "token-header",
    "token-resigned",
    "token-key-replaced",
    "token-missing",
    "hex-upper",
    "array-for-object",
];

/// Applies a mutation; `None` when the sample has not what it changes.
#[must_use]
pub fn mutate(name: &str, seed: u64, sample: &Sample, keys: &SampleKeys) -> Option<Vec<u8>> {
    let mut bundle = serde_json::to_value(&sample.bundle).unwrap();
    let before = bundle.clone();
    let mut dice = Dice::new(seed ^ 0x6d75_7461);
    apply(name, &mut bundle, &mut dice, sample, keys)?;
    (bundle != before).then(|| serde_json::to_vec(&bundle).unwrap())
}

fn apply(name: &str, bundle: &mut Value, dice: &mut Dice, sample: &Sample, keys: &SampleKeys) -> Option<()> {
    if name.starts_with("checkpoint-") {
        bundle["checkpoint"] = json!(checkpoint(name, sample, keys)?);
        return Some(());
    }
    if name.starts_with("key") || name.starts_with("token-") {
        return token(name, bundle, sample);
    }
    if name.starts_with("section-") {
        return tamper::section(name, bundle);
    }
    if name.starts_with("approval-") || name.starts_with("release-") {
        return tamper::people(name, bundle);
    }
    let entries = bundle["entries"].as_array_mut().unwrap();
    let at = dice.index(entries.len());
    let other = (at + 1 + dice.index(entries.len() - 1)) % entries.len();
    let opened: Vec<_> = (0..entries.len()).filter(|at| entries[*at]["payload"].is_object()).collect();
    let open_at = *dice.pick(&opened);
    let opening = entries.iter().position(is_opening)?;
    match name {
        "format" => bundle["format"] = json!("chancery-evidence/v2"),
        "organization-id" => {
            bundle["organization"]["id"] = json!(OrgId::new(Timestamp::from_micros(1), dice.entropy()));
        }
        "organization-slug" => bundle["organization"]["slug"] = json!("someone-else"),
        "payload" => entries[open_at]["payload"]["added"] = json!(1),
        "payload-and-section" => {
            *entries[opening].pointer_mut("/payload/decision/effect")? = json!("allow!");
            bundle["decision"]["effect"] = json!("allow!");
        }
        "payload-recommitted" => {
            let entry = &mut entries[open_at];
            entry["payload"]["added"] = json!(1);
            let salt: Hex<32> = entry["salt"].as_str()?.parse().unwrap();
            let payload = chancery_model::ijson::canonical(&entry["payload"]).unwrap();
            let old = Hex(OwnedLeaf::parse(entry["leaf"].as_str()?).unwrap().commitment).to_string();
            let new = Hex(commit(&salt.0, payload.as_bytes())).to_string();
            entry["leaf"] = json!(entry["leaf"].as_str()?.replace(&old, &new));
        }
        "payload-shredded-alone" => entries[open_at]["payload"] = Value::Null,
        "salt-shredded-alone" => entries[open_at]["salt"] = Value::Null,
        "salt" => flip_hex(&mut entries[open_at]["salt"]),
        "member-dropped" | "member-added" | "member-added-inside" => shape(name, bundle, at, dice),
        "opening-dropped" => drop(entries.remove(opening)),
        "opening-shredded" => {
            shred(&mut entries[opening]);
        }
        "second-opening" => {
            let seq = entries[opening]["seq"].as_u64()?;
            insert(entries, sample, sample.record.find(|at, kind| at != seq && kind == kind::DENIED)?);
        }
        "foreign-use" | "foreign-use-shredded" | "foreign-approval" | "foreign-release" => {
            foreign(name, entries, sample)?;
        }
        "entry-duplicated" => entries.insert(at, entries[at].clone()),
        "entries-swapped" => entries.swap(at, other),
        "leaf-kind" => {
            let leaf = entries[opening]["leaf"].as_str()?.replace("intent.denied", "intent.allowed");
            entries[opening]["leaf"] = json!(leaf.replace("intent.escalated", "intent.allowed"));
        }
        "array-for-object" => {
            bundle["organization"] = json!([bundle["organization"]["id"], bundle["organization"]["slug"]])
        }
        _ => return proof(name, entries, at, other),
    }
    Some(())
}

/// An entry about another intent.
fn foreign(name: &str, entries: &mut Vec<Value>, sample: &Sample) -> Option<()> {
    let wanted = match name {
        "foreign-approval" => kind::GRANTED,
        "foreign-release" => kind::RELEASED,
        _ => kind::TOKEN_USED,
    };
    let have: Vec<_> = entries.iter().filter_map(|entry| entry["seq"].as_u64()).collect();
    let seq = sample.record.find(|at, kind| kind == wanted && !have.contains(&at))?;
    insert(entries, sample, seq);
    if name == "foreign-use-shredded" {
        shred(entries.iter_mut().find(|entry| entry["seq"] == seq)?);
    }
    Some(())
}

/// Members too few or too many.
fn shape(name: &str, bundle: &mut Value, at: usize, dice: &mut Dice) {
    match name {
        "member-dropped" => {
            let members = bundle.as_object_mut().unwrap();
            let names: Vec<_> = members.keys().cloned().collect();
            members.remove(dice.pick(&names));
        }
        "member-added" => bundle["note"] = json!("trust me"),
        _ => match dice.below(2) {
            0 => bundle["organization"]["name"] = json!("trust me"),
            _ => bundle["entries"][at]["note"] = json!("trust me"),
        },
    }
}

/// What ties an entry to its place.
fn proof(name: &str, entries: &mut [Value], at: usize, other: usize) -> Option<()> {
    match name {
        "leaves-swapped" => swap(entries, at, other, &["leaf"]),
        "payloads-swapped" => swap(entries, at, other, &["payload", "salt"]),
        "proofs-swapped" => swap(entries, at, other, &["inclusion_proof"]),
        "leaf-respelled" => {
            entries[at]["leaf"] = json!(entries[at]["leaf"].as_str()?.replace("\"v\":1", "\"v\": 1"))
        }
        "seq" => entries[at]["seq"] = json!(entries[at]["seq"].as_u64()? + 1),
        "prev-hash" => flip_hex(&mut entries[at]["prev_hash"]),
        "entry-hash" => flip_hex(&mut entries[at]["entry_hash"]),
        "proof-truncated" => drop(entries[at]["inclusion_proof"].as_array_mut()?.pop()?),
        "proof-extended" => entries[at]["inclusion_proof"].as_array_mut()?.push(json!("00".repeat(32))),
        "proof-hash" => flip_hex(entries[at]["inclusion_proof"].as_array_mut()?.first_mut()?),
        "hex-upper" => {
            entries[at]["entry_hash"] = json!(entries[at]["entry_hash"].as_str()?.to_uppercase());
        }
        _ => panic!("no mutation `{name}`"),
    }
    Some(())
}

fn token(name: &str, bundle: &mut Value, sample: &Sample) -> Option<()> {
    let forger = ed25519(9);
    match name {
        "token-missing" => bundle["token"].is_object().then(|| bundle["token"] = Value::Null)?,
        "keys-unproven" => bundle["keys"].as_array_mut()?.push(forger.public().to_jwk("forged")),
        "keys-doubled" => {
            let first = bundle["keys"].as_array()?.first()?.clone();
            bundle["keys"].as_array_mut()?.push(first);
        }
        "keys-dropped" => drop(bundle["keys"].as_array_mut()?.pop()?),
        "key-entry-dropped" => {
            bundle["keys"].as_array()?.first()?;
            let is_key =
                |entry: &Value| entry["leaf"].as_str().is_some_and(|leaf| leaf.contains(kind::KEY_CREATED));
            bundle["entries"].as_array_mut()?.retain(|entry| !is_key(entry));
        }
        _ => {
            let jws = bundle["token"].get_mut("jws")?.as_object_mut()?;
            let kid = sample.bundle.keys.first()?["kid"].clone();
            match name {
                "token-signature" => {
                    let text = jws["signature"].as_str()?;
                    let first = if text.starts_with('A') { "B" } else { "A" };
                    jws["signature"] = json!(format!("{first}{}", &text[1..]));
                }
                "token-header" => {
                    jws["protected"] =
                        json!(sign_jws(&forger, &json!({"alg": "none", "kid": kid}), &json!({})).protected);
                }
                "token-resigned" | "token-key-replaced" => {
                    let payload = jws["payload"].as_str()?.to_owned();
                    let mut forged =
                        sign_jws(&forger, &json!({"alg": "EdDSA", "kid": kid, "typ": "JWT"}), &json!({}));
                    let message = format!("{}.{payload}", forged.protected);
                    forged.signature = BASE64URL.encode(forger.sign(message.as_bytes()).unwrap());
                    forged.payload = payload;
                    bundle["token"]["jws"] = json!(forged);
                    if name == "token-key-replaced" {
                        bundle["keys"] = json!([forger.public().to_jwk(kid.as_str()?)]);
                    }
                }
                _ => panic!("no mutation `{name}`"),
            }
        }
    }
    Some(())
}

fn checkpoint(name: &str, sample: &Sample, keys: &SampleKeys) -> Option<String> {
    let right = sample.record.checkpoint("chancery.example");
    let sign = |signer: &CheckpointSigner, checkpoint: &Checkpoint| Some(signer.sign(checkpoint).unwrap());
    match name {
        "checkpoint-stranger" => sign(&keys.stranger, &right),
        "checkpoint-renamed" => {
            let signer = CheckpointSigner::new("other.example".to_owned(), ed25519(1)).unwrap();
            sign(&signer, &Checkpoint { origin: format!("other.example/{}", sample.record.org), ..right })
        }
        "checkpoint-other-organization" => {
            let origin = "chancery.example/0190a5f2-7c3b-7d4e-8f00-0123456789ab".to_owned();
            sign(&keys.trusted, &Checkpoint { origin, ..right })
        }
        // What a key once signed stands; these have the signature of the right one.
        "checkpoint-size" => Some(sample.bundle.checkpoint.replacen(
            &format!("\n{}\n", right.size),
            &format!("\n{}\n", right.size + 1),
            1,
        )),
        "checkpoint-root" => {
            let wrong = Checkpoint { root: [7; 32], ..right.clone() };
            Some(sample.bundle.checkpoint.replace(&right.to_string(), &wrong.to_string()))
        }
        "checkpoint-extended" => Some(sample.bundle.checkpoint.replacen("\n\n", "\nextension\n\n", 1)),
        "checkpoint-older" => {
            let size = sample.bundle.entries.last()?.seq - 1;
            sign(&keys.trusted, &Checkpoint { size, ..right })
        }
        "checkpoint-signature" => {
            let note = &sample.bundle.checkpoint;
            let last = note.trim_end().len() - 4;
            let wrong = if &note[last..=last] == "A" { "B" } else { "A" };
            Some(format!("{}{wrong}{}", &note[..last], &note[last + 1..]))
        }
        "checkpoint-unsigned" => Some(right.to_string()),
        _ => panic!("no mutation `{name}`"),
    }
}

/// Flips one bit of the file, anywhere.
#[must_use]
pub fn flip_byte(seed: u64, bytes: &[u8]) -> Vec<u8> {
    let mut dice = Dice::new(seed ^ 0x666c_6970);
    let mut flipped = bytes.to_vec();
    flipped[dice.index(bytes.len())] ^= 1 << dice.below(8);
    flipped
}

pub(super) fn insert(entries: &mut Vec<Value>, sample: &Sample, seq: u64) {
    let at = entries.iter().position(|entry| entry["seq"].as_u64().unwrap() > seq).unwrap_or(entries.len());
    entries.insert(at, serde_json::to_value(sample.record.entry(seq)).unwrap());
}

/// What can be done to any entry without a trace: its payload is no longer there.
pub(super) fn shred(entry: &mut Value) {
    (entry["payload"], entry["salt"]) = (Value::Null, Value::Null);
}

fn is_opening(entry: &Value) -> bool {
    let leaf = OwnedLeaf::parse(entry["leaf"].as_str().unwrap()).unwrap();
    [kind::ALLOWED, kind::ESCALATED, kind::DENIED].contains(&leaf.kind.as_str())
}

fn swap(entries: &mut [Value], at: usize, other: usize, names: &[&str]) {
    for name in names {
        let kept = entries[at][*name].take();
        entries[at][*name] = entries[other][*name].take();
        entries[other][*name] = kept;
    }
}

fn flip_hex(text: &mut Value) {
    let old = text.as_str().unwrap();
    let first = if old.starts_with('0') { "1" } else { "0" };
    *text = json!(format!("{first}{}", &old[1..]));
}
