//! What the bundle tells its reader, against the payloads in its entries.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::PublicKey;
use serde_json::Value;

use super::entries::Read;
use crate::bundle::kind;
use crate::{Bundle, Finding, Hex, intent_hash, token};

/// What the opening entry says.
pub(super) struct Opening<'a> {
    pub(super) effect: &'static str,
    pub(super) intent: Option<&'a str>,
    pub(super) token_id: Option<&'a str>,
    pub(super) used: Option<u64>,
}

/// The effect of an opening entry, by its type.
fn effect(kind: &str) -> Option<&'static str> {
    match kind {
        kind::ALLOWED => Some("allow"),
        kind::ESCALATED => Some("escalate"),
        kind::DENIED => Some("deny"),
        _ => None,
    }
}

struct Sections<'a, 'f> {
    bundle: &'a Bundle,
    entries: &'a [Read<'a>],
    findings: &'f mut Vec<Finding>,
}

/// Checks every section; `None` when no entry opens the intent.
pub(super) fn check<'a>(
    bundle: &'a Bundle,
    entries: &'a [Read<'a>],
    findings: &mut Vec<Finding>,
) -> Option<Opening<'a>> {
    let mut sections = Sections { bundle, entries, findings };
    sections.organization();
    let keys = sections.keys();
    let mut openings = entries.iter().filter_map(|entry| Some((entry, effect(&entry.kind)?)));
    let (Some((opening, effect)), None) = (openings.next(), openings.next()) else {
        sections.require(false, "opening", "expected one entry that opens an intent");
        return None;
    };
    sections.refs(opening);
    // From the leaves: whoever gives the bundle can keep payloads back, and a use is not to be hidden.
    let used = sections.once(kind::TOKEN_USED);
    sections.once(kind::CLOSED);
    let token_id = opening.refs.get(TOKEN).map(String::as_str);
    let Some(payload) = opening.payload else {
        sections.shredded();
        return Some(Opening { effect, intent: None, token_id, used });
    };
    let intent = sections.intent(payload);
    sections.decision(payload, effect);
    sections.token(payload, effect, &keys);
    sections.uses(intent.as_ref());
    sections.approvals(intent.as_ref());
    sections.result(intent.as_ref());
    Some(Opening { effect, intent: intent.map(|intent| intent.id), token_id, used })
}

/// The names under which a leaf refers to its intent and token.
const INTENT: &str = "intent";
const TOKEN: &str = "token";

/// What ties another entry to the intent.
struct Intent<'a> {
    id: &'a str,
    hash: &'a str,
}

impl Intent<'_> {
    fn is_named_by(&self, payload: &Value) -> bool {
        text(payload, "intent_id") == Some(self.id) && text(payload, "intent_hash") == Some(self.hash)
    }
}

impl<'a> Sections<'a, '_> {
    fn require(&mut self, holds: bool, code: &'static str, message: &str) {
        if !holds {
            self.findings.push(Finding::new(code, message));
        }
    }

    /// The payloads that are there, of the entries of some types.
    fn payloads(&self, kinds: &'static [&'static str]) -> impl Iterator<Item = &'a Value> + use<'a> {
        let entries = self.entries;
        entries.iter().filter(|entry| kinds.contains(&entry.kind.as_str())).filter_map(|entry| entry.payload)
    }

    fn organization(&mut self) {
        let Some(slug) = self.bundle.organization.slug.as_deref() else { return };
        let proven = self.payloads(&[kind::ORG_CREATED]).any(|payload| text(payload, "slug") == Some(slug));
        self.require(proven, "slug", "no `organization.created` entry proves the slug");
    }

    /// The keys that an entry proves, by their `kid`.
    fn keys(&mut self) -> Vec<(&'a str, PublicKey)> {
        let mut proven: Vec<(&str, PublicKey)> = Vec::new();
        for jwk in &self.bundle.keys {
            let (Some(kid), Ok(key)) = (text(jwk, "kid"), PublicKey::from_jwk(jwk)) else {
                self.require(false, "key-form", "a key is not a public signing key with a `kid`");
                continue;
            };
            let thumbprint = BASE64URL.encode(key.thumbprint());
            let published = self.payloads(&[kind::KEY_CREATED]).any(|payload| {
                payload.get("jwk") == Some(jwk)
                    && text(payload, "kid") == Some(kid)
                    && text(payload, "algorithm") == Some(key.algorithm().as_str())
                    && text(payload, "thumbprint") == Some(&thumbprint)
            });
            self.require(published, "key-unproven", "no `signing_key.created` entry proves a key");
            let new = proven.iter().all(|(known, _)| *known != kid);
            self.require(new, "key-form", "two keys have the same `kid`");
            proven.push((kid, key));
        }
        proven
    }

    /// What the leaves refer to, with or without payloads: all to one intent and one token, and the
    /// opening's to those that its payload tells of.
    fn refs(&mut self, opening: &Read<'_>) {
        let of = |name: &str| opening.refs.get(name).map(String::as_str);
        let right = opening.payload.is_none_or(|payload| {
            let id = |member: &str, name: &str| payload.get(member).and_then(|value| text(value, name));
            of(INTENT) == id("intent", "id")
                && of("principal") == id("principal", "id")
                && of(TOKEN) == id("token", "jti")
        });
        self.require(
            right && of(INTENT).is_some(),
            "refs",
            "the opening entry's leaf does not refer to what its payload tells of",
        );
        let entries = self.entries;
        for entry in entries {
            let refers = |name: &str, must: bool| match entry.refs.get(name) {
                Some(other) => of(name) == Some(other),
                None => !must,
            };
            let about_intent = [kind::GRANTED, kind::REJECTED, kind::TOKEN_USED, kind::CLOSED]
                .contains(&entry.kind.as_str());
            let ours = refers(INTENT, about_intent) && refers(TOKEN, entry.kind == kind::TOKEN_USED);
            self.require(ours, "refs", "an entry's leaf refers to another intent or token");
        }
    }

    /// The entry of a type that there is at most one of.
    fn once(&mut self, kind: &str) -> Option<u64> {
        let mut found = self.entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.seq);
        let (first, second) = (found.next(), found.next());
        self.require(second.is_none(), "once", "a token was used, or an intent closed, more than once");
        first
    }

    /// Without the opening payload there is nothing to hold a section against.
    fn shredded(&mut self) {
        let Bundle { intent, principal, decision, approvals, token, result_digest, .. } = self.bundle;
        let silent = intent.is_none() && principal.is_none() && decision.is_none() && token.is_none();
        self.require(
            silent && approvals.is_empty() && result_digest.is_none(),
            "shredded",
            "a section is filled though the opening entry's payload was shredded",
        );
    }

    fn intent(&mut self, payload: &'a Value) -> Option<Intent<'a>> {
        let same = |section: &Option<Value>, name| {
            section.as_ref().is_some_and(|section| section.is_object() && payload.get(name) == Some(section))
        };
        self.require(same(&self.bundle.intent, "intent"), "intent", "the intent is not that of the record");
        self.require(
            same(&self.bundle.principal, "principal"),
            "principal",
            "the principal is not that of the record",
        );
        let intent = payload.get("intent")?;
        let canonical = intent.get("canonical").filter(|canonical| is_canonical_form(canonical));
        let (Some(id), Some(_), Some(canonical), Some(hash)) =
            (text(intent, "id"), text(intent, "correlation_id"), canonical, text(intent, "hash"))
        else {
            self.require(false, "intent-form", "the intent lacks an id, a hash or its canonical form");
            return None;
        };
        let right = intent_hash(canonical).is_ok_and(|right| Hex(right).to_string() == hash);
        self.require(right, "intent-hash", "the intent's hash is not that of its canonical form");
        Some(Intent { id, hash })
    }

    fn decision(&mut self, payload: &Value, effect: &str) {
        let decision = self.bundle.decision.as_ref();
        let same = decision.is_some() && payload.get("decision") == decision;
        self.require(same, "decision", "the decision is not that of the record");
        let stated = payload.get("decision").and_then(|decision| text(decision, "effect"));
        self.require(
            stated == Some(effect),
            "effect",
            "the decision's effect is not that of its entry's type",
        );
    }

    fn token(&mut self, payload: &Value, effect: &str, keys: &[(&str, PublicKey)]) {
        let recorded = payload.get("token").filter(|token| !token.is_null());
        let Some(token) = &self.bundle.token else {
            self.require(recorded.is_none(), "token", "the record has a token that is not in the bundle");
            return;
        };
        self.require(
            recorded == Some(&token.claims),
            "token",
            "the token's claims are not those of the record",
        );
        self.require(effect == "allow", "token", "a token for an intent that was not allowed");
        let intent = payload.get("intent");
        let names = |claim: &str, member: &str| {
            let said = text(&token.claims, claim);
            said.is_some() && said == intent.and_then(|intent| text(intent, member))
        };
        let org = self.bundle.organization.id.to_string();
        let bound = names("intent_id", "id")
            && names("intent_hash", "hash")
            && text(&token.claims, "org") == Some(&org)
            && text(&token.claims, "jti").is_some();
        self.require(bound, "token-binding", "the token is not for this intent of this organization");
        if let Some(Err(reason)) = token.jws.as_ref().map(|jws| token::check(jws, &token.claims, keys)) {
            self.require(false, "token-signature", reason);
        }
    }

    fn uses(&mut self, intent: Option<&Intent<'_>>) {
        let claims = self.bundle.token.as_ref().map(|token| &token.claims);
        for payload in self.payloads(&[kind::TOKEN_USED]) {
            let fits = claims.is_some_and(|claims| {
                intent.is_some_and(|intent| intent.is_named_by(payload))
                    && text(payload, "jti") == text(claims, "jti")
                    && text(payload, "audience").is_some()
                    && payload.get("audience") == claims.get("aud")
            });
            self.require(fits, "token-use", "an entry tells of the use of another token");
        }
    }

    fn approvals(&mut self, intent: Option<&Intent<'_>>) {
        let recorded: Vec<_> = self.payloads(&[kind::GRANTED, kind::REJECTED]).collect();
        let same = recorded.iter().copied().eq(&self.bundle.approvals);
        self.require(same, "approvals", "the approvals are not those of the record");
        let ours = recorded.iter().all(|payload| intent.is_some_and(|intent| intent.is_named_by(payload)));
        self.require(ours, "approvals", "an approval is of another intent");
    }

    fn result(&mut self, intent: Option<&Intent<'_>>) {
        let closed: Vec<_> = self.payloads(&[kind::CLOSED]).collect();
        let ours = closed.iter().all(|payload| intent.is_some_and(|intent| intent.is_named_by(payload)));
        self.require(ours, "result", "the entry that closes it is of another intent");
        let recorded = closed.first().and_then(|payload| text(payload, "result_digest"));
        let same = recorded == self.bundle.result_digest.as_deref();
        self.require(same, "result", "the result's digest is not that of the record");
    }
}

/// `{"v":1,"action","resource":{"id","type"},"arguments"}` and nothing else.
fn is_canonical_form(value: &Value) -> bool {
    let only = |value: &Value, names: &[&str]| {
        value.as_object().is_some_and(|members| {
            members.len() == names.len() && names.iter().all(|name| members.contains_key(*name))
        })
    };
    let Some(resource) = value.get("resource") else { return false };
    only(value, &["v", "action", "resource", "arguments"])
        && only(resource, &["id", "type"])
        && value.get("v").and_then(Value::as_u64) == Some(1)
        && value.get("arguments").is_some_and(Value::is_object)
        && [text(value, "action"), text(resource, "id"), text(resource, "type")].iter().all(Option::is_some)
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}
