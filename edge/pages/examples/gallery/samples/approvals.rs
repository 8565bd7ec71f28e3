//! The inbox, and requests in it.

use chancery_model::{IntentId, Role};
use chancery_pages::{
    Answer, AnswerForm, Answered, Asked, Demand, Ended, Factor, Field, Frame, Inbox, OneApproval, PolicyName,
    Progress, Reason, Released, Requester, Risk, State, Waiting,
};
use serde_json::{Value, json};

use super::{HOSTILE, NOW, Sample, after, before, frame, hostile_frame, long_word, text};

pub(crate) fn all() -> Vec<Sample> {
    [inbox(), one(), states(), hostile()].concat()
}

fn id(number: u8) -> IntentId {
    IntentId::new(NOW, [number; 10])
}

fn waiting(number: u8, requester: &str, action: &str, on: (&str, &str), risk: u8, state: State) -> Waiting {
    Waiting {
        id: id(number),
        requester: Some(text(requester)),
        action: text(action),
        resource_type: text(on.0),
        resource_id: text(on.1),
        risk,
        requested_at: before(i64::from(number) * 7),
        expires_at: after(i64::from(number) * 111),
        state,
        needs: text("1 approver"),
        own: false,
        answered: false,
    }
}

fn ended() -> Vec<Waiting> {
    let at = before(90);
    let refund = |number, on, risk, state| {
        waiting(number, "Refund bot", "payments.refund", ("Payment", on), risk, state)
    };
    let fetch = |number, state| waiting(number, "Crawler", "web.fetch", ("Site", "example.org"), 50, state);
    vec![
        refund(1, "pay_1", 60, State::Released { what: Released::Executed, at }),
        refund(2, "pay_2", 60, State::Approved { good_until: after(31) }),
        refund(3, "pay_3", 91, State::Ended { how: Ended::Rejected, at }),
        fetch(4, State::Ended { how: Ended::Expired, at }),
        fetch(5, State::Released { what: Released::OutcomeUnknown, at }),
    ]
}

fn inbox() -> Vec<Sample> {
    let of = |waiting, shows_ended| Inbox { frame: frame(), waiting, shows_ended, more: None };
    let pending = State::Pending;
    let open = vec![
        waiting(1, "Refund bot", "payments.refund", ("Payment", "pay_7Yq2"), 74, pending.clone()),
        Waiting {
            own: true,
            ..waiting(2, "Ada's deploy agent", "deploy.release", ("Service", "checkout"), 55, pending.clone())
        },
        Waiting {
            answered: true,
            needs: text("1 more admin"),
            ..waiting(3, "Rui Tavares", "data.export", ("Dataset", "customers-eu"), 81, pending.clone())
        },
        waiting(
            4,
            "Invoice assistant",
            "mail.send",
            ("Mailbox", "billing@northwind.example"),
            42,
            pending.clone(),
        ),
    ];
    let hostile = vec![
        waiting(1, HOSTILE, "payments.refund", ("Payment", HOSTILE), 74, pending.clone()),
        waiting(2, &long_word(), "payments.refund", ("Payment", &long_word()), 74, pending.clone()),
        Waiting {
            requester: None,
            ..waiting(3, "", "payments.refund", ("Payment", "  pay_1 "), 74, pending)
        },
    ];
    vec![
        ("inbox", Inbox { more: Some(text("/approvals?cursor=abc")), ..of(open, false) }.render()),
        ("inbox-empty", of(Vec::new(), false).render()),
        ("inbox-ended", of(ended(), true).render()),
        ("inbox-ended-empty", of(Vec::new(), true).render()),
        ("inbox-hostile", Inbox { frame: hostile_frame(), ..of(hostile, false) }.render()),
    ]
}

fn asked(arguments: &Value, context: &Value, on: &str) -> Asked {
    let canonical = json!({
        "v": 1, "action": "payments.refund", "resource": {"type": "Payment", "id": on}, "arguments": arguments,
    });
    Asked {
        canonical: canonical.to_string(),
        hash: text("5c1fe07b2c9de3a4d2b9af1c0b77f0aa6f6d1e3b90c4a8d7751f0e2ab3c4d5e6"),
        context: context.to_string(),
        connector: Some(text("billing")),
    }
}

fn request() -> OneApproval {
    let arguments = json!({
        "amount": 400, "currency": "EUR", "reason": "The customer was charged twice for order 88123.",
        "notify": true, "note": null,
        "lines": [{"sku": "SKU-1", "amount": 250}, {"sku": "SKU-2", "amount": 150}],
    });
    let factor = |name: &str, points| Factor { name: text(name), points };
    OneApproval {
        frame: frame(),
        id: id(1),
        requester: Requester {
            name: Some(text("Refund bot")),
            kind: text("agent"),
            id: text("0194f2c4-8a01-7c3e-9d55-1f0f5b7c2a10"),
            owner: Some(text("Olga Petrenko")),
            on_behalf_of: None,
        },
        asked: Some(asked(
            &arguments,
            &json!({"touches_production": true, "ticket": "SUP-2291"}),
            "pay_7Yq2",
        )),
        reasons: vec![
            Reason {
                code: text("policy_escalates"),
                message: text("A policy asks for a person's approval."),
                policy: Some(PolicyName { name: text("refunds-over-100"), version: 3 }),
            },
            Reason {
                code: text("risk_escalates"),
                message: text("The risk score is at least 50."),
                policy: None,
            },
        ],
        risk: Risk {
            score: 74,
            factors: vec![
                factor("base", 34),
                factor("destructive", 15),
                factor("live_environment", 10),
                factor("touches_production", 15),
            ],
            escalate_at: 50,
            deny_at: 90,
        },
        progress: Progress {
            demands: vec![Demand {
                approvals: 1,
                role: Role::Approver,
                agreed: 0,
                message: Some(text("Check in the shop that the order was paid twice.")),
            }],
            answers: Vec::new(),
        },
        state: State::Pending,
        requested_at: before(7),
        expires_at: after(230),
        answer: AnswerForm::Open { reason: Field::default(), steps_up: true, error: None },
        entry: 48_112,
        events: Some(text("/approvals/x/events")),
    }
}

fn answered(name: &str, answer: Answer, reason: &str, minutes: i64) -> Answered {
    Answered { name: Some(text(name)), answer, reason: Some(text(reason)), at: before(minutes) }
}

fn one() -> Vec<Sample> {
    let two = Progress {
        demands: vec![Demand { approvals: 2, role: Role::Approver, agreed: 1, message: None }],
        answers: vec![answered("Ada Moreau", Answer::Approve, "I looked: it was paid twice.", 4)],
    };
    let error = AnswerForm::Open {
        reason: Field::refused("", "Say why: it stands in the record."),
        steps_up: false,
        error: None,
    };
    let raced = AnswerForm::Open {
        reason: Field::of("It was paid twice."),
        steps_up: false,
        error: Some(text("Your answer was not taken: what you read has changed since.")),
    };
    let not_asked = AnswerForm::NotAsked { why: text("The policy asks for an admin.") };
    vec![
        ("approval", request().render()),
        ("approval-error", OneApproval { answer: error, ..request() }.render()),
        ("approval-raced", OneApproval { answer: raced, ..request() }.render()),
        ("approval-own", OneApproval { answer: AnswerForm::Own, ..request() }.render()),
        ("approval-not-asked", OneApproval { answer: not_asked, ..request() }.render()),
        (
            "approval-given",
            OneApproval {
                progress: two,
                answer: AnswerForm::Given { reason: Field::default() },
                ..request()
            }
            .render(),
        ),
        (
            "approval-erased",
            OneApproval {
                asked: None,
                requester: Requester { kind: text("agent"), ..Requester::default() },
                ..request()
            }
            .render(),
        ),
    ]
}

fn states() -> Vec<Sample> {
    let progress = |answer, reason: &str| Progress {
        demands: vec![Demand { approvals: 1, role: Role::Approver, agreed: 1, message: None }],
        answers: vec![answered("Rui Tavares", answer, reason, 3)],
    };
    let of = |state, progress| {
        OneApproval { state, progress, answer: AnswerForm::Closed, events: None, ..request() }.render()
    };
    let agreed = || progress(Answer::Approve, "Paid twice: order 88123.");
    let at = before(1);
    let released = |what| of(State::Released { what, at }, agreed());
    vec![
        ("approval-approved", of(State::Approved { good_until: after(57) }, agreed())),
        ("approval-released", released(Released::Token)),
        ("approval-executing", released(Released::Executing)),
        ("approval-executed", released(Released::Executed)),
        ("approval-failed", released(Released::Failed { code: text("execution_failed") })),
        ("approval-unknown", released(Released::OutcomeUnknown)),
        (
            "approval-rejected",
            of(
                State::Ended { how: Ended::Rejected, at },
                progress(Answer::Reject, "Only one payment came in."),
            ),
        ),
        ("approval-cancelled", of(State::Ended { how: Ended::Cancelled, at }, Progress::default())),
        ("approval-expired", of(State::Ended { how: Ended::Expired, at }, Progress::default())),
        ("approval-unused", of(State::Ended { how: Ended::Unused, at }, agreed())),
    ]
}

fn hostile() -> Vec<Sample> {
    let arguments = json!({
        HOSTILE: HOSTILE, "word": long_word(), "amount": "400", "empty": "", "blank": " ",
        "zalgo": "e\u{301}".repeat(3) + &"\u{301}".repeat(30),
        "lines": "first\nsecond\n\n\tthird", "rtl": "400 \u{5d0}\u{5d1}\u{5d2} 100", "none": {}, "nothing": [],
        long_word(): 1, "deep": deep(29),
    });
    let said = |text: &str| Some(text.to_owned());
    let hostile = OneApproval {
        frame: hostile_frame(),
        requester: Requester {
            name: said(HOSTILE),
            kind: text("agent"),
            id: text(HOSTILE),
            owner: Some(long_word()),
            on_behalf_of: said(HOSTILE),
        },
        asked: Some(Asked { connector: said(HOSTILE), ..asked(&arguments, &arguments, HOSTILE) }),
        reasons: vec![Reason {
            code: text("policy_escalates"),
            message: text(HOSTILE),
            policy: Some(PolicyName { name: long_word(), version: 1 }),
        }],
        progress: Progress {
            demands: vec![Demand { approvals: 2, role: Role::Admin, agreed: 0, message: said(HOSTILE) }],
            answers: vec![
                answered(HOSTILE, Answer::Approve, HOSTILE, 3),
                Answered { name: None, ..answered("", Answer::Reject, &long_word(), 1) },
            ],
        },
        answer: AnswerForm::Open { reason: Field::refused(HOSTILE, "Say why."), steps_up: true, error: None },
        ..request()
    };
    let unreadable = Asked { canonical: text("{not json"), ..asked(&json!({}), &json!({}), "x") };
    let halted = Frame {
        halted: said("An incident: see #482. Answers are taken, and nothing is carried out."),
        ..frame()
    };
    vec![
        ("approval-hostile", hostile.render()),
        ("approval-unreadable", OneApproval { asked: Some(unreadable), ..request() }.render()),
        ("approval-halted", OneApproval { frame: halted, ..request() }.render()),
    ]
}

fn deep(levels: u8) -> Value {
    (0..levels).fold(json!("the bottom"), |inner, level| json!({format!("level{level}"): inner}))
}
