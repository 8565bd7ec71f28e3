//! The members.

use chancery_model::{MemberId, Role};
use chancery_pages::{Field, Heir, Invite, Marks, MayDo, MemberRow, Members, PendingInvitation, RoleChoice};

use super::{HOSTILE, NOW, Sample, after, before, frame, hostile_frame, long_word, text};

pub(crate) fn all() -> Vec<Sample> {
    let filled = filled();
    let alone = Members {
        members: filled.members.iter().take(1).cloned().collect(),
        invitations: Vec::new(),
        heirs: Vec::new(),
        ..filled.clone()
    };
    let errors = Members {
        invite: Some(Invite {
            email: Field::refused(
                "olga@northwind.example",
                "Somebody with this address is a member already.",
            ),
            role: Field::of("approver"),
        }),
        ..filled.clone()
    };
    let full = Members {
        invite: None,
        invite_hindrance: Some(text("All 5 seats of your plan are taken.")),
        ..filled.clone()
    };
    let reader = Members {
        invite: None,
        heirs: Vec::new(),
        members: filled
            .members
            .iter()
            .cloned()
            .map(|member| MemberRow { may: MayDo::default(), ..member })
            .collect(),
        ..filled.clone()
    };
    let hostile = Members {
        frame: hostile_frame(),
        members: vec![
            MemberRow {
                name: Some(text(HOSTILE)),
                email: Some(text(HOSTILE)),
                ..member(7, "", Role::Operator)
            },
            MemberRow { name: Some(long_word()), email: Some(long_word()), ..member(8, "", Role::Viewer) },
            MemberRow { name: None, email: None, ..member(9, "", Role::Viewer) },
        ],
        invitations: vec![PendingInvitation { email: text(HOSTILE), inviter: long_word(), ..invitation() }],
        heirs: vec![Heir { id: id(8), name: text(HOSTILE) }],
        ..filled.clone()
    };
    vec![
        ("members", filled.render()),
        ("members-alone", alone.render()),
        ("members-errors", errors.render()),
        ("members-full", full.render()),
        ("members-reader", reader.render()),
        ("members-hostile", hostile.render()),
    ]
}

fn id(number: u8) -> MemberId {
    MemberId::new(NOW, [number; 10])
}

fn member(number: u8, name: &str, role: Role) -> MemberRow {
    MemberRow {
        id: id(number),
        name: Some(text(name)),
        email: Some(format!(
            "{}@northwind.example",
            name.split(' ').next().unwrap_or_default().to_lowercase()
        )),
        role,
        marks: Marks { has_second_factor: true, ..Marks::default() },
        may: MayDo { change_role: true, remove: true },
        seen_at: Some(before(i64::from(number) * 77)),
        joined_at: before(500_000),
    }
}

fn invitation() -> PendingInvitation {
    PendingInvitation {
        id: text("i1"),
        email: text("grace@northwind.example"),
        role: Role::Approver,
        inviter: text("Olga Petrenko"),
        invited_at: before(2_000),
        expires_at: after(5_000),
    }
}

fn filled() -> Members {
    let choice = |role, means: &str| RoleChoice { role, means: text(means) };
    let you = Marks { is_you: true, is_owner: true, has_second_factor: true, ..Marks::default() };
    Members {
        frame: frame(),
        members: vec![
            MemberRow { marks: you, may: MayDo::default(), ..member(1, "Ada Moreau", Role::Admin) },
            member(2, "Olga Petrenko", Role::Operator),
            MemberRow { marks: Marks::default(), ..member(3, "Rui Tavares", Role::Approver) },
            MemberRow {
                marks: Marks { is_service: true, ..Marks::default() },
                email: None,
                seen_at: None,
                ..member(4, "Nightly reconciliation", Role::Operator)
            },
        ],
        invitations: vec![invitation()],
        roles: vec![
            choice(Role::Viewer, "reads"),
            choice(Role::Operator, "runs agents and keys"),
            choice(Role::Approver, "answers what agents ask"),
            choice(Role::Admin, "administers the organization"),
        ],
        invite: Some(Invite { email: Field::default(), role: Field::of("viewer") }),
        invite_hindrance: None,
        heirs: vec![
            Heir { id: id(2), name: text("Olga Petrenko") },
            Heir { id: id(3), name: text("Rui Tavares") },
        ],
    }
}
