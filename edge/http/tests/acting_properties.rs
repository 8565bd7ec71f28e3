//! Whatever happens, in whatever order: nothing reaches a system without a fresh allow that matches it, and
//! nothing that people have to agree to without enough people who are not its requester.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod acting;
mod support;

use std::collections::BTreeMap;
use std::sync::Mutex;

use acting::{Holder, Office, Wanted, steps};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use support::World;

/// How many sequences are tried: `PROPTEST_CASES`, or many where all rounds of long tests are asked for.
fn cases() -> u32 {
    let named = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    named.unwrap_or(if std::env::var_os("CHANCERY_FULL").is_some() { 1_000 } else { 50 })
}

#[test]
fn nothing_is_carried_out_but_what_may_be_whatever_happens() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::start());
    let config =
        Config { cases: cases(), failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let happened = Mutex::new(BTreeMap::<String, usize>::new());
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        let run = || {
            runtime.block_on(async {
                let mut office = Office::open(&world).await;
                office.run(&steps).await;
                let mut happened = happened.lock().unwrap();
                *happened.entry("calls".to_owned()).or_default() += office.watch.calls();
                for (kind, count) in office.watch.kinds {
                    *happened.entry(kind).or_default() += count;
                }
            });
        };
        // A sequence that fails is made shorter.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map_err(|panicked| {
            let text = panicked.downcast_ref::<String>().cloned();
            TestCaseError::fail(text.unwrap_or_else(|| "see above".to_owned()))
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    // Sequences in which nothing happens would prove nothing.
    let happened = happened.into_inner().unwrap();
    for kind in ["calls", "intent.escalated", "approval.granted", "intent.released", "intent.release_denied"]
    {
        assert!(happened.get(kind).is_some_and(|count| *count > 0), "{kind}: {happened:?}");
    }
}

/// That the sequences above can succeed at all, and that the model and the server agree on why not.
#[tokio::test]
async fn what_enough_other_people_agree_to_is_carried_out_once() {
    let world = World::start().await;
    let mut office = Office::open(&world).await;
    let wanted = |action, carry| Wanted { action, account: "one", amount: 2, on_behalf_of: None, carry };
    let agent = (Holder::Agent, 0);
    for (calls, people) in [
        // The founder created the agent's owner, who is an operator; and one of two creates the other.
        (1, vec![(0, "self_approval"), (1, "insufficient_scope"), (2, ""), (2, "already_answered"), (3, "")]),
        (2, vec![(4, ""), (5, "approver_not_distinct"), (2, "")]),
        (3, vec![(5, ""), (6, "insufficient_scope"), (4, "approver_not_distinct"), (3, "")]),
    ] {
        let asked = office.submit(agent, wanted("bank.transfer", "execute"), None).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        let id = asked.json()["data"]["id"].as_str().unwrap().to_owned();
        for (who, code) in people {
            assert_eq!(office.release(agent, &id, "execute", 9).await.status, 409);
            let answer = office.answer((Holder::Member(who), 0), &id, "approve").await;
            assert_eq!(answer.code(), code, "{who}");
            world.clock.advance_seconds(3);
        }
        for _ in 0..2 {
            let executed = office.release(agent, &id, "execute", 9).await;
            assert_eq!(executed.status, 200, "{}", executed.text);
            office.examine_calls();
            assert_eq!(office.watch.calls(), calls);
        }
    }
    for (action, status) in [("bank.pay", 200), ("bank.pay", 200), ("bank.balance", 409)] {
        assert_eq!(office.submit(agent, wanted(action, "execute"), Some(0)).await.status, status);
    }
    let made = office.submit(agent, wanted("bank.pay", "token"), None).await;
    assert_eq!(made.status, 200, "{}", made.text);
    for (change, status) in [(true, 403), (false, 200), (false, 403)] {
        assert_eq!(office.redeem(0, change).await.unwrap().status, status);
    }
    office.examine_calls();
    assert_eq!(office.watch.calls(), 4);
}
