//! Whether a policy's expression lets only one tenant's rows through, as far as its text says.
//!
//! Read is what `pg_get_expr` prints, in which every AND and OR stands in brackets of its own. All
//! branches of an OR must ask for the column, and one of an AND. A part asks for it when it names it
//! other than in a comparison that holds for many tenants; whether what it is compared with is the
//! tenant of whoever asks, no text tells.

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
        let holds: Vec<Hold> = branches.into_iter().map(|branch| of(branch, column)).collect();
        return match holds.as_slice() {
            _ if holds.iter().all(|hold| *hold == Hold::Held) => Hold::Held,
            _ if holds.iter().all(|hold| *hold == Hold::Ignored) => Hold::Ignored,
            _ => Hold::WayAround,
        };
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
    if column.restricted_by(tokens) { Hold::Held } else { Hold::Ignored }
}

/// The same without brackets around the whole.
fn unwrapped(mut tokens: &[Token]) -> &[Token] {
    while let [first, inner @ .., last] = tokens {
        if !(first.is_sign("(") && last.is_sign(")") && is_balanced(inner)) {
            break;
        }
        tokens = inner;
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
    let mut depth = 0;
    tokens
        .split(|token| {
            depth += step(token);
            depth == 0 && token.is_word(word)
        })
        .collect()
}

impl Column<'_> {
    /// Whether a part without AND and OR outside of brackets restricts the column.
    fn restricted_by(&self, tokens: &[Token]) -> bool {
        let negated = tokens.first().is_some_and(|token| token.is_word("not"));
        self.is_named(tokens) && !negated && !always_holds(tokens) && !self.is_trivial(tokens)
    }

    /// Whether it is compared in a way that holds for many tenants: with itself, by inequality, or with
    /// nothing (`IS NOT NULL`; a row whose column `IS NULL` is no other tenant's).
    fn is_trivial(&self, tokens: &[Token]) -> bool {
        let outside = in_no_brackets(tokens);
        let loose = ["<>", "!=", "<", ">", "<=", ">="];
        if outside.iter().any(|(_, token)| loose.iter().any(|sign| token.is_sign(sign))) {
            return true;
        }
        let ends_with = |words: &[&str]| {
            let words = words.iter().rev().zip(outside.iter().rev());
            words.filter(|(word, (_, token))| token.is_word(word)).count()
        };
        if ends_with(&["is", "not", "null"]) == 3 {
            return true;
        }
        let mut equals = outside.iter().filter(|(_, token)| token.is_sign("="));
        let Some((at, _)) = equals.next() else { return false };
        let (left, right) = (tokens.get(..*at).unwrap_or_default(), tokens.get(at + 1..).unwrap_or_default());
        unwrapped(left) == unwrapped(right)
    }

    /// Whether the policy's own column is named, and not one of another table's of that name.
    fn is_named(&self, tokens: &[Token]) -> bool {
        tokens.iter().enumerate().any(|(at, token)| {
            let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at));
            let qualified = before(1).is_some_and(|token| token.is_sign("."));
            let ours = before(2).is_some_and(|token| token.is_word(self.table));
            // `AS org_id` is a name that somebody gives.
            let given = before(1).is_some_and(|token| token.is_word("as"));
            token.is_word(self.column) && !given && (!qualified || ours)
        })
    }
}

/// Whether somewhere in it there is a way that always holds: `CASE … THEN true`, `COALESCE(…, true)`.
fn always_holds(tokens: &[Token]) -> bool {
    let mut callers: Vec<Option<&Token>> = Vec::new();
    let mut before = None;
    for token in tokens {
        match step(token) {
            1 => callers.push(before),
            -1 => drop(callers.pop()),
            _ if token.is_word("true") => {
                let branch = before.is_some_and(|before| before.is_word("then") || before.is_word("else"));
                let caller = callers.last().copied().flatten();
                if branch || caller.is_some_and(|caller| caller.is_word("coalesce")) {
                    return true;
                }
            }
            _ => {}
        }
        before = Some(token);
    }
    false
}

fn in_no_brackets(tokens: &[Token]) -> Vec<(usize, &Token)> {
    let mut depth = 0;
    let outside = tokens.iter().enumerate().filter(|(_, token)| {
        depth += step(token);
        depth == 0
    });
    outside.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_restricts_the_tenant_is_told_from_what_does_not() {
        for (expression, expected) in [
            ("(org_id = ( SELECT current_org() AS current_org))", Hold::Held),
            ("(org_id = (current_setting('app.org_id'::text, true))::uuid)", Hold::Held),
            ("(org_id IN ( SELECT m.org_id FROM members m WHERE (m.user_id = auth.uid())))", Hold::Held),
            ("(org_id = ANY (my_orgs()))", Hold::Held),
            ("is_member_of(org_id)", Hold::Held),
            ("(NOT is_banned(org_id))", Hold::Ignored),
            (
                "((EXISTS ( SELECT 1 FROM members m WHERE ((m.org_id = docs.org_id) AND (m.id = 1)))))",
                Hold::Held,
            ),
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
            ("COALESCE((org_id = a()), true)", Hold::Ignored),
            ("", Hold::Ignored),
            ("((", Hold::Ignored),
        ] {
            assert_eq!(hold(expression, "docs", "org_id"), expected, "{expression}");
        }
    }
}
