//! What a token says.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::{Random, sha256};
use chancery_evidence::Hex;
use chancery_model::{
    ActionName, Audience, Environment, IntentId, KeyId, OrgId, Principal, PrincipalId, ResourceId,
    ResourceType, TokenId,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The claims of a token, in the order they are written (RFC 7519 §4.1, RFC 8693 §4.1, and ours).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Who issued it: the organization's address.
    pub iss: String,
    /// Whose rights it carries: `member:ID` or `agent:ID`.
    #[serde(with = "principal_text")]
    pub sub: Principal,
    /// Who acts with them, when that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    /// Who may redeem it.
    pub aud: Audience,
    /// The organization.
    pub org: OrgId,
    /// The intent that was allowed.
    pub intent_id: IntentId,
    /// The hash of exactly what was allowed: action, resource and arguments.
    pub intent_hash: Hex<32>,
    /// Live or test.
    pub env: Environment,
    /// The action.
    pub action: ActionName,
    /// On what.
    pub resource: Resource,
    /// What makes it good once.
    pub nonce: Nonce,
    /// The token's id.
    pub jti: TokenId,
    /// The API key that asked for it.
    pub key: KeyId,
    /// When it was issued, in seconds since the Unix epoch.
    pub iat: i64,
    /// The first second in which it is good.
    pub nbf: i64,
    /// The first second in which it is not any more.
    pub exp: i64,
}

/// [`Claims`] as the record keeps them, in canonical order (RFC 8785).
#[derive(Serialize)]
struct PublicClaims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Actor>,
    action: &'a ActionName,
    aud: &'a Audience,
    env: Environment,
    exp: i64,
    iat: i64,
    intent_hash: Hex<32>,
    intent_id: IntentId,
    iss: &'a str,
    jti: TokenId,
    key: KeyId,
    nbf: i64,
    nonce_hash: Hex<32>,
    org: OrgId,
    resource: PublicResource<'a>,
    #[serde(with = "principal_text")]
    sub: Principal,
}

#[derive(Serialize)]
struct PublicResource<'a> {
    id: &'a ResourceId,
    r#type: &'a ResourceType,
}

/// More than the text of most claims takes, so that it is written without growing.
const CLAIMS_BYTES: usize = 1024;

impl Claims {
    /// Who acts with the token: the agent where it acts in a member's name, else whose rights it carries.
    pub(crate) fn actor(&self) -> Principal {
        self.act.as_ref().map_or(self.sub, |actor| actor.sub)
    }

    /// The claims as they are signed, as JSON.
    pub(crate) fn to_text(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = Vec::with_capacity(CLAIMS_BYTES);
        serde_json::to_writer(&mut text, self)?;
        Ok(text)
    }

    /// The claims as the record keeps them, as canonical JSON: what
    /// [`chancery_evidence::public_claims`] makes of their text, on the hottest path of all.
    pub(crate) fn to_public(&self) -> Result<String, serde_json::Error> {
        let public = PublicClaims {
            act: self.act.as_ref(),
            action: &self.action,
            aud: &self.aud,
            env: self.env,
            exp: self.exp,
            iat: self.iat,
            intent_hash: self.intent_hash,
            intent_id: self.intent_id,
            iss: &self.iss,
            jti: self.jti,
            key: self.key,
            nbf: self.nbf,
            nonce_hash: Hex(sha256(&[self.nonce.text().as_bytes()])),
            org: self.org,
            resource: PublicResource { id: &self.resource.id, r#type: &self.resource.kind },
            sub: self.sub,
        };
        let mut text = Vec::with_capacity(CLAIMS_BYTES);
        serde_json::to_writer(&mut text, &public)?;
        String::from_utf8(text).map_err(serde::ser::Error::custom)
    }
}

/// The acting party of a delegated token (RFC 8693 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The agent.
    #[serde(with = "principal_text")]
    pub sub: Principal,
}

/// A resource by type and id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resource {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ResourceType,
    /// Which one.
    pub id: ResourceId,
}

/// 256 random bits. Whoever knows them can redeem the token, so only their hash is stored and they
/// are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce([u8; 32]);

impl Nonce {
    /// A fresh nonce.
    #[must_use]
    pub fn generate(random: &dyn Random) -> Self {
        Self(random.bytes())
    }

    /// What the store keeps of it: SHA-256 of `chancery/nonce/v1` and its bytes.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[b"chancery/nonce/v1", &self.0])
    }

    fn text(&self) -> String {
        BASE64URL.encode(self.0)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(hidden)")
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text stays out of the error: it may be a real nonce with one digit changed.
        let refuse = || serde::de::Error::custom("a nonce is 32 bytes in base64url");
        let text = String::deserialize(deserializer)?;
        BASE64URL.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(refuse)
    }
}

/// How long a token is good, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Lifetime(u32);

/// A lifetime out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token lives 1 to {} seconds", Lifetime::LONGEST.0)]
pub struct LifetimeError;

impl Lifetime {
    /// What a token lives unless the organization says otherwise.
    pub const DEFAULT: Self = Self(300);
    /// The longest a token may live. Keys and revocations are kept in force for at least this long.
    pub const LONGEST: Self = Self(900);

    /// A lifetime of whole seconds.
    ///
    /// # Errors
    /// When it is zero or above [`Self::LONGEST`].
    pub const fn new(seconds: u32) -> Result<Self, LifetimeError> {
        if seconds >= 1 && seconds <= Self::LONGEST.0 { Ok(Self(seconds)) } else { Err(LifetimeError) }
    }

    /// The seconds.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0 as i64
    }
}

impl Default for Lifetime {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u32> for Lifetime {
    type Error = LifetimeError;
    fn try_from(seconds: u32) -> Result<Self, LifetimeError> {
        Self::new(seconds)
    }
}

impl From<Lifetime> for u32 {
    fn from(lifetime: Lifetime) -> Self {
        lifetime.0
    }
}

/// A principal as `kind:ID`.
mod principal_text {
    use super::{Deserialize, Deserializer, Principal, PrincipalId, Serializer};

    pub(super) fn serialize<S: Serializer>(principal: &Principal, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(principal)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Principal, D::Error> {
        let refuse = || serde::de::Error::custom("a principal is `member:ID` or `agent:ID`");
        let text = String::deserialize(deserializer)?;
        let (kind, id) = text.split_once(':').ok_or_else(refuse)?;
        let id: PrincipalId = id.parse().map_err(|_| refuse())?;
        Principal::from_parts(kind, id).map_err(|_| refuse())
    }
}

#[cfg(test)]
mod tests {
    use chancery_evidence::public_claims;
    use chancery_model::{MemberId, Timestamp, ijson};
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_public_form_is_the_one_that_evidence_is_checked_against() {
        let agent = Principal::from_parts("agent", PrincipalId::from_uuid(uuid::Uuid::max())).unwrap();
        let member = Principal::Member(MemberId::new(Timestamp::from_micros(7), [3; 10]));
        for act in [None, Some(Actor { sub: agent })] {
            for id in ["thing-7", "\"\\ \u{20ac}\u{1f600}\u{2028}/"] {
                let claims = Claims {
                    iss: "https://authority.example/o/acme".into(),
                    sub: member,
                    act: act.clone(),
                    aud: "payments".parse().unwrap(),
                    org: OrgId::new(Timestamp::from_micros(1), [1; 10]),
                    intent_id: IntentId::new(Timestamp::from_micros(2), [2; 10]),
                    intent_hash: Hex([7; 32]),
                    env: Environment::Test,
                    action: "payments.transfer".parse().unwrap(),
                    resource: Resource { kind: "Account".parse().unwrap(), id: id.parse().unwrap() },
                    nonce: Nonce([9; 32]),
                    jti: TokenId::new(Timestamp::from_micros(3), [4; 10]),
                    key: KeyId::new(Timestamp::from_micros(4), [5; 10]),
                    iat: 1_800_000_000,
                    nbf: 1_800_000_000,
                    exp: 1_800_000_300,
                };
                let Ok(Value::Object(signed)) = serde_json::to_value(&claims) else { panic!("no object") };
                let expected = ijson::canonical(&public_claims(&signed).unwrap()).unwrap();
                assert_eq!(claims.to_public().unwrap(), expected);
            }
        }
    }
}
