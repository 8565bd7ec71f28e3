//! What the bundle tells its reader, against the payloads in its entries.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::PublicKey;
use serde_json::Value;

use super::entries::Read;
use super::story::Story;
use super::{people, text};
use crate::bundle::{CallResult, OUTCOMES, kind};
use crate::{Bundle, Finding, Hex, intent_hash, token};

/// What the entries say of the intent.
pub(super) struct Proven<'a> {
    pub(super) story: Story<'a>,
    /// Its id; `None` without the opening payload.
    pub(super) intent: Option<&'a str>,
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
) -> Option<Proven<'a>> {
    let mut sections = Sections { bundle, entries, findings };
    sections.organization();
    let keys = sections.keys();
    let story = Story::read(entries, sections.findings)?;
    let Some(payload) = story.opening.payload else {
        sections.shredded();
        return Some(Proven { story, intent: None });
    };
    let intent = sections.intent(payload);
    sections.decision(payload);
    sections.effects();
    sections.approvals(intent.as_ref());
    sections.again(&story, payload, intent.as_ref());
    sections.execution(&story);
    sections.token(&story, payload, &keys);
    sections.uses(&story, intent.as_ref());
    sections.result(intent.as_ref());
    Some(Proven { story, intent: intent.map(|intent| intent.id) })
}

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

/// A member that is there and not null.
fn member<'a>(payload: &'a Value, name: &str) -> Option<&'a Value> {
    payload.get(name).filter(|value| !value.is_null())
}

impl<'a> Sections<'a, '_> {
    fn require(&mut self, holds: bool, code: &'static str, message: &str) {
        if !holds {
            self.findings.push(Finding::new(code, message));
        }
    }

    /// The entries of some types that have their payload.
    fn opened<F: Fn(&str) -> bool>(
        &self,
        wanted: F,
    ) -> impl Iterator<Item = (&'a Read<'a>, &'a Value)> + use<'a, F> {
        let entries = self.entries.iter().filter(move |entry| wanted(&entry.kind));
        entries.filter_map(|entry| Some((entry, entry.payload?)))
    }

    /// The payloads that are there, of the entries of a type.
    fn payloads(&self, kind: &'static str) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.opened(move |it| it == kind).map(|(_, payload)| payload)
    }

    fn organization(&mut self) {
        let Some(slug) = self.bundle.organization.slug.as_deref() else { return };
        let proven = self.payloads(kind::ORG_CREATED).any(|payload| text(payload, "slug") == Some(slug));
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
            let published = self.payloads(kind::KEY_CREATED).any(|payload| {
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

    /// Without the opening payload there is nothing to hold a section against.
    fn shredded(&mut self) {
        let Bundle { intent, principal, decision, approvals, released, execution, token, result, .. } =
            self.bundle;
        let filled = [intent, principal, decision, released, execution].into_iter().any(Option::is_some);
        self.require(
            !filled && approvals.is_empty() && token.is_none() && result.is_none(),
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
        let intent = payload.get("intent");
        let part = |name| intent.and_then(|intent| text(intent, name));
        let canonical = intent.and_then(|intent| intent.get("canonical"));
        let canonical = canonical.filter(|canonical| is_canonical_form(canonical));
        let (Some(id), Some(_), Some(canonical), Some(hash)) =
            (part("id"), part("correlation_id"), canonical, part("hash"))
        else {
            self.require(false, "intent-form", "the intent lacks an id, a hash or its canonical form");
            return None;
        };
        let right = intent_hash(canonical).is_ok_and(|right| Hex(right).to_string() == hash);
        self.require(right, "intent-hash", "the intent's hash is not that of its canonical form");
        Some(Intent { id, hash })
    }

    fn decision(&mut self, payload: &Value) {
        let decision = self.bundle.decision.as_ref();
        let same = decision.is_some() && payload.get("decision") == decision;
        self.require(same, "decision", "the decision is not that of the record");
    }

    /// What was decided, against the type of each entry that says so.
    fn effects(&mut self) {
        let is_right = |(entry, payload): (&Read<'_>, &Value)| {
            let effect = payload.get("decision").and_then(|decision| text(decision, "effect"));
            match entry.kind.as_str() {
                kind::ALLOWED | kind::RELEASED => effect == Some("allow"),
                kind::ESCALATED => effect == Some("escalate"),
                kind::DENIED => effect == Some("deny"),
                kind::RELEASE_DENIED => matches!(effect, Some("escalate" | "deny")),
                _ => true,
            }
        };
        let right = self.opened(|_| true).all(is_right);
        self.require(right, "effect", "a decision's effect is not that of its entry's type");
    }

    fn approvals(&mut self, intent: Option<&Intent<'_>>) {
        let recorded = || self.opened(kind::is_approval);
        let said = self.bundle.approvals.iter().map(|it| (it.seq, it.kind.as_str(), &it.payload));
        let same = recorded().map(|(entry, payload)| (entry.seq, entry.kind.as_str(), payload)).eq(said);
        let ours = recorded().all(|(_, payload)| intent.is_some_and(|intent| intent.is_named_by(payload)));
        self.require(same, "approvals", "the approvals are not those of the record");
        self.require(ours, "approvals", "an approval is of another intent");
    }

    /// What was decided again, after people agreed to what the opening entry says.
    fn again(&mut self, story: &Story<'a>, opening: &Value, intent: Option<&Intent<'_>>) {
        let is_ours = |payload: &Value| {
            intent.is_some_and(|intent| intent.is_named_by(payload))
                && payload.get("escalated_seq").and_then(Value::as_u64) == Some(story.opening.seq)
                && payload.get("principal") == opening.get("principal")
        };
        let again = |kind: &str| [kind::RELEASED, kind::RELEASE_DENIED].contains(&kind);
        let ours = self.opened(again).all(|(_, payload)| is_ours(payload));
        self.require(ours, "released", "what was decided on again is another intent");
        let released = story.released.and_then(|entry| entry.payload);
        let same = match (released, &self.bundle.released) {
            (Some(payload), Some(shown)) => payload.get("decision") == Some(shown),
            (None, None) => true,
            _ => false,
        };
        self.require(same, "released", "what was decided again is not that of the record");
        let enough = story.released.is_none()
            || people::are_enough(&people::agreed(self.entries), opening.get("decision"));
        self.require(enough, "requirements", "it was released without all the approvals that it required");
    }

    /// The call that the entry that allows the intent opens, and the entry that closes it.
    fn execution(&mut self, story: &Story<'a>) {
        let allowing = story.allowing();
        let opens = |(entry, payload): (&Read<'_>, &Value)| match member(payload, "execution") {
            None => true,
            Some(execution) => {
                let is_allowing = allowing.is_some_and(|it| std::ptr::eq(it, entry));
                let is_only = member(payload, "token").is_none();
                is_allowing && is_only && text(execution, "connector").is_some()
            }
        };
        let right = self.opened(is_decision).all(opens);
        self.require(right, "execution", "a call is opened by an entry that allows none, or with a token");
        let recorded = allowing.and_then(|entry| entry.payload).and_then(|it| member(it, "execution"));
        self.require(
            recorded == self.bundle.execution.as_ref(),
            "execution",
            "the execution is not that of the record",
        );
        let connector = recorded.and_then(|execution| text(execution, "connector"));
        let closes = |closed: &Read<'_>| {
            let is_open = match allowing {
                Some(entry) if entry.payload.is_some() => connector.is_some(),
                Some(_) => story.token().is_none(),
                None => false,
            };
            let said = closed.payload.and_then(|payload| member(payload, "connector"));
            is_open && (said.is_none() || connector.is_none() || said.and_then(Value::as_str) == connector)
        };
        self.require(story.closed.is_none_or(closes), "execution", "what was not opened can't be closed");
    }

    fn token(&mut self, story: &Story<'a>, opening: &Value, keys: &[(&str, PublicKey)]) {
        let allowing = story.allowing();
        let gives = |(entry, payload): (&Read<'_>, &Value)| {
            member(payload, "token").is_none() || allowing.is_some_and(|it| std::ptr::eq(it, entry))
        };
        let right = self.opened(is_decision).all(gives);
        self.require(right, "token", "a token for an intent that was not allowed");
        let recorded = allowing.and_then(|entry| entry.payload).and_then(|it| member(it, "token"));
        let Some(token) = &self.bundle.token else {
            self.require(recorded.is_none(), "token", "the record has a token that is not in the bundle");
            return;
        };
        self.require(
            recorded == Some(&token.claims),
            "token",
            "the token's claims are not those of the record",
        );
        let intent = opening.get("intent");
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

    fn uses(&mut self, story: &Story<'a>, intent: Option<&Intent<'_>>) {
        let claims = self.bundle.token.as_ref().map(|token| &token.claims);
        for payload in self.payloads(kind::TOKEN_USED) {
            let fits = intent.is_some_and(|intent| intent.is_named_by(payload))
                && text(payload, "jti").is_some()
                && text(payload, "jti") == story.token()
                && text(payload, "audience").is_some()
                && claims.is_none_or(|claims| payload.get("audience") == claims.get("aud"));
            self.require(fits, "token-use", "an entry tells of the use of another token");
        }
    }

    fn result(&mut self, intent: Option<&Intent<'_>>) {
        let mut closed = self.payloads(kind::CLOSED);
        let ours = closed.all(|payload| {
            let is_outcome = text(payload, "outcome").is_some_and(|outcome| OUTCOMES.contains(&outcome));
            is_outcome && intent.is_some_and(|intent| intent.is_named_by(payload))
        });
        self.require(ours, "result", "the entry that closes it is of another intent, or tells no outcome");
        let recorded = self.payloads(kind::CLOSED).next().and_then(CallResult::of);
        self.require(recorded == self.bundle.result, "result", "the result is not that of the record");
    }
}

/// Whether an entry of this type has a decision on an intent.
fn is_decision(kind: &str) -> bool {
    [kind::ALLOWED, kind::ESCALATED, kind::DENIED, kind::RELEASED, kind::RELEASE_DENIED].contains(&kind)
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
