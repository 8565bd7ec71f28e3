//! What can happen.

use proptest::prelude::*;

/// One thing that happens. Numbers are taken modulo what there is to choose from.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Submit {
        actor: usize,
        key: usize,
        action: usize,
        carry: usize,
        account: usize,
        amount: u32,
        idempotency: Option<usize>,
        behalf: Option<usize>,
    },
    Answer {
        actor: usize,
        key: usize,
        intent: usize,
        how: usize,
    },
    Cancel {
        actor: usize,
        intent: usize,
    },
    Release {
        actor: usize,
        key: usize,
        intent: usize,
        carry: usize,
        change: usize,
    },
    Redeem {
        token: usize,
        change: bool,
    },
    Wait {
        seconds: i64,
    },
    ReRole {
        actor: usize,
        target: usize,
        role: usize,
    },
    Remove {
        actor: usize,
        target: usize,
    },
    Owner {
        actor: usize,
        target: usize,
    },
    Key {
        actor: usize,
        holder: usize,
    },
    Delegate {
        actor: usize,
        key: usize,
    },
    Undelegate {
        actor: usize,
        which: usize,
    },
    Policy {
        which: usize,
        active: bool,
    },
    Halt {
        on: bool,
    },
    Pause {
        on: bool,
    },
    Redefine {
        how: usize,
    },
    System {
        status: usize,
    },
}

fn any() -> std::ops::Range<usize> {
    0..1_000
}

fn step() -> impl Strategy<Value = Step> {
    use prop::option::weighted;
    let submit =
        (any(), any(), any(), any(), any(), 1_u32..4, weighted(0.3, 0_usize..3), weighted(0.15, any()))
            .prop_map(|(actor, key, action, carry, account, amount, idempotency, behalf)| Step::Submit {
                actor,
                key,
                action,
                carry,
                account,
                amount,
                idempotency,
                behalf,
            });
    let answer = (any(), any(), any(), any()).prop_map(|(actor, key, intent, how)| Step::Answer {
        actor,
        key,
        intent,
        how,
    });
    let release = (any(), any(), any(), any(), any())
        .prop_map(|(actor, key, intent, carry, change)| Step::Release { actor, key, intent, carry, change });
    prop_oneof![
        10 => submit,
        16 => answer,
        8 => release,
        1 => (any(), any()).prop_map(|(actor, intent)| Step::Cancel { actor, intent }),
        3 => (any(), prop::bool::weighted(0.3)).prop_map(|(token, change)| Step::Redeem { token, change }),
        1 => prop::sample::select(vec![31, 301, 1_801, 3_601]).prop_map(|seconds| Step::Wait { seconds }),
        2 => (any(), any(), any()).prop_map(|(actor, target, role)| Step::ReRole { actor, target, role }),
        1 => (any(), any()).prop_map(|(actor, target)| Step::Remove { actor, target }),
        1 => (any(), any()).prop_map(|(actor, target)| Step::Owner { actor, target }),
        2 => (any(), any()).prop_map(|(actor, holder)| Step::Key { actor, holder }),
        2 => (any(), any()).prop_map(|(actor, key)| Step::Delegate { actor, key }),
        1 => (any(), any()).prop_map(|(actor, which)| Step::Undelegate { actor, which }),
        2 => (any(), prop::bool::weighted(0.4)).prop_map(|(which, active)| Step::Policy { which, active }),
        1 => prop::bool::weighted(0.3).prop_map(|on| Step::Halt { on }),
        1 => prop::bool::weighted(0.3).prop_map(|on| Step::Pause { on }),
        1 => any().prop_map(|how| Step::Redefine { how }),
        1 => any().prop_map(|status| Step::System { status }),
    ]
}

/// A transfer that two are asked to agree to and that is then carried out, with something in between.
fn story() -> impl Strategy<Value = Vec<Step>> {
    let approve = |actor| Step::Answer { actor, key: 0, intent: 0, how: 0 };
    // Two of the first four who answer, most often two who are apart.
    let approvers = prop::sample::select(vec![(0, 1), (1, 0), (0, 2), (2, 1), (1, 3), (2, 3)]);
    let between = || prop::option::weighted(0.3, step());
    (any(), 0_usize..3, approvers, between(), between(), between()).prop_map(
        move |(asked, carry, (one, other), first, second, third)| {
            let submit = Step::Submit {
                actor: 0,
                key: asked,
                action: 0,
                carry,
                account: asked,
                amount: 1,
                idempotency: None,
                behalf: None,
            };
            let release = Step::Release { actor: 1, key: asked, intent: 0, carry, change: 11 };
            [Some(submit), first, Some(approve(one)), second, Some(approve(other)), third, Some(release)]
                .into_iter()
                .flatten()
                .collect()
        },
    )
}

/// An admin makes a key for another, and has to do with a request: asks it, or may have asked with that key.
/// Then the request is answered with whatever keys there are.
fn hand() -> impl Strategy<Value = Vec<Step>> {
    let holders = prop::sample::select(vec![(0, 5), (1, 5), (7, 6)]);
    (holders, any(), any(), 0_usize..3, any(), any()).prop_map(
        |((holder, asker), with, key, answering, one, other)| {
            let made = Step::Key { actor: 1 + 5 * (with % 20), holder };
            let submit = Step::Submit {
                actor: asker,
                key,
                action: 0,
                carry: 0,
                account: 0,
                amount: 1,
                idempotency: None,
                behalf: None,
            };
            let answer = |actor, key| Step::Answer { actor, key, intent: 0, how: 0 };
            let release = Step::Release { actor: 1, key, intent: 0, carry: 0, change: 11 };
            vec![made, submit, answer(answering, one), answer((answering + 1) % 3, other), release]
        },
    )
}

/// A sequence to try.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = prop_oneof![6 => step().prop_map(|step| vec![step]), 1 => story(), 1 => hand()];
    prop::collection::vec(some, 10..30).prop_map(|steps| steps.concat())
}
