//! Tables with the tenant column: locked, for their owners as well, and every row with a tenant.

use std::collections::BTreeSet;

use crate::catalogue::{Kind, Relation, quoted};
use crate::{Catalogue, Check, Code, Expected, Finding};

pub(crate) fn check(catalogue: &Catalogue, expected: &Expected) -> Check {
    let mut findings: Vec<Finding> =
        catalogue.tenant_tables().flat_map(|table| of(table, catalogue, expected)).collect();
    findings.extend(foreign_keys(catalogue, expected));
    let (mut with, mut without) = (0, Vec::new());
    for table in catalogue.relations.values().filter(|it| it.kind.holds_rows() && !it.is_partition) {
        if table.has_column { with += 1 } else { without.push(table.path.as_str()) }
    }
    if with == 0 {
        findings.push(Finding::new(
            Code::NothingToExamine,
            schemas(catalogue),
            format!("No table here has a column `{}`: nothing was examined.", expected.column),
            "Name the column with --tenant-column, and schemas with --schema.",
        ));
    }
    without.sort_unstable();
    let mut seen = format!("{with} tables with {} in {}", expected.column, schemas(catalogue));
    if !without.is_empty() {
        seen += &format!("; without it, and so not examined: {}", without.join(", "));
    }
    Check { name: "Tables", seen, findings }
}

fn schemas(catalogue: &Catalogue) -> String {
    let names: Vec<&str> = catalogue.schemas.iter().map(|schema| schema.name.as_str()).collect();
    names.join(", ")
}

fn of(table: &Relation, catalogue: &Catalogue, expected: &Expected) -> Vec<Finding> {
    let path = table.path.as_str();
    let mut findings = Vec::new();
    findings.extend(lock(table, catalogue, expected));
    if table.nullable {
        findings.push(Finding::new(
            Code::ColumnNullable,
            path,
            "A row without a tenant belongs to nobody, and policies hide it from everyone or show it to all.",
            format!("ALTER TABLE {path} ALTER COLUMN {} SET NOT NULL;", quoted(&expected.column)),
        ));
    }
    if !table.indexed && table.kind != Kind::Foreign {
        findings.push(Finding::new(
            Code::IndexMissing,
            path,
            "Every query is asked for its tenant, and no index begins with the column: each reads the table.",
            format!("CREATE INDEX CONCURRENTLY ON {path} ({});", quoted(&expected.column)),
        ));
    }
    findings
}

/// Whether row-level security holds everyone at this table.
fn lock(table: &Relation, catalogue: &Catalogue, expected: &Expected) -> Option<Finding> {
    let path = table.path.as_str();
    let both = format!(
        "ALTER TABLE {path} ENABLE ROW LEVEL SECURITY; ALTER TABLE {path} FORCE ROW LEVEL SECURITY; then a \
         policy that compares {} with the tenant of whoever asks.",
        quoted(&expected.column)
    );
    let grantees: BTreeSet<String> = catalogue
        .granted(table)
        .filter(|grant| !expected.trusts(catalogue.role_name(grant.grantee)))
        .map(|grant| catalogue.grantee(grant.grantee))
        .collect();
    let grantees = grantees.into_iter().collect::<Vec<_>>().join(", ");
    if table.kind == Kind::Foreign {
        let meaning = format!(
            "A foreign table can have no policies: {grantees} can read every tenant's rows through it."
        );
        let fix = format!("REVOKE ALL ON {path} FROM {grantees};");
        return (!grantees.is_empty()).then(|| Finding::new(Code::ForeignTable, path, meaning, fix));
    }
    if table.is_partition && !(table.locked && table.forced) {
        // Through the table it is a part of, that one's policies hold.
        let meaning = format!(
            "Policies of the whole do not hold who asks this part by its own name, and {grantees} may."
        );
        let fix = format!("REVOKE ALL ON {path} FROM {grantees}; or {both}");
        return (!grantees.is_empty()).then(|| Finding::new(Code::PartitionUnlocked, path, meaning, fix));
    }
    if !table.locked {
        let meaning = "Row-level security is off: whoever may read the table reads every tenant's rows.";
        return Some(Finding::new(Code::RlsOff, path, meaning, both));
    }
    if !table.forced {
        let owner = catalogue.role_name(table.owner);
        let meaning = format!("Row-level security does not hold the table's owner, `{owner}`.");
        let fix = format!("ALTER TABLE {path} FORCE ROW LEVEL SECURITY;");
        return Some(Finding::new(Code::RlsNotForced, path, meaning, fix));
    }
    None
}

/// Keys between tenants' tables that look past policies: what they refer to may be another tenant's.
fn foreign_keys<'a>(
    catalogue: &'a Catalogue,
    expected: &'a Expected,
) -> impl Iterator<Item = Finding> + use<'a> {
    catalogue.foreign_keys.iter().filter(|key| !key.by_column).filter_map(|key| {
        let (from, to) = (catalogue.relations.get(&key.relation)?, catalogue.relations.get(&key.target)?);
        let column = quoted(&expected.column);
        (from.has_column && to.has_column).then(|| {
            Finding::new(
                Code::ForeignKeyAcross,
                format!("{} ({})", from.path, key.name),
                format!(
                    "Foreign keys are checked past policies, and this one does not name the tenant: a row \
                     can refer to another tenant's in {}, and learns by it that it exists.",
                    to.path
                ),
                format!("Make it FOREIGN KEY ({column}, …) REFERENCES {} ({column}, …).", to.path),
            )
        })
    })
}
