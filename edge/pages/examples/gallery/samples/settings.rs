//! The organization's settings.

use chancery_pages::{
    Domain, Domains, Field, OrganizationSettings, PasswordPolicy, Retention, SessionLimits, SignInMethods,
};

use super::{HOSTILE, Sample, before, frame, hostile_frame, long_word, text};

pub(crate) fn all() -> Vec<Sample> {
    let filled = filled();
    let errors = OrganizationSettings {
        name: Field::refused("", "A name has 1 to 200 bytes."),
        passwords: PasswordPolicy {
            min_length: Field::refused("4", "8 to 128."),
            ..filled.passwords.clone()
        },
        sessions: SessionLimits {
            idle_minutes: Field::refused("1", "5 to 43200."),
            absolute_hours: Field::refused("none", "A whole number, 1 to 2160."),
        },
        sign_in: SignInMethods {
            by_password: false,
            by_passkey: false,
            error: Some(text("Nobody could sign in: leave at least one.")),
            ..filled.sign_in.clone()
        },
        domains: Domains {
            new: Field::refused("gmail.com", "This domain belongs to everybody."),
            ..filled.domains.clone()
        },
        addresses: Field::refused("192.0.2.0/24\n10.0.0", "Line 2 is no network."),
        step_up_at: Field::refused("400", "0 to 101."),
        retention: Retention {
            request_log_days: Field::refused("0", "1 to 365."),
            payload_days: Field::refused("x", "A whole number."),
        },
        ..filled.clone()
    };
    let empty =
        OrganizationSettings { domains: Domains::default(), addresses: Field::default(), ..filled.clone() };
    let hostile = OrganizationSettings {
        frame: hostile_frame(),
        name: Field::of(HOSTILE),
        domains: Domains {
            added: vec![domain("d1", HOSTILE, None), domain("d2", &long_word(), None)],
            new: Field::of(HOSTILE),
        },
        addresses: Field::of(HOSTILE),
        your_address: text(HOSTILE),
        ..filled.clone()
    };
    vec![
        ("settings", filled.render()),
        ("settings-errors", errors.render()),
        ("settings-empty", empty.render()),
        ("settings-reader", OrganizationSettings { may_change: false, ..filled }.render()),
        ("settings-hostile", hostile.render()),
    ]
}

fn domain(id: &str, name: &str, verified: Option<i64>) -> Domain {
    Domain {
        id: text(id),
        name: text(name),
        record_name: format!("_chancery.{name}"),
        record_value: text("chancery-verify=3f9c2b7e51d84a0c9b6de0f1"),
        verified_at: verified.map(before),
        looked_at: Some(before(17)),
    }
}

fn filled() -> OrganizationSettings {
    OrganizationSettings {
        frame: frame(),
        may_change: true,
        name: Field::of("Northwind Payments"),
        slug: text("northwind"),
        passwords: PasswordPolicy {
            min_length: Field::of("12"),
            min_strength: Field::of("3"),
            refuse_leaked: true,
            leak_outage: Field::of("allow"),
        },
        sessions: SessionLimits { idle_minutes: Field::of("720"), absolute_hours: Field::of("336") },
        sign_in: SignInMethods {
            second_factor_required: true,
            by_password: true,
            by_passkey: true,
            by_single_sign_on: Some(false),
            error: None,
        },
        domains: Domains {
            added: vec![domain("d1", "northwind.example", Some(90_000)), domain("d2", "northwind.dev", None)],
            new: Field::default(),
        },
        addresses: Field::of("192.0.2.0/24\n2001:db8::/32"),
        your_address: text("192.0.2.17"),
        step_up_at: Field::of("70"),
        retention: Retention { request_log_days: Field::of("90"), payload_days: Field::default() },
    }
}
