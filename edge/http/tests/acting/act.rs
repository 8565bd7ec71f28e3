//! Asking, answering, carrying out.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::model::{Asked, Given, Holder, Intent, Makers, State, Verdict, Wanted};
use super::office::{Office, text};
use crate::support::Answered;

/// What callers were told, and may present again.
#[derive(Default)]
pub(crate) struct Told {
    /// By whom and which idempotency key: what was asked, and which intent it became.
    pub(crate) claims: HashMap<(Holder, usize), (Wanted, String, i64)>,
    pub(crate) tokens: Vec<Token>,
}

pub(crate) struct Token {
    text: String,
    intent: String,
    until: i64,
    redeemed: bool,
}

/// What can keep a caller out before anybody looks at what they ask.
const KEPT_OUT: [&str; 3] = ["insufficient_scope", "api_key_invalid", "member_required"];
/// What can keep a call from being made although it may be.
const NOT_NOW: [&str; 3] = ["not_executable", "connector_unavailable", "connector_busy"];
const CLAIMED_SECONDS: i64 = 23 * 3_600;
const TOKEN_SECONDS: i64 = 300;

fn amount_of(wanted: &Wanted, amount: u32) -> Value {
    json!({"action": wanted.action, "resource": {"type": "Account", "id": wanted.account},
        "arguments": {"amount": amount}})
}

impl Office<'_> {
    /// One of a holder's keys: its text, who made it, and its makers.
    pub(crate) fn key(&self, holder: Holder, key: usize) -> (String, usize, Makers) {
        let keys = &self.keys[&holder];
        let key = &keys[key % keys.len()];
        (key.text.clone(), key.maker, key.makers.clone())
    }

    /// One of the newest intents.
    pub(crate) fn recent(&self, number: usize) -> Option<String> {
        let among = self.model.order.len().min(3);
        (among > 0).then(|| self.model.order[self.model.order.len() - 1 - number % among].clone())
    }

    pub(crate) async fn submit(
        &mut self,
        (holder, key): (Holder, usize),
        wanted: Wanted,
        idempotency: Option<usize>,
    ) -> Answered {
        let (key, maker, makers) = self.key(holder, key);
        let mut body = amount_of(&wanted, wanted.amount);
        body["connector"] = "bank".into();
        match wanted.carry {
            "execute" => body["execute"] = true.into(),
            "none" => body["token"] = false.into(),
            _ => {}
        }
        if let Some(who) = wanted.on_behalf_of {
            body["on_behalf_of"] = self.model.members[who].id.clone().into();
        }
        let now = self.now();
        let verdict = self.model.verdict(holder, &wanted);
        let word = idempotency.map(|number| format!("again-{number}"));
        let answer = self.ask(&key, ("POST", "/api/v1/intents", ""), body, word.as_deref()).await;
        let mut news = self.news().await;
        let claim = idempotency.and_then(|number| self.told.claims.get(&(holder, number)));
        let claim = claim.filter(|(_, _, at)| now - at < CLAIMED_SECONDS);
        if let Some((before, intent, _)) = claim {
            assert!(news.is_empty(), "what was asked before is decided again: {news:?}");
            let id = text(&answer.json(), "/data/id");
            assert!(id.is_empty() || (*before == wanted && id == *intent), "{}", answer.text);
            assert!(!answer.status.is_success() || !id.is_empty(), "{}", answer.text);
            return answer;
        }
        assert!(news.len() <= 2 && (holder != Holder::Stranger || news.is_empty()), "{news:?}");
        if news.is_empty() {
            assert!(!answer.status.is_success(), "nothing stands of it: {}", answer.text);
            return answer;
        }
        let decided = news.remove(0);
        let kind = match &verdict {
            Verdict::Allow => "intent.allowed",
            Verdict::Escalate(_) => "intent.escalated",
            Verdict::Deny => "intent.denied",
        };
        assert_eq!(
            (decided.kind.as_str(), self.model.halted, self.model.paused),
            (kind, false, false),
            "{wanted:?}"
        );
        let calls = verdict == Verdict::Allow && wanted.carry == "execute";
        assert_eq!((decided.executes, news.len()), (calls, usize::from(calls)), "{wanted:?} {news:?}");
        let status = answer.status.as_u16();
        let fits = match (&verdict, calls) {
            (Verdict::Allow, true) => matches!(status, 200 | 502 | 504),
            (Verdict::Allow, false) => status == 200,
            (Verdict::Escalate(_), _) => status == 202,
            (Verdict::Deny, _) => answer.code() == "intent_denied",
        };
        assert!(fits, "{wanted:?} {verdict:?}: {}", answer.text);
        assert_eq!(text(&answer.json(), "/data/id"), decided.intent);
        self.note(holder, (maker, makers), wanted, (verdict, decided.intent), idempotency);
        self.keep_token(&answer);
        answer
    }

    fn note(
        &mut self,
        by: Holder,
        (maker, asked_with): (usize, Makers),
        wanted: Wanted,
        (verdict, id): (Verdict, String),
        idempotency: Option<usize>,
    ) {
        let now = self.now();
        let asker = match by {
            Holder::Member(who) => who,
            _ => self.model.agent.0,
        };
        let behind: BTreeSet<usize> =
            [Some(asker), Some(maker), wanted.on_behalf_of].into_iter().flatten().collect();
        let seconds = if self.model.stricter { 1_800 } else { 3_600 };
        let asked = match verdict {
            Verdict::Escalate(demands) => Some(Asked {
                demands,
                expires_at: now + seconds,
                state: State::Pending,
                given: Vec::new(),
                released: false,
            }),
            _ => None,
        };
        if let Some(number) = idempotency {
            self.told.claims.insert((by, number), (wanted.clone(), id.clone(), now));
        }
        self.model.order.push(id.clone());
        let intent = Intent { id: id.clone(), by, wanted, behind, asked_with, requested_at: now, asked };
        self.model.intents.insert(id, intent);
    }

    fn keep_token(&mut self, answer: &Answered) {
        let (intent, token) = (text(&answer.json(), "/data/id"), text(&answer.json(), "/data/token"));
        if !token.is_empty() {
            let until = self.now() + TOKEN_SECONDS;
            self.told.tokens.push(Token { text: token, intent, until, redeemed: false });
        }
    }

    pub(crate) async fn answer(
        &mut self,
        (holder, key): (Holder, usize),
        id: &str,
        how: &'static str,
    ) -> Answered {
        let (key, _, makers) = self.key(holder, key);
        let route = format!("/api/v1/approvals/{{id}}/{how}");
        let answer = self.ask(&key, ("POST", &route, id), json!({"reason": "x"}), None).await;
        assert!(self.news().await.is_empty(), "an answer decides nothing");
        let (now, code) = (self.now(), answer.code());
        if KEPT_OUT.contains(&code.as_str()) {
            return answer;
        }
        let intent = &self.model.intents[id];
        let (Holder::Member(who), Some(asked)) = (holder, &intent.asked) else {
            assert_eq!(code, "not_found", "{holder:?} {intent:?}");
            return answer;
        };
        let mut agreed = self.model.agreed(intent);
        let answered = asked.given.iter().any(|given| given.who == who);
        let pending = asked.state_at(now) == State::Pending;
        let another = self.model.is_another(intent, who, &makers);
        let is_asked = self.model.is_asked(&asked.demands, who);
        // One is enough to refuse, whoever that is beside those who agreed.
        let apart = how == "reject" || !agreed.iter().any(|one| self.model.are_one(one.who, who));
        let context = || format!("{who} {how} {intent:?} with a key of {makers:?}: {}", answer.text);
        let right = match code.as_str() {
            "" if how == "withdraw" => pending && answered,
            "" => pending && !answered && another && is_asked && apart,
            "self_approval" => !another,
            "approver_required" => !is_asked,
            "approver_not_distinct" => !apart,
            "already_answered" => answered,
            "not_answered" => !answered,
            "approval_ended" => !pending,
            _ => false,
        };
        assert!(right, "{}", context());
        if !code.is_empty() {
            return answer;
        }
        agreed.push(self.model.voice(who));
        let state = match (how, text(&answer.json(), "/data/status").as_str()) {
            ("reject", "rejected") => State::Rejected,
            ("withdraw", "pending") => State::Pending,
            ("approve", status) => {
                let enough = self.model.suffices(&agreed, &asked.demands);
                assert_eq!(status, if enough { "approved" } else { "pending" }, "{}", context());
                if enough { State::Approved { until: now + 3_600 } } else { State::Pending }
            }
            _ => panic!("{}", context()),
        };
        let asked = self.model.intents.get_mut(id).unwrap().asked.as_mut().unwrap();
        asked.given.retain(|given| given.who != who);
        if how != "withdraw" {
            asked.given.push(Given { who, key_makers: makers, at: now, agrees: how == "approve" });
        }
        asked.state = state;
        answer
    }

    pub(crate) async fn cancel(&mut self, holder: Holder, id: &str) {
        let (key, ..) = self.key(holder, 0);
        let route = ("POST", "/api/v1/intents/{id}/cancel", id);
        let answer = self.ask(&key, route, json!({"reason": "x"}), None).await;
        assert!(self.news().await.is_empty());
        let now = self.now();
        if !answer.status.is_success() {
            return;
        }
        let intent = self.model.intents.get_mut(id).unwrap();
        assert_eq!(intent.by, holder);
        let asked = intent.asked.as_mut().unwrap();
        assert!(matches!(asked.state_at(now), State::Pending | State::Approved { .. }) && !asked.released);
        asked.state = State::Cancelled;
    }

    pub(crate) async fn release(
        &mut self,
        (holder, key): (Holder, usize),
        id: &str,
        carry: &str,
        change: usize,
    ) -> Answered {
        let (key, ..) = self.key(holder, key);
        let (now, intent) = (self.now(), &self.model.intents[id]);
        let mut sent = amount_of(&intent.wanted, intent.wanted.amount);
        match change {
            0 => sent["arguments"]["amount"] = 99.into(),
            1 => sent["action"] = "bank.other".into(),
            2 => sent["resource"]["id"] = "another".into(),
            3 => {}
            _ => sent = json!({}),
        }
        let may = self.model.may_release(intent, holder, now);
        let before = intent.asked.as_ref().is_some_and(|asked| asked.released);
        let own = intent.by == holder;
        let route = format!("/api/v1/intents/{{id}}/{carry}");
        let answer = self.ask(&key, ("POST", &route, id), sent, None).await;
        let news = self.news().await;
        let context = format!("{holder:?} {carry} {change} {:?}: {}", self.model.intents[id], answer.text);
        let released = news.iter().find(|news| news.kind == "intent.released");
        if let Some(released) = released {
            assert_eq!(may, Ok(()), "{context}");
            assert!(
                change > 2 && released.intent == id && released.executes == (carry == "execute"),
                "{context}"
            );
            self.model.intents.get_mut(id).unwrap().asked.as_mut().unwrap().released = true;
            self.keep_token(&answer);
            return answer;
        }
        assert!(
            news.iter().all(|news| news.kind == "intent.release_denied" && news.intent == id),
            "{news:?}"
        );
        if answer.status.is_success() {
            assert!(before && own && change > 2, "{context}");
            let token = text(&answer.json(), "/data/token");
            let told = self.told.tokens.iter().any(|one| one.intent == id && one.text == token);
            assert!(carry == "execute" || told, "another token: {context}");
        } else if may.is_ok() && change > 2 {
            let code = answer.code();
            let known = KEPT_OUT.iter().chain(&NOT_NOW).any(|known| *known == code);
            assert!(known, "what people agreed to is not carried out: {context}");
        }
        answer
    }

    pub(crate) async fn redeem(&mut self, number: usize, change: bool) -> Option<Answered> {
        let among = self.told.tokens.len().min(3);
        if among == 0 {
            return None;
        }
        let at = self.told.tokens.len() - 1 - number % among;
        let Token { text, intent, until, redeemed } = &self.told.tokens[at];
        let wanted = &self.model.intents[intent].wanted;
        let mut body = amount_of(wanted, wanted.amount + u32::from(change));
        body["token"] = text.as_str().into();
        let answer = self.ask(&self.redeemer, ("POST", "/api/v1/tokens/verify", ""), body, None).await;
        let good = !redeemed && !change && self.now() < *until && !self.model.halted && !self.model.paused;
        assert_eq!(answer.status.is_success(), good, "{intent} {}", answer.text);
        if good {
            self.told.tokens[at].redeemed = true;
        }
        assert!(self.news().await.is_empty());
        Some(answer)
    }
}
