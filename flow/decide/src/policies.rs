//! The policies in force, compiled for deciding: parsed once and sliced by action, because Cedar's
//! cost is linear in the policies it is given, matching or not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{ActionConstraint, Effect, EntityTypeName, Policy, ResourceConstraint};
use chancery_crypto::sha256;
use chancery_model::ActionName;

use crate::catalogue::{Action, action_uid};
use crate::check::allowed_in;
use crate::condition::Condition;
use crate::text::{Escalation, PolicyText};
use crate::{Catalogue, Layer, ParseCache, PolicyProblem, PolicyRef};

/// The most Cedar policies of one layer.
pub const MAX_POLICIES: usize = 500;

/// A policy as it is stored: one or more Cedar policies that are versioned together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySource {
    /// Its id.
    pub id: String,
    /// The version in force.
    pub version: u32,
    /// Its name, for people.
    pub name: String,
    /// Cedar text.
    pub text: Arc<str>,
}

/// Policies that can't be put in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A text that can't be read; stored texts have passed [`crate::check_policy`].
    #[error("policy `{id}`: {problem}")]
    Unreadable {
        /// The policy.
        id: String,
        /// The first problem.
        problem: PolicyProblem,
    },
    /// A permit in the installation's layer.
    #[error("policy `{id}`: an installation policy can only forbid")]
    InstallationPermit {
        /// The policy.
        id: String,
    },
    /// More than [`MAX_POLICIES`] in one layer.
    #[error("more than {MAX_POLICIES} policies in one layer")]
    TooMany,
}

/// The policies in force in one organization, with the catalogue they are about.
#[derive(Debug)]
pub struct Policies {
    catalogue: Arc<Catalogue>,
    compiled: Arc<Compiled>,
    installation: Vec<PolicyRef>,
    organization: Vec<PolicyRef>,
}

/// What is the same for all organizations with equal catalogues and texts.
#[derive(Debug)]
pub(crate) struct Compiled {
    slices: HashMap<ActionName, Slice>,
}

/// The policies that can apply to one action. Permits and forbids are asked apart: a permit has to be
/// known also where an escalating forbid stands before it.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    pub(crate) installation: Vec<Arc<Rule>>,
    pub(crate) forbids: Vec<Arc<Rule>>,
    pub(crate) permits: Vec<Arc<Rule>>,
    /// Whether one of them looks at the time.
    pub(crate) tells_time: bool,
}

/// A policy ready to be asked.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Its place among the sources of its layer.
    source: usize,
    /// Its place among all policies of its layer.
    order: usize,
    pub(crate) condition: Arc<Condition>,
    pub(crate) escalation: Option<Escalation>,
    pub(crate) message: Option<Arc<str>>,
}

impl Policies {
    /// Compiles the policies of both layers. Texts are expected to have been checked when they were
    /// written; what slipped through decides nothing but refusals.
    ///
    /// # Errors
    /// See [`CompileError`].
    pub fn compile(
        catalogue: Arc<Catalogue>,
        installation: &[PolicySource],
        organization: &[PolicySource],
        cache: &ParseCache,
    ) -> Result<Self, CompileError> {
        let installation_texts = read(installation, cache)?;
        let organization_texts = read(organization, cache)?;
        let hash = content_hash(&catalogue, &installation_texts, &organization_texts);
        let compiled = cache.compiled(hash, || {
            let mut compiled = Compiled::empty(&catalogue);
            compiled.add(Layer::Installation, installation, &installation_texts, &catalogue)?;
            compiled.add(Layer::Organization, organization, &organization_texts, &catalogue)?;
            Ok(compiled)
        })?;
        Ok(Self {
            catalogue,
            compiled,
            installation: refs(installation, Layer::Installation),
            organization: refs(organization, Layer::Organization),
        })
    }

    /// The catalogue they are about.
    #[must_use]
    pub const fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    pub(crate) fn slice(&self, action: &ActionName) -> Option<&Slice> {
        self.compiled.slices.get(action)
    }

    /// What a rule of a layer is from, as decisions name it.
    pub(crate) fn source(&self, layer: Layer, rule: &Rule) -> Option<&PolicyRef> {
        match layer {
            Layer::Installation => self.installation.get(rule.source),
            Layer::Organization => self.organization.get(rule.source),
        }
    }
}

impl Compiled {
    fn empty(catalogue: &Catalogue) -> Self {
        let slices =
            catalogue.iter().map(|action| (action.definition().name.clone(), Slice::default())).collect();
        Self { slices }
    }

    fn add(
        &mut self,
        layer: Layer,
        sources: &[PolicySource],
        texts: &[Arc<PolicyText>],
        catalogue: &Catalogue,
    ) -> Result<(), CompileError> {
        let mut seen = HashSet::new();
        for (source, text) in texts.iter().enumerate() {
            for statement in &text.statements {
                let policy = &statement.policy;
                if !allowed_in(layer, statement) {
                    let id = sources.get(source).map_or_else(String::new, |source| source.id.clone());
                    return Err(CompileError::InstallationPermit { id });
                }
                let order = seen.len();
                // Two sources with equal texts: the first one speaks for both.
                if !seen.insert(policy.id()) {
                    continue;
                }
                let rule = Arc::new(Rule {
                    source,
                    order,
                    condition: Arc::clone(&statement.condition),
                    escalation: statement.escalation.clone(),
                    message: statement.message.clone(),
                });
                for action in catalogue.iter().filter(|action| can_apply(policy, action)) {
                    let slice = self.slices.entry(action.definition().name.clone()).or_default();
                    slice.tells_time |= rule.condition.tells_time;
                    slice.rules(layer, policy.effect()).push(Arc::clone(&rule));
                }
            }
        }
        Ok(())
    }
}

impl Rule {
    /// What to sort by, so that equal decisions read alike.
    pub(crate) const fn order(&self) -> usize {
        self.order
    }
}

impl Slice {
    fn rules(&mut self, layer: Layer, effect: Effect) -> &mut Vec<Arc<Rule>> {
        match (layer, effect) {
            (Layer::Installation, _) => &mut self.installation,
            (Layer::Organization, Effect::Forbid) => &mut self.forbids,
            (Layer::Organization, Effect::Permit) => &mut self.permits,
        }
    }
}

/// Whether the policy's scope leaves room for the action on its type of resource.
fn can_apply(policy: &Policy, action: &Action) -> bool {
    let group = action_uid(action.definition().effect.as_str());
    let action_fits = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => uid == action.uid,
        ActionConstraint::In(uids) => uids.iter().any(|uid| *uid == action.uid || *uid == group),
    };
    // Resources have no parents, so `in` is `==` and the type decides.
    let fits = |kind: &EntityTypeName| *kind == action.resource_type;
    action_fits
        && match policy.resource_constraint() {
            ResourceConstraint::Any => true,
            ResourceConstraint::In(uid) | ResourceConstraint::Eq(uid) => fits(uid.type_name()),
            ResourceConstraint::Is(kind) => fits(&kind),
            ResourceConstraint::IsIn(kind, uid) => fits(&kind) && fits(uid.type_name()),
        }
}

fn read(sources: &[PolicySource], cache: &ParseCache) -> Result<Vec<Arc<PolicyText>>, CompileError> {
    let mut texts = Vec::with_capacity(sources.len());
    for source in sources {
        texts.push(cache.text(&source.text).map_err(|problems| CompileError::Unreadable {
            id: source.id.clone(),
            problem: problems.into_iter().next().unwrap_or_else(|| PolicyProblem::at("", 0, "unreadable")),
        })?);
    }
    if texts.iter().map(|text| text.statements.len()).sum::<usize>() > MAX_POLICIES {
        return Err(CompileError::TooMany);
    }
    Ok(texts)
}

fn refs(sources: &[PolicySource], layer: Layer) -> Vec<PolicyRef> {
    let to_ref = |source: &PolicySource| PolicyRef {
        id: source.id.as_str().into(),
        name: source.name.as_str().into(),
        version: source.version,
        layer,
    };
    sources.iter().map(to_ref).collect()
}

fn content_hash(
    catalogue: &Catalogue,
    installation: &[Arc<PolicyText>],
    organization: &[Arc<PolicyText>],
) -> [u8; 32] {
    let count = (installation.len() as u64).to_be_bytes();
    let mut parts: Vec<&[u8]> = vec![catalogue.content_hash(), &count];
    parts.extend(installation.iter().chain(organization).map(|text| text.hash.as_slice()));
    sha256(&parts)
}
