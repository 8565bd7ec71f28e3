//! What Cedar is asked: the few entities and the context of one request, built from typed values.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

use cedar_policy_core::ast::{
    Context, Eid, Entity, EntityType, EntityUID, EntityUIDEntry, PartialValue, Request, Value,
};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use chancery_model::{Principal, Timestamp};

use crate::catalogue::{Action, entity_type};
use crate::extension::datetime;
use crate::{Facts, Subject};

static AGENT: LazyLock<EntityType> = LazyLock::new(|| core_type("Agent"));
static MEMBER: LazyLock<EntityType> = LazyLock::new(|| core_type("Member"));

fn core_type(name: &'static str) -> EntityType {
    entity_type(name).as_ref().clone()
}

/// What Cedar could not be asked.
#[derive(Debug)]
pub(crate) struct Unaskable;

/// The question for each who has to be permitted: the one who asks, then the member it acts for.
pub(crate) struct Questions {
    entities: Entities,
    requests: Vec<Request>,
}

/// The parts of the context that come out of earlier gates.
pub(crate) struct Checked {
    pub(crate) arguments: Value,
    pub(crate) facts: Value,
    pub(crate) risk: u8,
    /// Whether a policy that can apply looks at the time; making one costs 3 µs.
    pub(crate) tells_time: bool,
}

impl Questions {
    /// Puts a request that passed the earlier gates in Cedar's terms. The types agree with the
    /// generated schema by construction, so it is not checked against it again.
    pub(crate) fn build(action: &Action, facts: &Facts<'_>, checked: Checked) -> Result<Self, Unaskable> {
        let askers = || std::iter::once(&facts.subject).chain(facts.on_behalf_of.as_ref());
        let context = context(facts, checked)?;
        let resource = known(EntityUID::from_components(
            action.resource_type.as_ref().clone(),
            Eid::new(facts.resource_id),
            None,
        ));
        let action_uid = known(action.uid.as_ref().clone());
        let requests = askers()
            .map(|asker| {
                let (principal, action) = (known(uid(asker)), action_uid.clone());
                Request::new_unchecked(principal, action, resource.clone(), Some(context.clone()))
            })
            .collect();
        let mut entities = Vec::with_capacity(3);
        entities.push(action.entity.as_ref().clone());
        entities.extend(askers().map(entity));
        // An action's group has no group, and nothing else has parents: the closure is what it is.
        let entities = Entities::from_entities(
            entities,
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        )
        .map_err(|_| Unaskable)?;
        Ok(Self { entities, requests })
    }

    /// What answers each question.
    pub(crate) fn evaluators(&self) -> Vec<Evaluator<'_>> {
        let extensions = Extensions::all_available();
        self.requests
            .iter()
            .map(|request| Evaluator::new(request.clone(), &self.entities, extensions))
            .collect()
    }
}

fn known(uid: EntityUID) -> EntityUIDEntry {
    EntityUIDEntry::known(uid, None)
}

fn context(facts: &Facts<'_>, checked: Checked) -> Result<Context, Unaskable> {
    let mut parts = BTreeMap::new();
    let mut put = |name: &'static str, value: Value| parts.insert(name.into(), value);
    put("arguments", checked.arguments);
    put("facts", checked.facts);
    put("environment", facts.environment.as_str().into());
    put("risk", i64::from(checked.risk).into());
    if checked.tells_time {
        put("now", datetime(&milliseconds_text(facts.now)).ok_or(Unaskable)?);
    }
    if let Some(connector) = facts.connector {
        put("connector", connector.into());
    }
    if let Some(member) = &facts.on_behalf_of {
        put("on_behalf_of", uid(member).into());
    }
    Ok(Context::Value(Arc::new(parts)))
}

fn entity(subject: &Subject) -> Entity {
    let role = ("role".into(), PartialValue::Value(subject.role.as_str().into()));
    let owner = match (subject.principal, subject.owner) {
        (Principal::Agent(_), Some(owner)) => {
            let owner = EntityUID::from_components(MEMBER.clone(), Eid::new(owner.to_string()), None);
            Some(("owner".into(), PartialValue::Value(owner.into())))
        }
        _ => None,
    };
    let attributes = std::iter::once(role).chain(owner);
    Entity::new_with_attr_partial_value(uid(subject), attributes, HashSet::new(), HashSet::new(), [])
}

fn uid(subject: &Subject) -> EntityUID {
    let (kind, id) = match subject.principal {
        Principal::Agent(id) => (AGENT.clone(), id.to_string()),
        Principal::Member(id) => (MEMBER.clone(), id.to_string()),
    };
    EntityUID::from_components(kind, Eid::new(id), None)
}

/// Cedar's `datetime` has exactly three fractional digits where a [`Timestamp`] writes six.
fn milliseconds_text(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate(text.len().saturating_sub(4));
    text.push('Z');
    text
}
