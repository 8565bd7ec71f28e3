//! An issuer's public keys (JWK set, RFC 7517 § 5), in memory.
//!
//! A key that is known serves while its issuer does not answer; one that is not known has the set fetched anew,
//! so that a key that was just rotated is good on its first request. Bogus names of keys cause no more than one
//! fetch in [`COOLDOWN_SECONDS`], however many come at once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use chancery_crypto::PublicKey;
use chancery_egress::{Egress, Limits, Outgoing, Permit, Pin, Pins, PoolKey, Reach, Target};
use chancery_model::{Clock, Timestamp};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

/// How long a set is believed without another look, in seconds.
pub const MAX_AGE_SECONDS: i64 = 600;
/// How long a set serves on while its issuer does not answer, in seconds: a day.
pub const STALE_SECONDS: i64 = 24 * 60 * 60;
/// The least time between two fetches for keys that are not known, or after one that failed, in seconds.
pub const COOLDOWN_SECONDS: i64 = 30;
/// The most keys of a set, and its largest text in bytes.
const MOST_KEYS: usize = 100;
const MOST_BYTES: usize = 256 * 1024;
/// How long an issuer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no key to verify with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The issuer has no such key.
    #[error("the issuer has no key of this name")]
    Unknown,
    /// The issuer's keys could not be fetched.
    #[error("the issuer's keys can't be had")]
    Unavailable,
}

/// The keys of one issuer.
pub(super) struct KeySet {
    at: Target,
    egress: Egress,
    clock: Arc<dyn Clock>,
    held: RwLock<Held>,
    /// Of many that want the set, one fetches it.
    fetching: Mutex<()>,
}

#[derive(Default)]
struct Held {
    keys: HashMap<String, Arc<PublicKey>>,
    fetched_at: Option<Timestamp>,
    /// When the set was last fetched for a key that was not in it, and when a fetch failed, if none did since.
    asked_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
}

/// What is known about a key without asking.
enum Look {
    /// All there is to know.
    Done(Result<Arc<PublicKey>, KeyError>),
    /// The set has to be fetched; `known` serves on without it.
    Fetch { known: Option<Arc<PublicKey>> },
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySet").field("at", &self.at).finish_non_exhaustive()
    }
}

impl KeySet {
    pub(super) fn new(at: Target, egress: Egress, clock: Arc<dyn Clock>) -> Self {
        Self { at, egress, clock, held: RwLock::default(), fetching: Mutex::default() }
    }

    /// The key of a name.
    pub(super) async fn key(&self, kid: &str) -> Result<Arc<PublicKey>, KeyError> {
        if let Look::Done(found) = self.look(kid) {
            return found;
        }
        let _one = self.fetching.lock().await;
        // Whoever waited finds what another fetched.
        let known = match self.look(kid) {
            Look::Done(found) => return found,
            Look::Fetch { known } => known,
        };
        if !self.fetch(kid).await {
            return known.ok_or(KeyError::Unavailable);
        }
        self.read().keys.get(kid).map(Arc::clone).ok_or(KeyError::Unknown)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, kid: &str) -> Look {
        let (held, now) = (self.read(), self.clock.now());
        let known = held.keys.get(kid).map(Arc::clone);
        let within = |moment, seconds| !is_over(moment, seconds, now);
        // A set that is too old tells of no key, neither that it is good nor that there is none.
        let (fresh, serves) =
            (within(held.fetched_at, MAX_AGE_SECONDS), within(held.fetched_at, STALE_SECONDS));
        let rests = within(held.failed_at, COOLDOWN_SECONDS);
        match known.filter(|_| serves) {
            Some(key) if fresh || rests => Look::Done(Ok(key)),
            None if rests => Look::Done(Err(KeyError::Unavailable)),
            None if serves && within(held.asked_at, COOLDOWN_SECONDS) => Look::Done(Err(KeyError::Unknown)),
            known => Look::Fetch { known },
        }
    }

    /// Fetches the set; gives whether it was had.
    async fn fetch(&self, kid: &str) -> bool {
        let fetched = self.ask().await;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        // The first fetch is nobody's question for a key that is not there.
        if held.fetched_at.is_some() && !held.keys.contains_key(kid) {
            held.asked_at = Some(now);
        }
        match fetched {
            Ok(keys) => {
                (held.keys, held.fetched_at, held.failed_at) = (keys, Some(now), None);
                true
            }
            Err(cause) => {
                tracing::warn!(keys = %self.at, cause, "an issuer's keys can't be fetched");
                held.failed_at = Some(now);
                false
            }
        }
    }

    async fn ask(&self) -> Result<HashMap<String, Arc<PublicKey>>, String> {
        let request = Outgoing {
            method: Method::GET,
            target: self.at.clone(),
            headers: HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]),
            credential_headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let permit = Permit {
            // The installation's own.
            pool: PoolKey { organization: 0, policy: 0 },
            reach: Reach::Allowed,
            pins: Pins::to([Pin::of(&self.at)]),
            limits: Limits { connect: PATIENCE, head: PATIENCE, total: PATIENCE, body_bytes: MOST_BYTES },
            redirects: 0,
        };
        let answer =
            self.egress.send(request, &permit).await.map_err(|failure| failure.cause().to_string())?;
        if answer.status != StatusCode::OK {
            return Err(format!("answered {}", answer.status.as_u16()));
        }
        read(&answer.body)
    }
}

/// Whether a moment is so many seconds past; one that never was is.
fn is_over(moment: Option<Timestamp>, seconds: i64, now: Timestamp) -> bool {
    moment.is_none_or(|moment| moment.plus_seconds(seconds) <= now)
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The public keys of a set that are of kinds we verify with, by name. One without a name can't be asked for; of
/// two of one name nobody knows which is meant, so neither is taken.
fn read(text: &[u8]) -> Result<HashMap<String, Arc<PublicKey>>, String> {
    let set: Set = serde_json::from_slice(text).map_err(|error| format!("is no set of keys: {error}"))?;
    if set.keys.len() > MOST_KEYS {
        return Err(format!("has more than {MOST_KEYS} keys"));
    }
    let mut keys: HashMap<String, Option<Arc<PublicKey>>> = HashMap::new();
    for jwk in &set.keys {
        let Some(kid) = jwk.get("kid").and_then(Value::as_str) else { continue };
        let key = PublicKey::from_jwk(jwk).ok().map(Arc::new);
        match keys.entry(kid.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(key);
            }
            Entry::Occupied(mut entry) => {
                entry.insert(None);
            }
        }
    }
    Ok(keys.into_iter().filter_map(|(kid, key)| key.map(|key| (kid, key))).collect())
}
