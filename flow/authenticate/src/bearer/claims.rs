//! What another issuer's token says of a person, held to what it must say.

use serde_json::{Map, Value};

/// How far an issuer's clock may differ from ours, in seconds.
pub const LEEWAY_SECONDS: i64 = 30;
/// The longest subject, in bytes.
const MAX_SUBJECT: usize = 255;

/// A claim that is missing, of another type, or not what it must be. For the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Missing, or of another type.
    #[error("`{0}` is missing or of another type")]
    Type(&'static str),
    /// Not for us.
    #[error("`aud` does not name us")]
    Audience,
    /// Not good yet.
    #[error("`{0}` is in the future")]
    Early(&'static str),
    /// Not good any more.
    #[error("expired")]
    Expired,
}

/// What of a person an issuer vouches for. What it calls a role, an organization, or anything else of what they
/// may do is not read: that stands in our rows alone.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) email: Option<String>,
    pub(super) session: Option<String>,
}

/// The issuer that a token names, true or not.
pub(super) fn issuer(claims: &Map<String, Value>) -> Result<&str, ClaimError> {
    text(claims, "iss")
}

/// Holds the claims of a token, whose signature is good, to the audience and the moment (`now`, in seconds since
/// the Unix epoch). `exp`, `aud` and `sub` have to be there; `nbf` and `iat` have to be right where they are.
pub(super) fn read(claims: &Map<String, Value>, audience: &str, now: i64) -> Result<Claims, ClaimError> {
    if !is_for(claims.get("aud").ok_or(ClaimError::Type("aud"))?, audience)? {
        return Err(ClaimError::Audience);
    }
    let subject = text(claims, "sub")?;
    if !(1..=MAX_SUBJECT).contains(&subject.len()) || subject.chars().any(char::is_control) {
        return Err(ClaimError::Type("sub"));
    }
    let expires = moment(claims, "exp")?.ok_or(ClaimError::Type("exp"))?;
    for name in ["nbf", "iat"] {
        if moment(claims, name)?.is_some_and(|begins| begins > (now + LEEWAY_SECONDS) as f64) {
            return Err(ClaimError::Early(name));
        }
    }
    if (now - LEEWAY_SECONDS) as f64 >= expires {
        return Err(ClaimError::Expired);
    }
    let said = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    Ok(Claims {
        subject: subject.to_owned(),
        email: said("email").map(str::to_owned),
        session: said("session_id").map(str::to_owned),
    })
}

fn text<'c>(claims: &'c Map<String, Value>, name: &'static str) -> Result<&'c str, ClaimError> {
    claims.get(name).and_then(Value::as_str).ok_or(ClaimError::Type(name))
}

/// `aud` is a text, or a list of nothing but texts (RFC 7519 § 4.1.3).
fn is_for(audiences: &Value, ours: &str) -> Result<bool, ClaimError> {
    match audiences {
        Value::String(one) => Ok(one == ours),
        Value::Array(many) if many.iter().all(Value::is_string) => Ok(many.iter().any(|one| one == ours)),
        _ => Err(ClaimError::Type("aud")),
    }
}

/// A NumericDate (RFC 7519 § 2): seconds, which need not be whole.
fn moment(claims: &Map<String, Value>, name: &'static str) -> Result<Option<f64>, ClaimError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
            seconds.map(Some).ok_or(ClaimError::Type(name))
        }
    }
}
