//! Whether a policy's expression lets only one tenant's rows through, as far as its text says.
//!
//! Read is what `pg_get_expr` prints while only `pg_catalog` is searched: every operator stands in brackets
//! of its own, and what is not Postgres' own has its schema before it. All branches of an OR must ask for the
//! column, and one of an AND. A part asks for it in few ways only: the column equals something that does
//! not name it, is among what does not name it, is handed to a function that somebody wrote, or is asked for
//! by a subquery that has rows only then. Whether what it is compared with is the tenant of whoever asks,
//! no text tells.

use crate::text::{Token, tokens};

/// How an expression restricts the tenant column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// In every branch.
    Held,
    /// In some branches.
    WayAround,
    /// In none.
    Ignored,
}

/// Reads the expression of a policy on `table`.
pub(crate) fn hold(expression: &str, table: &str, column: &str) -> Hold {
    let tokens = tokens(expression);
    of(&tokens, &Column { table, column })
}

struct Column<'a> {
    table: &'a str,
    column: &'a str,
}

fn of(tokens: &[Token], column: &Column<'_>) -> Hold {
    let tokens = unwrapped(tokens);
    let branches = split(tokens, "or");
    if branches.len() > 1 {
        return each(&branches, column);
    }
    let parts = split(tokens, "and");
    if parts.len() > 1 {
        let holds: Vec<Hold> = parts.into_iter().map(|part| of(part, column)).collect();
        return match () {
            () if holds.contains(&Hold::Held) => Hold::Held,
            () if holds.contains(&Hold::WayAround) => Hold::WayAround,
            () => Hold::Ignored,
        };
    }
    part(tokens, column)
}

/// Of branches each of which lets rows through.
fn each(branches: &[&[Token]], column: &Column<'_>) -> Hold {
    let holds: Vec<Hold> = branches.iter().map(|branch| of(branch, column)).collect();
    match () {
        () if holds.iter().all(|hold| *hold == Hold::Held) => Hold::Held,
        () if holds.iter().all(|hold| *hold == Hold::Ignored) => Hold::Ignored,
        () => Hold::WayAround,
    }
}

/// Of a part without AND and OR outside of brackets.
fn part(tokens: &[Token], column: &Column<'_>) -> Hold {
    if let Some(inner) = without_end(tokens, &["is", "true"]) {
        return of(inner, column);
    }
    if let Some(Subquery { list, rest: None }) = Subquery::of(tokens) {
        return of(without_alias(list), column);
    }
    match tokens {
        [exists, inner @ ..] if exists.is_keyword("exists") => {
            Subquery::of(unwrapped(inner)).map_or(Hold::Ignored, |subquery| subquery.asks(column))
        }
        [coalesce, inner @ ..] if coalesce.is_keyword("coalesce") => {
            // NULL lets nothing through, and so does a FALSE at the end.
            let mut values = at_signs(unwrapped(inner), ",");
            values.pop_if(|last| matches!(last, [only] if only.is_keyword("false")));
            each(&values, column)
        }
        _ if column.restricted_by(tokens) => Hold::Held,
        _ => Hold::Ignored,
    }
}

impl Column<'_> {
    fn restricted_by(&self, tokens: &[Token]) -> bool {
        // `IS NOT DISTINCT FROM`, as Postgres prints it.
        if let [not, inner @ ..] = tokens
            && not.is_keyword("not")
        {
            let sides = between(unwrapped(inner), &["is", "distinct", "from"]);
            return sides.is_some_and(|(left, right)| self.equals(left, right));
        }
        // A row that has no tenant is no other tenant's.
        if let Some(side) = without_end(tokens, &["is", "null"]) {
            return self.is_it(side);
        }
        if let Some((left, right)) = between(tokens, &["in"]) {
            return self.is_asked(left) && self.is_among(unwrapped(right));
        }
        if let [left, right] = at_signs(tokens, "=").as_slice() {
            return match right {
                [any, list @ ..] if any.is_keyword("any") => {
                    self.is_asked(left) && self.is_among(unwrapped(list))
                }
                [all, ..] if all.is_keyword("all") => false,
                _ => self.equals(left, right),
            };
        }
        // Keys of a JSON object, or texts of an array.
        if let [left, right] = at_signs(tokens, "?").as_slice() {
            return self.is_it(right) && !self.is_named(left);
        }
        self.is_handed(tokens)
    }

    fn equals(&self, left: &[Token], right: &[Token]) -> bool {
        (self.is_asked(left) && !self.is_named(right)) || (self.is_asked(right) && !self.is_named(left))
    }

    /// Whether the values of a list, an array or a subquery are other than the column itself.
    fn is_among(&self, values: &[Token]) -> bool {
        if !self.is_named(values) {
            return true;
        }
        // Where only its WHERE names the column, the subquery gives fewer rows for it, and none more.
        match Subquery::of(values) {
            Some(Subquery { list, rest: Some(rest) }) => {
                let Some(condition) = rest.condition else { return false };
                !rest.is_combined
                    && !self.is_named(list)
                    && !self.is_named(rest.from)
                    && !condition.is_empty()
            }
            _ => false,
        }
    }

    /// Whether it is the column, or what a function that somebody wrote makes of it.
    fn is_asked(&self, tokens: &[Token]) -> bool {
        self.is_it(tokens) || self.is_handed(tokens)
    }

    /// Whether it is the column and nothing else, in whatever type.
    fn is_it(&self, tokens: &[Token]) -> bool {
        match without_casts(tokens) {
            [name] => name.is_word(self.column),
            [table, dot, name] => table.is_word(self.table) && dot.is_sign(".") && name.is_word(self.column),
            _ => false,
        }
    }

    /// Whether it is a call of a function with the column among its arguments. Of Postgres' own, which
    /// have no schema before them, none says whose a row is.
    fn is_handed(&self, tokens: &[Token]) -> bool {
        let [schema, dot, function, arguments @ ..] = without_casts(tokens) else { return false };
        let called =
            schema.word().is_some_and(|schema| !["pg_catalog", "information_schema"].contains(&schema))
                && dot.is_sign(".")
                && function.word().is_some()
                && is_bracketed(arguments);
        called && self.is_named(arguments)
    }

    /// Whether the policy's own column is named, and not one of another table's of that name.
    fn is_named(&self, tokens: &[Token]) -> bool {
        tokens.iter().enumerate().any(|(at, token)| {
            let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at));
            let qualified = before(1).is_some_and(|token| token.is_sign("."));
            let ours = before(2).is_some_and(|token| token.is_word(self.table));
            // `AS org_id` is a name that somebody gives.
            let given = before(1).is_some_and(|token| token.is_keyword("as"));
            let row = token.is_sign("*") && qualified && ours;
            row || (token.is_word(self.column) && !given && (!qualified || ours))
        })
    }
}

/// `SELECT list FROM … WHERE …`.
struct Subquery<'t> {
    list: &'t [Token],
    /// None where it reads no table, and has one row.
    rest: Option<Rest<'t>>,
}

struct Rest<'t> {
    from: &'t [Token],
    condition: Option<&'t [Token]>,
    /// Whether rows come from elsewhere as well, or whatever the condition says.
    is_combined: bool,
}

impl<'t> Subquery<'t> {
    fn of(tokens: &'t [Token]) -> Option<Self> {
        let [select, tokens @ ..] = tokens else { return None };
        if !select.is_keyword("select") {
            return None;
        }
        let ends = ["window", "order", "limit", "offset", "fetch", "for"];
        let combines = ["union", "intersect", "except", "group", "having"];
        let at = |words: &[&str]| first(tokens, words);
        let combined = at(&combines);
        let end = [at(&ends), combined].into_iter().flatten().min().unwrap_or(tokens.len());
        let condition = at(&["where"]).filter(|at| *at < end);
        let from = at(&["from"]).filter(|at| *at < condition.unwrap_or(end));
        let slice = |from: usize, to: usize| tokens.get(from..to).unwrap_or_default();
        let list = slice(0, from.or(condition).unwrap_or(end));
        if from.is_none() && condition.is_none() && end == tokens.len() {
            return Some(Self { list, rest: None });
        }
        let rest = Rest {
            from: from.map_or(&[][..], |from| slice(from + 1, condition.unwrap_or(end))),
            condition: condition.map(|at| slice(at + 1, end)),
            is_combined: combined.is_some(),
        };
        Some(Self { list, rest: Some(rest) })
    }

    /// Of `EXISTS`: whether it has rows only for the column.
    fn asks(&self, column: &Column<'_>) -> Hold {
        // An aggregate gives a row where the condition lets none through.
        let counts =
            |pair: &[Token]| matches!(pair, [name, open] if open.is_sign("(") && name.word().is_some());
        let counts = self.list.windows(2).any(counts);
        match &self.rest {
            // A table that is made of the column says nothing about it.
            Some(Rest { condition: Some(condition), is_combined: false, from })
                if !counts && !column.is_named(from) =>
            {
                of(condition, column)
            }
            _ => Hold::Ignored,
        }
    }
}

/// The same without brackets around the whole.
fn unwrapped(mut tokens: &[Token]) -> &[Token] {
    while is_bracketed(tokens) {
        tokens = tokens.get(1..tokens.len() - 1).unwrap_or_default();
    }
    tokens
}

fn is_balanced(tokens: &[Token]) -> bool {
    let mut depth = 0_i32;
    for token in tokens {
        depth += step(token);
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

fn step(token: &Token) -> i32 {
    match token {
        Token::Sign(sign) if sign == "(" || sign == "[" => 1,
        Token::Sign(sign) if sign == ")" || sign == "]" => -1,
        _ => 0,
    }
}

/// The parts between a keyword that stands in no brackets.
fn split<'t>(tokens: &'t [Token], word: &str) -> Vec<&'t [Token]> {
    split_at(tokens, |token| token.is_keyword(word))
}

/// The parts between a sign that stands in no brackets.
fn at_signs<'t>(tokens: &'t [Token], sign: &str) -> Vec<&'t [Token]> {
    split_at(tokens, |token| token.is_sign(sign))
}

fn split_at(tokens: &[Token], separates: impl Fn(&Token) -> bool) -> Vec<&[Token]> {
    let mut depth = 0;
    tokens
        .split(|token| {
            depth += step(token);
            depth == 0 && separates(token)
        })
        .collect()
}

/// Where the first of some keywords stands that is in no brackets.
fn first(tokens: &[Token], words: &[&str]) -> Option<usize> {
    let mut depth = 0;
    tokens.iter().position(|token| {
        depth += step(token);
        depth == 0 && words.iter().any(|word| token.is_keyword(word))
    })
}

/// What stands before and behind some keywords in a row.
fn between<'t>(tokens: &'t [Token], words: &[&str]) -> Option<(&'t [Token], &'t [Token])> {
    let at = first(tokens, words.get(..1)?)?;
    let (left, right) = (tokens.get(..at)?, tokens.get(at + words.len()..)?);
    let found = tokens.iter().skip(at).zip(words).all(|(token, word)| token.is_keyword(word));
    found.then_some((left, right))
}

/// What stands before some keywords at the end.
fn without_end<'t>(tokens: &'t [Token], words: &[&str]) -> Option<&'t [Token]> {
    let (left, right) = between(tokens, words)?;
    right.is_empty().then_some(left)
}

/// The same without `AS name`.
fn without_alias(tokens: &[Token]) -> &[Token] {
    match tokens {
        [value @ .., given, _] if given.is_keyword("as") => value,
        _ => tokens,
    }
}

/// Types in which two tenants do not become one, as they would in one of a length, or in a boolean.
const FAITHFUL: [&str; 7] = ["uuid", "text", "character", "varying", "bigint", "integer", "numeric"];

/// The same in whatever type of those that are faithful.
fn without_casts(mut tokens: &[Token]) -> &[Token] {
    loop {
        tokens = unwrapped(tokens);
        let parts = at_signs(tokens, "::");
        let [value, types @ ..] = parts.as_slice() else { return tokens };
        let faithful = |token: &Token| FAITHFUL.iter().any(|name| token.is_keyword(name));
        if types.is_empty() || !types.iter().all(|name| name.iter().all(faithful)) {
            return tokens;
        }
        tokens = value;
    }
}

fn is_bracketed(tokens: &[Token]) -> bool {
    matches!(tokens, [first, inner @ .., last]
        if first.is_sign("(") && last.is_sign(")") && is_balanced(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPRESSIONS: &[(&str, Hold)] = &[
        ("(org_id = ( SELECT current_org() AS current_org))", Hold::Held),
        ("(org_id = (current_setting('app.org_id'::text, true))::uuid)", Hold::Held),
        ("(org_id IN ( SELECT m.org_id FROM members m WHERE (m.user_id = auth.uid())))", Hold::Held),
        ("(org_id = ANY (my_orgs()))", Hold::Held),
        ("app.is_member_of(org_id)", Hold::Held),
        ("app.is_member_of((docs.org_id)::text, 'a')", Hold::Held),
        ("( SELECT app.is_member_of(docs.org_id) AS is_member_of)", Hold::Held),
        ("(app.role_in(org_id) = ANY (ARRAY['owner'::text]))", Hold::Held),
        // Of Postgres' own functions none knows a tenant.
        ("starts_with((org_id)::text, ''::text)", Hold::Ignored),
        ("(length((org_id)::text) = 36)", Hold::Ignored),
        ("(NOT app.is_banned(org_id))", Hold::Ignored),
        ("((EXISTS ( SELECT 1 FROM members m WHERE ((m.org_id = docs.org_id) AND (m.id = 1)))))", Hold::Held),
        ("((org_id = a()) AND (owner = b()))", Hold::Held),
        ("((org_id = a()) OR (org_id IS NULL))", Hold::Held),
        ("true", Hold::Ignored),
        ("(owner = auth.uid())", Hold::Ignored),
        ("(org_id IS NOT NULL)", Hold::Ignored),
        ("(org_id = org_id)", Hold::Ignored),
        ("(org_id <> '1'::uuid)", Hold::Ignored),
        ("(org_id > 0)", Hold::Ignored),
        ("((org_id = a()) OR is_public)", Hold::WayAround),
        ("(((org_id = a()) OR is_public) AND (owner = b()))", Hold::WayAround),
        ("(((org_id = a()) OR is_public) AND (org_id = b()))", Hold::Held),
        ("(is_public OR is_old)", Hold::Ignored),
        ("(owner = 'org_id'::text)", Hold::Ignored),
        ("(EXISTS ( SELECT 1 FROM members m WHERE (m.org_id = a())))", Hold::Ignored),
        ("(owner = ( SELECT b() AS org_id))", Hold::Ignored),
        ("CASE WHEN is_admin() THEN true ELSE (org_id = a()) END", Hold::Ignored),
        ("COALESCE((org_id = a()), true)", Hold::WayAround),
        ("COALESCE((org_id = a()), false)", Hold::Held),
        ("CASE WHEN is_admin() THEN is_public ELSE (org_id = a()) END", Hold::Ignored),
        ("((org_id)::text = (jwt() ->> 'org'::text))", Hold::Held),
        ("(a() = docs.org_id)", Hold::Held),
        ("(docs.org_id = org_id)", Hold::Ignored),
        ("(org_id = COALESCE(a(), docs.org_id))", Hold::Ignored),
        ("(org_id = b.org_id)", Hold::Held),
        ("((org_id)::character(1) = '0'::bpchar)", Hold::Ignored),
        ("(org_id IS DISTINCT FROM a())", Hold::Ignored),
        ("(NOT (org_id IS DISTINCT FROM a()))", Hold::Held),
        ("(NOT (org_id IS DISTINCT FROM org_id))", Hold::Ignored),
        ("(((org_id = a()) OR is_public) IS TRUE)", Hold::WayAround),
        ("((org_id = a()) IS TRUE)", Hold::Held),
        ("((org_id = a()) IS NOT FALSE)", Hold::Ignored),
        ("((org_id = a()) = is_public)", Hold::Ignored),
        ("(org_id = ALL (a()))", Hold::Ignored),
        ("(org_id = ANY (ARRAY[org_id, a()]))", Hold::Ignored),
        ("((jwt() -> 'orgs'::text) ? (org_id)::text)", Hold::Held),
        ("((org_id)::boolean = true)", Hold::Ignored),
        ("((org_id)::character varying = a())", Hold::Held),
        ("(information_schema.f(org_id))", Hold::Ignored),
        ("(org_id OPERATOR(app.=) a())", Hold::Ignored),
        ("(org_id = a()) AND \"or\"", Hold::Held),
        ("(docs.* = docs.*)", Hold::Ignored),
        ("(EXISTS ( SELECT 1 FROM m WHERE ((m.org_id = docs.org_id) OR m.is_public)))", Hold::WayAround),
        ("(EXISTS ( SELECT count(*) AS count FROM m WHERE (m.org_id = docs.org_id)))", Hold::Ignored),
        ("(EXISTS ( SELECT FROM m WHERE (m.org_id = docs.org_id) GROUP BY ()))", Hold::Ignored),
        ("(EXISTS ( SELECT FROM m WHERE (m.org_id = docs.org_id) UNION SELECT))", Hold::Ignored),
        ("(EXISTS ( SELECT docs.org_id))", Hold::Ignored),
        ("(EXISTS ( SELECT FROM ( SELECT docs.org_id AS a) s WHERE (s.a = docs.org_id)))", Hold::Ignored),
        ("(org_id IN ( SELECT docs.org_id))", Hold::Ignored),
        ("(org_id IN ( SELECT m.org_id FROM m WHERE (m.org_id = docs.org_id)))", Hold::Held),
        ("(org_id IN ( SELECT m.org_id FROM m WHERE b() UNION SELECT docs.org_id))", Hold::Ignored),
        ("(org_id IN ( SELECT s.a FROM ( SELECT docs.org_id AS a) s WHERE b()))", Hold::Ignored),
        ("", Hold::Ignored),
        ("((", Hold::Ignored),
    ];

    #[test]
    fn what_restricts_the_tenant_is_told_from_what_does_not() {
        for (expression, expected) in EXPRESSIONS {
            assert_eq!(hold(expression, "docs", "org_id"), *expected, "{expression}");
        }
    }
}
