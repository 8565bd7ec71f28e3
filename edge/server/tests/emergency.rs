//! What stops calls at one server stops the next one at every other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use chancery_testkit::{Answer, Client};
use serde_json::{Value, json};
use support::bank::{Bank, approve, reaching, transfer};
use support::upstream::{ILL, Upstream};
use support::{Twins, text};

/// After how many failures the breakers here open.
const FAILURES: u32 = 3;

struct Scene {
    twins: Twins,
    bank: Bank,
    upstream: Upstream,
    count: usize,
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.json());
}

impl Scene {
    fn start() -> Self {
        let upstream = Upstream::start();
        let twins = Twins::start_with(|_, options| reaching(options));
        let bank = Bank::open(&mut twins.admin(0), &upstream, FAILURES);
        Self { twins, bank, upstream, count: 0 }
    }

    fn agent(&self, server: usize) -> Client {
        self.twins.client(server, &self.bank.key)
    }

    fn order(&self, server: usize, path: &str, body: &Value) {
        self.twins.admin(server).made(path, body).unwrap();
    }

    /// A transfer at a server, from an account that none had before.
    fn transfer(&mut self, server: usize, kind: &str) -> Answer {
        self.count += 1;
        transfer(&mut self.agent(server), &format!("{kind}-{}", self.count)).unwrap()
    }

    /// A payout that people agreed to.
    fn agreed(&mut self, server: usize) -> String {
        self.count += 1;
        let intent = self.bank.payout(&mut self.agent(server), &format!("payout-{}", self.count));
        approve(&mut self.twins.client(server, &self.bank.approver), &intent);
        intent
    }

    /// While an order given at one server stands, nothing is called at the other; then it is again.
    fn holds(&mut self, here: usize, there: usize, orders: [(&str, Value); 2], code: &str) {
        let intent = self.agreed(there);
        let execute = format!("/api/v1/intents/{intent}/execute");
        assert_eq!(self.transfer(there, "well").status, 200, "all that it needs is remembered there");
        let [(stop, stop_body), (go_on, go_on_body)] = orders;
        self.order(here, stop, &stop_body);
        let seen = self.upstream.seen().len();
        refused(&self.transfer(there, "well"), 403, code);
        refused(&self.agent(there).post(&execute, &json!({})).unwrap(), 403, code);
        refused(&self.transfer(here, "well"), 403, code);
        assert_eq!(self.upstream.seen().len(), seen, "something was called");
        self.order(here, go_on, &go_on_body);
        assert_eq!(self.transfer(there, "well").status, 200);
        let executed = self.agent(there).post(&execute, &json!({})).unwrap();
        assert_eq!(text(&executed.data(), "/execution/status"), "succeeded");
    }
}

#[test]
fn a_halted_environment_and_a_paused_connector_hold_on_the_next_call_at_the_other_server() {
    let mut scene = Scene::start();
    let connector = format!("/api/v1/connectors/{}", scene.bank.connector);
    let (pause, resume) = (format!("{connector}/pause"), format!("{connector}/resume"));
    for (here, there) in [(0, 1), (1, 0)] {
        let live = json!({"reason": "test", "environment": "live"});
        let halt = [("/api/v1/emergency/halt", live.clone()), ("/api/v1/emergency/resume", live)];
        scene.holds(here, there, halt, "environment_halted");
        let because = json!({"reason": "test"});
        let paused = [(pause.as_str(), because.clone()), (resume.as_str(), because)];
        scene.holds(here, there, paused, "connector_paused");
    }
    scene.twins.stop();
}

#[test]
fn a_breaker_is_one_for_all_servers_whoever_opens_and_whoever_resets_it() {
    let mut scene = Scene::start();
    let reset = format!("/api/v1/connectors/{}/reset", scene.bank.connector);
    // By failures at one server alone, and at both together.
    for (failing, resetting) in [([0, 0, 0], 1), ([1, 0, 1], 0)] {
        for server in failing {
            refused(&scene.transfer(server, ILL), 502, "execution_failed");
        }
        let seen = scene.upstream.seen().len();
        for server in [1, 0] {
            refused(&scene.transfer(server, "well"), 503, "connector_unavailable");
        }
        assert_eq!(scene.upstream.seen().len(), seen, "a system that fails was called");
        scene.order(resetting, &reset, &json!({"reason": "mended"}));
        for server in [0, 1] {
            assert_eq!(scene.transfer(server, "well").status, 200);
        }
    }
    scene.twins.stop();
}
