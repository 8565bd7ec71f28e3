//! What a connector is: where, and how each action becomes a call.

use std::collections::BTreeMap;

use chancery_decide::ActionDefinition;
use chancery_model::{ActionName, NameError, ijson};
use serde::Serialize;
use serde_json::Value;

use crate::base_url::BaseUrl;
use crate::fields::{Fields, below, object, text};
use crate::limits::Limits;
use crate::operation::{Operation, Probe};
use crate::{ConnectorError, Invalid, fit};

/// The longest canonical form of a definition, in bytes.
pub const MAX_DEFINITION_BYTES: usize = 256 * 1024;
/// The most operations of one connector.
pub const MAX_OPERATIONS: usize = 128;

/// What a connector is. Every part of it was checked: what it holds can be called.
///
/// ```json
/// {
///   "base_url": "https://api.example.org/v1",
///   "operations": {
///     "payments.refund": {
///       "method": "POST",
///       "path": "/payments/{resource.id}/refunds",
///       "headers": {"idempotency-key": "{intent.id}"},
///       "body": {"amount": "{arguments.amount}", "note": "{arguments.reason}"},
///       "idempotent": true
///     }
///   },
///   "test": {"method": "GET", "path": "/ping"}
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Definition {
    base_url: BaseUrl,
    operations: BTreeMap<ActionName, Operation>,
    #[serde(flatten)]
    limits: Limits,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<Probe>,
}

impl Definition {
    /// Reads a definition.
    ///
    /// # Errors
    /// [`Invalid`] naming the part that breaks its rule.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let mut fields = Fields::of(value, "")?;
        let (base_url, at) = fields.need("base_url")?;
        let base_url = text(base_url, &at)?.parse().map_err(|rule| Invalid::new(at, rule))?;
        let (operations, at) = fields.need("operations")?;
        let operations = read_operations(operations, &at)?;
        let limits = Limits::read(&mut fields)?;
        let test = fields.take("test").map(|(value, at)| Probe::read(value, &at)).transpose()?;
        fields.end()?;
        let definition = Self { base_url, operations, limits, test };
        let text = ijson::canonical(&definition).map_err(|error| Invalid::new("", error.message))?;
        if text.len() > MAX_DEFINITION_BYTES {
            return Err(Invalid::new("", format!("is longer than {MAX_DEFINITION_BYTES} bytes")));
        }
        Ok(definition)
    }

    /// Checks the templates against the actions that the catalogue has: that each argument they name is
    /// one, of a kind that fits its place. An action that is not in the catalogue is never permitted, and
    /// is checked when the connector is written again.
    ///
    /// # Errors
    /// [`Invalid`] naming the template.
    pub fn fits(&self, catalogue: &[ActionDefinition]) -> Result<(), Invalid> {
        for action in catalogue {
            if let Some(operation) = self.operations.get(&action.name) {
                fit::check(operation, &action.arguments, &below("/operations", action.name.as_str()))?;
            }
        }
        Ok(())
    }

    /// The canonical form, with every default written out: what is stored.
    pub(crate) fn to_text(&self) -> Result<String, ConnectorError> {
        Ok(ijson::canonical(self).map_err(|error| Invalid::new("", error.message))?)
    }

    /// The definition as JSON, with every default written out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Where it is.
    #[must_use]
    pub const fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// What bounds its calls.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How this action becomes a call, if it does.
    #[must_use]
    pub fn operation(&self, action: &ActionName) -> Option<&Operation> {
        self.operations.get(action)
    }

    /// The actions it can do.
    pub fn actions(&self) -> impl Iterator<Item = &ActionName> {
        self.operations.keys()
    }

    /// Every operation.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values()
    }

    /// What the connection test calls.
    #[must_use]
    pub const fn probe(&self) -> Option<&Probe> {
        self.test.as_ref()
    }
}

fn read_operations(value: &Value, at: &str) -> Result<BTreeMap<ActionName, Operation>, Invalid> {
    let members = object(value, at)?;
    if members.len() > MAX_OPERATIONS {
        return Err(Invalid::new(at, format!("has more than {MAX_OPERATIONS} members")));
    }
    let mut operations = BTreeMap::new();
    for (name, value) in members {
        let at = below(at, name);
        let action = name.parse().map_err(|error: NameError| Invalid::new(at.clone(), error.rule))?;
        operations.insert(action, Operation::read(value, &at)?);
    }
    Ok(operations)
}

#[cfg(test)]
#[path = "definition_tests.rs"]
mod tests;
