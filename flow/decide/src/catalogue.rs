//! The actions of an organization, and the Cedar schema generated from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, Schema};
use cedar_policy_core::ast;
use chancery_crypto::sha256;
use chancery_evidence::Hex;
use chancery_model::{ActionName, ijson};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value, json};

use crate::risk::{RESERVED_FACTS, STATED_RISK};
use crate::shape::{Field, Shape, Unsupported, record_to_cedar, write_record_type};
use crate::{ActionDefinition, ActionEffect, MAX_RISK};

/// The most actions of one organization.
pub const MAX_ACTIONS: usize = 1_000;
/// The largest schema of one action, as canonical JSON.
const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// The part of the context that every action has, in Cedar's schema syntax.
const COMMON_CONTEXT: &str =
    "environment: String, connector?: String, risk: Long, now: datetime, on_behalf_of?: Member";
/// The principals, in Cedar's schema syntax.
const PRINCIPALS: &str = "entity Agent = {role: String, owner?: Member};\nentity Member = {role: String};\n";
/// Cedar's own type names; [`chancery_model::ResourceType`] keeps out the rest.
const CEDAR_TYPES: [&str; 4] = ["decimal", "datetime", "duration", "ipaddr"];
/// Stands for any resource where installation policies are checked.
pub(crate) const ANY_RESOURCE: &str = "AnyResourceOfAnyOrganization";

/// A definition that the catalogue does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("action `{action}`, `{path}`: {rule}")]
pub struct CatalogueError {
    /// The action.
    pub action: String,
    /// JSON Pointer to the place in its definition.
    pub path: String,
    /// The rule that is broken.
    pub rule: String,
}

/// The actions of an organization, ready to decide on.
///
/// Arguments and context are described by this subset of JSON Schema 2020-12, each with its Cedar
/// type: `string` (String, also an `enum` of strings), `integer` (Long), `number` (decimal),
/// `boolean` (Bool), `array` with `items` (Set), `object` with `properties` and `required` (a closed
/// record). Lengths, ranges, `pattern`, `format`, `enum` and `const` are enforced as well; references
/// and combinations are not taken, because policies could not see through them.
#[derive(Debug)]
pub struct Catalogue {
    actions: BTreeMap<ActionName, Action>,
    schema: Schema,
    schema_text: String,
    schema_hash: Arc<str>,
    content_hash: [u8; 32],
}

/// One action of the catalogue.
#[derive(Debug)]
pub struct Action {
    definition: ActionDefinition,
    pub(crate) uid: EntityUid,
    pub(crate) resource_type: EntityTypeName,
    pub(crate) entity: Entity,
    arguments: Checked,
    context: Checked,
}

/// A JSON Schema together with the Cedar record it describes.
#[derive(Debug)]
struct Checked {
    fields: Vec<Field>,
    schema: Value,
    validator: Validator,
}

impl Catalogue {
    /// Reads definitions into a catalogue.
    ///
    /// # Errors
    /// At the first definition that breaks a rule, naming the action, the place and the rule.
    pub fn build(definitions: Vec<ActionDefinition>) -> Result<Self, CatalogueError> {
        if definitions.len() > MAX_ACTIONS {
            return Err(refuse("*", "/", format!("more than {MAX_ACTIONS} actions")));
        }
        let mut actions = BTreeMap::new();
        for definition in definitions {
            let name = definition.name.clone();
            let action = Action::build(definition)?;
            if actions.insert(name.clone(), action).is_some() {
                return Err(refuse(name.as_str(), "/name", "defined twice"));
            }
        }
        let definitions: Vec<_> = actions.values().map(|action| &action.definition).collect();
        let content = ijson::canonical(&definitions).map_err(|error| refuse("*", "/", error.message))?;
        let schema_text = schema_text(actions.values());
        let schema = read_schema(&schema_text).map_err(|rule| refuse("*", "/", rule))?;
        Ok(Self {
            actions,
            schema,
            schema_hash: Hex(sha256(&[schema_text.as_bytes()])).to_string().into(),
            content_hash: sha256(&[content.as_bytes()]),
            schema_text,
        })
    }

    /// The generated Cedar schema, in Cedar's own syntax.
    #[must_use]
    pub fn schema_text(&self) -> &str {
        &self.schema_text
    }

    /// The SHA-256 of [`Self::schema_text`], in hex: the version that decisions name.
    #[must_use]
    pub fn schema_hash(&self) -> &Arc<str> {
        &self.schema_hash
    }

    /// The SHA-256 of all definitions: equal catalogues decide alike.
    #[must_use]
    pub const fn content_hash(&self) -> &[u8; 32] {
        &self.content_hash
    }

    /// The action of that name.
    #[must_use]
    pub fn action(&self, name: &ActionName) -> Option<&Action> {
        self.actions.get(name)
    }

    /// Every action, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Action> {
        self.actions.values()
    }

    pub(crate) const fn schema(&self) -> &Schema {
        &self.schema
    }
}

impl Action {
    fn build(definition: ActionDefinition) -> Result<Self, CatalogueError> {
        let name = definition.name.as_str();
        if ActionEffect::ALL.iter().any(|effect| effect.as_str() == name) {
            return Err(refuse(name, "/name", "is the name of a group of actions"));
        }
        if definition.base_risk > MAX_RISK {
            return Err(refuse(name, "/base_risk", format!("must be 0 to {MAX_RISK}")));
        }
        let resource_type = definition.resource_type.as_str();
        let resource_type = match EntityTypeName::from_str(resource_type) {
            Ok(parsed) if !CEDAR_TYPES.contains(&resource_type) => parsed,
            _ => return Err(refuse(name, "/resource_type", "is a reserved word of the policy language")),
        };
        let no_context = json!({"type": "object"});
        let stated = definition.context.as_ref().unwrap_or(&no_context);
        let arguments = Checked::build(name, "/arguments", &definition.arguments, &Map::new())?;
        let context = Checked::build(name, "/context", stated, &reserved_facts())?;
        let uid = action_uid(name);
        let group = action_uid(definition.effect.as_str());
        let entity = Entity::new_no_attrs(uid.clone(), [group].into());
        Ok(Self { uid, resource_type, entity, arguments, context, definition })
    }

    /// What was defined.
    #[must_use]
    pub const fn definition(&self) -> &ActionDefinition {
        &self.definition
    }

    /// The arguments as Cedar sees them.
    pub(crate) fn arguments(&self, value: &Value) -> Result<ast::Value, String> {
        self.arguments.read(value)
    }

    /// The stated facts as Cedar sees them: without those that only count for the risk score.
    pub(crate) fn context(&self, value: &Value) -> Result<ast::Value, String> {
        self.context.read(value)
    }
}

impl Checked {
    fn build(
        name: &str,
        at: &str,
        schema: &Value,
        reserved: &Map<String, Value>,
    ) -> Result<Self, CatalogueError> {
        let locate = |problem: Unsupported| refuse(name, &format!("{at}{}", problem.path), problem.rule);
        let (fields, mut schema) = Shape::of_object(schema).map_err(locate)?;
        if let Some(field) = fields.iter().find(|field| reserved.contains_key(&field.name)) {
            let path = format!("{at}/properties/{}", field.name);
            return Err(refuse(name, &path, "is a fact that every action has: leave it out"));
        }
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.extend(reserved.clone());
        }
        if schema.to_string().len() > MAX_SCHEMA_BYTES {
            return Err(refuse(name, at, format!("larger than {MAX_SCHEMA_BYTES} bytes")));
        }
        // `regex` instead of the default engine: linear in the input, so that no pattern can stall.
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20))
            .offline()
            .build(&schema)
            .map_err(|error| refuse(name, &format!("{at}{}", error.instance_path()), error.to_string()))?;
        Ok(Self { fields, schema, validator })
    }

    /// Checks a value and converts it. The error gives the place and the rule, never the value.
    fn read(&self, value: &Value) -> Result<ast::Value, String> {
        if let Some(error) = self.validator.iter_errors(value).next() {
            return Err(self.explain(&error));
        }
        value
            .as_object()
            .and_then(|members| record_to_cedar(&self.fields, members))
            .ok_or_else(|| "a number breaks `type`: decimals have at most four fractional digits".to_owned())
    }

    fn explain(&self, error: &jsonschema::ValidationError<'_>) -> String {
        let place = error.instance_path().as_str();
        // A name that the schema gives; the rule itself would list every name that must be there.
        if let ValidationErrorKind::Required { property: Value::String(name) } = error.kind() {
            return format!("`{place}/{name}` is missing");
        }
        let place = if place.is_empty() { "/" } else { place };
        let keyword = error.kind().keyword();
        // The rule's own text is the organization's, so it can be told; long ones only by name.
        let rule = self.schema.pointer(error.schema_path().as_str()).map(Value::to_string);
        match rule.filter(|rule| rule.len() <= 80) {
            Some(rule) => format!("`{place}` breaks `{keyword}`: {rule}"),
            None => format!("`{place}` breaks `{keyword}`"),
        }
    }
}

fn refuse(action: &str, path: &str, rule: impl Into<String>) -> CatalogueError {
    let path = match path.strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => shorter,
        _ => path,
    };
    CatalogueError { action: action.to_owned(), path: path.to_owned(), rule: rule.into() }
}

fn reserved_facts() -> Map<String, Value> {
    let mut facts: Map<_, _> =
        RESERVED_FACTS.iter().map(|fact| (fact.name.to_owned(), json!({"type": "boolean"}))).collect();
    facts.insert(STATED_RISK.to_owned(), json!({"type": "integer", "minimum": 0, "maximum": MAX_RISK}));
    facts
}

fn schema_text<'a>(actions: impl Iterator<Item = &'a Action> + Clone) -> String {
    let mut text = String::from(PRINCIPALS);
    let types: BTreeSet<_> = actions.clone().map(|action| action.definition.resource_type.as_str()).collect();
    for name in types {
        let _ = writeln!(text, "entity {name};");
    }
    write_groups(&mut text);
    for action in actions {
        let ActionDefinition { name, resource_type, effect, .. } = &action.definition;
        let effect = effect.as_str();
        let _ = write!(
            text,
            "action \"{name}\" in [Action::\"{effect}\"] appliesTo {{\n  principal: [Agent, Member],\n  \
             resource: [{resource_type}],\n  context: {{\n    arguments: "
        );
        write_record_type(&action.arguments.fields, &mut text);
        text.push_str(",\n    facts: ");
        write_record_type(&action.context.fields, &mut text);
        let _ = write!(text, ",\n    {COMMON_CONTEXT}\n  }}\n}};\n");
    }
    text
}

fn write_groups(text: &mut String) {
    for effect in ActionEffect::ALL {
        let _ = writeln!(text, "action \"{}\";", effect.as_str());
    }
}

/// The part of every organization's schema that doesn't depend on its catalogue: what installation
/// policies are checked against. One stand-in action for each group, on a stand-in resource.
pub(crate) fn common_schema() -> Result<Schema, String> {
    let mut text = format!("{PRINCIPALS}entity {ANY_RESOURCE};\n");
    write_groups(&mut text);
    for effect in ActionEffect::ALL {
        let effect = effect.as_str();
        let _ = writeln!(
            text,
            "action \"{ANY_RESOURCE}.{effect}\" in [Action::\"{effect}\"] appliesTo {{principal: [Agent, Member], \
             resource: [{ANY_RESOURCE}], context: {{{COMMON_CONTEXT}}}}};"
        );
    }
    read_schema(&text)
}

fn read_schema(text: &str) -> Result<Schema, String> {
    Schema::from_cedarschema_str(text).map(|(schema, _)| schema).map_err(|error| error.to_string())
}

/// `Action::"name"`.
pub(crate) fn action_uid(name: &str) -> EntityUid {
    uid("Action", name)
}

/// An entity of one of our own types.
#[allow(clippy::expect_used, reason = "called with literals only, each an identifier")]
pub(crate) fn entity_type(name: &'static str) -> EntityTypeName {
    EntityTypeName::from_str(name).expect("an identifier")
}

fn uid(kind: &'static str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(entity_type(kind), EntityId::new(id))
}
