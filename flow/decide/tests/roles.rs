//! The installation's role policy.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests may fail loudly"
)]

use chancery_decide::{ROLE_POLICY, RoleTable};
use chancery_model::{Permission, Role};

#[test]
fn the_table_of_roles_and_permissions() {
    let table = RoleTable::load(ROLE_POLICY).unwrap();
    let mut text = format!("{:20}", "");
    Role::ALL.iter().for_each(|role| text += &format!(" {:8}", role.as_str()));
    for permission in Permission::ALL {
        text += &format!("\n{:20}", permission.as_str());
        for role in Role::ALL {
            text += &format!(" {:8}", if table.allows(*role, *permission) { "x" } else { "." });
        }
    }
    let text: Vec<_> = text.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(text.join("\n"));
    for role in Role::ALL {
        let bits =
            Permission::ALL.iter().filter(|p| table.allows(*role, **p)).fold(0, |sum, p| sum | p.bit());
        assert_eq!(table.of(*role), bits);
    }
}

#[test]
fn a_role_policy_that_can_not_be_relied_on_is_refused() {
    for (text, expected) in [
        ("permit(principal, action, resource)", "line 1:"),
        (
            "\npermit(principal == Role::\"admin\", action == Action::\"agents:manages\", resource);",
            "line 2:",
        ),
        ("permit(principal == Member::\"admin\", action, resource);", "Member"),
        ("permit(principal, action, resource) when { false };", "line 1:"),
        ("permit(principal, action, resource) when { 1 + 9223372036854775807 > 0 };", "can't be evaluated"),
        (
            "permit(principal, action, resource); forbid(principal, action, resource) when { 1 + 9223372036854775807 > 0 };",
            "can't be evaluated",
        ),
    ] {
        let error = RoleTable::load(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let nobody = RoleTable::load("forbid(principal, action, resource);").unwrap();
    assert!(Role::ALL.iter().all(|role| nobody.of(*role) == 0));
}
