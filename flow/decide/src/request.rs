//! What Cedar is asked: the few entities and the context of one request, built from typed values.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use chancery_model::{Principal, Timestamp};

use crate::catalogue::{Action, entity_type};
use crate::extension::datetime;
use crate::{Facts, Subject};

static AGENT: LazyLock<EntityTypeName> = LazyLock::new(|| entity_type("Agent"));
static MEMBER: LazyLock<EntityTypeName> = LazyLock::new(|| entity_type("Member"));

/// What Cedar could not be asked.
#[derive(Debug)]
pub(crate) struct Unaskable;

/// The question for each who has to be permitted: the one who asks, then the member it acts for.
pub(crate) struct Questions {
    pub(crate) entities: Entities,
    pub(crate) requests: Vec<Request>,
}

/// The parts of the context that come out of earlier gates.
pub(crate) struct Checked {
    pub(crate) arguments: RestrictedExpression,
    pub(crate) facts: RestrictedExpression,
    pub(crate) risk: u8,
}

impl Questions {
    /// Puts a request that passed the earlier gates in Cedar's terms. The types agree with the
    /// generated schema by construction, so it is not checked against it again.
    pub(crate) fn build(action: &Action, facts: &Facts<'_>, checked: Checked) -> Result<Self, Unaskable> {
        let askers = || std::iter::once(&facts.subject).chain(facts.on_behalf_of.as_ref());
        let context = context(facts, checked)?;
        let resource =
            EntityUid::from_type_name_and_id(action.resource_type.clone(), EntityId::new(facts.resource_id));
        let requests = askers()
            .map(|asker| {
                Request::new(uid(asker), action.uid.clone(), resource.clone(), context.clone(), None)
                    .map_err(|_| Unaskable)
            })
            .collect::<Result<_, _>>()?;
        let mut entities = Vec::with_capacity(3);
        entities.push(action.entity.clone());
        for asker in askers() {
            entities.push(entity(asker)?);
        }
        let entities = Entities::from_entities(entities, None).map_err(|_| Unaskable)?;
        Ok(Self { entities, requests })
    }
}

fn context(facts: &Facts<'_>, checked: Checked) -> Result<Context, Unaskable> {
    let mut pairs = Vec::with_capacity(7);
    let mut put = |name: &str, value| pairs.push((name.to_owned(), value));
    put("arguments", checked.arguments);
    put("facts", checked.facts);
    put("environment", RestrictedExpression::new_string(facts.environment.as_str().to_owned()));
    put("risk", RestrictedExpression::new_long(checked.risk.into()));
    put("now", datetime(&milliseconds_text(facts.now)));
    if let Some(connector) = facts.connector {
        put("connector", RestrictedExpression::new_string(connector.to_owned()));
    }
    if let Some(member) = &facts.on_behalf_of {
        put("on_behalf_of", RestrictedExpression::new_entity_uid(uid(member)));
    }
    Context::from_pairs(pairs).map_err(|_| Unaskable)
}

fn entity(subject: &Subject) -> Result<Entity, Unaskable> {
    let mut attributes = HashMap::with_capacity(2);
    attributes.insert("role".to_owned(), RestrictedExpression::new_string(subject.role.as_str().to_owned()));
    if let (Principal::Agent(_), Some(owner)) = (subject.principal, subject.owner) {
        let owner = EntityUid::from_type_name_and_id(MEMBER.clone(), EntityId::new(owner.to_string()));
        attributes.insert("owner".to_owned(), RestrictedExpression::new_entity_uid(owner));
    }
    Entity::new(uid(subject), attributes, HashSet::new()).map_err(|_| Unaskable)
}

fn uid(subject: &Subject) -> EntityUid {
    let (kind, id) = match subject.principal {
        Principal::Agent(id) => (AGENT.clone(), id.to_string()),
        Principal::Member(id) => (MEMBER.clone(), id.to_string()),
    };
    EntityUid::from_type_name_and_id(kind, EntityId::new(id))
}

/// Cedar's `datetime` has exactly three fractional digits where a [`Timestamp`] writes six.
fn milliseconds_text(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate(text.len().saturating_sub(4));
    text.push('Z');
    text
}
