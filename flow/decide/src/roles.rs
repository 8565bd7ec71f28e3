//! Which role holds which permission: the installation's role policy, evaluated once into a table.

use std::collections::HashSet;
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    Schema, ValidationMode, Validator,
};
use chancery_model::{Permission, Role};

use crate::PolicyProblem;

/// The role policy that comes with the program.
pub const ROLE_POLICY: &str = include_str!("../../../policies/roles.cedar");

/// The permissions of every role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleTable {
    rights: Vec<(Role, u64)>,
}

/// A role policy that can't be put in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RolePolicyError {
    /// Something is wrong with the text.
    #[error("role policy, line {}", .0)]
    Problem(PolicyProblem),
    /// A role and a permission on which the policy can't be evaluated.
    #[error("the role policy can't be evaluated for `{role}` and `{permission}`")]
    Undecidable {
        /// The role.
        role: Role,
        /// The permission.
        permission: Permission,
    },
}

impl RoleTable {
    /// Evaluates a role policy for every role and every permission.
    ///
    /// # Errors
    /// When the text is not Cedar, breaks the schema of roles and permissions, holds a rule that can
    /// never apply, or can't be evaluated.
    pub fn load(text: &str) -> Result<Self, RolePolicyError> {
        let at_start = |error: String| RolePolicyError::Problem(PolicyProblem::at(text, 0, error));
        let from_cedar =
            |error: &dyn miette::Diagnostic| RolePolicyError::Problem(PolicyProblem::from_cedar(text, error));
        let policies = PolicySet::from_str(text).map_err(|errors| match errors.iter().next() {
            Some(error) => from_cedar(error),
            None => at_start(errors.to_string()),
        })?;
        let (schema, _) =
            Schema::from_cedarschema_str(&schema_text()).map_err(|e| at_start(e.to_string()))?;
        let result = Validator::new(schema).validate(&policies, ValidationMode::Strict);
        if let Some(error) = result.validation_errors().next() {
            return Err(from_cedar(error));
        }
        if let Some(warning) = result.validation_warnings().next() {
            return Err(from_cedar(warning));
        }
        let rights = Role::ALL
            .iter()
            .map(|role| Ok((*role, rights_of(*role, &policies)?)))
            .collect::<Result<_, _>>()?;
        Ok(Self { rights })
    }

    /// The permissions of a role, as the bits of [`Permission::bit`].
    #[must_use]
    pub fn of(&self, role: Role) -> u64 {
        self.rights.iter().find(|(held, _)| *held == role).map_or(0, |(_, rights)| *rights)
    }

    /// Whether a role holds a permission.
    #[must_use]
    pub fn allows(&self, role: Role, permission: Permission) -> bool {
        self.of(role) & permission.bit() != 0
    }
}

fn rights_of(role: Role, policies: &PolicySet) -> Result<u64, RolePolicyError> {
    let mut rights = 0;
    for permission in Permission::ALL {
        if permits(role, *permission, policies)
            .ok_or(RolePolicyError::Undecidable { role, permission: *permission })?
        {
            rights |= permission.bit();
        }
    }
    Ok(rights)
}

/// `None`: undecidable, which includes a rule that was skipped because it can't be evaluated.
fn permits(role: Role, permission: Permission, policies: &PolicySet) -> Option<bool> {
    let uid = |kind: &str, id: &str| {
        let kind = EntityTypeName::from_str(kind).ok()?;
        Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
    };
    let role = uid("Role", role.as_str())?;
    let action = uid("Action", permission.as_str())?;
    let resource = uid("Organization", "organization")?;
    let entities =
        [role.clone(), action.clone(), resource.clone()].map(|uid| Entity::new_no_attrs(uid, HashSet::new()));
    let entities = Entities::from_entities(entities, None).ok()?;
    let request = Request::new(role, action, resource, Context::empty(), None).ok()?;
    let response = Authorizer::new().is_authorized(&request, policies, &entities);
    let evaluated = response.diagnostics().errors().next().is_none();
    evaluated.then_some(response.decision() == Decision::Allow)
}

fn schema_text() -> String {
    let names: Vec<_> = Permission::ALL.iter().map(|permission| format!("\"{permission}\"")).collect();
    format!(
        "entity Role;\nentity Organization;\naction {} appliesTo {{principal: [Role], resource: [Organization]}};\n",
        names.join(", ")
    )
}
