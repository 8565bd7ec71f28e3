use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD as BASE64URL};
use chancery_connectors::Stop;
use chancery_crypto::{Algorithm, SeededRandom, SigningKey};
use chancery_model::{AgentId, IntentId, MemberId, Principal, SigningKeyId, TokenId};
use proptest::prelude::*;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::minted::{Grant, sign};
use crate::revocations::{Revoked, Target};
use crate::{Signer, Terms};

const ISSUER: &str = "https://authority.example/orgs/acme";
const INTENT_HASH: [u8; 32] = [7; 32];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000).plus_seconds(seconds)
}

fn agent(number: u8) -> AgentId {
    AgentId::new(at(0), [number; 10])
}

fn org(number: u8) -> OrgId {
    OrgId::new(at(0), [number; 10])
}

/// One organization with one key.
struct Bench {
    signer: Signer,
    trust: Trust,
    audiences: Vec<Audience>,
    stopped: Stopped,
}

impl Bench {
    fn new(algorithm: Algorithm, number: u8, kid: &str) -> Self {
        let key = SigningKey::generate(algorithm).unwrap();
        let keys = HashMap::from([(kid.to_owned(), key.public().clone())]);
        let trust = Trust { org: org(number), epoch: Some(3), keys, revoked: Revoked::default() };
        let signer = Signer::new(SigningKeyId::new(at(0), [number; 10]), kid.to_owned(), key);
        Self { signer, trust, audiences: vec!["billing".parse().unwrap()], stopped: Stopped::default() }
    }

    fn acme() -> Self {
        Self::new(Algorithm::Es256, 1, "acme.1")
    }

    fn claims(&self) -> Value {
        serde_json::to_value(UnverifiedToken::parse(&self.token()).unwrap().unverified_claims()).unwrap()
    }

    fn token(&self) -> String {
        let grant = Grant {
            org: self.trust.org,
            intent: IntentId::new(at(0), [3; 10]),
            intent_hash: INTENT_HASH,
            principal: Principal::Agent(AgentId::new(at(0), [4; 10])),
            on_behalf_of: None,
            audience: "billing".parse().unwrap(),
            environment: Environment::Live,
            action: "payments.refund".parse().unwrap(),
            resource_type: "Invoice".parse().unwrap(),
            resource_id: "7".parse().unwrap(),
            key: KeyId::new(at(0), [5; 10]),
        };
        let terms = Terms { issuer: ISSUER, lifetime: Lifetime::DEFAULT, now: at(0) };
        let signed = sign(grant, &self.signer, terms, &SeededRandom::new(1)).unwrap();
        signed.expose_for_test().to_owned()
    }

    /// A token with these claims, signed by this bench's key.
    fn signed(&self, claims: &Value) -> String {
        self.signer.sign(claims.to_string().as_bytes()).unwrap().expose_secret().to_owned()
    }

    /// A token with this header and these claims, signed by this bench's key.
    fn with_header(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(claims));
        let signature = self.signer.key_for_test().sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64URL.encode(signature))
    }

    fn redeem_at(&self, token: &str, seconds: i64) -> Result<Redemption, VerifyError> {
        let expected = Expected {
            issuer: ISSUER,
            audiences: &self.audiences,
            environment: Environment::Live,
            intent_hash: INTENT_HASH,
            stopped: &self.stopped,
            now: at(seconds),
        };
        verify(UnverifiedToken::parse(token)?, &self.trust, &expected)
    }

    fn redeem(&self, token: &str) -> Result<Redemption, VerifyError> {
        self.redeem_at(token, 1)
    }
}

fn changed(claims: &Value, member: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims.clone();
    claims[member] = value.into();
    claims
}

fn refusal(outcome: Result<Redemption, VerifyError>) -> VerifyError {
    outcome.expect_err("a token was accepted that must not be")
}

#[test]
fn a_fresh_token_of_each_algorithm_verifies() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let bench = Bench::new(algorithm, 1, "acme.1");
        let redemption = bench.redeem(&bench.token()).unwrap();
        assert_eq!(redemption.org(), org(1));
        assert_eq!(redemption.claims().action.as_str(), "payments.refund");
        assert_eq!(redemption.claims().exp - redemption.claims().iat, 300);
        assert_eq!(redemption.epoch(), Some(3));
        assert_eq!(*redemption.nonce_hash(), redemption.claims().nonce.hash());
    }
}

#[test]
fn what_the_header_says_never_chooses_how_it_is_verified() {
    let bench = Bench::new(Algorithm::Rs256, 1, "acme.1");
    let claims = bench.claims().to_string();
    let header = |json: Value| bench.with_header(&json.to_string(), &claims);
    assert!(bench.redeem(&header(json!({"alg": "RS256", "kid": "acme.1", "typ": "authority+jwt"}))).is_ok());
    for (attack, expected) in [
        (json!({"alg": "none", "kid": "acme.1", "typ": "authority+jwt"}), Malformed::Header.into()),
        (json!({"alg": "HS256", "kid": "acme.1", "typ": "authority+jwt"}), Malformed::Header.into()),
        (json!({"alg": "rs256", "kid": "acme.1", "typ": "authority+jwt"}), Malformed::Header.into()),
        (json!({"alg": "PS256", "kid": "acme.1", "typ": "authority+jwt"}), Malformed::Header.into()),
        (json!({"alg": "ES256", "kid": "acme.1", "typ": "authority+jwt"}), VerifyError::Algorithm),
        (json!({"alg": "RS256", "kid": "acme.2", "typ": "authority+jwt"}), VerifyError::UnknownKey),
        (json!({"alg": "RS256", "kid": "", "typ": "authority+jwt"}), VerifyError::UnknownKey),
        (json!({"alg": "RS256", "kid": "acme.1", "typ": "JWT"}), Malformed::Header.into()),
        (json!({"alg": "RS256", "kid": "acme.1"}), Malformed::Header.into()),
        (json!({"alg": "RS256", "typ": "authority+jwt"}), Malformed::Header.into()),
        (
            json!({"alg": "RS256", "kid": "acme.1", "typ": "authority+jwt", "crit": []}),
            Malformed::Header.into(),
        ),
        (
            json!({"alg": "RS256", "kid": "acme.1", "typ": "authority+jwt", "b64": false}),
            Malformed::Header.into(),
        ),
        (
            json!({"alg": "RS256", "kid": "acme.1", "typ": "authority+jwt", "jwk": {}}),
            Malformed::Header.into(),
        ),
        (
            json!({"alg": "RS256", "kid": "acme.1", "typ": "authority+jwt", "jku": "x"}),
            Malformed::Header.into(),
        ),
        (json!(["RS256", "acme.1", "authority+jwt"]), Malformed::Header.into()),
    ] {
        assert_eq!(refusal(bench.redeem(&header(attack.clone()))), expected, "{attack}");
    }
    let twice = r#"{"alg":"RS256","alg":"RS256","kid":"acme.1","typ":"authority+jwt"}"#;
    assert_eq!(refusal(bench.redeem(&bench.with_header(twice, &claims))), Malformed::Header.into());
}

#[test]
fn only_the_organizations_own_keys_and_claims_count() {
    let (acme, other) = (Bench::acme(), Bench::new(Algorithm::Es256, 2, "other.1"));
    let claims = acme.claims();
    // Another organization's key, under its own name and under ours.
    assert_eq!(refusal(acme.redeem(&other.token())), VerifyError::UnknownKey);
    let posing = Bench::new(Algorithm::Es256, 2, "acme.1");
    assert_eq!(refusal(acme.redeem(&posing.signed(&claims))), VerifyError::Signature);
    // Our own key, naming another organization, issuer or environment.
    let naming = |member, value: Value| refusal(acme.redeem(&acme.signed(&changed(&claims, member, value))));
    assert_eq!(naming("org", json!(org(2))), VerifyError::Claim("org"));
    assert_eq!(naming("iss", json!("https://authority.example/orgs/other")), VerifyError::Claim("iss"));
    assert_eq!(naming("env", json!("test")), VerifyError::Claim("env"));
    // A live token under a test key.
    let token = acme.token();
    let expected = Expected {
        issuer: ISSUER,
        audiences: &acme.audiences,
        environment: Environment::Test,
        intent_hash: INTENT_HASH,
        stopped: &acme.stopped,
        now: at(1),
    };
    let parsed = UnverifiedToken::parse(&token).unwrap();
    assert_eq!(refusal(verify(parsed, &acme.trust, &expected)), VerifyError::Claim("env"));
    // A retired key is not among those that verify.
    let mut retired = Bench::acme();
    let token = retired.token();
    retired.trust.keys.clear();
    assert_eq!(refusal(retired.redeem(&token)), VerifyError::UnknownKey);
}

#[test]
fn audience_and_intent_hash_must_be_the_very_ones() {
    let mut bench = Bench::acme();
    let token = bench.token();
    let claims = bench.claims();
    let other_hash = changed(&claims, "intent_hash", "08".repeat(32));
    assert_eq!(refusal(bench.redeem(&bench.signed(&other_hash))), VerifyError::IntentHash);
    bench.audiences = vec!["shipping".parse().unwrap()];
    assert_eq!(refusal(bench.redeem(&token)), VerifyError::Audience);
    bench.audiences.clear();
    assert_eq!(refusal(bench.redeem(&token)), VerifyError::Audience);
    bench.audiences = vec!["shipping".parse().unwrap(), "billing".parse().unwrap()];
    assert!(bench.redeem(&token).is_ok());
}

#[test]
fn time_is_strict_at_the_end_and_lenient_by_the_skew_at_the_beginning() {
    let bench = Bench::acme();
    let token = bench.token();
    let exp = at(0).as_seconds() + 300;
    assert!(bench.redeem_at(&token, 299).is_ok());
    assert_eq!(refusal(bench.redeem_at(&token, 300)), VerifyError::Expired(exp));
    assert!(bench.redeem_at(&token, -CLOCK_SKEW_SECONDS).is_ok());
    let early = refusal(bench.redeem_at(&token, -CLOCK_SKEW_SECONDS - 1));
    assert_eq!(early, VerifyError::TooEarly(at(0).as_seconds()));
    let claims = bench.claims();
    let too_long = changed(&claims, "exp", claims["iat"].as_i64().unwrap() + 901);
    assert_eq!(refusal(bench.redeem(&bench.signed(&too_long))), VerifyError::Claim("exp"));
    let never = changed(&claims, "exp", 9_007_199_254_740_992_i64);
    assert_eq!(refusal(bench.redeem(&bench.signed(&never))), VerifyError::Claim("exp"));
    let backwards = changed(&claims, "iat", claims["nbf"].as_i64().unwrap() + 1);
    assert_eq!(refusal(bench.redeem(&bench.signed(&backwards))), VerifyError::Claim("exp"));
}

#[test]
fn revoked_by_token_key_agent_and_organization() {
    let mut bench = Bench::acme();
    let token = bench.token();
    let claims = UnverifiedToken::parse(&token).unwrap().unverified_claims().clone();
    let mut revoke = |target, moment| {
        bench.trust.revoked = Revoked::default();
        bench.trust.revoked.add(target, moment);
        bench.redeem(&token).map(drop)
    };
    assert_eq!(revoke(Target::Token(claims.jti), at(-9)), Err(VerifyError::Revoked));
    assert_eq!(revoke(Target::Token(TokenId::new(at(0), [9; 10])), at(9)), Ok(()));
    // Issued before the revocation, by a server whose clock is ahead: it says that it was later.
    for before in [0, -CLOCK_SKEW_SECONDS] {
        assert_eq!(revoke(Target::Key(claims.key), at(before)), Err(VerifyError::Revoked));
        assert_eq!(revoke(Target::Agent(agent(4)), at(before)), Err(VerifyError::Revoked));
        assert_eq!(revoke(Target::Organization, at(before)), Err(VerifyError::Revoked));
    }
    let earlier = -CLOCK_SKEW_SECONDS - 1;
    assert_eq!(revoke(Target::Key(claims.key), at(earlier)), Ok(()));
    assert_eq!(revoke(Target::Key(KeyId::new(at(0), [9; 10])), at(9)), Ok(()));
    assert_eq!(revoke(Target::Agent(agent(4)), at(earlier)), Ok(()));
    assert_eq!(revoke(Target::Agent(agent(9)), at(9)), Ok(()));
    assert_eq!(revoke(Target::Organization, at(earlier)), Ok(()));
}

#[test]
fn an_agents_tokens_are_revoked_also_those_in_a_members_name() {
    let mut bench = Bench::acme();
    let member = Principal::Member(MemberId::new(at(0), [6; 10]));
    let mut claims = bench.claims();
    claims["act"] = json!({"sub": claims["sub"]});
    claims["sub"] = member.to_string().into();
    let token = bench.signed(&claims);
    assert!(bench.redeem(&token).is_ok());
    bench.trust.revoked.add(Target::Agent(agent(4)), at(0));
    assert_eq!(bench.redeem(&token).map(drop), Err(VerifyError::Revoked));
}

#[test]
fn a_token_for_a_stopped_connector_is_good_again_when_it_goes_on() {
    let mut bench = Bench::acme();
    let token = bench.token();
    bench.stopped = [("billing".parse().unwrap(), Stop::Paused)].into_iter().collect();
    assert_eq!(bench.redeem(&token).map(drop), Err(VerifyError::Stopped));
    // Whoever holds no such token learns nothing of what is stopped.
    let other = bench.signed(&changed(&bench.claims(), "intent_hash", "00".repeat(32)));
    assert_eq!(bench.redeem(&other).map(drop), Err(VerifyError::IntentHash));
    bench.stopped = [("other".parse().unwrap(), Stop::Retired)].into_iter().collect();
    assert!(bench.redeem(&token).is_ok());
}

#[test]
fn a_later_revocation_is_not_forgotten_for_an_earlier_one() {
    let bench = Bench::acme();
    let claims = UnverifiedToken::parse(&bench.token()).unwrap().unverified_claims().clone();
    for target in [Target::Key(claims.key), Target::Agent(agent(4)), Target::Organization] {
        let mut revoked = Revoked::default();
        revoked.add(target, at(0));
        revoked.add(target, at(-50));
        assert!(revoked.covers(&claims));
    }
}

#[test]
fn a_token_has_one_text() {
    let bench = Bench::acme();
    let token = bench.token();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let bytes = BASE64URL.decode(signature).unwrap();
    // 64 bytes leave four unused bits in the last digit.
    let slack = format!(
        "{signed}.{}{}",
        &signature[..85],
        if signature.ends_with('A') { 'B' } else { next(signature) }
    );
    for attack in [
        format!("{token}="),
        format!("{token}.."),
        format!("{token}.x"),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{signed}.{}", URL_SAFE.encode(&bytes)),
        format!("{}.{claims}.{signature}", STANDARD.encode(BASE64URL.decode(header).unwrap())),
        slack,
        signed.to_owned(),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        String::new(),
        "..".to_owned(),
        "x".repeat(MAX_TEXT + 1),
    ] {
        let error = refusal(bench.redeem(&attack));
        assert!(matches!(error, VerifyError::Malformed(_)), "{attack}: {error}");
        assert_eq!(error.code(), "token_invalid");
    }
    assert_eq!(refusal(bench.redeem(&format!("{signed}."))), VerifyError::Signature);
}

const MAX_TEXT: usize = 8 * 1024;

/// The base64url digit after the last one of `text`: the same byte, another spelling.
fn next(text: &str) -> char {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = DIGITS.find(text.chars().last().unwrap()).unwrap();
    DIGITS.chars().nth(place + 1).unwrap()
}

#[test]
fn claims_that_two_readers_could_read_differently_are_refused() {
    let bench = Bench::acme();
    let claims = bench.claims();
    let text = claims.to_string();
    let header = r#"{"alg":"ES256","kid":"acme.1","typ":"authority+jwt"}"#;
    assert!(bench.redeem(&bench.with_header(header, &text)).is_ok());
    let twice = text.replacen('{', r#"{"aud":"shipping","#, 1);
    let escaped = text.replacen('{', r#"{"\u0061ud":"shipping","#, 1);
    let trailing = format!("{text}{{}}");
    let unknown = changed(&claims, "admin", true).to_string();
    let list = changed(&claims, "aud", json!(["billing", "shipping"])).to_string();
    let nonce = changed(&claims, "nonce", "AAAA").to_string();
    let subject = changed(&claims, "sub", "platform:1").to_string();
    let positional = changed(&claims, "resource", json!(["Invoice", "7"])).to_string();
    let null_actor = changed(&claims, "act", Value::Null).to_string();
    let unhyphenated = changed(&claims, "jti", claims["jti"].as_str().unwrap().replace('-', "")).to_string();
    let mut missing = claims.clone();
    missing.as_object_mut().unwrap().remove("exp");
    for attack in [
        twice,
        escaped,
        trailing,
        unknown,
        list,
        nonce,
        subject,
        positional,
        null_actor,
        unhyphenated,
        missing.to_string(),
        "[]".to_owned(),
    ] {
        let error = refusal(bench.redeem(&bench.with_header(header, &attack)));
        assert_eq!(error, Malformed::Claims.into(), "{attack}");
    }
}

#[test]
fn every_changed_claim_breaks_the_signature() {
    let bench = Bench::acme();
    let token = bench.token();
    let parts: Vec<&str> = token.split('.').collect();
    let claims = bench.claims();
    for (member, value) in [
        ("sub", json!(format!("agent:{}", AgentId::new(at(0), [9; 10])))),
        ("act", json!({"sub": format!("member:{}", MemberId::new(at(0), [9; 10]))})),
        ("aud", json!("shipping")),
        ("org", json!(org(2))),
        ("intent_id", json!(IntentId::new(at(0), [9; 10]))),
        ("action", json!("payments.payout")),
        ("resource", json!({"type": "Invoice", "id": "8"})),
        ("exp", json!(at(0).as_seconds() + 301)),
        ("env", json!("test")),
    ] {
        let forged = changed(&claims, member, value);
        let forged = format!("{}.{}.{}", parts[0], BASE64URL.encode(forged.to_string()), parts[2]);
        assert_eq!(refusal(bench.redeem(&forged)), VerifyError::Signature, "{member}");
    }
}

#[test]
fn in_a_members_name_the_agent_is_the_actor() {
    let bench = Bench::acme();
    let (agent, member) = (AgentId::new(at(0), [4; 10]), MemberId::new(at(0), [6; 10]));
    let mut claims = bench.claims();
    assert_eq!(claims["sub"], format!("agent:{agent}"));
    claims["sub"] = json!(format!("member:{member}"));
    claims["act"] = json!({"sub": format!("agent:{agent}")});
    let redemption = bench.redeem(&bench.signed(&claims)).unwrap();
    assert_eq!(redemption.claims().sub, Principal::Member(member));
    assert_eq!(redemption.claims().act.as_ref().unwrap().sub, Principal::Agent(agent));
}

#[test]
fn nothing_shows_the_nonce_or_the_token() {
    let bench = Bench::acme();
    let token = bench.token();
    let nonce = bench.claims()["nonce"].as_str().unwrap().to_owned();
    let redemption = bench.redeem(&token).unwrap();
    let shown = format!("{redemption:?} {:?}", bench.signer);
    assert!(!shown.contains(&nonce) && !shown.contains(&token));
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused_and_never_panics(text in any::<String>()) {
        prop_assert!(UnverifiedToken::parse(&text).is_err());
    }

    #[test]
    fn arbitrary_parts_are_refused_and_never_panic(
        header in proptest::collection::vec(any::<u8>(), 0..80),
        claims in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let text = format!("{}.{}.AAAA", BASE64URL.encode(header), BASE64URL.encode(claims));
        prop_assert!(UnverifiedToken::parse(&text).is_err());
    }
}

#[test]
fn any_single_changed_byte_is_refused() {
    let bench = Bench::acme();
    let token = bench.token();
    for place in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        assert!(bench.redeem(&String::from_utf8(bytes).unwrap()).is_err(), "byte {place}");
    }
}
