//! Public keys as JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2) and their thumbprints.
//!
//! The kind of the key (`kty`, `crv`) decides its algorithm; a stated `alg` must agree.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::sign::RSA_EXPONENT;
use crate::{Algorithm, PublicKey, sha256};

/// Members that only a private or a symmetric key has (RFC 7518 §6.2.2, §6.3.2, §6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Why a JSON value is not a public key we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// Not a JSON object.
    #[error("a JWK is an object")]
    NotAnObject,
    /// A private or symmetric key, which nobody should have sent.
    #[error("a public key has no member `{member}`: it belongs to a private key")]
    Private {
        /// The member.
        member: &'static str,
    },
    /// A member breaks its rule.
    #[error("`{member}` {rule}")]
    Member {
        /// The member.
        member: &'static str,
        /// The rule, as the rest of a sentence.
        rule: &'static str,
    },
}

const fn breaks(member: &'static str, rule: &'static str) -> JwkError {
    JwkError::Member { member, rule }
}

impl PublicKey {
    /// The key as a JWK that verifies signatures, under the name `kid`.
    #[must_use]
    pub fn to_jwk(&self, kid: &str) -> Value {
        let mut jwk = self.required_members();
        for (member, value) in [("kid", kid), ("use", "sig"), ("alg", self.algorithm().as_str())] {
            jwk.insert(member.to_owned(), value.into());
        }
        Value::Object(jwk)
    }

    /// Reads a public key. Its `kid`, which says nothing about the key itself, is left to the caller.
    ///
    /// # Errors
    /// When the value is not a public key for signatures: RSA of 2048 to 8192 bits with exponent
    /// 65537, a point of P-256, or an Ed25519 key; when `alg` names another algorithm, `use` or
    /// `key_ops` another use; or when it has a member of a private key.
    pub fn from_jwk(jwk: &Value) -> Result<Self, JwkError> {
        let jwk = jwk.as_object().ok_or(JwkError::NotAnObject)?;
        if let Some(member) = PRIVATE_MEMBERS.into_iter().find(|member| jwk.contains_key(*member)) {
            return Err(JwkError::Private { member });
        }
        let (algorithm, raw, member) = match text(jwk, "kty")? {
            "RSA" => (Algorithm::Rs256, rsa_modulus(jwk)?, "n"),
            "EC" if text(jwk, "crv")? == "P-256" => {
                let (x, y) = (bytes::<32>(jwk, "x")?, bytes::<32>(jwk, "y")?);
                (Algorithm::Es256, [&[4], x.as_slice(), y.as_slice()].concat(), "x")
            }
            "OKP" if text(jwk, "crv")? == "Ed25519" => {
                (Algorithm::EdDsa, bytes::<32>(jwk, "x")?.to_vec(), "x")
            }
            "EC" | "OKP" => return Err(breaks("crv", "must be `P-256` (kty `EC`) or `Ed25519` (kty `OKP`)")),
            _ => return Err(breaks("kty", "must be `RSA`, `EC` or `OKP`")),
        };
        if jwk.get("alg").is_some_and(|alg| alg != algorithm.as_str()) {
            return Err(breaks("alg", "is not the algorithm of this kind of key"));
        }
        if jwk.get("use").is_some_and(|usage| usage != "sig") {
            return Err(breaks("use", "must be `sig`"));
        }
        if jwk.get("key_ops").is_some_and(|ops| *ops != json!(["verify"])) {
            return Err(breaks("key_ops", "must be `verify` alone"));
        }
        Self::parse(algorithm, raw).map_err(|_| breaks(member, "is not a valid key of its kind"))
    }

    /// The SHA-256 thumbprint of the key (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        // The members stand in the order of their names and nothing needs escaping: RFC 7638's form.
        sha256(&[Value::Object(self.required_members()).to_string().as_bytes()])
    }

    pub(crate) fn thumbprint_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.thumbprint())
    }

    /// The members that make the key (RFC 7638 §3.2, RFC 8037 §2).
    fn required_members(&self) -> Map<String, Value> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let raw = self.raw_bytes();
        let members = match self.algorithm() {
            Algorithm::Rs256 => vec![("e", encode(&RSA_EXPONENT)), ("kty", "RSA".into()), ("n", encode(raw))],
            Algorithm::Es256 => {
                // An uncompressed point: 04 ‖ x ‖ y.
                let (x, y) = raw.get(1..).and_then(|point| point.split_at_checked(32)).unwrap_or_default();
                vec![("crv", "P-256".into()), ("kty", "EC".into()), ("x", encode(x)), ("y", encode(y))]
            }
            Algorithm::EdDsa => vec![("crv", "Ed25519".into()), ("kty", "OKP".into()), ("x", encode(raw))],
        };
        members.into_iter().map(|(member, value)| (member.to_owned(), value.into())).collect()
    }
}

fn rsa_modulus(jwk: &Map<String, Value>) -> Result<Vec<u8>, JwkError> {
    if decode(jwk, "e")? != RSA_EXPONENT {
        return Err(breaks("e", "must be `AQAB` (65537)"));
    }
    let n = decode(jwk, "n")?;
    // No leading zero byte (RFC 7518 §6.3.1.1): one key has one text.
    let first = n
        .first()
        .filter(|first| **first != 0)
        .ok_or(breaks("n", "must begin with a byte that is not zero"))?;
    if !RSA_BITS.contains(&(n.len() * 8 - first.leading_zeros() as usize)) {
        return Err(breaks("n", "must have 2048 to 8192 bits"));
    }
    Ok(n)
}

fn text<'a>(jwk: &'a Map<String, Value>, member: &'static str) -> Result<&'a str, JwkError> {
    jwk.get(member).and_then(Value::as_str).ok_or(breaks(member, "is missing or not a string"))
}

fn decode(jwk: &Map<String, Value>, member: &'static str) -> Result<Vec<u8>, JwkError> {
    URL_SAFE_NO_PAD.decode(text(jwk, member)?).map_err(|_| breaks(member, "is not base64url without padding"))
}

fn bytes<const N: usize>(jwk: &Map<String, Value>, member: &'static str) -> Result<[u8; N], JwkError> {
    decode(jwk, member)?.try_into().map_err(|_| breaks(member, "has the wrong length for its curve"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;

    /// The key of RFC 8037, appendix A.2.
    fn rfc_8037() -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    /// The key of RFC 7638, §3.1.
    fn rfc_7638() -> Value {
        json!({
            "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
        })
    }

    fn changed(jwk: &Value, member: &str, value: Value) -> Value {
        let mut jwk = jwk.clone();
        jwk[member] = value;
        jwk
    }

    #[test]
    fn thumbprints_agree_with_the_rfcs() {
        for (jwk, thumbprint) in [
            (rfc_8037(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
            (rfc_7638(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"),
        ] {
            assert_eq!(PublicKey::from_jwk(&jwk).unwrap().thumbprint_text(), thumbprint);
        }
    }

    #[test]
    fn a_key_survives_its_jwk_and_verifies() {
        for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
            let key = SigningKey::generate(algorithm).unwrap();
            let jwk = key.public().to_jwk("2026-a");
            assert_eq!(
                (&jwk["kid"], &jwk["use"], &jwk["alg"]),
                (&json!("2026-a"), &json!("sig"), &json!(algorithm))
            );
            let again = PublicKey::from_jwk(&jwk).unwrap();
            assert_eq!((&again, again.thumbprint()), (key.public(), key.public().thumbprint()));
            assert!(again.verify(b"m", &key.sign(b"m").unwrap()));
            for member in PRIVATE_MEMBERS {
                assert!(jwk.get(member).is_none());
                let error = PublicKey::from_jwk(&changed(&jwk, member, json!("AA"))).unwrap_err();
                assert_eq!(error, JwkError::Private { member });
            }
        }
    }

    #[test]
    fn a_key_of_one_kind_is_never_taken_for_another() {
        let es256 = SigningKey::generate(Algorithm::Es256).unwrap().public().to_jwk("k");
        for (jwk, own) in [(rfc_7638(), "RS256"), (es256, "ES256"), (rfc_8037(), "EdDSA")] {
            for alg in ["RS256", "ES256", "EdDSA", "none", "HS256", "PS256", "ES384", ""] {
                let read = PublicKey::from_jwk(&changed(&jwk, "alg", json!(alg)));
                assert_eq!(read.is_ok(), alg == own, "{alg} {own}");
            }
            for kty in ["RSA", "EC", "OKP", "oct"] {
                let read = PublicKey::from_jwk(&changed(&jwk, "kty", json!(kty)));
                assert_eq!(read.is_ok(), jwk["kty"] == kty, "{kty} {own}");
            }
        }
    }

    #[test]
    fn what_breaks_a_rule_is_refused() {
        let es256 = SigningKey::generate(Algorithm::Es256).unwrap().public().to_jwk("k");
        let short = URL_SAFE_NO_PAD.encode([0xff; 255]);
        let long = URL_SAFE_NO_PAD.encode([0xff; 1025]);
        let zero_first = URL_SAFE_NO_PAD.encode([[0].as_slice(), &[0xff; 256]].concat());
        let bits_2047 = URL_SAFE_NO_PAD.encode([[0x7f].as_slice(), &[0xff; 255]].concat());
        let zeros = URL_SAFE_NO_PAD.encode([0; 32]);
        for (jwk, member, value) in [
            (rfc_7638(), "n", json!(short)),
            (rfc_7638(), "n", json!(long)),
            (rfc_7638(), "n", json!(zero_first)),
            (rfc_7638(), "n", json!(bits_2047)),
            (rfc_7638(), "n", json!("")),
            (rfc_7638(), "n", json!(7)),
            (rfc_7638(), "e", json!("Aw")),
            (rfc_7638(), "e", json!("AAEAAQ")),
            (rfc_7638(), "e", Value::Null),
            (rfc_7638(), "use", json!("enc")),
            (rfc_7638(), "key_ops", json!(["sign"])),
            (rfc_8037(), "x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")),
            (rfc_8037(), "x", json!("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo")),
            (rfc_8037(), "x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUQ")),
            (rfc_8037(), "crv", json!("X25519")),
            (rfc_8037(), "crv", json!("P-256")),
            (es256.clone(), "crv", json!("secp256k1")),
            (es256.clone(), "y", json!(zeros)),
            (es256, "x", json!(zeros)),
        ] {
            let error = PublicKey::from_jwk(&changed(&jwk, member, value.clone())).unwrap_err();
            assert!(matches!(error, JwkError::Member { .. }), "{member} {value}: {error}");
        }
        assert_eq!(PublicKey::from_jwk(&json!([])).unwrap_err(), JwkError::NotAnObject);
    }
}
