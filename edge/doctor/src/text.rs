//! SQL's words, as far as the checks read SQL: comments are nothing, and what stands in a literal is
//! no name.

/// A word of SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A name or a keyword, in lower case.
    Word(String),
    /// A name that is quoted, and so no keyword.
    Name(String),
    /// A literal, with its text.
    Literal(String),
    /// An operator, or a bracket or separator of one character.
    Sign(String),
}

impl Token {
    /// Whether it is a name or a keyword, quoted or not.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.word() == Some(word)
    }

    /// Whether it is a word of the language, which nothing that is quoted is.
    pub(crate) fn is_keyword(&self, word: &str) -> bool {
        matches!(self, Self::Word(text) if text == word)
    }

    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Name(text) => Some(text),
            Self::Literal(_) | Self::Sign(_) => None,
        }
    }

    pub(crate) fn is_sign(&self, sign: &str) -> bool {
        matches!(self, Self::Sign(text) if text == sign)
    }
}

const OPERATOR: &str = "+-*/<>=~!@#%^&|`?:";

/// Reads SQL. Never fails: what is not SQL gives words that no check knows.
pub(crate) fn tokens(sql: &str) -> Vec<Token> {
    let mut rest = sql;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else {
            let (token, length) = token(rest, first);
            tokens.push(token);
            length
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

fn token(rest: &str, first: char) -> (Token, usize) {
    match first {
        '\'' => literal(rest, 0, false),
        'e' | 'E' if rest.get(1..2) == Some("'") => literal(rest, 1, true),
        '"' => {
            let (text, length) = until_quote(rest, '"', false);
            (Token::Name(text), length)
        }
        '$' => dollar(rest),
        _ if first.is_alphabetic() || first == '_' => {
            let length = span(rest, |c| c.is_alphanumeric() || c == '_' || c == '$');
            (Token::Word(rest.get(..length).unwrap_or_default().to_lowercase()), length)
        }
        _ if first.is_ascii_digit() => {
            let length = span(rest, |c| c.is_alphanumeric() || c == '.');
            (Token::Literal(rest.get(..length).unwrap_or_default().to_owned()), length)
        }
        _ if OPERATOR.contains(first) => {
            let length = span(rest, |c| OPERATOR.contains(c));
            // A comment begins inside no operator.
            let text = rest.get(..length).unwrap_or_default();
            let end = [text.find("--"), text.find("/*")].into_iter().flatten().filter(|at| *at > 0).min();
            let length = end.unwrap_or(length);
            (Token::Sign(rest.get(..length).unwrap_or_default().to_owned()), length)
        }
        _ => (Token::Sign(first.to_string()), first.len_utf8()),
    }
}

fn span(text: &str, within: impl Fn(char) -> bool) -> usize {
    text.find(|c| !within(c)).unwrap_or(text.len())
}

/// The length of a comment in `/* */`, which may hold others.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn literal(rest: &str, prefix: usize, escapes: bool) -> (Token, usize) {
    let (text, length) = until_quote(rest.get(prefix..).unwrap_or_default(), '\'', escapes);
    (Token::Literal(text), prefix + length)
}

/// What stands between quotes, doubled ones inside being one; and the length with both.
fn until_quote(rest: &str, quote: char, escapes: bool) -> (String, usize) {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
            } else {
                return (text, at + quote.len_utf8());
            }
        } else if escapes && c == '\\' {
            chars.next();
        }
        text.push(c);
    }
    (text, rest.len())
}

/// `$1`, or a literal between `$tag$`s.
fn dollar(rest: &str) -> (Token, usize) {
    let tag = rest.get(1..).unwrap_or_default();
    let length = span(tag, |c| c.is_alphanumeric() || c == '_');
    if tag.get(length..).is_some_and(|after| after.starts_with('$'))
        && !tag.starts_with(|c: char| c.is_ascii_digit())
    {
        let mark = rest.get(..length + 2).unwrap_or_default();
        let inside = rest.get(mark.len()..).unwrap_or_default();
        let end = inside.find(mark).unwrap_or(inside.len());
        let text = inside.get(..end).unwrap_or_default().to_owned();
        return (Token::Literal(text), (mark.len() * 2 + end).min(rest.len()));
    }
    (Token::Word(rest.get(..=length).unwrap_or_default().to_owned()), length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sql: &str) -> String {
        let shown = tokens(sql).into_iter().map(|token| match token {
            Token::Word(text) => format!("w:{text}"),
            Token::Name(text) => format!("n:{text}"),
            Token::Literal(text) => format!("l:{text}"),
            Token::Sign(text) => format!("s:{text}"),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_literals_and_comments_are_told_apart() {
        for (sql, tokens) in [
            ("(Org_id = 'org_id'::text)", "s:( w:org_id s:= l:org_id s::: w:text s:)"),
            ("a -- b\nc /* d /* e */ f */ g", "w:a w:c w:g"),
            (r#""Org ""x""".b"#, "n:Org \"x\" s:. w:b"),
            ("'it''s' e'\\' x' y", "l:it's l:\\ x w:y"),
            ("$$a$$ $q$b $$ c$q$ $1", "l:a l:b $$ c w:$1"),
            ("a>=1.5--x", "w:a s:>= l:1.5"),
            ("größe = 'é", "w:größe s:= l:é"),
            ("/* open", ""),
            ("$x$open", "l:open"),
        ] {
            assert_eq!(shown(sql), tokens, "{sql}");
        }
    }
}
