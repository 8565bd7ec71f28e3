//! `/api/v1/policies`

use std::collections::BTreeMap;

use chancery_model::{ActionName, DisplayName, PolicyId, PrincipalId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A policy, over all its versions.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: PolicyId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: DisplayName,
    /// The version in force; absent when none is.
    pub active_version: Option<u32>,
    /// The newest version.
    pub latest_version: u32,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// A policy with its newest 100 versions, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyDetail {
    /// The policy.
    #[serde(flatten)]
    pub policy: Policy,
    /// Its versions.
    pub versions: Vec<PolicyVersion>,
}

/// One immutable version of a policy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyVersion {
    /// Its number, from 1.
    pub version: u32,
    /// The SHA-256 of its text, in hex.
    pub content_hash: String,
    /// The member or agent who wrote it.
    #[schema(value_type = String, format = Uuid)]
    pub created_by: PrincipalId,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The text of one version.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyText {
    /// The version's number.
    pub version: u32,
    /// The Cedar text.
    pub text: String,
}

/// A policy to make. It is in force only once a version is activated.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CreatePolicy {
    /// Its name.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub name: DisplayName,
    /// The Cedar text of its first version.
    pub text: String,
}

/// A version to add to a policy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct AddPolicyVersion {
    /// The Cedar text.
    pub text: String,
}

/// Which version to put in force.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ActivatePolicy {
    /// Its number.
    #[schema(minimum = 1)]
    pub version: u32,
}

/// A text to check without storing it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CheckPolicy {
    /// The Cedar text.
    pub text: String,
}

/// What a check found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyCheck {
    /// Whether the text could be stored.
    pub valid: bool,
    /// What is wrong with it.
    pub problems: Vec<PolicyProblem>,
}

/// One thing that is wrong with a policy's text.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PolicyProblem {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// How to put it right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A ready set of actions and policies.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Pack {
    /// What it is applied by.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Its actions.
    #[schema(value_type = Vec<String>)]
    pub actions: Vec<ActionName>,
    /// Its policies, as one Cedar text.
    pub policies: String,
}

/// What applying a pack did. Each part was `added`, was `present`, or is `kept` because the
/// organization has its own under that name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AppliedPack {
    /// The pack.
    pub name: String,
    /// Each of its actions.
    pub actions: BTreeMap<String, String>,
    /// Its policy.
    pub policy: String,
    /// The policy's id.
    #[schema(value_type = String, format = Uuid)]
    pub policy_id: PolicyId,
    /// Its version in force.
    pub version: u32,
}
