//! Whether a function that reaches every tenant asks who calls it: what its text calls, and what it reads
//! itself or through others.

use std::collections::BTreeSet;

use crate::catalogue::{Function, Relation};
use crate::policies::reaches;
use crate::text::{Token, tokens};
use crate::{Catalogue, Code, Expected, Finding};

/// What tells a function who calls it, where it calls them. An argument does not: its caller chooses it.
const WHO: [&str; 3] = [SETTING, "jwt", "uid"];
/// The one that is Postgres' own; others are read where they are in the catalogue.
const SETTING: &str = "current_setting";
/// The same, which is called without brackets.
const WHO_KEYWORD: &str = "session_user";

/// Functions of Postgres' own, or of its extensions, that run a query, or read a table, that a text names.
const DYNAMIC: [&str; 16] = [
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "cursor_to_xml",
    "ts_stat",
    "ts_rewrite",
    "dblink",
    "dblink_exec",
    "xpath_table",
    "crosstab",
    "connectby",
];

/// What a body calls, or names, with the schema before it.
struct Called {
    schema: Option<String>,
    name: String,
}

impl Called {
    fn is(&self, function: &Function) -> bool {
        self.name == function.name && self.schema.as_ref().is_none_or(|schema| *schema == function.schema)
    }
}

/// A function whose text can be read.
struct Text<'a> {
    function: &'a Function,
    words: Vec<Token>,
    calls: Vec<Called>,
}

impl<'a> Text<'a> {
    /// None where it is not in a language that is read here.
    fn of(function: &'a Function) -> Option<Self> {
        let readable = ["sql", "plpgsql"].contains(&function.language.as_str());
        let words = tokens(function.body.as_deref().filter(|_| readable)?);
        let calls = calls(&words);
        Some(Self { function, words, calls })
    }

    /// Whether it reads who its caller is, by itself.
    fn reads_who(&self, catalogue: &Catalogue) -> bool {
        let keyword = self.words.iter().enumerate().any(|(at, token)| {
            let qualified = before(&self.words, at, 1).is_some_and(|token| token.is_sign("."));
            token.is_keyword(WHO_KEYWORD) && !qualified
        });
        let argument = self.function.arguments.iter().any(|name| name == WHO_KEYWORD);
        let who = |called: &Called| match called.name.as_str() {
            SETTING => called.schema.as_ref().is_none_or(|schema| schema == "pg_catalog"),
            // One that can be read counts by what it reads.
            name if WHO.contains(&name) => {
                let mut known = catalogue.functions.iter().filter(|known| called.is(known));
                !known.any(|known| Text::of(known).is_some())
            }
            _ => false,
        };
        (keyword && !argument) || self.calls.iter().any(who)
    }

    /// The functions of this database that it may call: all of a name, whatever their arguments.
    fn called(&self, catalogue: &'a Catalogue) -> impl Iterator<Item = &'a Function> {
        catalogue.functions.iter().filter(|function| self.calls.iter().any(|called| called.is(function)))
    }

    /// Those that run with its rights. A definer function is examined by itself; what an extension owns is its
    /// author's.
    fn inside(&self, catalogue: &'a Catalogue) -> Vec<&'a Function> {
        self.called(catalogue).filter(|called| !called.definer && !called.of_extension).collect()
    }

    /// Whether it reads who its caller is, itself or by calling what does.
    fn asks_who_calls(&self, catalogue: &'a Catalogue) -> bool {
        self.reads_who(catalogue)
            || self.called(catalogue).filter_map(Text::of).any(|text| text.reads_who(catalogue))
    }

    /// What of the tenants' rows it speaks of: a table, a view of one, or what only running it tells.
    fn touches(&self, reached: &[&Relation], catalogue: &Catalogue) -> Option<String> {
        let named = |relation: &Relation| self.words.iter().any(|token| token.is_word(&relation.name));
        if let Some(table) = reached.iter().find(|table| named(table)) {
            return Some(format!("names {}", table.path));
        }
        let views = catalogue.relations.values().filter(|it| !it.kind.holds_rows() && named(it));
        for view in views {
            if !catalogue.tenant_tables_under(view.oid).is_empty() {
                return Some(format!("names {}", view.path));
            }
        }
        let dynamic = self.calls.iter().any(|called| DYNAMIC.contains(&called.name.as_str()));
        let executes = self.words.iter().any(|token| token.is_keyword("execute"));
        (dynamic || executes).then(|| "runs SQL that no text shows".to_owned())
    }
}

fn before(words: &[Token], at: usize, back: usize) -> Option<&Token> {
    at.checked_sub(back).and_then(|at| words.get(at))
}

/// Names before an opening bracket, but those that are given to something there: `AS name (…)`.
fn calls(words: &[Token]) -> Vec<Called> {
    let opened = words.iter().enumerate().filter(|(_, token)| token.is_sign("("));
    let called = opened.filter_map(|(at, _)| {
        let name = before(words, at, 1)?.word()?.to_owned();
        let qualified = before(words, at, 2).is_some_and(|token| token.is_sign("."));
        if qualified {
            let schema = before(words, at, 3)?.word()?.to_owned();
            return Some(Called { schema: Some(schema), name });
        }
        let given = ["as", "into", "with", "recursive", "table"];
        let given = before(words, at, 2).is_some_and(|token| given.iter().any(|word| token.is_keyword(word)));
        (!given).then_some(Called { schema: None, name })
    });
    called.collect()
}

pub(crate) fn guard(function: &Function, catalogue: &Catalogue, expected: &Expected) -> Option<Finding> {
    let owner = catalogue.role_name(function.owner);
    if expected.guards(function, owner) {
        return None;
    }
    let reached: Vec<&Relation> = catalogue
        .tenant_tables()
        .filter(|table| reaches(function.owner, table, catalogue, expected))
        .collect();
    let example = reached.first()?;
    let touched = touched(function, &reached, catalogue)?;
    Some(Finding::new(
        Code::DefinerUnguarded,
        &function.path,
        format!(
            "It runs as `{owner}`, who reaches every tenant's rows in {}{}, and {touched}. Its text was searched \
             for what tells who calls (a call of {}, {WHO_KEYWORD}, or a call of a function that reads one of \
             them), and has none.",
            example.path,
            if reached.len() > 1 { format!(" and {} more tables", reached.len() - 1) } else { String::new() },
            WHO.join(", ")
        ),
        "Compare the tenant column with the caller's tenant inside; or make it SECURITY INVOKER; or, once \
         somebody has read how it guards itself, --guarded-function.",
    ))
}

/// How a function reaches tenants' rows without asking who calls, by itself or through functions that run
/// with its rights.
fn touched(function: &Function, reached: &[&Relation], catalogue: &Catalogue) -> Option<String> {
    let Some(own) = Text::of(function) else {
        return Some(format!("is written in {}, and can't be read", function.language));
    };
    if own.asks_who_calls(catalogue) {
        return None;
    }
    if let Some(touched) = own.touches(reached, catalogue) {
        return Some(touched);
    }
    let (mut seen, mut open) = (BTreeSet::from([own.function.path.as_str()]), own.inside(catalogue));
    while let Some(called) = open.pop() {
        if !seen.insert(&called.path) {
            continue;
        }
        let Some(text) = Text::of(called) else {
            return Some(format!("calls {}, which is written in {}", called.path, called.language));
        };
        if text.asks_who_calls(catalogue) {
            continue;
        }
        if let Some(touched) = text.touches(reached, catalogue) {
            return Some(format!("calls {}, which {touched}", called.path));
        }
        open.extend(text.inside(catalogue));
    }
    None
}
