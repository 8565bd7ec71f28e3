//! Tokens of other issuers, whose keys are fetched from a real server: what must be refused, and how often an
//! issuer is asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use chancery_authenticate::bearer::{
    BearerError, Bearers, COOLDOWN_SECONDS, ClaimError, Identity, Issuer, KeyError, MAX_AGE_SECONDS,
    STALE_SECONDS,
};
use chancery_crypto::{Algorithm, SigningKey};
use chancery_egress::{Egress, Rules, Settings};
use chancery_model::{Clock, ManualClock, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const NOW: i64 = 1_800_000_000;
const NAME: &str = "https://project.supabase.example/auth/v1";

/// An issuer: a server of keys, which counts how often it is asked.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
    /// What it answers; `None` fails.
    answer: Arc<Mutex<Option<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (asked, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        let (count, answers): (_, Arc<Mutex<Option<String>>>) = (Arc::clone(&asked), Arc::clone(&answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4_096];
                let _ = stream.read(&mut head).await;
                count.fetch_add(1, Ordering::SeqCst);
                let (status, body) = match answers.lock().unwrap().clone() {
                    Some(body) => ("200 OK", body),
                    None => ("503 Service Unavailable", String::new()),
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                     connection: close\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, asked, answer }
    }

    fn serve(&self, keys: &[(&str, &SigningKey)]) {
        let keys: Vec<Value> = keys.iter().map(|(kid, key)| key.public().to_jwk(kid)).collect();
        *self.answer.lock().unwrap() = Some(json!({ "keys": keys }).to_string());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

struct World {
    server: Server,
    clock: Arc<ManualClock>,
    bearers: Arc<Bearers>,
    key: SigningKey,
}

impl World {
    /// An issuer that signs with ES256, and whose key `a` is published.
    async fn start() -> Self {
        let server = Server::start().await;
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(NOW * 1_000_000)));
        let local = || vec!["127.0.0.1/32".parse().unwrap()];
        let rules = Rules { allow: local(), allow_plain_http: local(), ..Rules::default() };
        let egress = Egress::new(Settings { rules, ..Settings::default() }).unwrap();
        let issuer = Issuer {
            name: NAME.to_owned(),
            audience: "authenticated".to_owned(),
            algorithms: vec![Algorithm::Es256],
            keys: chancery_egress::Target::parse(&server.url).unwrap(),
        };
        let time: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let bearers = Arc::new(Bearers::new(vec![issuer], &egress, &time));
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        server.serve(&[("a", &key)]);
        Self { server, clock, bearers, key }
    }

    async fn verify(&self, header: &Value, claims: &Value) -> Result<Identity, BearerError> {
        self.bearers.verify(&signed(&self.key, header, claims)).await
    }

    async fn claim(&self, claims: &Value) -> Result<Identity, BearerError> {
        self.verify(&header(), claims).await
    }
}

fn header() -> Value {
    json!({"alg": "ES256", "kid": "a", "typ": "JWT"})
}

fn claims() -> Value {
    json!({
        "iss": NAME, "aud": "authenticated", "sub": "5f1c", "exp": NOW + 3_600, "iat": NOW, "nbf": NOW,
        "email": "ada@example.org", "role": "authenticated", "session_id": "s1", "aal": "aal1",
        "app_metadata": {"role": "admin", "org_id": "x"}, "amr": [{"method": "password"}],
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn part(value: &Value) -> String {
    BASE64URL.encode(value.to_string())
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64URL.encode(signature))
}

#[tokio::test]
async fn a_token_of_an_issuer_makes_its_subject_known_and_nothing_more() {
    let world = World::start().await;
    let known = world.claim(&claims()).await.unwrap();
    assert_eq!((known.issuer(), known.subject()), (NAME, "5f1c"));
    assert_eq!((known.email(), known.session()), (Some("ada@example.org"), Some("s1")));
    assert!(!format!("{known:?}").contains("ada"), "a person is printed");
    for good in [
        with("aud", json!(["other", "authenticated"])),
        with("exp", json!(NOW as f64 + 0.5)),
        with("exp", json!(NOW - 29)),
        with("nbf", json!(NOW + 30)),
        without("nbf"),
        without("iat"),
        without("email"),
    ] {
        assert!(world.claim(&good).await.is_ok(), "{good}");
    }
    assert_eq!(world.server.asked(), 1);
}

#[tokio::test]
async fn a_claim_that_is_missing_or_of_another_type_is_refused() {
    let world = World::start().await;
    for name in ["exp", "aud", "iss", "sub"] {
        let refused = world.claim(&without(name)).await.unwrap_err();
        assert_eq!(refused, BearerError::Claim(ClaimError::Type(name)), "without {name}");
    }
    let wrong = [json!(null), json!(true), json!({}), json!([]), json!([1]), json!("")];
    for name in ["exp", "nbf", "iat", "aud", "iss", "sub"] {
        for value in &wrong {
            assert!(world.claim(&with(name, value.clone())).await.is_err(), "{name}: {value}");
        }
    }
    for (name, value) in [
        ("exp", json!((NOW + 60).to_string())),
        ("exp", json!([NOW + 60])),
        ("exp", json!(-1)),
        ("nbf", json!(NOW.to_string())),
        ("iat", json!("now")),
        ("sub", json!(5)),
        ("sub", json!("x".repeat(256))),
        ("sub", json!("a\nb")),
        ("aud", json!(["authenticated", 5])),
        ("aud", json!({"authenticated": true})),
        ("iss", json!([NAME])),
    ] {
        let refused = world.claim(&with(name, value.clone())).await.unwrap_err();
        assert!(matches!(refused, BearerError::Claim(ClaimError::Type(_))), "{name} {value}: {refused}");
    }
}

#[tokio::test]
async fn another_issuer_audience_or_time_is_refused() {
    let world = World::start().await;
    let other = format!("{NAME}/");
    for iss in ["https://evil.example", "", &other, &NAME.to_uppercase()] {
        assert_eq!(world.claim(&with("iss", json!(iss))).await.unwrap_err(), BearerError::Issuer, "{iss}");
    }
    for aud in [json!("anon"), json!("authenticated "), json!(["a", "b"]), json!("AUTHENTICATED")] {
        let refused = world.claim(&with("aud", aud.clone())).await.unwrap_err();
        assert_eq!(refused, BearerError::Claim(ClaimError::Audience), "{aud}");
    }
    for (name, at, error) in [
        ("exp", NOW - 30, ClaimError::Expired),
        ("exp", 0, ClaimError::Expired),
        ("nbf", NOW + 31, ClaimError::Early("nbf")),
        ("iat", NOW + 31, ClaimError::Early("iat")),
    ] {
        let refused = world.claim(&with(name, json!(at))).await.unwrap_err();
        assert_eq!(refused, BearerError::Claim(error), "{name} {at}");
    }
    assert!(world.claim(&claims()).await.is_ok());
    world.clock.advance_seconds(3_600 + 30);
    assert_eq!(world.claim(&claims()).await.unwrap_err(), BearerError::Claim(ClaimError::Expired));
}

#[tokio::test]
async fn a_header_never_chooses_how_it_is_verified() {
    let world = World::start().await;
    let public = world.key.public().to_jwk("a").to_string();
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("HS256")),
        ("alg", json!("RS256")),
        ("alg", json!("EdDSA")),
        ("alg", json!("ES384")),
        ("alg", json!("es256")),
        ("alg", json!(["ES256"])),
        ("alg", Value::Null),
        ("kid", json!("")),
        ("kid", json!(7)),
        ("kid", json!("b")),
        ("kid", json!("../a")),
        ("kid", json!("a' OR '1'='1")),
        ("kid", json!("x".repeat(257))),
        ("kid", Value::Null),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("typ", json!("authority+jwt")),
        ("typ", json!("JOSE")),
        ("typ", json!(1)),
    ] {
        let mut header = header();
        header[name] = value;
        assert!(world.verify(&header, &claims()).await.is_err(), "{header}");
    }
    // A key in the token is not looked at, wherever it stands.
    let mine = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut header = header();
    header["jwk"] = mine.public().to_jwk("a");
    header["jku"] = json!("https://evil.example/keys");
    header["x5u"] = json!("https://evil.example/chain");
    let forged = world.bearers.verify(&signed(&mine, &header, &claims())).await.unwrap_err();
    assert_eq!(forged, BearerError::Signature);
    // The public key as the secret of an HMAC, in each of its spellings.
    for secret in [public.as_bytes().to_vec(), world.key.public().raw()] {
        let hmac = json!({"alg": "HS256", "kid": "a", "typ": "JWT"});
        let text = format!("{}.{}.{}", part(&hmac), part(&claims()), BASE64URL.encode(secret));
        assert!(matches!(world.bearers.verify(&text).await, Err(BearerError::Malformed(_))));
    }
}

#[tokio::test]
async fn every_text_but_the_one_that_was_signed_is_refused() {
    let world = World::start().await;
    let good = signed(&world.key, &header(), &claims());
    assert!(world.bearers.verify(&good).await.is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let [header, body, signature] = parts[..] else { panic!() };
    let twice = BASE64URL.encode(r#"{"alg":"ES256","alg":"none","kid":"a"}"#);
    let last = signature.chars().last().unwrap();
    let loose = format!("{}{}", &signature[..signature.len() - 1], if last == 'A' { 'B' } else { 'A' });
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        format!("{header}.{body}"),
        format!("{header}.{body}."),
        format!("{header}..{signature}"),
        format!("{header}.{body}.{signature}."),
        format!("{header}.{body}.{signature}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{header}.{body}.{loose}"),
        format!("{twice}.{body}.{signature}"),
        format!("{header}.{}.{signature}", part(&with("sub", json!("another")))),
        format!("{header}.{}.{signature}", BASE64URL.encode("[]")),
        "x".repeat(20_000),
    ] {
        assert!(world.bearers.verify(&bad).await.is_err(), "{bad:.80}");
    }
    for at in (0..good.len()).filter(|at| good.as_bytes()[*at] != b'.') {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
        assert!(world.bearers.verify(&String::from_utf8(bytes).unwrap()).await.is_err(), "byte {at}");
    }
}

#[tokio::test]
async fn a_rotated_key_is_good_on_its_first_request_and_the_old_one_as_long_as_it_is_published() {
    let world = World::start().await;
    assert!(world.claim(&claims()).await.is_ok());
    let next = SigningKey::generate(Algorithm::Es256).unwrap();
    let fresh = json!({"alg": "ES256", "kid": "b", "typ": "JWT"});
    world.server.serve(&[("b", &next), ("a", &world.key)]);
    assert!(world.bearers.verify(&signed(&next, &fresh, &claims())).await.is_ok());
    assert!(world.claim(&claims()).await.is_ok());
    assert_eq!(world.server.asked(), 2);
    world.server.serve(&[("b", &next)]);
    assert!(world.claim(&claims()).await.is_ok(), "the set is still believed");
    world.clock.advance_seconds(MAX_AGE_SECONDS);
    assert_eq!(world.claim(&claims()).await.unwrap_err(), BearerError::Key(KeyError::Unknown));
    assert_eq!(world.server.asked(), 3);
}

#[tokio::test]
async fn ten_thousand_bogus_keys_cause_one_fetch_in_thirty_seconds() {
    let world = World::start().await;
    assert!(world.claim(&claims()).await.is_ok());
    let bogus = async |from: usize| {
        let mut tasks = tokio::task::JoinSet::new();
        for number in from..from + 10_000 {
            let header = json!({"alg": "ES256", "kid": format!("bogus-{number}"), "typ": "JWT"});
            let (bearers, token) = (Arc::clone(&world.bearers), signed(&world.key, &header, &claims()));
            tasks.spawn(async move { bearers.verify(&token).await.map(drop) });
        }
        for refused in tasks.join_all().await {
            assert_eq!(refused, Err(BearerError::Key(KeyError::Unknown)));
        }
    };
    bogus(0).await;
    assert_eq!(world.server.asked(), 2);
    world.clock.advance_seconds(COOLDOWN_SECONDS - 1);
    bogus(10_000).await;
    assert_eq!(world.server.asked(), 2);
    assert!(world.claim(&claims()).await.is_ok(), "those who have a good key notice nothing");
    world.clock.advance_seconds(1);
    bogus(20_000).await;
    assert_eq!(world.server.asked(), 3);
}

#[tokio::test]
async fn while_an_issuer_does_not_answer_its_known_keys_serve_on_for_a_day() {
    let world = World::start().await;
    // Nothing is known yet: nobody gets in, and it is not asked for each who tries.
    let keys = world.server.answer.lock().unwrap().take();
    for _ in 0..3 {
        assert_eq!(world.claim(&claims()).await.unwrap_err(), BearerError::Key(KeyError::Unavailable));
    }
    assert_eq!(world.server.asked(), 1);
    world.clock.advance_seconds(COOLDOWN_SECONDS);
    *world.server.answer.lock().unwrap() = keys;
    assert!(world.claim(&claims()).await.is_ok());
    assert_eq!(world.server.asked(), 2);

    for broken in [None, Some("<html>".to_owned()), Some(r#"{"keys": 5}"#.to_owned())] {
        *world.server.answer.lock().unwrap() = broken;
        world.clock.advance_seconds(MAX_AGE_SECONDS);
        let before = world.server.asked();
        for _ in 0..3 {
            assert!(world.claim(&with("exp", json!(NOW + 1_000_000))).await.is_ok());
        }
        assert_eq!(world.server.asked(), before + 1, "who fails is left alone for a moment");
    }
    world.clock.advance_seconds(STALE_SECONDS);
    let late = world.claim(&with("exp", json!(NOW + 1_000_000))).await.unwrap_err();
    assert_eq!(late, BearerError::Key(KeyError::Unavailable));
}

/// Sets of keys, and whether the key `mine` can be verified with by them.
fn sets(mine: &Value) -> Vec<(Value, bool)> {
    let other = SigningKey::generate(Algorithm::EdDsa).unwrap().public().to_jwk("e");
    let secret = json!({"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"});
    let mut private = mine.clone();
    private["d"] = json!("AAAA");
    vec![
        (json!([mine, other]), true),
        (json!([{"kty": "EC", "crv": "P-384", "kid": "z"}, 5, {"kid": 7}, mine]), true),
        (json!([private]), false),
        (json!([secret]), false),
        (json!([mine, mine]), false),
        (json!([mine, secret]), false),
        (json!([]), false),
        (json!(vec![mine; 101]), false),
    ]
}

#[tokio::test]
async fn of_a_set_only_public_keys_of_kinds_we_know_are_taken_and_none_that_stands_twice() {
    for number in 0..sets(&json!({})).len() {
        let world = World::start().await;
        let (keys, good) = sets(&world.key.public().to_jwk("a")).swap_remove(number);
        *world.server.answer.lock().unwrap() = Some(json!({ "keys": keys }).to_string());
        assert_eq!(world.claim(&claims()).await.is_ok(), good, "{keys}");
    }
    let world = World::start().await;
    world.server.serve(&[("a", &SigningKey::generate(Algorithm::EdDsa).unwrap())]);
    assert_eq!(world.claim(&claims()).await.unwrap_err(), BearerError::Algorithm);
}
