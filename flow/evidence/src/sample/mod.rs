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
mod record;
mod rewrite;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::{Algorithm, SigningKey};
use chancery_model::{CorrelationId, IntentId, OrgId, Timestamp, TokenId, ijson};
use serde_json::{Map, Value, json};

use crate::bundle::kind;
use crate::{Bundle, CheckpointSigner, FORMAT, Hex, Jws, Organization, Token, intent_hash, public_claims};

use dice::Dice;
pub use example::example;
pub use flaw::Flaw;
pub use mutate::{MUTATIONS, flip_byte, mutate};
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

/// Makes the sample of a seed: any effect, with or without token, use, approvals, result, and
/// shredded payloads.
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
    intent: Value,
    token: Option<Minted>,
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
        self.append_with(kind, &refs, payload);
    }

    fn append_with(&mut self, kind: &str, refs: &Value, payload: Value) {
        let seq = self.record.append(&mut self.dice, kind, refs, payload);
        self.chosen.push(seq);
    }

    fn make(mut self) -> Sample {
        let slug = format!("org-{}", self.dice.below(1_000));
        let name = self.dice.text();
        self.append(kind::ORG_CREATED, json!({"slug": slug, "name": name}));
        self.noise();
        let jwk = self.publish_key();
        self.noise();
        let story = self.open(&jwk);
        self.noise();
        self.approve(&story);
        self.redeem(&story);
        self.close(&story);
        self.noise();
        let (allowed, shred) = (story.token.is_some(), self.flaw.is_none() && self.dice.one_in(12));
        let jws = story
            .token
            .as_ref()
            .filter(|_| self.flaw.is_some() || self.dice.one_in(2))
            .map(|(_, jws)| jws.clone());
        let mut bundle = self.cut(&story, allowed, jws);
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
            let (kind, payload) = match self.dice.below(8) {
                0 => (kind::DENIED, self.opening(&Value::Null, "deny").0),
                1 => (
                    kind::TOKEN_USED,
                    json!({"jti": "j", "intent_id": "i", "intent_hash": "h", "audience": "a"}),
                ),
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

    fn open(&mut self, jwk: &Value) -> Story {
        let needs_token = self.flaw.is_some();
        let effect =
            if needs_token { "allow" } else { *self.dice.pick(&["allow", "allow", "escalate", "deny"]) };
        let (mut payload, token) = self.opening(jwk, effect);
        let kind = match effect {
            "allow" => kind::ALLOWED,
            "escalate" => kind::ESCALATED,
            _ => kind::DENIED,
        };
        if self.has(Flaw::Effect) {
            payload["decision"]["effect"] = "deny".into();
        }
        let intent = payload["intent"].clone();
        let mut refs = refs(kind, &payload);
        if self.has(Flaw::OpeningRefersToAnother) {
            refs["intent"] = "other".into();
        }
        if self.has(Flaw::OpeningRefersToNoToken) {
            refs.as_object_mut().unwrap().remove("token");
        }
        self.append_with(kind, &refs, payload);
        Story { intent, token }
    }

    /// An opening payload, with a token where one is due.
    fn opening(&mut self, jwk: &Value, effect: &str) -> (Value, Option<Minted>) {
        let at = self.dice.time();
        let mut canonical = json!({
            "v": 1, "action": "payments.refund", "resource": {"type": "Invoice", "id": self.dice.text()},
            "arguments": self.dice.object(4),
        });
        let mut hash = Hex(intent_hash(&canonical).unwrap());
        hash.0[0] ^= u8::from(self.has(Flaw::IntentHash));
        if self.has(Flaw::CanonicalForm) {
            canonical["extra"] = true.into();
            hash = Hex(intent_hash(&canonical).unwrap());
        }
        let intent = json!({
            "id": IntentId::new(at, self.dice.entropy()), "correlation_id": CorrelationId::new(at, self.dice.entropy()),
            "canonical": canonical, "hash": hash, "context": self.dice.object(1), "connector": null,
            "on_behalf_of": null, "environment": "live",
        });
        let decision = json!({
            "effect": effect, "reasons": [{"code": "policy", "message": self.dice.text()}],
            "risk": {"score": self.dice.below(100), "factors": []}, "gates": [], "requirements": [],
            "policies": [{"id": "p", "name": "n", "version": 3, "layer": "organization"}], "schema_hash": "00",
        });
        let with_token = effect == "allow" && (self.flaw.is_some() || self.dice.one_in(2));
        let token = with_token.then(|| self.mint(&intent, jwk, at));
        let payload = json!({
            "intent": intent, "principal": {"type": "agent", "id": IntentId::new(at, self.dice.entropy())},
            "key_id": IntentId::new(at, self.dice.entropy()), "decision": decision,
            "token": token.as_ref().map(|(claims, _)| claims),
        });
        (payload, token)
    }

    fn mint(&mut self, intent: &Value, jwk: &Value, at: Timestamp) -> Minted {
        let other = IntentId::new(at, self.dice.entropy());
        let org = if self.has(Flaw::TokenOrganization) { json!(other) } else { json!(self.record.org) };
        let mut claims = json!({
            "iss": "https://chancery.example", "sub": "agent", "aud": "billing", "org": org,
            "jti": TokenId::new(at, self.dice.entropy()), "intent_id": intent["id"], "intent_hash": intent["hash"],
            "environment": "live", "nonce": BASE64URL.encode(self.dice.bytes::<32>()), "iat": at.as_seconds(),
            "nbf": at.as_seconds(), "exp": at.as_seconds() + 300,
        });
        if self.has(Flaw::TokenBinding) {
            claims["intent_id"] = json!(other);
        }
        let public = public_claims(claims.as_object().unwrap()).unwrap();
        if self.has(Flaw::TokenClaims) {
            claims["exp"] = json!(at.as_seconds() + 301);
        }
        let algorithm = self.signing_key().public().algorithm().as_str();
        let header = json!({"alg": algorithm, "kid": jwk["kid"], "typ": "JWT"});
        let wrong_key = ed25519(4);
        let key = if self.has(Flaw::TokenKey) { &wrong_key } else { self.signing_key() };
        (public, sign_jws(key, &header, &claims))
    }

    fn approve(&mut self, story: &Story) {
        for _ in 0..self.dice.below(3) {
            let kind = *self.dice.pick(&[kind::GRANTED, kind::REJECTED]);
            let payload = json!({
                "intent_id": story.intent["id"], "intent_hash": story.intent["hash"], "comment": self.dice.text(),
            });
            self.append(kind, payload);
        }
        if self.has(Flaw::ApprovalOfAnother) {
            self.append(kind::GRANTED, json!({"intent_id": "other", "intent_hash": story.intent["hash"]}));
        }
    }

    fn redeem(&mut self, story: &Story) {
        let Some((claims, _)) = &story.token else { return };
        let one_more = [Flaw::TokenUseOfAnother, Flaw::UseRefersToAnother, Flaw::WithheldUseOfAnother]
            .iter()
            .any(|flaw| self.has(*flaw));
        let twice = self.has(Flaw::TokenUsedTwice) || self.has(Flaw::WithheldUseTwice);
        let times = u64::from(one_more) + if twice { 2 } else { self.dice.below(2) };
        for _ in 0..times {
            let jti = if self.has(Flaw::TokenUseOfAnother) { json!("other") } else { claims["jti"].clone() };
            let payload = json!({
                "jti": jti, "intent_id": story.intent["id"], "intent_hash": story.intent["hash"], "audience": "billing",
            });
            let mut refs = refs(kind::TOKEN_USED, &payload);
            if self.has(Flaw::UseRefersToAnother) || self.has(Flaw::WithheldUseOfAnother) {
                refs["token"] = "other".into();
            }
            self.append_with(kind::TOKEN_USED, &refs, payload);
        }
    }

    fn close(&mut self, story: &Story) {
        let mut intent_id = story.intent["id"].clone();
        if self.has(Flaw::ResultOfAnother) {
            intent_id = "other".into();
        } else if self.dice.one_in(2) {
            return;
        }
        let digest = Hex(self.dice.bytes::<32>());
        let payload =
            json!({"intent_id": intent_id, "intent_hash": story.intent["hash"], "result_digest": digest});
        self.append(kind::CLOSED, payload);
    }

    /// Fills the sections from the entries, as an exporter does.
    fn cut(&mut self, story: &Story, with_token: bool, jws: Option<Jws>) -> Bundle {
        let mut bundle = Bundle {
            format: FORMAT.to_owned(),
            organization: Organization { id: self.record.org, slug: None },
            intent: Some(story.intent.clone()),
            principal: None,
            decision: None,
            approvals: Vec::new(),
            token: None,
            result_digest: None,
            entries: Vec::new(),
            checkpoint: self.keys.trusted.sign(&self.record.checkpoint("chancery.example")).unwrap(),
            keys: Vec::new(),
        };
        for seq in &self.chosen {
            let mut entry = self.record.entry(*seq);
            let payload = entry.payload.clone().unwrap();
            match self.record.kind(*seq) {
                kind::GRANTED | kind::REJECTED => bundle.approvals.push(payload),
                kind::CLOSED => bundle.result_digest = payload["result_digest"].as_str().map(str::to_owned),
                kind::ALLOWED | kind::ESCALATED | kind::DENIED => {
                    bundle.principal = Some(payload["principal"].clone());
                    bundle.decision = Some(payload["decision"].clone());
                    bundle.token =
                        with_token.then(|| Token { claims: payload["token"].clone(), jws: jws.clone() });
                }
                "agent.created" if self.dice.one_in(3) => (entry.payload, entry.salt) = (None, None),
                kind::TOKEN_USED
                    if self.has(Flaw::WithheldUseTwice) || self.has(Flaw::WithheldUseOfAnother) =>
                {
                    (entry.payload, entry.salt) = (None, None);
                }
                _ => {}
            }
            bundle.entries.push(entry);
        }
        bundle
    }
}

fn sign_jws(key: &SigningKey, header: &Value, claims: &Value) -> Jws {
    let [protected, payload] = [header, claims].map(|part| BASE64URL.encode(ijson::canonical(part).unwrap()));
    let signature = BASE64URL.encode(key.sign(format!("{protected}.{payload}").as_bytes()).unwrap());
    Jws { protected, payload, signature }
}

/// Destroys the payloads that belong to the intent, as shredding its subject does.
fn shred_opening(bundle: &mut Bundle) {
    let kept = [kind::ORG_CREATED, kind::KEY_CREATED];
    for entry in &mut bundle.entries {
        if !kept.iter().any(|kind| entry.leaf.contains(&format!("\"type\":\"{kind}\""))) {
            (entry.payload, entry.salt) = (None, None);
        }
    }
    (bundle.intent, bundle.principal, bundle.decision) = (None, None, None);
    (bundle.token, bundle.result_digest) = (None, None);
    bundle.approvals.clear();
    bundle.keys.clear();
}
