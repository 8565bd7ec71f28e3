//! The entry that opens an intent, and the token.

use base64::Engine as _;
use chancery_model::{CorrelationId, IntentId, Timestamp, TokenId};
use serde_json::{Value, json};

use super::plan::{Gives, Plan};
use super::record::refs;
use super::{BASE64URL, Flaw, Maker, Minted, Story, ed25519, sign_jws};
use crate::bundle::kind;
use crate::{Hex, intent_hash, public_claims};

/// What calls go through.
pub(super) const CONNECTOR: &str = "bank";

impl Maker<'_> {
    pub(super) fn open(&mut self, plan: &Plan, jwk: &Value) -> Story {
        let mut payload = self.opening(plan.effect);
        payload["decision"]["requirements"] = plan.requirements.clone();
        let mut story = Story { opening: payload.clone(), seq: 0, token: None, called: false };
        let kind = match plan.effect {
            "allow" => {
                self.give(plan.gives, &mut story, &mut payload, jwk);
                kind::ALLOWED
            }
            "escalate" => kind::ESCALATED,
            _ => kind::DENIED,
        };
        if self.has(Flaw::Effect) {
            payload["decision"]["effect"] = "deny".into();
        }
        let mut refs = refs(kind, &payload);
        if self.has(Flaw::OpeningRefersToAnother) {
            refs["intent"] = "other".into();
        }
        if self.has(Flaw::OpeningRefersToNoToken) {
            refs.as_object_mut().unwrap().remove("token");
        }
        if kind == kind::ALLOWED {
            self.forestall(&story);
        }
        story.seq = self.append_with(kind, &refs, payload);
        story
    }

    /// Writes into the payload that allows an intent what it is allowed for.
    pub(super) fn give(&mut self, gives: Gives, story: &mut Story, payload: &mut Value, jwk: &Value) {
        if gives == Gives::Token {
            let at = self.dice.time();
            let minted = self.mint(&story.opening["intent"], jwk, at);
            payload["token"] = json!(minted.0);
            story.token = Some(minted);
        }
        if gives == Gives::Call || self.has(Flaw::CalledWithToken) {
            payload["execution"] = json!({"connector": CONNECTOR});
            story.called = true;
        }
    }

    /// An opening payload that gives nothing.
    pub(super) fn opening(&mut self, effect: &str) -> Value {
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
        json!({
            "intent": intent, "principal": {"type": "agent", "id": IntentId::new(at, self.dice.entropy())},
            "key_id": IntentId::new(at, self.dice.entropy()), "decision": self.decision(effect), "token": null,
        })
    }

    pub(super) fn decision(&mut self, effect: &str) -> Value {
        json!({
            "effect": effect, "reasons": [{"code": "policy", "message": self.dice.text()}],
            "risk": {"score": self.dice.below(100), "factors": []}, "gates": [], "requirements": [],
            "policies": [{"id": "p", "name": "n", "version": 3, "layer": "organization"}], "schema_hash": "00",
        })
    }

    pub(super) fn mint(&mut self, intent: &Value, jwk: &Value, at: Timestamp) -> Minted {
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
}
