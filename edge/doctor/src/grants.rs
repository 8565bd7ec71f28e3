//! Rights that policies do not hold back, and rights of everyone.

use std::collections::BTreeMap;

use crate::catalogue::{Grant, Kind, PUBLIC, Relation, quoted};
use crate::{Catalogue, Check, Code, Expected, Finding};

pub(crate) fn check(catalogue: &Catalogue, expected: &Expected) -> Check {
    let mut findings: Vec<Finding> = Vec::new();
    let mut examined = 0;
    for table in catalogue.tenant_tables() {
        let grants: Vec<&Grant> = catalogue.granted(table).collect();
        examined += grants.len();
        findings.extend(of(table, &grants, catalogue, expected));
    }
    findings.extend(sequences(catalogue));
    let open = catalogue.schemas.iter().filter(|schema| schema.open);
    findings.extend(open.map(|schema| {
        Finding::new(
            Code::SchemaOpen,
            &schema.name,
            "Everyone may make tables and functions in it, which others' queries then find.",
            format!("REVOKE CREATE ON SCHEMA {} FROM PUBLIC;", schema.path),
        )
    }));
    Check { name: "Rights", seen: format!("{examined} rights to these tables"), findings }
}

fn of(table: &Relation, grants: &[&Grant], catalogue: &Catalogue, expected: &Expected) -> Vec<Finding> {
    let mut by_code: BTreeMap<(&str, bool), Vec<&str>> = BTreeMap::new();
    let mut findings = Vec::new();
    let path = &table.path;
    for grant in grants {
        let role = catalogue.role_name(grant.grantee);
        let unheld = catalogue.roles.get(&grant.grantee).is_some_and(|role| role.is_unheld());
        if grant.grantee == PUBLIC {
            let column = grant.column.as_deref().map_or(String::new(), |name| format!(" ({})", quoted(name)));
            let right = format!("{}{column}", grant.privilege);
            findings.push(Finding::new(
                Code::GrantedToPublic,
                path,
                format!("{right} is granted to everyone, also to logins that are still to come."),
                format!("REVOKE {right} ON {path} FROM PUBLIC;"),
            ));
        } else if !unheld && !expected.trusts(role) {
            let finds = match grant.privilege.as_str() {
                "TRUNCATE" => true,
                "TRIGGER" | "REFERENCES" => false,
                _ => continue,
            };
            by_code.entry((role, finds)).or_default().push(&grant.privilege);
        }
    }
    findings.extend(by_code.into_iter().map(|((role, truncates), mut rights)| {
        rights.sort_unstable();
        rights.dedup();
        let rights = rights.join(", ");
        let fix = format!("REVOKE {rights} ON {path} FROM {};", quoted(role));
        if truncates {
            let meaning = format!("`{role}` may empty the table for every tenant: no policy holds TRUNCATE.");
            return Finding::new(Code::TruncateGranted, path, meaning, fix);
        }
        let meaning = format!(
            "`{role}` has {rights}: a trigger of its own runs with others' rights, and a foreign key of its own \
             learns of others' rows."
        );
        Finding::new(Code::BehindGranted, path, meaning, fix)
    }));
    findings
}

fn sequences(catalogue: &Catalogue) -> impl Iterator<Item = Finding> {
    let sequences = catalogue.relations.values().filter(|it| it.kind == Kind::Sequence);
    let open = sequences.filter(|it| catalogue.granted(it).any(|grant| grant.grantee == PUBLIC));
    open.map(|sequence| {
        let path = &sequence.path;
        Finding::new(
            Code::SequencePublic,
            path,
            "Everyone may draw from it or read it: how many rows others make shows.",
            format!("REVOKE ALL ON SEQUENCE {path} FROM PUBLIC;"),
        )
    })
}
