//! Signing in, and what goes with it.

use chancery_model::Role;
use chancery_pages::{
    Around, ChooseOrganization, Door, Field, Forgot, Invitation, InvitationState, Membership, Offer,
    PasswordRules, Problem, ProblemKind, Proofs, Reset, SecondFactor, SignIn, StepUp, Taker, Tone,
    VerifyEmail,
};

use super::{HOSTILE, Sample, after, door, flash, frame, long_word, text};

pub(crate) fn all() -> Vec<Sample> {
    [sign_in(), factors(), recovery(), invitation(), problems()].concat()
}

fn sign_in() -> Vec<Sample> {
    let plain =
        SignIn { door: door(), passkey: true, by_password: true, next: text("/"), ..SignIn::default() };
    let wrong = SignIn {
        email: Field::of("ada@northwind.example"),
        error: Some(text("The address or the password is wrong.")),
        ..plain.clone()
    };
    let fields = SignIn {
        email: Field::refused("ada", "An address looks like ada@example.org."),
        password: Field::refused("", "Type your password."),
        ..plain.clone()
    };
    let passkey_only = SignIn { by_password: false, ..plain.clone() };
    let out = SignIn {
        door: Door { flash: Some(flash(Tone::Done, "You are signed out.")), ..door() },
        ..plain.clone()
    };
    let choose = ChooseOrganization {
        around: Around::SigningIn(door()),
        memberships: memberships(),
        error: None,
        next: text("/"),
    };
    let hostile = ChooseOrganization { memberships: hostile_memberships(), ..choose.clone() };
    let switch = ChooseOrganization { around: Around::SignedIn(Box::new(frame())), ..choose.clone() };
    vec![
        ("sign-in", plain.render()),
        ("sign-in-wrong", wrong.render()),
        ("sign-in-errors", fields.render()),
        ("sign-in-passkey", passkey_only.render()),
        ("sign-in-signed-out", out.render()),
        ("organizations", choose.render()),
        ("organizations-hostile", hostile.render()),
        ("organizations-switch", switch.render()),
    ]
}

fn membership(name: &str, slug: &str, role: Role) -> Membership {
    Membership {
        id: format!("id-{slug}"),
        name: text(name),
        slug: text(slug),
        role,
        is_current: slug == "northwind",
    }
}

fn memberships() -> Vec<Membership> {
    vec![
        membership("Northwind Payments", "northwind", Role::Approver),
        membership("Contoso Robotics", "contoso", Role::Viewer),
    ]
}

fn hostile_memberships() -> Vec<Membership> {
    vec![membership(HOSTILE, "evil", Role::Admin), membership(&long_word(), "long", Role::Operator)]
}

fn factors() -> Vec<Sample> {
    let all = Proofs {
        code: Some(Field::default()),
        recovery_code: Some(Field::default()),
        passkey: true,
        password: None,
    };
    let code = Some(Field::refused("", "That code is not right, or was used. Wait for the next one."));
    let recovery = Some(Field::refused("", "That is none of your codes, or it was used."));
    let second = SecondFactor { door: door(), proofs: all.clone(), error: None, next: text("/") };
    let step_up = StepUp {
        door: Door { organization: Some(text("Northwind Payments")), ..door() },
        purpose: text("approve payments.refund on Payment pay_1"),
        why: text("Its risk is 74, and the organization asks for it from 70 on."),
        proofs: all.clone(),
        error: None,
        next: text("/approvals"),
        back: text("/approvals"),
    };
    vec![
        ("second-factor", second.render()),
        (
            "second-factor-wrong",
            SecondFactor {
                proofs: Proofs { code, recovery_code: recovery, passkey: true, password: None },
                ..second.clone()
            }
            .render(),
        ),
        (
            "second-factor-many",
            SecondFactor { error: Some(text("Too many tries. Wait 2 minutes.")), ..second }.render(),
        ),
        ("step-up", step_up.render()),
        (
            "step-up-password",
            StepUp {
                proofs: Proofs { password: Some(Field::default()), ..Proofs::default() },
                ..step_up.clone()
            }
            .render(),
        ),
        ("step-up-none", StepUp { proofs: Proofs::default(), ..step_up.clone() }.render()),
        ("step-up-hostile", StepUp { purpose: text(HOSTILE), why: long_word(), ..step_up }.render()),
    ]
}

fn rules() -> PasswordRules {
    PasswordRules { min_length: 12, refuses_leaked: true, refuses_guessable: true }
}

fn recovery() -> Vec<Sample> {
    let reset = Reset {
        door: door(),
        token: text("t0k3n"),
        email: text("ada@northwind.example"),
        rules: rules(),
        ..Reset::default()
    };
    let refused = Field::refused("", "This password is known from a leak. Choose another one.");
    vec![
        ("forgot", Forgot { door: door(), ..Forgot::default() }.render()),
        (
            "forgot-error",
            Forgot {
                door: door(),
                email: Field::refused("ada", "An address looks like ada@example.org."),
                ..Forgot::default()
            }
            .render(),
        ),
        ("forgot-sent", Forgot { door: door(), was_sent: true, ..Forgot::default() }.render()),
        ("reset", reset.render()),
        ("reset-error", Reset { password: refused, ..reset.clone() }.render()),
        ("reset-void", Reset { is_void: true, ..reset }.render()),
        ("verify", VerifyEmail { door: door(), token: text("t0k3n"), is_void: false }.render()),
        ("verify-void", VerifyEmail { door: door(), token: String::new(), is_void: true }.render()),
    ]
}

fn offer(taker: Taker) -> Invitation {
    let offer = Offer {
        token: text("t0k3n"),
        inviter: text("Olga Petrenko"),
        organization: text("Northwind Payments"),
        role: Role::Approver,
        role_means: text("Answers what agents ask, and reads."),
        email: text("ada@northwind.example"),
        expires_at: after(3 * 1_440),
        taker,
    };
    Invitation { door: door(), state: InvitationState::Open(Box::new(offer)) }
}

fn invitation() -> Vec<Sample> {
    let new = |name, password| offer(Taker::New { name, password, rules: rules() });
    let mut hostile = offer(Taker::Another { email: text(HOSTILE) });
    if let InvitationState::Open(offer) = &mut hostile.state {
        offer.inviter = text(HOSTILE);
        offer.organization = long_word();
    }
    vec![
        ("invitation", new(Field::default(), Field::default()).render()),
        (
            "invitation-errors",
            new(
                Field::refused("", "Type the name that others will see."),
                Field::refused("", "A password has at least 12 characters: this one has 7."),
            )
            .render(),
        ),
        ("invitation-signed-in", offer(Taker::SignedIn).render()),
        ("invitation-signed-out", offer(Taker::SignedOut).render()),
        ("invitation-hostile", hostile.render()),
        ("invitation-void", Invitation { door: door(), state: InvitationState::Void }.render()),
    ]
}

fn problems() -> Vec<Sample> {
    let of = |kind| Problem { kind, request_id: text("0194f2c4-8a01-7c3e-9d55-1f0f5b7c2a10") }.render();
    vec![
        ("problem-403", of(ProblemKind::Forbidden)),
        ("problem-form", of(ProblemKind::FormExpired)),
        ("problem-404", of(ProblemKind::NotFound)),
        ("problem-429", of(ProblemKind::TooMany { retry_after_seconds: 47 })),
        ("problem-429-long", of(ProblemKind::TooMany { retry_after_seconds: 600 })),
        ("problem-500", of(ProblemKind::Internal)),
        ("problem-503", of(ProblemKind::Unavailable)),
        ("problem-hostile", Problem { kind: ProblemKind::NotFound, request_id: text(HOSTILE) }.render()),
    ]
}
