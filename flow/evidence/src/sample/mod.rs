//! Valid bundles from a seed, and what can be done to them, for tests.
//!
//! A sample is cut from a small record made for it. Its keys for checkpoints and EdDSA tokens are
//! fixed; those for RS256 and ES256 are made anew in each process, being slow or randomised anyway.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "makes data for tests, and is compiled for nothing else"
)]

mod dice;
mod example;
mod flaw;
mod mutate;
mod opening;
mod plan;
mod record;
mod rewrite;
mod story;
mod tamper;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::{Algorithm, SigningKey};
use chancery_model::{OrgId, ijson};
use serde_json::{Map, Value, json};

use crate::bundle::{Approval, CallResult, kind};
use crate::{Bundle, CheckpointSigner, FORMAT, Jws, Organization, Token};

use dice::Dice;
pub use example::example;
pub use flaw::Flaw;
pub use mutate::{MUTATIONS, flip_byte, mutate};
use plan::Plan;
use record::{Record, refs};
pub use rewrite::{REWRITES, rewrite};

/// The moment all samples happen around.
const START_MICROS: i64 = 1_800_000_000_000_000;

/// The keys that sign samples.
#[derive(Debug)]
pub struct SampleKeys {
    /// Signs the checkpoints.
    pub trusted: CheckpointSigner,
    /// Has the same name, and nobody trusts it.
    pub stranger: CheckpointSigner,
    /// Sign the tokens.
    tokens: Vec<SigningKey>,
}

impl SampleKeys {
    /// Makes the keys.
    #[must_use]
    pub fn generate() -> Self {
        let signer = |byte| CheckpointSigner::new("chancery.example".to_owned(), ed25519(byte)).unwrap();
        let generate = |algorithm| SigningKey::generate(algorithm).unwrap();
        Self {
            trusted: signer(1),
            stranger: signer(2),
            tokens: vec![ed25519(3), generate(Algorithm::Es256), generate(Algorithm::Rs256)],
        }
    }

    /// The trust file for the samples.
    #[must_use]
    pub fn trust(&self) -> String {
        format!("# the checkpoint key of the samples\n{}\n", self.trusted.vkey())
    }
}

fn ed25519(byte: u8) -> SigningKey {
    // PKCS #8 (RFC 8410 §7) around 32 equal bytes.
    let mut pkcs8 = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    pkcs8.extend([byte; 32]);
    SigningKey::from_pkcs8(Algorithm::EdDsa, &pkcs8).unwrap()
}

/// A bundle and the record it was cut from.
#[derive(Debug)]
pub struct Sample {
    /// The bundle; valid unless a [`Flaw`] was asked for.
    pub bundle: Bundle,
    record: Record,
}

impl Sample {
    /// The bundle's file.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.bundle).unwrap()
    }
}

/// Makes the sample of a seed: any effect, with or without approvals, release, token, use, call, result,
/// and shredded payloads.
#[must_use]
pub fn sample(seed: u64, keys: &SampleKeys) -> Sample {
    Maker::new(seed, keys, None).make()
}

/// Makes a sample whose record is wrong, and says so under good signatures.
#[must_use]
pub fn flawed(seed: u64, keys: &SampleKeys, flaw: Flaw) -> Sample {
    Maker::new(seed, keys, Some(flaw)).make()
}

struct Maker<'a> {
    dice: Dice,
    keys: &'a SampleKeys,
    flaw: Option<Flaw>,
    record: Record,
    chosen: Vec<u64>,
}

/// A token's public claims, and the token.
type Minted = (Map<String, Value>, Jws);

/// What the later entries of the story refer to.
struct Story {
    /// The opening payload.
    opening: Value,
    /// Its place.
    seq: u64,
    token: Option<Minted>,
    called: bool,
}

impl<'a> Maker<'a> {
    fn new(seed: u64, keys: &'a SampleKeys, flaw: Option<Flaw>) -> Self {
        let mut dice = Dice::new(seed);
        let record = Record::new(OrgId::new(dice.time(), dice.entropy()));
        Self { dice, keys, flaw, record, chosen: Vec::new() }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn append(&mut self, kind: &str, payload: Value) {
        let refs = refs(kind, &payload);
        let _ = self.append_with(kind, &refs, payload);
    }

    fn append_with(&mut self, kind: &str, refs: &Value, payload: Value) -> u64 {
        let seq = self.record.append(&mut self.dice, kind, refs, payload);
        self.chosen.push(seq);
        seq
    }

    fn make(mut self) -> Sample {
        let slug = format!("org-{}", self.dice.below(1_000));
        let name = self.dice.text();
        self.append(kind::ORG_CREATED, json!({"slug": slug, "name": name}));
        self.noise();
        let jwk = self.publish_key();
        self.noise();
        let plan = match self.flaw {
            Some(flaw) => Plan::to_show(flaw, &mut self.dice),
            None => Plan::roll(&mut self.dice),
        };
        let mut story = self.open(&plan, &jwk);
        self.noise();
        self.ask(&plan, &mut story, &jwk);
        self.redeem(&story);
        self.close(&story);
        self.noise();
        let shred = self.flaw.is_none() && self.dice.one_in(12);
        let jws = story.token.as_ref().filter(|_| self.flaw.is_some() || self.dice.one_in(2));
        let jws = jws.map(|(_, jws)| jws.clone());
        let mut bundle = self.cut(jws);
        bundle.organization.slug = self.dice.one_in(2).then_some(slug);
        bundle.keys = if bundle.token.as_ref().is_some_and(|token| token.jws.is_some()) {
            vec![jwk]
        } else {
            Vec::new()
        };
        if shred {
            shred_opening(&mut bundle);
        }
        Sample { bundle, record: self.record }
    }

    fn noise(&mut self) {
        let count = if self.dice.one_in(10) { 100 + self.dice.below(300) } else { self.dice.below(5) };
        for _ in 0..count {
            let (kind, payload) = match self.dice.below(10) {
                0 => (kind::DENIED, self.opening("deny")),
                1 => (
                    kind::TOKEN_USED,
                    json!({"jti": "j", "intent_id": "i", "intent_hash": "h", "audience": "a"}),
                ),
                2 => (
                    kind::GRANTED,
                    json!({"intent_id": "i", "intent_hash": "h", "approver": {"id": "m", "role": "admin"}}),
                ),
                3 => {
                    (kind::RELEASED, json!({"intent_id": "i", "intent_hash": "h", "principal": {"id": "p"}}))
                }
                _ => ("agent.created", json!({"n": self.dice.number(), "name": self.dice.text()})),
            };
            let seq = self.record.append(&mut self.dice, kind, &refs(kind, &payload), payload);
            // Entries about other things may be in a bundle, as links of the chain.
            if kind == "agent.created" && self.dice.one_in(6) {
                self.chosen.push(seq);
            }
        }
    }

    fn signing_key(&self) -> &'a SigningKey {
        &self.keys.tokens[usize::try_from(self.dice.seed).unwrap() % self.keys.tokens.len()]
    }

    fn publish_key(&mut self) -> Value {
        let key = self.signing_key().public();
        let mut thumbprint = key.thumbprint();
        let kid = BASE64URL.encode(thumbprint);
        let jwk = key.to_jwk(&kid);
        thumbprint[0] ^= u8::from(self.has(Flaw::KeyThumbprint));
        let payload = json!({
            "kid": kid, "algorithm": key.algorithm().as_str(), "thumbprint": BASE64URL.encode(thumbprint), "jwk": jwk,
        });
        self.append(kind::KEY_CREATED, payload);
        jwk
    }

    /// Fills the sections from the entries, as an exporter does.
    fn cut(&mut self, jws: Option<Jws>) -> Bundle {
        let mut bundle = Bundle {
            format: FORMAT.to_owned(),
            organization: Organization { id: self.record.org, slug: None },
            intent: None,
            principal: None,
            decision: None,
            approvals: Vec::new(),
            released: None,
            execution: None,
            token: None,
            result: None,
            entries: Vec::new(),
            checkpoint: self.keys.trusted.sign(&self.record.checkpoint("chancery.example")).unwrap(),
            keys: Vec::new(),
        };
        for seq in self.chosen.clone() {
            let mut entry = self.record.entry(seq);
            let kind = self.record.kind(seq).to_owned();
            if self.withholds(&kind) {
                (entry.payload, entry.salt) = (None, None);
            }
            if let Some(payload) = &entry.payload {
                show(&mut bundle, (seq, &kind), payload, jws.as_ref());
            }
            bundle.entries.push(entry);
        }
        bundle
    }

    /// Whether the payloads of a type's entries are kept back.
    fn withholds(&mut self, kind: &str) -> bool {
        match kind {
            "agent.created" => self.dice.one_in(3),
            kind::TOKEN_USED => self.has(Flaw::WithheldUseTwice) || self.has(Flaw::WithheldUseOfAnother),
            kind::GRANTED => self.has(Flaw::WithheldTooFew),
            _ => false,
        }
    }
}

/// Puts what a payload says into the sections.
fn show(bundle: &mut Bundle, (seq, kind): (u64, &str), payload: &Value, jws: Option<&Jws>) {
    let member = |name: &str| payload.get(name).filter(|value| !value.is_null()).cloned();
    match kind {
        kind::ALLOWED | kind::ESCALATED | kind::DENIED => {
            bundle.intent = member("intent");
            bundle.principal = member("principal");
            bundle.decision = member("decision");
        }
        kind::RELEASED => bundle.released = member("decision"),
        kind::CLOSED => bundle.result = CallResult::of(payload),
        _ if kind::is_approval(kind) => {
            bundle.approvals.push(Approval { seq, kind: kind.to_owned(), payload: payload.clone() });
        }
        _ => {}
    }
    if [kind::ALLOWED, kind::RELEASED].contains(&kind) {
        bundle.execution = member("execution");
        bundle.token = member("token").map(|claims| Token { claims, jws: jws.cloned() });
    }
}

fn sign_jws(key: &SigningKey, header: &Value, claims: &Value) -> Jws {
    let [protected, payload] = [header, claims].map(|part| BASE64URL.encode(ijson::canonical(part).unwrap()));
    let signature = BASE64URL.encode(key.sign(format!("{protected}.{payload}").as_bytes()).unwrap());
    Jws { protected, payload, signature }
}

/// Destroys the payloads that belong to the intent, as shredding its subject does: people's answers are
/// their own.
fn shred_opening(bundle: &mut Bundle) {
    let kept = [kind::ORG_CREATED, kind::KEY_CREATED, kind::GRANTED, kind::REJECTED, kind::WITHDRAWN];
    for entry in &mut bundle.entries {
        if !kept.iter().any(|kind| entry.leaf.contains(&format!("\"type\":\"{kind}\""))) {
            (entry.payload, entry.salt) = (None, None);
        }
    }
    (bundle.intent, bundle.principal, bundle.decision) = (None, None, None);
    (bundle.released, bundle.execution) = (None, None);
    (bundle.token, bundle.result) = (None, None);
    bundle.approvals.clear();
    bundle.keys.clear();
}
