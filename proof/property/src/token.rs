//! A token that somebody presents.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_mint::UnverifiedToken;
use chancery_model::ijson;
use serde_json::{Value, json};

use crate::edit::edit;

/// A token has one text: its claims are written as they were read, its parts have no second spelling,
/// and its header says nothing but how it was signed.
///
/// # Panics
/// When that does not hold.
pub fn token(data: &[u8]) {
    read(&String::from_utf8_lossy(data));
    let Some((&which, script)) = data.split_first() else { return };
    let (mut header, mut claims, mut signature) = parts();
    match which % 4 {
        0 => header = edit(&header, script),
        1 => claims = edit(&claims, script),
        2 => signature = edit(&signature, script),
        _ => {}
    }
    let text = [header, claims, signature].map(|part| BASE64URL.encode(part)).join(".");
    let text = if which % 4 == 3 { edit(text.as_bytes(), script) } else { text.into_bytes() };
    read(&String::from_utf8_lossy(&text));
}

fn read(text: &str) {
    let Ok(token) = UnverifiedToken::parse(text) else { return };
    let parts: Vec<&str> = text.split('.').collect();
    assert_eq!(parts.len(), 3, "a token has three parts");
    let decoded: Vec<Vec<u8>> = parts.iter().map(|part| BASE64URL.decode(part).expect("base64url")).collect();
    let again: Vec<String> = decoded.iter().map(|part| BASE64URL.encode(part)).collect();
    assert_eq!(again, parts, "a part has two spellings");

    let header = ijson::parse(&decoded[0]).expect("the header is I-JSON");
    let names: Vec<&str> = header.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "kid", "typ"], "the header says more than how it was signed");
    assert!(["RS256", "ES256", "EdDSA"].contains(&header["alg"].as_str().expect("text")));
    assert_eq!(header["typ"], "authority+jwt");
    let claims = ijson::parse(&decoded[1]).expect("the claims are I-JSON");
    let read = serde_json::to_value(token.unverified_claims()).expect("claims are written");
    assert_eq!(read, claims, "the claims were read as something else");
    let nonce = claims["nonce"].as_str().expect("text");
    assert!(!format!("{token:?}").contains(nonce), "the nonce is shown");
}

/// Header, claims and signature of a well-formed token.
fn parts() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let header = json!({"alg": "EdDSA", "kid": "acme.1", "typ": "authority+jwt"});
    let id = |last: u8| Value::from(format!("0197b0a1-7c00-7000-8000-0000000000{last:02x}"));
    let claims = json!({
        "iss": "https://authority.example/orgs/acme", "sub": format!("agent:{}", id(1).as_str().unwrap_or_default()),
        "aud": "billing", "org": id(2), "intent_id": id(3), "intent_hash": "07".repeat(32), "env": "live",
        "action": "payments.refund", "resource": {"type": "Invoice", "id": "INV-7"},
        "nonce": BASE64URL.encode([9; 32]), "jti": id(4), "key": id(5),
        "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_000_300,
    });
    (header.to_string().into_bytes(), claims.to_string().into_bytes(), vec![7; 64])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_that_is_changed_is_well_formed() {
        let (header, claims, signature) = parts();
        let text = [header, claims, signature].map(|part| BASE64URL.encode(part)).join(".");
        assert!(UnverifiedToken::parse(&text).is_ok());
    }
}
