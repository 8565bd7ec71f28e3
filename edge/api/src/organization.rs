//! `/api/v1/organization`

use chancery_crypto::Algorithm;
use chancery_model::{DisplayName, OrgId, Slug, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::words::TokenAlgorithm;

/// The caller's organization.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Organization {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: OrgId,
    /// Its short name, as it stands in addresses.
    #[schema(value_type = String)]
    pub slug: Slug,
    /// Its name.
    #[schema(value_type = String)]
    pub name: DisplayName,
    /// Whether it is halted: nothing acts in it.
    pub halted: bool,
    /// What it can set.
    pub settings: Settings,
    /// When it was founded.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What an organization can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// What its tokens are signed with.
    #[schema(value_type = TokenAlgorithm)]
    pub token_algorithm: Algorithm,
    /// How long a token lives, in seconds.
    #[schema(minimum = 30, maximum = 900)]
    pub token_ttl_seconds: u32,
    /// The risk score from which a person must approve.
    #[schema(minimum = 0, maximum = 100)]
    pub escalate_at: u8,
    /// The risk score from which an intent is denied; 101 is never.
    #[schema(minimum = 0, maximum = 101)]
    pub deny_at: u8,
}

/// What to change of an organization: one thing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ChangeOrganization {
    /// The new name; the short name stays.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DisplayName>,
    /// The settings to change; the others stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<ChangeSettings>,
}

/// Settings to change; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
pub struct ChangeSettings {
    /// See [`Settings::token_algorithm`].
    #[schema(value_type = Option<TokenAlgorithm>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_algorithm: Option<Algorithm>,
    /// See [`Settings::token_ttl_seconds`].
    #[schema(minimum = 30, maximum = 900)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ttl_seconds: Option<u32>,
    /// See [`Settings::escalate_at`].
    #[schema(minimum = 0, maximum = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escalate_at: Option<u8>,
    /// See [`Settings::deny_at`].
    #[schema(minimum = 0, maximum = 101)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny_at: Option<u8>,
}
