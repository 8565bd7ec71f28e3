//! `SECURITY DEFINER` functions: what they find, who may call them, and what they ask their caller.

use crate::catalogue::{Function, quoted};
use crate::guard::guard;
use crate::{Catalogue, Check, Code, Expected, Finding};

pub(crate) fn check(catalogue: &Catalogue, expected: &Expected) -> Check {
    let definers = catalogue.functions.iter().filter(|function| function.definer);
    let (theirs, definers): (Vec<&Function>, Vec<&Function>) =
        definers.partition(|function| function.of_extension);
    let findings = definers.iter().flat_map(|function| of(function, catalogue, expected)).collect();
    let mut seen = format!("{} functions run with their owner's rights", definers.len());
    if !theirs.is_empty() {
        let names: Vec<&str> = theirs.iter().map(|function| function.path.as_str()).collect();
        seen += &format!("; not examined, for an extension owns them: {}", names.join(", "));
    }
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
                format!("ALTER {kind} {path} SET search_path = {}, pg_temp;", with_quotes(&path_of)),
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
    function.settings.iter().find_map(|setting| setting.strip_prefix("search_path=")).map(names)
}

/// The names of a list of them, each quoted or not.
fn names(list: &str) -> Vec<String> {
    let (mut names, mut name, mut inside) = (Vec::new(), String::new(), false);
    let mut chars = list.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if inside && chars.peek() == Some(&'"') => name.extend(chars.next()),
            '"' => inside = !inside,
            ',' if !inside => names.push(std::mem::take(&mut name)),
            _ if inside => name.push(c),
            _ if c.is_whitespace() => {}
            _ => name.extend(c.to_lowercase()),
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

fn with_quotes(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_is_read_as_postgres_reads_it() {
        for (list, read) in [
            ("", ""),
            ("\"\"", ""),
            ("pg_catalog, Shop", r#""pg_catalog", "shop""#),
            (r#""$user", "a, b", "x""; y""#, r#""$user", "a, b", "x""; y""#),
            (r#""open, b"#, r#""open, b""#),
        ] {
            assert_eq!(with_quotes(&names(list)), read, "{list}");
        }
    }
}
