//! Views of tenants' tables: read with the rights of whoever asks.

use crate::catalogue::{Kind, Relation};
use crate::policies::reaches;
use crate::{Catalogue, Check, Code, Expected, Finding};

pub(crate) fn check(catalogue: &Catalogue, expected: &Expected) -> Check {
    let mut findings = Vec::new();
    let mut examined = 0;
    for view in catalogue.relations.values().filter(|it| matches!(it.kind, Kind::View | Kind::Materialized)) {
        let tables = catalogue.tenant_tables_under(view.oid);
        let Some(first) = tables.first() else { continue };
        examined += 1;
        if expected.trusts(catalogue.role_name(view.owner)) {
            continue;
        }
        let reached = tables.iter().find(|table| reaches(view.owner, table, catalogue, expected));
        findings.extend(of(view, reached.unwrap_or(first), reached.is_some(), catalogue));
    }
    Check { name: "Views", seen: format!("{examined} views of these tables"), findings }
}

fn of(view: &Relation, table: &Relation, reached: bool, catalogue: &Catalogue) -> Option<Finding> {
    let (path, table) = (&view.path, &table.path);
    if view.kind == Kind::Materialized {
        let meaning = format!(
            "It keeps what it read of {table}, of every tenant its owner reached, and can have no policies."
        );
        let fix = format!(
            "DROP MATERIALIZED VIEW {path}; or make it a table with the column and policies; or REVOKE ALL ON \
             {path} from every login."
        );
        return Some(Finding::new(Code::MaterializedView, path, meaning, fix));
    }
    if view.invoker {
        return None;
    }
    let fix = format!("ALTER VIEW {path} SET (security_invoker = true);");
    let owner = catalogue.role_name(view.owner);
    Some(if reached {
        let meaning = format!(
            "It reads {table} with the rights of its owner `{owner}`, who reaches every tenant's rows in it: \
             so does whoever may read the view."
        );
        Finding::new(Code::ViewBypassesRls, path, meaning, fix)
    } else {
        let meaning = format!(
            "It reads {table} with the rights of its owner `{owner}`: policies for `{owner}` hold, and those \
             for whoever asks do not."
        );
        Finding::new(Code::ViewOfOwner, path, meaning, fix)
    })
}
