//! Who can look past every policy, and who does so now.

use std::collections::BTreeSet;

use crate::catalogue::{Kind, Oid, Role, quoted};
use crate::{Catalogue, Check, Code, Expected, Finding};

/// Roles of Postgres' own whose members reach rows or files past policies.
const AROUND: [(&str, &str); 5] = [
    ("pg_execute_server_program", "runs programs as the server's user, who reads and writes its files"),
    ("pg_read_server_files", "reads the server's files, in which every row is"),
    ("pg_write_server_files", "writes the server's files, and so its configuration"),
    ("pg_read_all_data", "reads parts, views and tables that nobody was granted"),
    ("pg_write_all_data", "writes parts and tables that nobody was granted"),
];

/// The superuser that a cluster is made by (`BOOTSTRAP_SUPERUSERID` of Postgres).
const BOOTSTRAP: Oid = 10;

pub(crate) fn check(catalogue: &Catalogue, expected: &Expected) -> Check {
    let logins = catalogue.roles.values().filter(|role| role.login);
    let logins: Vec<&Role> = logins.filter(|role| role.connects || expected.whole_cluster).collect();
    let findings = logins.iter().flat_map(|login| of(login, catalogue, expected)).collect();
    let connect = logins.iter().filter(|login| login.connects).count();
    Check { name: "Logins", seen: format!("{connect} logins can connect here"), findings }
}

fn of(login: &Role, catalogue: &Catalogue, expected: &Expected) -> Vec<Finding> {
    // Every cluster has the superuser it was made by: what counts is whether it is used (below).
    let is_its_own = login.oid == BOOTSTRAP || expected.administrators.contains(&login.name);
    let unavoidable = login.superuser && is_its_own && !expected.whole_cluster;
    if unavoidable || expected.trusts(&login.name) {
        return Vec::new();
    }
    // Where no policy holds it, nothing else matters.
    if login.is_unheld() {
        return vec![bypasses(login)];
    }
    let can_become = becomes(login, catalogue, expected).or_else(|| owns(login, catalogue, expected));
    can_become.into_iter().chain(around(login, catalogue, expected)).collect()
}

fn bypasses(login: &Role) -> Finding {
    let (what, attribute) =
        if login.superuser { ("is a superuser", "NOSUPERUSER") } else { ("has BYPASSRLS", "NOBYPASSRLS") };
    Finding::new(
        Code::LoginBypassesRls,
        &login.name,
        format!("It {what}: no policy holds it, forced or not."),
        format!(
            "ALTER ROLE {} {attribute}; or, where it is meant to reach every tenant, --trusted-role.",
            quoted(&login.name)
        ),
    )
}

/// What a login is and can become, but what is trusted.
fn selves<'a>(
    login: &'a Role,
    catalogue: &'a Catalogue,
    expected: &'a Expected,
) -> impl Iterator<Item = &'a Role> {
    let above = catalogue.above.get(&login.oid).into_iter().flatten();
    let above = above.filter_map(|role| catalogue.roles.get(role));
    std::iter::once(login).chain(above).filter(|role| !expected.trusts(&role.name))
}

fn becomes(login: &Role, catalogue: &Catalogue, expected: &Expected) -> Option<Finding> {
    let unheld = selves(login, catalogue, expected).find(|role| role.is_unheld())?;
    let what = if unheld.superuser { "a superuser" } else { "not held by policies (BYPASSRLS)" };
    Some(Finding::new(
        Code::LoginCanBypassRls,
        &login.name,
        format!("It is a member of `{}`, which is {what}: SET ROLE is all it takes.", unheld.name),
        revoke(unheld, login),
    ))
}

/// Whether it is or can become the owner of a table whose policies do not hold its owner.
fn owns(login: &Role, catalogue: &Catalogue, expected: &Expected) -> Option<Finding> {
    if expected.administrators.contains(&login.name) {
        return None;
    }
    // Where a table has no policies at all, that is its own finding.
    let mut tables = catalogue
        .tenant_tables()
        .filter(|table| table.kind != Kind::Foreign && !table.forced && (table.locked || table.is_partition));
    let (table, owner) = tables.find_map(|table| {
        let owner = selves(login, catalogue, expected).find(|role| role.oid == table.owner)?;
        Some((table, owner))
    })?;
    let path = &table.path;
    let force = format!("ALTER TABLE {path} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;");
    Some(if owner.oid == login.oid {
        let meaning = format!("It owns {path}, where row-level security does not hold the owner.");
        Finding::new(Code::LoginBypassesRls, &login.name, meaning, force)
    } else {
        let meaning = format!(
            "It is a member of `{}`, which owns {path}, where row-level security does not hold the owner.",
            owner.name
        );
        Finding::new(
            Code::LoginCanBypassRls,
            &login.name,
            meaning,
            format!("{force} or {}", revoke(owner, login)),
        )
    })
}

/// What leads around policies: attributes of a role and roles of Postgres' own.
fn around(login: &Role, catalogue: &Catalogue, expected: &Expected) -> Option<Finding> {
    let makes_roles = |role: &Role| role.makes_roles && !expected.administrators.contains(&login.name);
    let mut ways = Vec::new();
    let mut fix = Vec::new();
    for role in selves(login, catalogue, expected) {
        let through = if role.oid == login.oid { String::new() } else { format!(" as `{}`", role.name) };
        let attributes = [
            (role.replication, "REPLICATION", "copies every row out of the write-ahead log"),
            (makes_roles(role), "CREATEROLE", "makes itself a member of other roles"),
        ];
        for (_, attribute, way) in attributes.into_iter().filter(|(has, ..)| *has) {
            ways.push(format!("{way}{through} ({attribute})"));
            fix.push(match role.oid == login.oid {
                true => format!("ALTER ROLE {} NO{attribute};", quoted(&role.name)),
                false => format!("REVOKE {} FROM {};", quoted(&role.name), quoted(&login.name)),
            });
        }
        if let Some((name, way)) = AROUND.iter().find(|(name, _)| role.name == *name) {
            ways.push(format!("{way} ({name})"));
            fix.push(format!("REVOKE {} FROM {};", quoted(name), quoted(&login.name)));
        }
    }
    (!ways.is_empty()).then(|| {
        Finding::new(
            Code::LoginReachesAround,
            &login.name,
            format!("No policy asks about what else it may: it {}.", ways.join("; it ")),
            format!("{} or, where it is meant to reach every tenant, --trusted-role.", fix.join(" ")),
        )
    })
}

fn revoke(role: &Role, login: &Role) -> String {
    format!(
        "REVOKE {} FROM {}, or from the role between them; or, where it is meant to reach every tenant, \
         --trusted-role.",
        quoted(&role.name),
        quoted(&login.name)
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    // Not in the cluster that tests share: there a superuser would be a finding of every other test's.
    #[test]
    fn of_superusers_only_the_one_a_cluster_is_made_by_is_as_it_must_be() {
        let role = |oid, name: &str| Role {
            oid,
            name: name.to_owned(),
            superuser: true,
            bypass: false,
            login: true,
            replication: false,
            makes_roles: true,
            connects: true,
        };
        let roles = [role(BOOTSTRAP, "postgres"), role(16_384, "root"), role(16_385, "installer")];
        let roles = roles.into_iter().map(|role| (role.oid, role)).collect();
        let catalogue = Catalogue { roles, ..Catalogue::default() };
        let found = |whole_cluster, administrators: &[&str]| {
            let administrators = administrators.iter().map(|name| (*name).to_owned()).collect();
            let expected = Expected { whole_cluster, administrators, ..Expected::default() };
            let findings = check(&catalogue, &expected).findings.into_iter();
            findings.map(|finding| format!("{} {}", finding.code, finding.subject)).collect::<Vec<_>>()
        };
        let bypasses = |names: &[&str]| {
            names.iter().map(|name| format!("login_bypasses_rls {name}")).collect::<Vec<_>>()
        };
        assert_eq!(found(false, &[]), bypasses(&["root", "installer"]));
        assert_eq!(found(false, &["installer"]), bypasses(&["root"]));
        assert_eq!(found(true, &["installer"]), bypasses(&["postgres", "root", "installer"]));
    }
}
