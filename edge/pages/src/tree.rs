//! Arguments as a list that people can read, value by value.

use maud::{Markup, html};
use serde_json::Value;

use crate::text::{is_reversed, shown, shown_in_order};

/// From how many characters on a text's length is told: what follows it may be out of sight.
const LONG: usize = 400;

/// A value and all that is in it. Nothing is left out and nothing shortened.
pub(crate) fn tree(value: &Value) -> Markup {
    match value {
        Value::Object(members) if !members.is_empty() => html! {
            dl class="tree" {
                @for (name, inner) in members {
                    div { dt { (shown(name)) } dd { (tree(inner)) } }
                }
            }
        },
        Value::Array(items) if !items.is_empty() => html! {
            ol class="tree" start="0" {
                @for (place, inner) in items.iter().enumerate() {
                    li { span class="place" { (place) } div { (tree(inner)) } }
                }
            }
        },
        Value::String(text) => string(text),
        Value::Null => word("null"),
        Value::Object(_) => word("empty object"),
        Value::Array(_) => word("empty list"),
        Value::Bool(_) | Value::Number(_) => html! { code class="value" { (value.to_string()) } },
    }
}

fn word(word: &str) -> Markup {
    html! { span class="kind" { (word) } }
}

fn string(text: &str) -> Markup {
    let characters = text.chars().count();
    html! {
        @if text.is_empty() {
            (word("empty text"))
        } @else {
            @if characters > LONG { p class="kind" { "Text of " (characters) " characters" } }
            @if is_reversed(text) {
                p class="kind" { "Has letters that run from right to left: the canonical form shows all in their order" }
            }
            code class="value text" { (shown(text)) }
        }
    }
}

/// JSON exactly as it is hashed.
pub(crate) fn source(id: &str, label: &str, json: &str) -> Markup {
    html! {
        pre class="source" id=(id) tabindex="0" role="region" aria-label=(label) { code { (shown_in_order(json)) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_text_look_different() {
        let number = tree(&serde_json::json!(400)).into_string();
        let text = tree(&serde_json::json!("400")).into_string();
        assert!(
            number.contains(r#"class="value""#) && text.contains(r#"class="value text""#),
            "{number} {text}"
        );
    }

    #[test]
    fn every_value_is_there() {
        let value = serde_json::json!({"a": [1, {"b": null}], "c": "", "d": {}, "e": [], "f": true});
        let html = tree(&value).into_string();
        for piece in [">1<", "null", "empty text", "empty object", "empty list", ">true<"] {
            assert!(html.contains(piece), "{piece} in {html}");
        }
    }
}
