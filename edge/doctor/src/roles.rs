//! Who can look past every policy, and who does so now.

use std::collections::BTreeSet;

use crate::catalogue::{Role, quoted};
use crate::{Catalogue, Check, Code, Expected, Finding};

pub(crate) fn check(catalogue: &Catalogue, expected: &Expected) -> Check {
    let logins = catalogue.roles.values().filter(|role| role.login);
    let logins: Vec<&Role> = logins.filter(|role| role.connects || expected.whole_cluster).collect();
    let findings = logins.iter().filter_map(|login| of(login, catalogue, expected)).collect();
    let connect = logins.iter().filter(|login| login.connects).count();
    Check { name: "Logins", seen: format!("{connect} logins can connect here"), findings }
}

fn of(login: &Role, catalogue: &Catalogue, expected: &Expected) -> Option<Finding> {
    // Every cluster has a superuser: what counts is whether one is used (below).
    if (login.superuser && !expected.whole_cluster) || expected.trusts(&login.name) {
        return None;
    }
    let name = quoted(&login.name);
    if login.is_unheld() {
        let (what, attribute) = if login.superuser {
            ("is a superuser", "NOSUPERUSER")
        } else {
            ("has BYPASSRLS", "NOBYPASSRLS")
        };
        return Some(Finding::new(
            Code::LoginBypassesRls,
            &login.name,
            format!("It {what}: no policy holds it, forced or not."),
            format!(
                "ALTER ROLE {name} {attribute}; or, where it is meant to reach every tenant, --trusted-role."
            ),
        ));
    }
    let above = catalogue.above.get(&login.oid).into_iter().flatten();
    let mut above = above.filter_map(|role| catalogue.roles.get(role));
    let unheld = above.find(|role| role.is_unheld() && !expected.trusts(&role.name))?;
    let what = if unheld.superuser { "a superuser" } else { "not held by policies (BYPASSRLS)" };
    Some(Finding::new(
        Code::LoginCanBypassRls,
        &login.name,
        format!("It is a member of `{}`, which is {what}: SET ROLE is all it takes.", unheld.name),
        format!(
            "REVOKE {} FROM {name}; or, where it is meant to reach every tenant, --trusted-role.",
            quoted(&unheld.name)
        ),
    ))
}

/// What is connected now.
pub(crate) fn check_sessions(catalogue: &Catalogue, expected: &Expected) -> Check {
    let owners: BTreeSet<i64> = catalogue.tenant_tables().map(|table| table.owner).collect();
    let mut findings = Vec::new();
    for session in &catalogue.sessions {
        let Some(role) = catalogue.roles.get(&session.role).filter(|role| !expected.trusts(&role.name))
        else {
            continue;
        };
        let (code, meaning) = match role {
            _ if role.is_unheld() => (Code::BypassInUse, "no policy holds it"),
            _ if owners.contains(&role.oid) => {
                (Code::OwnerInUse, "it owns tables, and could unlock them at any time")
            }
            _ => continue,
        };
        let application = session.application.as_deref().map_or(String::new(), |name| format!(" (`{name}`)"));
        findings.push(Finding::new(
            code,
            &role.name,
            format!("{} sessions are open as this role{application}: {meaning}.", session.sessions),
            "Connect the application as a login of its own that is no superuser, owns nothing and has no \
             BYPASSRLS; keep this role for migrations.",
        ));
    }
    let sessions: i64 = catalogue.sessions.iter().map(|session| session.sessions).sum();
    Check { name: "Sessions", seen: format!("{sessions} sessions besides this one"), findings }
}
