//! JSON as a table for people.

use serde_json::Value;

use crate::terminal::printable;

/// The widest a column gets; longer texts are cut with `…`, except in the last column.
const WIDEST: usize = 44;

/// A column: its heading, and the JSON pointer (RFC 6901) of its value in each row.
pub(super) type Column = (&'static str, &'static str);

/// The rows as lines, with a heading.
pub(super) fn lines(columns: &[Column], rows: &[Value]) -> Vec<String> {
    let head = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let body = rows.iter().map(|row| columns.iter().map(|(_, at)| cell(row.pointer(at))).collect());
    let cells: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            cells.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count()).max().unwrap_or(0)
        })
        .map(|width| width.min(WIDEST))
        .collect();
    cells.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let last = row.len().saturating_sub(1);
    let padded = row.iter().zip(widths).enumerate().map(|(column, (text, width))| {
        if column == last { text.clone() } else { format!("{:<width$}", cut(text)) }
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
        let shown = lines(&[("ID", "/id"), ("X", "/of/x"), ("LIST", "/l")], &rows);
        assert_eq!(shown, ["ID   X  LIST", "a    1  p, q", "bbb  -"]);
    }

    #[test]
    fn only_the_last_column_is_shown_whole() {
        let long = "x".repeat(99);
        let shown = lines(&[("A", "/a"), ("B", "/a")], &[json!({ "a": long })]);
        assert_eq!(shown[1], format!("{}…  {long}", "x".repeat(WIDEST - 1)));
    }

    #[test]
    fn text_from_the_server_is_harmless() {
        assert_eq!(facts(&json!({"n": "\u{1b}[31m"})), ["n  \u{fffd}[31m"]);
    }
}
