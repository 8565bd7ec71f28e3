//! `/api/v1/signing-keys`

use chancery_crypto::Algorithm;
use chancery_model::{SigningKeyId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Reason;
use crate::words::TokenAlgorithm;

/// A key that signs or verifies the organization's tokens, without its private half.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SigningKey {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: SigningKeyId,
    /// Its name in tokens and in the key set.
    pub kid: String,
    /// What it signs with.
    #[schema(value_type = TokenAlgorithm)]
    pub algorithm: Algorithm,
    /// `next` is published and will sign, `active` signs and verifies, `previous` verifies, `retired`
    /// does neither.
    pub state: String,
    /// Its number among the keys of its algorithm, from 1.
    pub generation: i64,
    /// The public key (RFC 7517).
    #[schema(value_type = Object)]
    pub jwk: serde_json::Value,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When a `next` key begins to sign, give or take some seconds; `null` for any other.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub activates_at: Option<Timestamp>,
    /// When it began to sign.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub activated_at: Option<Timestamp>,
    /// When another took its place.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub superseded_at: Option<Timestamp>,
    /// When it stopped verifying.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub retired_at: Option<Timestamp>,
}

/// Which key to rotate.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RotateSigningKey {
    /// The algorithm: that of the organization's settings when absent.
    #[schema(value_type = Option<TokenAlgorithm>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// Whether the new key signs at once, before verifiers can know it: for an active key that may be
    /// in other hands. Otherwise it is published first, and signs when no verifier's key set can be
    /// older.
    #[serde(default)]
    pub immediately: bool,
}

/// How to retire a previous key.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RetireSigningKey {
    /// Its private half may be in other hands, for this reason: everything it signed stops verifying
    /// now. Without it, retiring is refused while a token that the key signed may still be good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compromised: Option<Reason>,
}
