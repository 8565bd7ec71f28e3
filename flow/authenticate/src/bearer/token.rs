//! Reading another issuer's token (JWS compact form, RFC 7515 § 3.1; JWT, RFC 7519), before anything in it is
//! believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::Algorithm;
use chancery_model::ijson;
use serde_json::{Map, Value};

/// The longest token, in bytes. Issuers put whole profiles into theirs.
const MAX_BYTES: usize = 16 * 1024;
/// The longest name of a key, in bytes.
const MAX_KID: usize = 256;

/// Text that is not a token that could be verified. For the log: a stranger hears `unauthorized`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Longer than tokens are.
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Not header, claims and signature.
    #[error("not three parts")]
    Parts,
    /// A part is not base64url, or has padding, or bits that no byte accounts for.
    #[error("the {0} is not canonical base64url")]
    Encoding(&'static str),
    /// A part is not a JSON object, or has a member twice.
    #[error("the {0} is not an object with each member once")]
    Json(&'static str),
    /// The header says what we do not follow.
    #[error("the header's `{0}` is not what it must be")]
    Header(&'static str),
}

/// A token that is well-formed. Nothing in it is known to be true.
#[derive(Debug)]
pub(super) struct UnverifiedBearer<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: String,
    pub(super) claims: Map<String, Value>,
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

impl<'a> UnverifiedBearer<'a> {
    /// Reads it. Where its key lies (`jku`, `jwk`, `x5u`, `x5c`) a token does not say: those members are not
    /// looked at.
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        if text.len() > MAX_BYTES {
            return Err(Malformed::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Malformed::Parts)?;
        let (header, claims) = signed.split_once('.').ok_or(Malformed::Parts)?;
        if claims.contains('.') {
            return Err(Malformed::Parts);
        }
        let header = object(header, "header")?;
        let (algorithm, kid) = read_header(&header)?;
        let claims = object(claims, "claims")?;
        let signature = decode(signature, "signature")?;
        Ok(Self { algorithm, kid, claims, signed, signature })
    }
}

fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, String), Malformed> {
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    // Extensions that have to be understood (RFC 7515 § 4.1.11): we understand none. `b64` is one of them.
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(Malformed::Header("crit"));
    }
    // No HMAC, no `none`: the type has no word for them.
    let algorithm = text("alg").and_then(|alg| alg.parse().ok()).ok_or(Malformed::Header("alg"))?;
    let is_jwt = |typ: &Value| {
        let typ = typ.as_str().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        typ.is_some_and(|typ| ["jwt", "at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known)))
    };
    if header.get("typ").is_some_and(|typ| !is_jwt(typ)) {
        return Err(Malformed::Header("typ"));
    }
    let kid = text("kid").filter(|kid| (1..=MAX_KID).contains(&kid.len())).ok_or(Malformed::Header("kid"))?;
    Ok((algorithm, kid.to_owned()))
}

fn object(part: &str, name: &'static str) -> Result<Map<String, Value>, Malformed> {
    match ijson::parse(&decode(part, name)?) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Malformed::Json(name)),
    }
}

fn decode(part: &str, name: &'static str) -> Result<Vec<u8>, Malformed> {
    BASE64URL.decode(part).map_err(|_| Malformed::Encoding(name))
}
