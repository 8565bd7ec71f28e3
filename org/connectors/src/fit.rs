//! Whether the templates of an operation fit the arguments of its action.
//!
//! The schema is one of the catalogue's ([`chancery_decide::Catalogue`]): objects with `properties`, all of
//! them closed.

use serde_json::Value;

use crate::Invalid;
use crate::fields::below;
use crate::operation::{Body, Operation};
use crate::template::{JsonTemplate, Part, Placeholder, placeholders};

/// What a place asks of the arguments in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Text that can't be left out.
    Path,
    /// Text that is left out when an argument is.
    Text,
    /// Any value.
    Json,
}

/// Checks every placeholder of an operation against the schema of the arguments.
pub(crate) fn check(operation: &Operation, schema: &Value, at: &str) -> Result<(), Invalid> {
    let path = below(at, "path");
    for segment in &operation.path.segments {
        all(segment, schema, Place::Path, &path)?;
    }
    let (query, headers) = (below(at, "query"), below(at, "headers"));
    for (name, text) in &operation.query {
        all(&text.parts, schema, Place::Text, &below(&query, name))?;
    }
    for (name, text) in &operation.headers {
        all(&text.parts, schema, Place::Text, &below(&headers, name.0.as_str()))?;
    }
    match &operation.body {
        Some(Body::Template(_, template)) => json(template, schema, &below(at, "body")),
        Some(Body::Arguments) | None => Ok(()),
    }
}

fn json(template: &JsonTemplate, schema: &Value, at: &str) -> Result<(), Invalid> {
    match template {
        JsonTemplate::Literal(_) => Ok(()),
        JsonTemplate::Whole(placeholder) => one(placeholder, schema, Place::Json, at),
        JsonTemplate::Text(parts) => all(parts, schema, Place::Text, at),
        JsonTemplate::List(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| json(item, schema, &format!("{at}/{index}"))),
        JsonTemplate::Object(members) => {
            members.iter().try_for_each(|(name, member)| json(member, schema, &below(at, name)))
        }
    }
}

fn all(parts: &[Part], schema: &Value, place: Place, at: &str) -> Result<(), Invalid> {
    placeholders(parts).try_for_each(|placeholder| one(placeholder, schema, place, at))
}

fn one(placeholder: &Placeholder, schema: &Value, place: Place, at: &str) -> Result<(), Invalid> {
    let Placeholder::Argument(path) = placeholder else { return Ok(()) };
    let refuse = |rule: &str| Err(Invalid::new(at, format!("`{placeholder}` {rule}")));
    let mut inside = schema;
    for name in path {
        let Some(property) = inside.get("properties").and_then(|properties| properties.get(&**name)) else {
            return refuse("is no argument of the action");
        };
        let required = inside.get("required").and_then(Value::as_array);
        let is_required = required.is_some_and(|names| names.iter().any(|one| one.as_str() == Some(&**name)));
        if place == Place::Path && !is_required {
            return refuse("may be absent, and a path needs it");
        }
        inside = property;
    }
    let kind = inside.get("type").and_then(Value::as_str).unwrap_or("string");
    if place != Place::Json && matches!(kind, "object" | "array") {
        return refuse("is an object or an array, and only a member of a body can be one");
    }
    Ok(())
}
