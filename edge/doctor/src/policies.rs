//! Policies: each that lets rows through asks for the tenant.

use crate::catalogue::{Oid, PUBLIC, Policy, Relation, quoted};
use crate::expression::{Hold, hold};
use crate::{Catalogue, Check, Code, Expected, Finding};

pub(crate) fn check(catalogue: &Catalogue, expected: &Expected) -> Check {
    let mut examined = 0;
    let mut findings = Vec::new();
    for policy in &catalogue.policies {
        let Some(table) = catalogue.relations.get(&policy.relation).filter(|table| table.has_column) else {
            continue;
        };
        examined += 1;
        if let Some(wide) = Wide::of(policy, table, catalogue, expected)
            && !wide.is_meant(catalogue, expected)
        {
            findings.push(wide.finding(catalogue, expected));
        }
    }
    Check { name: "Policies", seen: format!("{examined} policies on these tables"), findings }
}

/// A permissive policy that lets rows of several tenants through, which no restrictive one holds back.
struct Wide<'a> {
    policy: &'a Policy,
    table: &'a Relation,
    hold: Hold,
    expression: &'a str,
}

impl<'a> Wide<'a> {
    fn of(
        policy: &'a Policy,
        table: &'a Relation,
        catalogue: &Catalogue,
        expected: &Expected,
    ) -> Option<Self> {
        if !policy.permissive || is_restricted(policy, table, catalogue, expected) {
            return None;
        }
        // A policy for INSERT has no USING; without WITH CHECK, USING is asked in its place, and what has
        // neither lets nothing through.
        let expressions = [&policy.using, &policy.check].into_iter().flatten();
        let holds = expressions.map(|text| (held(policy, text, table, expected), text.as_str()));
        let (hold, expression) = holds.filter(|(hold, _)| *hold != Hold::Held).max_by_key(|(hold, _)| {
            // The worse one is told.
            u8::from(*hold == Hold::Ignored)
        })?;
        Some(Self { policy, table, hold, expression })
    }

    /// Whether it lets a role through.
    fn admits(&self, role: Oid, catalogue: &Catalogue) -> bool {
        self.policy.roles.iter().any(|of| *of == PUBLIC || catalogue.is_or_can_become(role, *of))
    }

    /// Whether all whom it lets through are meant to: roles that are trusted here, and roles nobody logs
    /// in as but who could unlock the table anyway. Those own `SECURITY DEFINER` functions, which are
    /// examined themselves.
    fn is_meant(&self, catalogue: &Catalogue, expected: &Expected) -> bool {
        let known = |role: &Oid| {
            let name = catalogue.role_name(*role);
            *role != PUBLIC && (expected.trusts_in(name, &self.table.name) || self.sleeps(*role, catalogue))
        };
        self.policy.roles.iter().all(known)
    }

    fn sleeps(&self, role: Oid, catalogue: &Catalogue) -> bool {
        if catalogue.roles.get(&role).is_none_or(|role| role.login) {
            return false;
        }
        let mut logins = catalogue.roles.values().filter(|login| login.login && login.connects);
        logins.all(|login| {
            login.superuser
                || !catalogue.is_or_can_become(login.oid, role)
                || catalogue.is_or_can_become(login.oid, self.table.owner)
        })
    }

    fn finding(&self, catalogue: &Catalogue, expected: &Expected) -> Finding {
        let (name, table) = (&self.policy.name, &self.table.path);
        let roles: Vec<&str> = self.policy.roles.iter().map(|role| catalogue.role_name(*role)).collect();
        let roles = roles.join(", ");
        let grantees: Vec<String> = self.policy.roles.iter().map(|role| catalogue.grantee(*role)).collect();
        let command = match self.policy.command.as_str() {
            "r" => "SELECT",
            "a" => "INSERT",
            "w" => "UPDATE",
            "d" => "DELETE",
            _ => "every command",
        };
        let (code, how) = match self.hold {
            Hold::WayAround => (Code::PolicyHasWayAround, "in some branches only"),
            _ => (Code::PolicyIgnoresColumn, "nowhere"),
        };
        let column = &expected.column;
        Finding::new(
            code,
            format!("{table} ({name})"),
            format!(
                "For {command} by {roles} the policy asks for {column} {how}: `{}`. Permissive policies are \
                 alternatives, so it opens what others close.",
                self.expression
            ),
            format!(
                "ALTER POLICY {policy} ON {table} with an expression that compares {} in every branch; or \
                 DROP POLICY {policy} ON {table}; or, where {} is meant to reach every tenant, --trusted-role.",
                quoted(column),
                grantees.join(", "),
                policy = quoted(name)
            ),
        )
    }
}

/// Whether the rows of every tenant in a table are open to a role.
pub(crate) fn reaches(role: Oid, table: &Relation, catalogue: &Catalogue, expected: &Expected) -> bool {
    if catalogue.roles.get(&role).is_none_or(|role| role.is_unheld()) {
        return true;
    }
    let owns = catalogue.is_or_can_become(role, table.owner);
    let granted = catalogue
        .granted(table)
        .any(|grant| grant.grantee == PUBLIC || catalogue.is_or_can_become(role, grant.grantee));
    if !owns && !granted {
        return false;
    }
    let policies = catalogue.policies.iter().filter(|policy| policy.relation == table.oid);
    let mut wide = policies.filter_map(|policy| Wide::of(policy, table, catalogue, expected));
    !table.locked || (owns && !table.forced) || wide.any(|wide| wide.admits(role, catalogue))
}

fn held(policy: &Policy, expression: &str, table: &Relation, expected: &Expected) -> Hold {
    if !policy.names_column {
        return Hold::Ignored;
    }
    hold(expression, &table.name, &expected.column)
}

/// Whether a restrictive policy holds all whom this one lets through.
fn is_restricted(policy: &Policy, table: &Relation, catalogue: &Catalogue, expected: &Expected) -> bool {
    catalogue.policies.iter().any(|other| {
        let same = other.relation == policy.relation && !other.permissive;
        let command = other.command == "*" || other.command == policy.command;
        let roles =
            other.roles.contains(&PUBLIC) || policy.roles.iter().all(|role| other.roles.contains(role));
        let holds = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| held(other, text, table, expected) == Hold::Held)
        };
        // WITH CHECK falls back on USING; USING on nothing.
        let reads = policy.command == "a" || holds(&other.using);
        let writes = match &other.check {
            Some(_) => holds(&other.check),
            None => holds(&other.using),
        };
        same && command && roles && reads && (writes || matches!(policy.command.as_str(), "r" | "d"))
    })
}
