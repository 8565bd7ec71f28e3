//! What follows on an intent: people's answers, the second decision, the use of the token, the call.

use chancery_model::{KeyId, MemberId};
use serde_json::{Value, json};

use super::opening::CONNECTOR;
use super::plan::{End, Plan};
use super::record::refs;
use super::{Flaw, Maker, Story};
use crate::Hex;
use crate::bundle::{OUTCOMES, kind};

impl Story {
    /// A payload that names the intent, with more members.
    fn about(&self, more: Value) -> Value {
        let mut payload = more;
        payload["intent_id"] = self.opening["intent"]["id"].clone();
        payload["intent_hash"] = self.opening["intent"]["hash"].clone();
        payload
    }
}

impl Maker<'_> {
    /// Asks people, if the intent is escalated, and decides on it again.
    pub(super) fn ask(&mut self, plan: &Plan, story: &mut Story, jwk: &Value) {
        if self.has(Flaw::ReleasedUnasked) {
            self.release(plan, story, jwk);
        }
        if plan.effect != "escalate" {
            return;
        }
        if self.has(Flaw::ReleasedEarly) {
            self.release(plan, story, jwk);
        }
        self.answers(plan, story);
        self.noise();
        if [End::Approved, End::Released].contains(&plan.end) && (self.flaw.is_some() || self.dice.one_in(3))
        {
            self.deny_again(story, jwk);
        }
        if plan.end == End::Released && !self.has(Flaw::ReleasedEarly) {
            self.release(plan, story, jwk);
        }
        if self.has(Flaw::ReleasedTwice) {
            self.release(plan, story, jwk);
        }
    }

    fn answers(&mut self, plan: &Plan, story: &Story) {
        let roles = match plan.people() {
            people if people.is_empty() => vec!["approver"],
            people => people,
        };
        let mut people: Vec<(Value, &str)> = roles.iter().map(|role| (self.member(), *role)).collect();
        if self.dice.one_in(3) {
            // Somebody changes their mind, and perhaps changes it again.
            let (who, role) = people[0].clone();
            self.answer(kind::GRANTED, story, &who, role);
            self.answer(kind::WITHDRAWN, story, &who, role);
        }
        let few = [Flaw::TooFew, Flaw::WithheldTooFew].iter().any(|flaw| self.has(*flaw));
        if few || [End::Pending, End::Rejected, End::Expired].contains(&plan.end) {
            let _ = people.pop();
        }
        if self.has(Flaw::OnePersonTwice) {
            people[1].0 = people[0].0.clone();
        }
        if self.has(Flaw::LowerRole) {
            people.iter_mut().for_each(|person| person.1 = "approver");
        }
        for (who, role) in &people {
            self.answer(kind::GRANTED, story, who, role);
        }
        match plan.end {
            End::Rejected => {
                let other = self.member();
                self.answer(kind::REJECTED, story, &other, "approver");
            }
            End::Cancelled => {
                self.append(kind::CANCELLED, story.about(json!({"reason": "no longer needed"})))
            }
            End::Expired => self.append(kind::EXPIRED, story.about(json!({"expires_at": "then"}))),
            End::Pending | End::Approved | End::Released => {}
        }
        self.wrong_answers(story, &people);
    }

    fn wrong_answers(&mut self, story: &Story, people: &[(Value, &str)]) {
        let other = self.member();
        match self.flaw {
            Some(Flaw::TakenBack) => self.answer(kind::WITHDRAWN, story, &people[1].0, people[1].1),
            Some(Flaw::ReleasedAfterEnd) => match self.dice.below(3) {
                0 => self.answer(kind::REJECTED, story, &other, "approver"),
                1 => self.append(kind::CANCELLED, story.about(json!({}))),
                _ => self.append(kind::EXPIRED, story.about(json!({}))),
            },
            Some(flaw @ (Flaw::ApprovalOfAnother | Flaw::ApprovalOfAnotherHash)) => {
                let member = if flaw == Flaw::ApprovalOfAnother { "intent_id" } else { "intent_hash" };
                let mut payload = story.about(json!({"approver": {"id": other, "role": "admin"}}));
                payload[member] = "other".into();
                self.append(kind::GRANTED, payload);
            }
            Some(Flaw::AnswerRefersToAnother) => {
                let payload = story.about(json!({"approver": {"id": other, "role": "admin"}}));
                let mut refs = refs(kind::GRANTED, &payload);
                refs["member"] = "other".into();
                let _ = self.append_with(kind::GRANTED, &refs, payload);
            }
            _ => {}
        }
    }

    fn member(&mut self) -> Value {
        json!(MemberId::new(self.dice.time(), self.dice.entropy()))
    }

    fn answer(&mut self, kind: &str, story: &Story, who: &Value, role: &str) {
        let key = KeyId::new(self.dice.time(), self.dice.entropy());
        let mut payload =
            story.about(json!({"approver": {"id": who, "key_id": key}, "reason": self.dice.text()}));
        if kind != kind::WITHDRAWN {
            payload["approver"]["role"] = role.into();
        }
        self.append(kind, payload);
    }

    fn again(&mut self, story: &Story, effect: &str) -> Value {
        story.about(json!({
            "decision": self.decision(effect), "escalated_seq": story.seq,
            "key_id": story.opening["key_id"], "principal": story.opening["principal"], "token": null,
        }))
    }

    /// People agreed, and it is refused all the same.
    fn deny_again(&mut self, story: &mut Story, jwk: &Value) {
        let effect =
            if self.has(Flaw::DeniedAgainEffect) { "allow" } else { *self.dice.pick(&["deny", "escalate"]) };
        let mut payload = self.again(story, effect);
        if self.has(Flaw::DeniedAgainWithToken) {
            let at = self.dice.time();
            payload["token"] = json!(self.mint(&story.opening["intent"], jwk, at).0);
        }
        if self.has(Flaw::DeniedAgainWithCall) {
            payload["execution"] = json!({"connector": CONNECTOR});
        }
        self.append(kind::RELEASE_DENIED, payload);
    }

    fn release(&mut self, plan: &Plan, story: &mut Story, jwk: &Value) {
        let mut payload =
            self.again(story, if self.has(Flaw::ReleasedEffect) { "escalate" } else { "allow" });
        self.give(plan.gives, story, &mut payload, jwk);
        match self.flaw {
            Some(Flaw::ReleasedOfAnother) => payload["intent_hash"] = "other".into(),
            Some(Flaw::ReleasedElsewhere) => payload["escalated_seq"] = json!(story.seq + 1),
            Some(Flaw::ReleasedForAnother) => payload["principal"]["id"] = self.member(),
            _ => {}
        }
        let mut refs = refs(kind::RELEASED, &payload);
        if self.has(Flaw::ReleasedRefersToNoToken) {
            refs.as_object_mut().unwrap().remove("token");
        }
        self.forestall(story);
        let _ = self.append_with(kind::RELEASED, &refs, payload);
    }

    /// Tells of what can only follow on the entry that is appended next.
    pub(super) fn forestall(&mut self, story: &Story) {
        if self.has(Flaw::UsedEarly) {
            self.use_token(story);
        }
        if self.has(Flaw::ClosedEarly) {
            self.append_closing(story);
        }
    }

    pub(super) fn redeem(&mut self, story: &Story) {
        if story.token.is_none() || self.has(Flaw::UsedEarly) {
            return;
        }
        let one_more = [Flaw::TokenUseOfAnother, Flaw::UseRefersToAnother, Flaw::WithheldUseOfAnother];
        let twice = self.has(Flaw::TokenUsedTwice) || self.has(Flaw::WithheldUseTwice);
        let one_more = one_more.iter().any(|flaw| self.has(*flaw));
        for _ in 0..u64::from(one_more) + if twice { 2 } else { self.dice.below(2) } {
            self.use_token(story);
        }
    }

    fn use_token(&mut self, story: &Story) {
        let Some((claims, _)) = &story.token else { return };
        let jti = if self.has(Flaw::TokenUseOfAnother) { json!("other") } else { claims["jti"].clone() };
        let payload = story.about(json!({"jti": jti, "audience": "billing"}));
        let mut refs = refs(kind::TOKEN_USED, &payload);
        if self.has(Flaw::UseRefersToAnother) || self.has(Flaw::WithheldUseOfAnother) {
            refs["token"] = "other".into();
        }
        let _ = self.append_with(kind::TOKEN_USED, &refs, payload);
    }

    pub(super) fn close(&mut self, story: &Story) {
        let forced = [
            Flaw::ResultOfAnother,
            Flaw::ResultWithoutOutcome,
            Flaw::ClosedTwice,
            Flaw::ClosedAsAnother,
            Flaw::ClosedUnopened,
        ];
        let forced = forced.iter().any(|flaw| self.has(*flaw));
        if !forced && (!story.called || self.has(Flaw::ClosedEarly) || self.dice.one_in(3)) {
            return;
        }
        for _ in 0..=u64::from(self.has(Flaw::ClosedTwice)) {
            self.append_closing(story);
        }
    }

    fn append_closing(&mut self, story: &Story) {
        let mut payload = story.about(json!({"outcome": self.dice.pick(&OUTCOMES)}));
        if self.dice.one_in(2) {
            payload["result_digest"] = json!(Hex(self.dice.bytes::<32>()));
        }
        if self.dice.one_in(2) {
            payload["connector"] = CONNECTOR.into();
        }
        match self.flaw {
            Some(Flaw::ResultOfAnother) => payload["intent_id"] = "other".into(),
            Some(Flaw::ResultWithoutOutcome) => payload["outcome"] = "splendid".into(),
            Some(Flaw::ClosedAsAnother) => payload["connector"] = "another".into(),
            _ => {}
        }
        self.append(kind::CLOSED, payload);
    }
}
