//! One's account.

use chancery_pages::{
    ChangePassword, DeleteAccount, Factors, Field, Frame, Passkey, PasswordRules, RecoveryCodes, Session,
    Sessions, Tone, Totp, TotpEnrolment,
};

use super::{HOSTILE, Sample, before, flash, frame, hostile_frame, long_word, text};

pub(crate) fn all() -> Vec<Sample> {
    [sessions(), factors(), password(), delete()].concat()
}

fn session(id: &str, device: &str, address: &str, method: &str, seen: i64) -> Session {
    Session {
        id: text(id),
        device: text(device),
        address: text(address),
        method: text(method),
        began_at: before(seen + 4_000),
        seen_at: before(seen),
        is_this: seen == 0,
    }
}

fn sessions() -> Vec<Sample> {
    let this = session("s1", "Firefox on Linux", "192.0.2.17", "Passkey", 0);
    let some = vec![
        this.clone(),
        session("s2", "Safari on iPhone", "2001:db8:4a::1", "Passkey", 43),
        session("s3", "Chrome on Windows", "198.51.100.8", "Password and code", 3_100),
    ];
    let hostile = vec![
        this.clone(),
        session("s4", HOSTILE, HOSTILE, HOSTILE, 5),
        session("s5", &long_word(), "192.0.2.1", "Password", 9),
    ];
    let done = Frame { flash: Some(flash(Tone::Done, "Chrome on Windows is signed out.")), ..frame() };
    vec![
        ("sessions", Sessions { frame: done, sessions: some }.render()),
        ("sessions-one", Sessions { frame: frame(), sessions: vec![this] }.render()),
        ("sessions-hostile", Sessions { frame: hostile_frame(), sessions: hostile }.render()),
    ]
}

fn passkey(id: &str, name: Field, used: Option<i64>) -> Passkey {
    Passkey { id: text(id), name, added_at: before(90_000), used_at: used.map(before) }
}

fn factors() -> Vec<Sample> {
    let none = Factors {
        frame: frame(),
        totp: None,
        passkeys: Vec::new(),
        new_passkey: Field::default(),
        is_required: true,
    };
    let filled = Factors {
        totp: Some(Totp { added_at: before(200_000), recovery_codes_left: 2 }),
        passkeys: vec![
            passkey("p1", Field::of("MacBook"), Some(12)),
            passkey("p2", Field::of("YubiKey in the safe"), None),
        ],
        ..none.clone()
    };
    let errors = Factors {
        passkeys: vec![passkey("p1", Field::refused("MacBook", "Another passkey has this name."), None)],
        new_passkey: Field::refused("", "Give it a name."),
        ..filled.clone()
    };
    let hostile = Factors {
        frame: hostile_frame(),
        passkeys: vec![passkey("p1", Field::of(HOSTILE), None), passkey("p2", Field::of(long_word()), None)],
        ..filled.clone()
    };
    let enrol = TotpEnrolment {
        frame: frame(),
        qr_svg: qr(),
        key: text("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),
        code: Field::default(),
    };
    let codes = (0..10).map(|place| {
        format!("{:04x}-{:04x}-{:04x}", 0x3a1f + place * 977, 0x91c0 + place * 31, 0x2b77 + place * 1_201)
    });
    vec![
        ("factors", filled.render()),
        ("factors-none", none.render()),
        ("factors-errors", errors.render()),
        ("factors-hostile", hostile.render()),
        ("totp", enrol.render()),
        (
            "totp-error",
            TotpEnrolment {
                code: Field::refused("", "That code is not right. Look at the clock of your phone."),
                ..enrol
            }
            .render(),
        ),
        ("recovery-codes", RecoveryCodes { frame: frame(), codes: codes.collect() }.render()),
    ]
}

/// Something that looks like a QR code.
fn qr() -> String {
    let mut svg = text(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 29 29' shape-rendering='crispEdges'><path fill='#fff' d='M0 0h29v29H0z'/><path d='",
    );
    let finder = |x: i32, y: i32| (0..9).contains(&x) && (0..9).contains(&y);
    let mut state: u32 = 7;
    for y in 2..27 {
        for x in 2..27 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let corner = finder(x, y) || finder(28 - x, y) || finder(x, 28 - y);
            if !corner && state >> 31 == 1 {
                svg.push_str(&format!("M{x} {y}h1v1h-1z"));
            }
        }
    }
    for (x, y) in [(2, 2), (20, 2), (2, 20)] {
        svg.push_str(&format!("M{x} {y}h7v7h-7zM{} {}v5h5v-5zM{} {}h3v3h-3z", x + 1, y + 1, x + 2, y + 2));
    }
    svg.push_str("'/></svg>");
    svg
}

fn password() -> Vec<Sample> {
    let rules = PasswordRules { min_length: 12, refuses_leaked: true, refuses_guessable: false };
    let plain =
        ChangePassword { frame: frame(), rules, current: Some(Field::default()), password: Field::default() };
    let errors = ChangePassword {
        current: Some(Field::refused("", "That is not your password.")),
        password: Field::refused("", "A password has at least 12 characters: this one has 7."),
        ..plain.clone()
    };
    vec![
        ("password", plain.render()),
        ("password-errors", errors.render()),
        ("password-first", ChangePassword { current: None, ..plain }.render()),
    ]
}

fn delete() -> Vec<Sample> {
    let plain = DeleteAccount { frame: frame(), email: Field::default(), hindrances: Vec::new() };
    let hindered = DeleteAccount {
        hindrances: vec![
            text("You are the last admin. Give somebody else that role first."),
            text("You have no second factor. Add one first."),
        ],
        ..plain.clone()
    };
    let wrong = Field::refused("ada@", "Type ada@northwind.example.");
    vec![
        ("delete-account", plain.render()),
        ("delete-account-error", DeleteAccount { email: wrong, ..plain }.render()),
        ("delete-account-hindered", hindered.render()),
    ]
}
