//! A token's claims as the record keeps them, and its signature against a proven key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_crypto::{PublicKey, sha256};
use chancery_model::ijson;
use serde_json::{Map, Value};

use crate::{Hex, Jws};

/// A token's claims as the record keeps them: without `nonce`, with `nonce_hash`, the hexadecimal
/// SHA-256 of the nonce's text. The nonce is what makes a token good once, so it stays with its
/// holder. `None` when the claims have no textual `nonce`, or have a `nonce_hash` already.
#[must_use]
pub fn public_claims(claims: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut public = claims.clone();
    let nonce = public.remove("nonce")?;
    let hash = Hex(sha256(&[nonce.as_str()?.as_bytes()])).to_string();
    public.insert("nonce_hash".to_owned(), hash.into()).is_none().then_some(public)
}

/// The header members a token may have; `crit` and other extensions would change its meaning.
const HEADER: [&str; 3] = ["alg", "kid", "typ"];

/// Checks a token against the claims in the record and the proven keys (with their `kid`).
pub(crate) fn check(jws: &Jws, claims: &Value, keys: &[(&str, PublicKey)]) -> Result<(), &'static str> {
    let header = object(&jws.protected).ok_or("the header is not a json object in base64url")?;
    if header.iter().any(|(name, value)| !HEADER.contains(&name.as_str()) || !value.is_string()) {
        return Err("the header has a member that is not `alg`, `kid` or `typ`, or not text");
    }
    let member = |name| header.get(name).and_then(Value::as_str);
    let kid = member("kid").ok_or("the header names no key")?;
    let (_, key) = keys.iter().find(|(known, _)| *known == kid).ok_or("the bundle does not prove its key")?;
    if member("alg") != Some(key.algorithm().as_str()) {
        return Err("the header's algorithm is not that of the key");
    }
    let signed = object(&jws.payload).ok_or("the claims are not a json object in base64url")?;
    if public_claims(&signed).map(Value::Object).as_ref() != Some(claims) {
        return Err("the signed claims are not those in the record");
    }
    let signature = BASE64URL.decode(&jws.signature).map_err(|_| "the signature is not base64url")?;
    let message = format!("{}.{}", jws.protected, jws.payload);
    if key.verify(message.as_bytes(), &signature) { Ok(()) } else { Err("the signature does not verify") }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    match ijson::parse(&BASE64URL.decode(part).ok()?).ok()? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}
