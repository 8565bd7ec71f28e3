//! What changes around intents, and choosing who does what.

use http::StatusCode;
use serde_json::{Value, json};

use super::model::{Holder, Wanted};
use super::office::{ACCOUNTS, ACTIONS, Definition, Office, text};
use super::steps::Step;
use crate::support::Answered;
use crate::support::upstream::Behaviour;

const ROLES: [&str; 4] = ["viewer", "operator", "approver", "admin"];
const ASKING: [Holder; 8] = [
    Holder::Agent,
    Holder::Agent,
    Holder::Agent,
    Holder::Agent,
    Holder::Agent,
    Holder::Member(4),
    Holder::Member(1),
    Holder::Stranger,
];
const ANSWERING: [Holder; 11] = [
    Holder::Member(2),
    Holder::Member(3),
    Holder::Member(4),
    Holder::Member(5),
    Holder::Member(2),
    Holder::Member(3),
    Holder::Member(0),
    Holder::Member(1),
    Holder::Member(6),
    Holder::Agent,
    Holder::Stranger,
];
const HOW: [&str; 10] = [
    "approve", "approve", "approve", "approve", "approve", "approve", "approve", "approve", "reject",
    "withdraw",
];
/// Who governs, or tries to.
const GOVERNING: [usize; 5] = [0, 4, 0, 1, 5];
const REASON: fn() -> Value = || json!({"reason": "x"});

impl Office<'_> {
    pub(crate) async fn run(&mut self, steps: &[Step]) {
        for step in steps {
            self.world.clock.advance_seconds(3);
            self.step(step).await;
            self.examine_calls();
        }
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Submit { actor, key, action, carry, account, amount, idempotency, behalf } => {
                let wanted = Wanted {
                    action: [ACTIONS[0], ACTIONS[0], ACTIONS[0], ACTIONS[1], ACTIONS[2], ACTIONS[3]]
                        [action % 6],
                    account: ACCOUNTS[account % 2],
                    amount,
                    on_behalf_of: behalf.map(|who| [0, 4, 1][who % 3]),
                    carry: ["execute", "execute", "token", "none"][carry % 4],
                };
                self.submit((ASKING[actor % 8], key), wanted, idempotency).await;
            }
            Step::Answer { actor, key, intent, how } => {
                if let Some(id) = self.recent(intent) {
                    self.answer((ANSWERING[actor % 11], key), &id, HOW[how % 10]).await;
                }
            }
            Step::Cancel { actor, intent } => {
                if let Some(id) = self.recent(intent) {
                    self.cancel(ASKING[actor % 8], &id).await;
                }
            }
            Step::Release { actor, key, intent, carry, change } => {
                if let Some(id) = self.recent(intent) {
                    let holder = if actor % 4 == 0 { ASKING[actor % 8] } else { self.model.intents[&id].by };
                    let carry = ["execute", "execute", "token"][carry % 3];
                    self.release((holder, key), &id, carry, change % 12).await;
                }
            }
            Step::Redeem { token, change } => drop(self.redeem(token, change).await),
            Step::Wait { seconds } => self.world.clock.advance_seconds(seconds),
            Step::Key { actor, holder } => {
                let holder = ANSWERING[holder % 10];
                self.cut_key((GOVERNING[actor % 5], actor / 5), holder).await;
            }
            _ => self.govern(step).await,
        }
        assert!(self.news().await.is_empty(), "{step:?} decided something");
    }

    async fn govern(&mut self, step: &Step) {
        match *step {
            Step::ReRole { actor, target, role } => self.re_role(actor, target, ROLES[role % 4]).await,
            Step::Remove { actor, target } => {
                let who = 1 + target % 6;
                let id = self.model.members[who].id.clone();
                let route = ("DELETE", "/api/v1/members/{id}", id.as_str());
                if self.order(GOVERNING[actor % 5], route, Value::Null).await.is_some() {
                    self.model.members[who].removed = true;
                }
            }
            Step::Owner { actor, target } => {
                let who = target % 7;
                let body = json!({"owner_id": self.model.members[who].id});
                let id = self.agent.clone();
                let route = ("PATCH", "/api/v1/agents/{id}", id.as_str());
                if self.order(GOVERNING[actor % 5], route, body).await.is_some() {
                    self.model.agent.0 = who;
                }
            }
            Step::Delegate { actor, key: _ } => {
                let who = [0, 4][actor % 2];
                let body = json!({"agent_id": self.agent, "actions": &ACTIONS[..3]});
                if let Some(made) = self.order(who, ("POST", "/api/v1/delegations", ""), body).await {
                    self.model.delegations.push((who, text(&made.json(), "/data/id")));
                }
            }
            Step::Undelegate { actor, which } => {
                if self.model.delegations.is_empty() {
                    return;
                }
                let at = which % self.model.delegations.len();
                let id = self.model.delegations[at].1.clone();
                let route = ("POST", "/api/v1/delegations/{id}/revoke", id.as_str());
                if self.order(GOVERNING[actor % 5], route, Value::Null).await.is_some() {
                    self.model.delegations.remove(at);
                }
            }
            _ => self.command(step).await,
        }
    }

    /// What the founder does, who always may.
    async fn command(&mut self, step: &Step) {
        match *step {
            Step::Policy { which, active } => {
                let id = self.policies[which % 2].rsplit_once('/').unwrap().1.to_owned();
                let how = if active { "activate" } else { "withdraw" };
                let route = format!("/api/v1/policies/{{id}}/{how}");
                let body = if active { json!({"version": 1}) } else { Value::Null };
                if self.order(0, ("POST", &route, &id), body).await.is_some() {
                    *[&mut self.model.closed, &mut self.model.stricter][which % 2] = active;
                }
            }
            Step::Halt { on } => {
                let route = if on { "/api/v1/emergency/halt" } else { "/api/v1/emergency/resume" };
                if self.order(0, ("POST", route, ""), REASON()).await.is_some() {
                    self.model.halted = on;
                }
            }
            Step::Pause { on } => {
                let how = if on { "pause" } else { "resume" };
                if self.connector(&format!("/{how}"), "POST", REASON()).await {
                    self.model.paused = on;
                }
            }
            Step::Redefine { how } => {
                let before = self.definition;
                let (prefix, transfers) = [("/v1", true), ("/v2", true), ("/v1", false)][how % 3];
                self.definition = Definition { prefix, transfers };
                let body = json!({"definition": self.defined()});
                if !self.connector("", "PATCH", body).await {
                    self.definition = before;
                }
            }
            Step::System { status } => {
                let account = ACCOUNTS[status % 2];
                let status = [200, 500, 503, 404, 504, 200][status / 2 % 6];
                for (prefix, what) in ["/v1", "/v2"]
                    .into_iter()
                    .flat_map(|prefix| ["", "/transfers", "/payments"].map(|what| (prefix, what)))
                {
                    let path = format!("{prefix}/accounts/{account}{what}");
                    self.upstream.behave(&path, Behaviour::Status(status, "{}"));
                }
            }
            _ => {}
        }
    }

    async fn re_role(&mut self, actor: usize, target: usize, role: &'static str) {
        let (who, by) = (1 + target % 6, GOVERNING[actor % 5]);
        let id = self.model.members[who].id.clone();
        let route = ("PATCH", "/api/v1/members/{id}", id.as_str());
        if self.order(by, route, json!({"role": role})).await.is_some() {
            let now = self.now();
            let member = &mut self.model.members[who];
            (member.role, member.granted) = (role, (now, Some(by)));
            self.cut_key((0, 0), Holder::Member(who)).await;
        }
    }

    async fn connector(&self, what: &str, method: &str, body: Value) -> bool {
        let id = self.connector.rsplit_once('/').unwrap().1;
        let route = format!("/api/v1/connectors/{{id}}{what}");
        self.order(0, (method, &route, id), body).await.is_some()
    }

    /// A change with a member's newest key; its answer when it was made.
    async fn order(&self, who: usize, route: (&str, &str, &str), body: Value) -> Option<Answered> {
        let keys = &self.keys[&Holder::Member(who)];
        let answer = self.ask(&keys[keys.len() - 1].text, route, body, None).await;
        (answer.status == StatusCode::OK || answer.status == StatusCode::CREATED).then_some(answer)
    }
}
