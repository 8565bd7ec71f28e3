//! Which JSON Schemas the catalogue takes, and what each is in Cedar.
//!
//! A schema is read once into a [`Shape`]: from it come the Cedar type in the generated schema and
//! the conversion of a request's values, so the two can't disagree. The rest of the schema (lengths,
//! ranges, patterns) is enforced by the JSON Schema validator before anything is converted.

use std::fmt::Write as _;

use cedar_policy_core::ast;
use chancery_model::ijson;
use serde_json::{Map, Value, json};

use crate::extension::decimal;

/// The deepest nesting of a schema.
const MAX_SCHEMA_DEPTH: usize = 8;
/// The most properties of one object.
const MAX_PROPERTIES: usize = 64;
/// The formats that the validator really checks; any other would be a promise nobody keeps.
const FORMATS: [&str; 9] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"];
const FOR_PEOPLE: [&str; 4] = ["title", "description", "default", "examples"];

/// What a value is in Cedar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Integer,
    Decimal,
    Boolean,
    /// Cedar has sets only: order and repetition of a JSON array are not seen by policies.
    Set(Box<Shape>),
    Record(Vec<Field>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    shape: Shape,
    required: bool,
}

/// A schema that the catalogue does not take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unsupported {
    /// JSON Pointer to the place.
    pub(crate) path: String,
    pub(crate) rule: String,
}

fn unsupported(path: &str, rule: impl Into<String>) -> Unsupported {
    Unsupported { path: if path.is_empty() { "/".to_owned() } else { path.to_owned() }, rule: rule.into() }
}

impl Shape {
    /// Reads the schema of an object. Returns its shape and the same schema with every object
    /// closed (`additionalProperties: false`), which is the one to enforce.
    pub(crate) fn of_object(schema: &Value) -> Result<(Vec<Field>, Value), Unsupported> {
        let (shape, closed) = read(schema, "", 0)?;
        match shape {
            Self::Record(fields) => Ok((fields, closed)),
            _ => Err(unsupported("/type", "must be `object`")),
        }
    }

    /// The type in Cedar's schema syntax.
    pub(crate) fn write_type(&self, out: &mut String) {
        match self {
            Self::Text => out.push_str("String"),
            Self::Integer => out.push_str("Long"),
            Self::Decimal => out.push_str("decimal"),
            Self::Boolean => out.push_str("Bool"),
            Self::Set(items) => {
                out.push_str("Set<");
                items.write_type(out);
                out.push('>');
            }
            Self::Record(fields) => write_record_type(fields, out),
        }
    }

    /// A value of this shape, or `None` when it is not one.
    fn to_cedar(&self, value: &Value) -> Option<ast::Value> {
        Some(match (self, value) {
            (Self::Text, Value::String(text)) => text.as_str().into(),
            (Self::Integer, Value::Number(number)) => number.as_i64()?.into(),
            (Self::Decimal, Value::Number(number)) => decimal(&ijson::decimal_text(number.as_f64()?)?)?,
            (Self::Boolean, Value::Bool(truth)) => (*truth).into(),
            (Self::Set(items), Value::Array(values)) => ast::Value::set(
                values.iter().map(|value| items.to_cedar(value)).collect::<Option<Vec<_>>>()?,
                None,
            ),
            (Self::Record(fields), Value::Object(members)) => record_to_cedar(fields, members)?,
            _ => return None,
        })
    }
}

/// The type of a record in Cedar's schema syntax.
pub(crate) fn write_record_type(fields: &[Field], out: &mut String) {
    out.push('{');
    for (index, field) in fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let optional = if field.required { "" } else { "?" };
        // Names are of `NAME_RULE`: nothing in them needs an escape.
        let _ = write!(out, "{comma}\"{}\"{optional}: ", field.name);
        field.shape.write_type(out);
    }
    out.push('}');
}

/// A record of `fields`, or `None` when a member is missing or of another shape. Members that are no
/// field are passed over: the validator has refused them where they are not allowed.
pub(crate) fn record_to_cedar(fields: &[Field], members: &Map<String, Value>) -> Option<ast::Value> {
    let mut pairs = Vec::with_capacity(fields.len());
    for field in fields {
        match members.get(&field.name) {
            Some(value) => pairs.push((field.name.as_str(), field.shape.to_cedar(value)?)),
            None if field.required => return None,
            None => {}
        }
    }
    Some(ast::Value::record(pairs, None))
}

fn read(schema: &Value, path: &str, depth: usize) -> Result<(Shape, Value), Unsupported> {
    let Value::Object(schema) = schema else {
        return Err(unsupported(path, "a schema must be an object"));
    };
    if depth >= MAX_SCHEMA_DEPTH {
        return Err(unsupported(path, format!("nested deeper than {MAX_SCHEMA_DEPTH}")));
    }
    let of_strings = |values: &Vec<Value>| values.iter().all(Value::is_string);
    let kind = match (schema.get("type"), schema.get("enum")) {
        (Some(Value::String(kind)), _) => kind.as_str(),
        (None, Some(Value::Array(values))) if of_strings(values) => "string",
        _ => return Err(unsupported(&format!("{path}/type"), TYPE_RULE)),
    };
    let (shape, keywords): (_, &[&str]) = match kind {
        "string" => (Shape::Text, &["minLength", "maxLength", "pattern", "format"]),
        "integer" => (Shape::Integer, &RANGE),
        "number" => (Shape::Decimal, &RANGE),
        "boolean" => (Shape::Boolean, &[]),
        "array" => return read_array(schema, path, depth),
        "object" => return read_object(schema, path, depth),
        _ => return Err(unsupported(&format!("{path}/type"), TYPE_RULE)),
    };
    only(schema, path, kind, keywords)?;
    if let Some(format) = schema.get("format")
        && !format.as_str().is_some_and(|format| FORMATS.contains(&format))
    {
        return Err(unsupported(&format!("{path}/format"), format!("must be one of {}", FORMATS.join(", "))));
    }
    Ok((shape, Value::Object(schema.clone())))
}

const TYPE_RULE: &str =
    "must be one of string, integer, number, boolean, array, object, or absent beside an `enum` of strings";
const RANGE: [&str; 5] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const NAME_RULE: &str = "a property name is 1 to 64 of `A-Z a-z 0-9 _ - .`, beginning with a letter";

fn read_array(schema: &Map<String, Value>, path: &str, depth: usize) -> Result<(Shape, Value), Unsupported> {
    only(schema, path, "array", &["items", "minItems", "maxItems", "uniqueItems"])?;
    let path = format!("{path}/items");
    let Some(items) = schema.get("items") else {
        return Err(unsupported(&path, "an array needs the schema of its items"));
    };
    let (shape, closed) = read(items, &path, depth + 1)?;
    let mut array = schema.clone();
    array.insert("items".to_owned(), closed);
    Ok((Shape::Set(Box::new(shape)), Value::Object(array)))
}

fn read_object(schema: &Map<String, Value>, path: &str, depth: usize) -> Result<(Shape, Value), Unsupported> {
    only(schema, path, "object", &["properties", "required", "additionalProperties"])?;
    if schema.get("additionalProperties").is_some_and(|open| open != &json!(false)) {
        return Err(unsupported(&format!("{path}/additionalProperties"), "must be false or absent"));
    }
    let none = Map::new();
    let properties = match schema.get("properties") {
        Some(Value::Object(properties)) => properties,
        None => &none,
        Some(_) => return Err(unsupported(&format!("{path}/properties"), "must be an object")),
    };
    if properties.len() > MAX_PROPERTIES {
        return Err(unsupported(&format!("{path}/properties"), format!("more than {MAX_PROPERTIES}")));
    }
    let required = required(schema, properties, path)?;
    let mut fields = Vec::with_capacity(properties.len());
    let mut closed_properties = Map::new();
    for (name, property) in properties {
        let path = format!("{path}/properties/{name}");
        if !is_property_name(name) {
            return Err(unsupported(&path, NAME_RULE));
        }
        let (shape, closed) = read(property, &path, depth + 1)?;
        fields.push(Field { name: name.clone(), shape, required: required.contains(&name.as_str()) });
        closed_properties.insert(name.clone(), closed);
    }
    let mut object = schema.clone();
    object.insert("properties".to_owned(), Value::Object(closed_properties));
    object.insert("additionalProperties".to_owned(), Value::Bool(false));
    Ok((Shape::Record(fields), Value::Object(object)))
}

fn required<'a>(
    schema: &'a Map<String, Value>,
    properties: &Map<String, Value>,
    path: &str,
) -> Result<Vec<&'a str>, Unsupported> {
    let path = format!("{path}/required");
    let names = match schema.get("required") {
        None => return Ok(Vec::new()),
        Some(Value::Array(names)) => names.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
        Some(_) => None,
    }
    .ok_or_else(|| unsupported(&path, "must be an array of property names"))?;
    match names.iter().find(|name| !properties.contains_key(**name)) {
        Some(name) => Err(unsupported(&path, format!("`{name}` is not among the properties"))),
        None => Ok(names),
    }
}

fn only(schema: &Map<String, Value>, path: &str, kind: &str, keywords: &[&str]) -> Result<(), Unsupported> {
    let known = |key: &str| {
        matches!(key, "type" | "enum" | "const") || FOR_PEOPLE.contains(&key) || keywords.contains(&key)
    };
    match schema.keys().find(|key| !known(key)) {
        None => Ok(()),
        Some(key) => {
            let allowed = [&["type", "enum", "const"], keywords, &FOR_PEOPLE[..]].concat().join(", ");
            Err(unsupported(
                &format!("{path}/{key}"),
                format!("of type {kind}, only these are allowed: {allowed}"),
            ))
        }
    }
}

fn is_property_name(name: &str) -> bool {
    name.len() <= 64
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}
