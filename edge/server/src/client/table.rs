//! JSON as a table for people.

use serde_json::Value;

use crate::terminal::{Terminal, printable};

/// The widest a column gets. On a terminal longer texts are cut with `…`, except in the last column.
const WIDEST: usize = 44;

/// A column: its heading, and the JSON pointer (RFC 6901) of its value in each row.
pub(super) type Column = (&'static str, &'static str);

/// Who reads a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// People, on a terminal: long texts are cut, so that columns stay beside each other.
    People,
    /// A program or a file: texts stay whole, and long ones stand out of their column.
    Program,
}

impl Reader {
    /// Who reads standard output.
    pub(super) const fn of(terminal: Terminal) -> Self {
        if terminal.is_shown() { Self::People } else { Self::Program }
    }
}

/// The rows as lines, with a heading.
pub(super) fn lines(columns: &[Column], rows: &[Value], reader: Reader) -> Vec<String> {
    let head = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let body = rows.iter().map(|row| columns.iter().map(|(_, at)| cell(row.pointer(at))).collect());
    let cells: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            cells.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max().unwrap_or(0)
        })
        .map(|width| width.min(WIDEST))
        .collect();
    cells.iter().map(|row| line(row, &widths, reader)).collect()
}

fn line(row: &[String], widths: &[usize], reader: Reader) -> String {
    let last = row.len().saturating_sub(1);
    let padded = row.iter().zip(widths).enumerate().map(|(column, (text, width))| match reader {
        _ if column == last => text.clone(),
        Reader::People => format!("{:<width$}", cut(text)),
        Reader::Program => format!("{text:<width$}"),
    });
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WIDEST {
        return text.to_owned();
    }
    text.chars().take(WIDEST - 1).chain(['…']).collect()
}

/// One thing as lines of `name  value`.
pub(super) fn facts(thing: &Value) -> Vec<String> {
    let Some(members) = thing.as_object() else { return vec![cell(Some(thing))] };
    let width = members.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    members.iter().map(|(name, value)| format!("{name:<width$}  {}", cell(Some(value)))).collect()
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Array(items)) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(", ")
        }
        Some(other) => printable(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_align_and_what_is_missing_shows_as_a_dash() {
        let rows = [json!({"id": "a", "of": {"x": 1}, "l": ["p", "q"]}), json!({"id": "bbb", "l": []})];
        let shown = lines(&[("ID", "/id"), ("X", "/of/x"), ("LIST", "/l")], &rows, Reader::People);
        assert_eq!(shown, ["ID   X  LIST", "a    1  p, q", "bbb  -"]);
    }

    #[test]
    fn only_the_last_column_is_shown_whole_to_people() {
        let long = "x".repeat(99);
        let shown = lines(&[("A", "/a"), ("B", "/a")], &[json!({ "a": long })], Reader::People);
        assert_eq!(shown[1], format!("{}…  {long}", "x".repeat(WIDEST - 1)));
    }

    #[test]
    fn what_a_program_reads_is_whole() {
        let long = "x".repeat(99);
        let shown = lines(&[("A", "/a"), ("B", "/b")], &[json!({ "a": long, "b": 1 })], Reader::Program);
        assert_eq!(shown[1], format!("{long}  1"));
    }

    #[test]
    fn text_from_the_server_is_harmless() {
        assert_eq!(facts(&json!({"n": "\u{1b}[31m"})), ["n  \u{fffd}[31m"]);
    }
}
