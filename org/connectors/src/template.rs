//! Text with placeholders, and JSON with placeholders in its strings.
//!
//! `{arguments.amount}`, `{arguments.customer.id}`, `{resource.type}`, `{resource.id}`, `{intent.id}`; a
//! brace that is meant as itself is doubled. A dot always leads into an object: an argument whose own name
//! has a dot can't be named, so that a path has one meaning.
//!
//! A template never builds what it stands in: each place (`operation.rs`, `render.rs`) encodes the values.

use std::fmt;

use chancery_model::ijson;
use serde_json::{Map, Value};

/// The longest template of a text, in bytes.
pub(crate) const MAX_BYTES: usize = 4_096;

/// Something of an intent that a template names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// An argument, or something inside one.
    Argument(Box<[Box<str>]>),
    ResourceType,
    ResourceId,
    IntentId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(Box<str>),
    Placeholder(Placeholder),
}

/// What placeholders stand for in one call.
pub(crate) struct Values<'a> {
    pub(crate) arguments: &'a Value,
    pub(crate) resource_type: Value,
    pub(crate) resource_id: Value,
    pub(crate) intent_id: Value,
}

impl Placeholder {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "resource.type" => return Ok(Self::ResourceType),
            "resource.id" => return Ok(Self::ResourceId),
            "intent.id" => return Ok(Self::IntentId),
            _ => {}
        }
        let path = name.strip_prefix("arguments.").unwrap_or_default();
        if path.split('.').all(is_name) {
            return Ok(Self::Argument(path.split('.').map(Into::into).collect()));
        }
        // What was sent is quoted to who sent it.
        Err(format!(
            "`{{{name}}}` is no placeholder: those are `{{arguments.NAME}}`, `{{resource.type}}`, \
             `{{resource.id}}` and `{{intent.id}}`; a brace that is meant as itself is doubled"
        ))
    }

    pub(crate) fn find<'a>(&self, values: &'a Values<'_>) -> Option<&'a Value> {
        match self {
            Self::Argument(path) => {
                path.iter().try_fold(values.arguments, |inside, name| inside.get(&**name))
            }
            Self::ResourceType => Some(&values.resource_type),
            Self::ResourceId => Some(&values.resource_id),
            Self::IntentId => Some(&values.intent_id),
        }
    }
}

/// A name of the catalogue's property names without the dot.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(path) => write!(f, "{{arguments.{}}}", path.join(".")),
            Self::ResourceType => f.write_str("{resource.type}"),
            Self::ResourceId => f.write_str("{resource.id}"),
            Self::IntentId => f.write_str("{intent.id}"),
        }
    }
}

/// The parts of a text.
pub(crate) fn parts(text: &str) -> Result<Box<[Part]>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("is longer than {MAX_BYTES} bytes"));
    }
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        literal.push_str(before);
        if let Some(after) = from.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else {
            let inside = from.strip_prefix('{').and_then(|from| from.split_once('}'));
            let (name, after) = inside
                .ok_or("has a brace that opens or closes nothing: one that is meant as itself is doubled")?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            parts.push(Part::Placeholder(Placeholder::parse(name)?));
            rest = after;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(parts.into())
}

/// The placeholders among parts.
pub(crate) fn placeholders(parts: &[Part]) -> impl Iterator<Item = &Placeholder> {
    parts.iter().filter_map(|part| match part {
        Part::Placeholder(placeholder) => Some(placeholder),
        Part::Literal(_) => None,
    })
}

/// Why a text was not filled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfilled {
    /// The intent does not have it.
    Missing(Placeholder),
    /// An object, an array or null.
    NotText(Placeholder),
}

/// Fills parts with what they name, each value through `encode`.
pub(crate) fn fill<E: From<Unfilled>>(
    parts: &[Part],
    values: &Values<'_>,
    mut encode: impl FnMut(&str, &mut String) -> Result<(), E>,
) -> Result<String, E> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Literal(text) => out.push_str(text),
            Part::Placeholder(placeholder) => {
                let value = placeholder.find(values).ok_or_else(|| Unfilled::Missing(placeholder.clone()))?;
                match value {
                    Value::String(text) => encode(text, &mut out)?,
                    other => {
                        let text = scalar(other).ok_or_else(|| Unfilled::NotText(placeholder.clone()))?;
                        encode(&text, &mut out)?;
                    }
                }
            }
        }
    }
    Ok(out)
}

/// A number as its canonical form writes it, `true`, `false`; nothing else.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Number(_) => ijson::canonical(value).ok(),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// JSON in whose strings placeholders may stand. Names of members are taken as they are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JsonTemplate {
    /// A value without placeholders.
    Literal(Value),
    /// One placeholder and nothing else: the value keeps its type.
    Whole(Placeholder),
    /// Text with values in it.
    Text(Box<[Part]>),
    List(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    pub(crate) fn parse(value: &Value, at: &str) -> Result<Self, crate::Invalid> {
        Ok(match value {
            Value::String(text) => {
                match Vec::from(parts(text).map_err(|rule| crate::Invalid::new(at, rule))?) {
                    parts if parts.is_empty() => Self::Literal(value.clone()),
                    mut parts if parts.len() == 1 => match parts.pop() {
                        Some(Part::Placeholder(placeholder)) => Self::Whole(placeholder),
                        Some(Part::Literal(text)) => Self::Literal(Value::String(text.into())),
                        None => Self::Literal(value.clone()),
                    },
                    parts => Self::Text(parts.into()),
                }
            }
            Value::Array(items) => Self::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| Self::parse(item, &format!("{at}/{index}")))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, member)| {
                        Ok((name.clone(), Self::parse(member, &crate::fields::below(at, name))?))
                    })
                    .collect::<Result<_, _>>()?,
            ),
            other => Self::Literal(other.clone()),
        })
    }

    /// The value; `None` when something it names is not there: the member or element is left out.
    pub(crate) fn fill(&self, values: &Values<'_>) -> Result<Option<Value>, Unfilled> {
        Ok(Some(match self {
            Self::Literal(value) => value.clone(),
            Self::Whole(placeholder) => return Ok(placeholder.find(values).cloned()),
            Self::Text(parts) => {
                let plain = |text: &str, out: &mut String| {
                    out.push_str(text);
                    Ok(())
                };
                match fill(parts, values, plain) {
                    Ok(text) => Value::String(text),
                    Err(Unfilled::Missing(_)) => return Ok(None),
                    Err(refused) => return Err(refused),
                }
            }
            Self::List(items) => {
                let mut filled = Vec::with_capacity(items.len());
                for item in items {
                    filled.extend(item.fill(values)?);
                }
                Value::Array(filled)
            }
            Self::Object(members) => {
                let mut filled = Map::new();
                for (name, member) in members {
                    if let Some(value) = member.fill(values)? {
                        filled.insert(name.clone(), value);
                    }
                }
                Value::Object(filled)
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(arguments: &Value) -> Values<'_> {
        Values {
            arguments,
            resource_type: json!("Payment"),
            resource_id: json!("p-1"),
            intent_id: json!("i-1"),
        }
    }

    #[test]
    fn braces_are_placeholders_or_doubled() {
        let read = |text| parts(text).map(Vec::from);
        assert_eq!(read("a{{b}}c").unwrap(), [Part::Literal("a{b}c".into())]);
        assert_eq!(read("").unwrap(), []);
        assert_eq!(
            read("x{resource.id}{intent.id}").unwrap(),
            [
                Part::Literal("x".into()),
                Part::Placeholder(Placeholder::ResourceId),
                Part::Placeholder(Placeholder::IntentId)
            ]
        );
        for bad in [
            "{",
            "}",
            "{}",
            "{a}",
            "{arguments}",
            "{arguments.}",
            "{arguments.a..b}",
            "{arguments.a b}",
            "{ resource.id }",
            "{resource.id",
            "a}",
            "{{{",
            "{arguments.{intent.id}}",
            "{intent.secret}",
            "{Arguments.a}",
            "{arguments.1}",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&"x".repeat(MAX_BYTES + 1)).is_err());
    }

    #[test]
    fn a_body_keeps_types_and_leaves_out_what_is_not_there() {
        let template = json!({
            "amount": "{arguments.amount}",
            "list": ["{arguments.gone}", "{arguments.deep.in}", 7, null],
            "text": "{resource.type} {resource.id}: {arguments.amount} {{literal}}",
            "gone": "{arguments.gone}",
            "partly": "x {arguments.gone}",
            "whole": "{arguments.deep}",
        });
        let template = JsonTemplate::parse(&template, "/body").unwrap();
        let arguments = json!({"amount": 12.5, "deep": {"in": [1, "two"]}});
        assert_eq!(
            template.fill(&values(&arguments)).unwrap().unwrap(),
            json!({
                "amount": 12.5,
                "list": [[1, "two"], 7, null],
                "text": "Payment p-1: 12.5 {literal}",
                "whole": {"in": [1, "two"]},
            })
        );
    }

    #[test]
    fn what_a_value_says_is_never_a_template() {
        let template =
            JsonTemplate::parse(&json!({"a": "{arguments.a}", "b": "-{arguments.a}-"}), "").unwrap();
        let arguments = json!({"a": "{arguments.b}\",\"c\":\"{intent.id}", "b": "secret"});
        let filled = template.fill(&values(&arguments)).unwrap().unwrap();
        assert_eq!(filled["a"], arguments["a"]);
        assert_eq!(filled["b"], json!("-{arguments.b}\",\"c\":\"{intent.id}-"));
        assert_eq!(filled.as_object().unwrap().len(), 2);
    }
}
