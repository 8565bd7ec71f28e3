//! An intent, in the one form that is hashed, decided on and executed.

use chancery_model::{
    ActionName, Audience, CorrelationId, Environment, IntentId, MemberId, ResourceId, ResourceType, ijson,
};
use serde_json::{Map, Value};

/// What a caller asks to do, as it was sent: parsed as I-JSON, not yet checked.
#[derive(Debug, Default)]
pub struct Draft {
    /// The action's name.
    pub action: String,
    /// The resource's type.
    pub resource_type: String,
    /// Which resource.
    pub resource_id: String,
    /// The action's arguments; an object, empty when absent.
    pub arguments: Option<Value>,
    /// What the caller says of the circumstances; an object, empty when absent. It may raise the
    /// risk, never lower it.
    pub context: Option<Value>,
    /// Who will redeem the token.
    pub connector: Option<String>,
    /// The member in whose name an agent asks.
    pub on_behalf_of: Option<String>,
}

/// A part of a draft that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {rule}")]
pub struct DraftError {
    /// Which part.
    pub field: &'static str,
    /// The rule, as a sentence for the caller.
    pub rule: String,
}

/// A checked intent.
#[derive(Debug)]
pub struct Intent {
    /// Its identifier.
    pub id: IntentId,
    /// The story it begins or belongs to.
    pub correlation: CorrelationId,
    /// What to do.
    pub action: ActionName,
    /// To what kind of thing.
    pub resource_type: ResourceType,
    /// To which one.
    pub resource_id: ResourceId,
    /// How, exactly.
    pub arguments: Value,
    /// The circumstances as the caller states them.
    pub context: Value,
    /// Who will redeem the token.
    pub connector: Option<Audience>,
    /// In whose name.
    pub on_behalf_of: Option<MemberId>,
    /// Live or test: the key's.
    pub environment: Environment,
    canonical: String,
    stated: String,
    hash: [u8; 32],
}

/// The longest canonical form of the context, in bytes.
const MAX_CONTEXT_BYTES: usize = 16 * 1024;

/// The longest canonical form, in bytes: it is sealed into one entry.
pub const MAX_CANONICAL_BYTES: usize = 64 * 1024;

/// The deepest nesting of arguments and context. An evidence bundle holds them some levels down,
/// and is itself I-JSON of at most [`ijson::MAX_DEPTH`] levels.
pub const MAX_NESTING: usize = 24;

impl Intent {
    /// Checks a draft.
    ///
    /// # Errors
    /// [`DraftError`] naming the field and its rule.
    pub fn check(
        draft: Draft,
        id: IntentId,
        correlation: CorrelationId,
        environment: Environment,
    ) -> Result<Self, DraftError> {
        let action: ActionName = read("action", &draft.action)?;
        let resource_type: ResourceType = read("resource.type", &draft.resource_type)?;
        let resource_id: ResourceId = read("resource.id", &draft.resource_id)?;
        let connector = draft.connector.as_deref().map(|text| read("connector", text)).transpose()?;
        let on_behalf_of =
            draft.on_behalf_of.as_deref().map(|text| read("on_behalf_of", text)).transpose()?;
        let arguments = object("arguments", draft.arguments)?;
        let context = object("context", draft.context)?;
        let canonical = canonical(&action, &resource_type, &resource_id, &arguments)?;
        bound("arguments", &canonical, MAX_CANONICAL_BYTES)?;
        let stated = ijson::canonical(&context)
            .map_err(|error| DraftError { field: "context", rule: error.message })?;
        bound("context", &stated, MAX_CONTEXT_BYTES)?;
        let hash = hash_canonical(&canonical);
        Ok(Self {
            id,
            correlation,
            action,
            resource_type,
            resource_id,
            arguments,
            context,
            connector,
            on_behalf_of,
            environment,
            canonical,
            stated,
            hash,
        })
    }

    /// The canonical form: JCS of `{"v":1,"action","resource":{"type","id"},"arguments"}`.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The canonical form of the context.
    #[must_use]
    pub fn stated(&self) -> &str {
        &self.stated
    }

    /// SHA-256 of `chancery/intent/v1` and the canonical form: what a token is bound to.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

/// The hash of exactly this action on exactly this resource with exactly these arguments, as an
/// enforcement point recomputes it.
///
/// # Errors
/// [`DraftError`] when the arguments have no canonical form.
pub fn intent_hash(
    action: &ActionName,
    resource_type: &ResourceType,
    resource_id: &ResourceId,
    arguments: &Value,
) -> Result<[u8; 32], DraftError> {
    Ok(hash_canonical(&canonical(action, resource_type, resource_id, arguments)?))
}

fn hash_canonical(canonical: &str) -> [u8; 32] {
    chancery_crypto::sha256(&[b"chancery/intent/v1", canonical.as_bytes()])
}

/// Member names in order already; action and type hold nothing that JSON escapes.
fn canonical(
    action: &ActionName,
    resource_type: &ResourceType,
    resource_id: &ResourceId,
    arguments: &Value,
) -> Result<String, DraftError> {
    let refuse = |error: ijson::IJsonError| DraftError { field: "arguments", rule: error.message };
    let arguments = ijson::canonical(arguments).map_err(refuse)?;
    let resource_id = ijson::canonical(&resource_id.as_str()).map_err(refuse)?;
    Ok(format!(
        r#"{{"action":"{action}","arguments":{arguments},"resource":{{"id":{resource_id},"type":"{resource_type}"}},"v":1}}"#
    ))
}

/// What is decided on is sealed into an entry, whatever the decision: nobody makes entries of any size.
fn bound(field: &'static str, canonical: &str, most: usize) -> Result<(), DraftError> {
    if canonical.len() <= most {
        return Ok(());
    }
    Err(DraftError { field, rule: format!("the canonical form is longer than {most} bytes") })
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &'static str,
    text: &str,
) -> Result<T, DraftError> {
    text.parse().map_err(|error: T::Err| DraftError { field, rule: error.to_string() })
}

fn object(field: &'static str, value: Option<Value>) -> Result<Value, DraftError> {
    match value {
        None | Some(Value::Null) => Ok(Value::Object(Map::new())),
        Some(object @ Value::Object(_)) if !is_deeper(&object, MAX_NESTING) => Ok(object),
        Some(Value::Object(_)) => {
            Err(DraftError { field, rule: format!("nested deeper than {MAX_NESTING}") })
        }
        Some(_) => Err(DraftError { field, rule: "an object is expected".to_owned() }),
    }
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper(item, levels - 1)),
        Value::Object(members) => levels == 0 || members.values().any(|member| is_deeper(member, levels - 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_model::Timestamp;

    fn check(draft: Draft) -> Result<Intent, DraftError> {
        let id = IntentId::new(Timestamp::from_micros(1), [0; 10]);
        Intent::check(draft, id, id.into(), Environment::Live)
    }

    fn draft(arguments: &str) -> Draft {
        Draft {
            action: "payments.refund".to_owned(),
            resource_type: "Invoice".to_owned(),
            resource_id: "in\"v/7 é".to_owned(),
            arguments: ijson::parse(arguments.as_bytes()).ok(),
            ..Draft::default()
        }
    }

    #[test]
    fn the_canonical_form_is_jcs() -> Result<(), Box<dyn std::error::Error>> {
        let intent = check(draft(r#"{"b":1.50,"a":{"y":[1,2],"x":"\u0041"}}"#))?;
        let value = serde_json::json!({"v": 1, "action": "payments.refund",
            "resource": {"type": "Invoice", "id": "in\"v/7 é"},
            "arguments": {"a": {"x": "A", "y": [1, 2]}, "b": 1.5}});
        assert_eq!(intent.canonical(), ijson::canonical(&value)?);
        Ok(())
    }

    #[test]
    fn another_argument_or_resource_is_another_hash() -> Result<(), DraftError> {
        let hash = |draft| check(draft).map(|intent| *intent.hash());
        let first = hash(draft(r#"{"amount":5}"#))?;
        assert_eq!(first, hash(draft(r#"{"amount":5.0}"#))?);
        assert_ne!(first, hash(draft(r#"{"amount":6}"#))?);
        assert_ne!(first, hash(Draft { resource_id: "other".to_owned(), ..draft(r#"{"amount":5}"#) })?);
        Ok(())
    }

    #[test]
    fn what_breaks_a_rule_names_its_field() {
        let field = |draft| check(draft).map(|_| ()).map_err(|error| error.field);
        assert_eq!(field(Draft { action: "a b".to_owned(), ..draft("{}") }), Err("action"));
        assert_eq!(field(Draft { resource_type: "Agent".to_owned(), ..draft("{}") }), Err("resource.type"));
        assert_eq!(field(Draft { arguments: Some(Value::Bool(true)), ..draft("{}") }), Err("arguments"));
        assert_eq!(field(Draft { on_behalf_of: Some("x".to_owned()), ..draft("{}") }), Err("on_behalf_of"));
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_CANONICAL_BYTES));
        assert_eq!(field(draft(&long)), Err("arguments"));
        let long = ijson::parse(format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_CONTEXT_BYTES)).as_bytes()).ok();
        assert_eq!(field(Draft { context: long, ..draft("{}") }), Err("context"));
        let nested =
            |levels: usize| format!("{}{{}}{}", r#"{"a":"#.repeat(levels - 1), "}".repeat(levels - 1));
        assert_eq!(field(draft(&nested(MAX_NESTING))), Ok(()));
        assert_eq!(field(draft(&nested(MAX_NESTING + 1))), Err("arguments"));
    }
}
