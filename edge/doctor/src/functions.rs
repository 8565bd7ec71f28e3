//! `SECURITY DEFINER` functions: what they find, who may call them, and what they ask their caller.

use crate::catalogue::{Function, Relation};
use crate::policies::reaches;
use crate::text::{Token, tokens};
use crate::{Catalogue, Check, Code, Expected, Finding};

pub(crate) fn check(catalogue: &Catalogue, expected: &Expected) -> Check {
    let definers: Vec<&Function> = catalogue.functions.iter().filter(|function| function.definer).collect();
    let findings = definers.iter().flat_map(|function| of(function, catalogue, expected)).collect();
    let seen = format!("{} functions run with their owner's rights", definers.len());
    Check { name: "Definer functions", seen, findings }
}

fn of(function: &Function, catalogue: &Catalogue, expected: &Expected) -> Vec<Finding> {
    let (path, kind) = (&function.path, if function.is_procedure { "PROCEDURE" } else { "FUNCTION" });
    let mut findings = Vec::new();
    let fixed = format!("ALTER {kind} {path} SET search_path = pg_catalog, public, pg_temp;");
    match search_path(function) {
        None => findings.push(Finding::new(
            Code::DefinerSearchPath,
            path,
            "It has no search_path of its own: its caller's decides which tables and functions it finds, and \
             a caller can put theirs before.",
            fixed,
        )),
        Some(path_of) if path_of.iter().any(|schema| schema == "$user") => findings.push(Finding::new(
            Code::DefinerSearchPath,
            path,
            "Its search_path holds \"$user\", a schema of its owner's that may not exist yet.",
            fixed,
        )),
        // An empty path leaves no name to be found elsewhere.
        Some(path_of) if !path_of.is_empty() && path_of.last().is_none_or(|schema| schema != "pg_temp") => {
            findings.push(Finding::new(
                Code::DefinerTemporary,
                path,
                "Its search_path does not end with pg_temp, which is then searched first: a caller's \
                 temporary table stands before the real one.",
                format!("ALTER {kind} {path} SET search_path = {}, pg_temp;", path_of.join(", ")),
            ));
        }
        Some(_) => {}
    }
    // A trigger's function can't be called, and firing asks for no right.
    if function.public && !function.is_trigger {
        findings.push(Finding::new(
            Code::DefinerPublic,
            path,
            format!("Everyone may call it, with the rights of `{}`.", catalogue.role_name(function.owner)),
            format!("REVOKE EXECUTE ON {kind} {path} FROM PUBLIC; then GRANT it to whom it is for."),
        ));
    }
    findings.extend(guard(function, catalogue, expected));
    findings
}

fn search_path(function: &Function) -> Option<Vec<String>> {
    let value = function.settings.iter().find_map(|setting| setting.strip_prefix("search_path="))?;
    let schemas = value.split(',').map(|schema| schema.trim().trim_matches('"').to_owned());
    Some(schemas.filter(|schema| !schema.is_empty()).collect())
}

/// What tells a function who calls it. An argument does not: its caller chooses it.
const WHO: [&str; 4] = ["current_setting", "session_user", "jwt", "uid"];

fn guard(function: &Function, catalogue: &Catalogue, expected: &Expected) -> Option<Finding> {
    if expected.guarded.contains(&function.name) {
        return None;
    }
    let reached: Vec<&Relation> = catalogue
        .tenant_tables()
        .filter(|table| reaches(function.owner, table, catalogue, expected))
        .collect();
    let example = reached.first()?;
    let body = function.body.as_deref().filter(|_| ["sql", "plpgsql"].contains(&function.language.as_str()));
    let touched = match body {
        None => format!("is written in {}, and can't be read", function.language),
        Some(body) => {
            let words = tokens(body);
            if asks_who_calls(&words, catalogue) {
                return None;
            }
            touches(&words, &reached, catalogue)?
        }
    };
    let owner = catalogue.role_name(function.owner);
    Some(Finding::new(
        Code::DefinerUnguarded,
        &function.path,
        format!(
            "It runs as `{owner}`, who reaches every tenant's rows in {}{}, and {touched}. Its text was searched \
             for what tells who calls ({}, or a function that reads one of them), and has none.",
            example.path,
            if reached.len() > 1 { format!(" and {} more tables", reached.len() - 1) } else { String::new() },
            WHO.join(", ")
        ),
        "Compare the tenant column with the caller's tenant inside; or make it SECURITY INVOKER; or, once \
         somebody has read how it guards itself, --guarded-function.",
    ))
}

/// Whether a body reads who its caller is, itself or by calling what does.
fn asks_who_calls(words: &[Token], catalogue: &Catalogue) -> bool {
    let is_who = |token: &Token| WHO.iter().any(|who| token.is_word(who));
    words.iter().any(is_who)
        || catalogue.functions.iter().any(|called| {
            let reads = called.body.as_deref().is_some_and(|body| tokens(body).iter().any(is_who));
            reads && words.iter().any(|token| token.is_word(&called.name))
        })
}

/// What of the tenants' rows a body speaks of: a table, a view of one, or what only running it tells.
fn touches(words: &[Token], reached: &[&Relation], catalogue: &Catalogue) -> Option<String> {
    let named = |relation: &Relation| words.iter().any(|token| token.is_word(&relation.name));
    if let Some(table) = reached.iter().find(|table| named(table)) {
        return Some(format!("names {}", table.path));
    }
    let views = catalogue.relations.values().filter(|it| !it.kind.holds_rows() && named(it));
    for view in views {
        if !catalogue.tenant_tables_under(view.oid).is_empty() {
            return Some(format!("names {}", view.path));
        }
    }
    words
        .iter()
        .any(|token| token.is_word("execute"))
        .then(|| "puts SQL together that no text shows".to_owned())
}
