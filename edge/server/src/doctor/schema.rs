//! The schema, its roles and rights, held to what migrations and provisioning make: a committed list,
//! which a test holds to a fresh database.

use std::collections::{BTreeMap, BTreeSet};

use chancery_doctor::{Check, Code, Finding};
use chancery_store::provision::ROLES;
use chancery_store::{Migrated, Migration, migrated};
use sqlx::PgConnection;

use super::queries::{MEMBERS, ROLES as OF_ROLES, SCHEMA};
use super::split_outside;

/// What a fresh database holds, one line for each thing: `WHAT: HOW`.
pub const EXPECTED: &str = include_str!("schema.txt");

/// Reads the same of a database, sorted. `admin` is whom its URL names: a member of our roles.
///
/// # Errors
/// When the catalogue does not answer.
pub async fn describe(database: &mut PgConnection, admin: &str) -> sqlx::Result<BTreeSet<String>> {
    let mut lines: Vec<String> = Vec::new();
    for query in SCHEMA {
        lines.extend(sqlx::query_scalar::<_, String>(query).fetch_all(&mut *database).await?);
    }
    lines.extend(sqlx::query_scalar::<_, String>(OF_ROLES).bind(&ROLES[..]).fetch_all(&mut *database).await?);
    let members = sqlx::query_scalar::<_, String>(MEMBERS).bind(&ROLES[..]).bind(admin);
    lines.extend(members.fetch_all(&mut *database).await?);
    // One line each, however an expression is printed.
    Ok(lines.into_iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
}

pub(super) async fn check(
    database: &mut PgConnection,
    admin: &str,
    migrations: &[Migration],
) -> sqlx::Result<[Check; 2]> {
    let known = migrations.len();
    let migration = migrated(database, migrations).await?;
    let findings = migration_findings(&migration);
    let current = findings.is_empty();
    let first = Check { name: "Migrations", seen: format!("{known} known to this program"), findings };
    if !current {
        // What another program's migrations made says nothing about ours.
        let seen = "not compared: the migrations are not this program's".to_owned();
        return Ok([first, Check { name: "Schema", seen, findings: Vec::new() }]);
    }
    let found = describe(database, admin).await?;
    let seen = format!("{} lines of objects, rights, roles and settings compared", found.len());
    Ok([first, Check { name: "Schema", seen, findings: differences(EXPECTED, &found) }])
}

fn migration_findings(migration: &Migrated) -> Vec<Finding> {
    let told =
        |subject: String, meaning: &str, fix: &str| Finding::new(Code::Migrations, subject, meaning, fix);
    let numbers = |versions: &[i32]| {
        let texts: Vec<String> = versions.iter().map(|version| format!("{version:04}")).collect();
        texts.join(", ")
    };
    let mut findings = Vec::new();
    if !migration.pending.is_empty() {
        let meaning = "The database is older than this program: its schema was not compared.";
        let fix = "Start this version of the server once: it migrates.";
        findings.push(told(numbers(&migration.pending), meaning, fix));
    }
    if !migration.unknown.is_empty() {
        let meaning = "The database was migrated by a newer program: its schema was not compared.";
        findings.push(told(numbers(&migration.unknown), meaning, "Use the newer program."));
    }
    if !migration.changed.is_empty() {
        let meaning = "What ran under this number is not what this program carries.";
        let fix = "Use the program that this database was made with, or restore a backup.";
        findings.push(told(numbers(&migration.changed), meaning, fix));
    }
    findings
}

/// What is there and should not be, is not and should be, or is otherwise.
fn differences(expected: &str, found: &BTreeSet<String>) -> Vec<Finding> {
    let split = |line: &str| {
        let (what, how) = split_outside(line, ": ").unwrap_or((line, ""));
        (what.to_owned(), how.to_owned())
    };
    let expected = expected.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(split);
    let expected: BTreeMap<String, BTreeSet<String>> = grouped(expected);
    let found = grouped(found.iter().map(|line| split(line)));
    let all: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    all.into_iter()
        .filter(|what| expected.get(*what) != found.get(*what))
        .map(|what| difference(what, expected.get(what), found.get(what)))
        .collect()
}

fn grouped(lines: impl Iterator<Item = (String, String)>) -> BTreeMap<String, BTreeSet<String>> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (what, how) in lines {
        groups.entry(what).or_default().insert(how);
    }
    groups
}

fn difference(what: &str, expected: Option<&BTreeSet<String>>, found: Option<&BTreeSet<String>>) -> Finding {
    let text = |hows: &BTreeSet<String>| hows.iter().map(String::as_str).collect::<Vec<_>>().join("; ");
    let code = match what.split(' ').next() {
        Some("grant") => Code::GrantDiffers,
        Some("role" | "member" | "setting") => Code::RoleDiffers,
        _ => Code::SchemaDiffers,
    };
    let right = what.strip_prefix("grant ").and_then(|right| split_outside(right, " to "));
    let member = what.strip_prefix("member ").and_then(|member| split_outside(member, " in "));
    let (meaning, fix) = match (expected, found, right, member) {
        (None, _, Some((right, role)), _) => (
            format!("`{role}` holds a right that no migration gave it."),
            format!("REVOKE {right} FROM {};", split_outside(role, " with ").map_or(role, |(role, _)| role)),
        ),
        (Some(_), None, Some((right, role)), _) => {
            (format!("`{role}` lacks a right that it needs."), format!("GRANT {right} TO {role};"))
        }
        (None, _, _, Some((member, role))) => {
            (format!("`{member}` can do all that `{role}` may."), format!("REVOKE {role} FROM {member};"))
        }
        (None, Some(found), ..) if what.starts_with("setting ") => (
            format!("Nothing of ours sets it{}, and sessions begin with it.", with(&text(found))),
            "Find out who set it, and why; then ALTER ROLE or ALTER DATABASE … RESET it.".to_owned(),
        ),
        (None, Some(found), ..) => (
            format!("No migration made it{}.", with(&text(found))),
            "Find out who made it, and why; then drop it.".to_owned(),
        ),
        (Some(expected), None, ..) => (
            format!("It is missing{}.", with(&text(expected))),
            "Restore a backup (docs/runbooks/restore.md), or make it again as its migration does.".to_owned(),
        ),
        (expected, found, ..) => {
            let (expected, found) = (expected.map(text), found.map(text));
            let meaning = format!(
                "It is `{}`, and should be `{}`.",
                found.unwrap_or_default(),
                expected.unwrap_or_default()
            );
            (
                meaning,
                "Make it again as its migration does, or for roles as a start of the server does.".to_owned(),
            )
        }
    };
    Finding::new(code, what, meaning, fix)
}

fn with(how: &str) -> String {
    if how.is_empty() { String::new() } else { format!(" (`{how}`)") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_less_and_otherwise_is_told_apart() {
        let expected = "# a comment\ntable a: locked\ntable b: locked\ngrant SELECT ON TABLE a to x\n";
        let found =
            ["table a: open", "grant UPDATE ON TABLE a to x", "member y in x", "setting of every role: a=b"];
        let told: Vec<String> = differences(expected, &found.map(str::to_owned).into())
            .into_iter()
            .map(|finding| {
                format!("{} {} | {} | {}", finding.code, finding.subject, finding.meaning, finding.fix)
            })
            .collect();
        assert_eq!(
            told,
            [
                "grant_differs grant SELECT ON TABLE a to x | `x` lacks a right that it needs. | GRANT SELECT ON TABLE a TO x;",
                "grant_differs grant UPDATE ON TABLE a to x | `x` holds a right that no migration gave it. | REVOKE UPDATE ON TABLE a FROM x;",
                "role_differs member y in x | `y` can do all that `x` may. | REVOKE x FROM y;",
                "role_differs setting of every role | Nothing of ours sets it (`a=b`), and sessions begin with it. | Find out who set it, and why; then ALTER ROLE or ALTER DATABASE … RESET it.",
                "schema_differs table a | It is `open`, and should be `locked`. | Make it again as its migration does, or for roles as a start of the server does.",
                "schema_differs table b | It is missing (`locked`). | Restore a backup (docs/runbooks/restore.md), or make it again as its migration does.",
            ]
        );
    }
    #[test]
    fn names_stay_what_they_are_in_a_fix() {
        let table = "\"a to b: c in d\"\"; DROP TABLE x; --\"";
        let role = "\"y with z\"\"; ALTER ROLE y SUPERUSER; --\"";
        let found = [
            format!("grant SELECT ON TABLE public.{table} to {role}"),
            format!("grant UPDATE ON TABLE public.{table} to {role} with grant option"),
            format!("member {role} in {table}"),
        ];
        let fixes: Vec<String> =
            differences("", &found.into()).into_iter().map(|finding| finding.fix).collect();
        assert_eq!(
            fixes,
            [
                format!("REVOKE SELECT ON TABLE public.{table} FROM {role};"),
                format!("REVOKE UPDATE ON TABLE public.{table} FROM {role};"),
                format!("REVOKE {table} FROM {role};"),
            ]
        );
    }
}
