//! How often an address, a key and an organization may ask: GCRA, a bucket of each for every request.

use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chancery_model::{Clock, KeyId, OrgId, client_network};
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use moka::sync::Cache;

/// Too many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests: the next is possible in {after_seconds} s")]
pub struct Retry {
    /// Whole seconds until a request can pass, at least 1.
    pub after_seconds: u64,
    /// How many requests the bucket that is empty lets through in the long run, each minute.
    pub per_minute: u32,
}

/// How many requests one bucket lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run, each minute.
    pub per_minute: NonZeroU32,
    /// At once, from a full bucket.
    pub burst: NonZeroU32,
}

/// How many requests each kind of bucket lets through.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of one API key.
    pub key: Rate,
    /// Of all keys of an organization together.
    pub organization: Rate,
    /// Of one client's address, whoever asks from it.
    pub address: Rate,
    /// Of one client's address at the doors.
    pub door: Rate,
}

/// Where a request knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Where credentials are asked for.
    Usual,
    /// Where people sign in, and where strangers may look: guessing has to be slow.
    Door,
}

/// The buckets of every address, key and organization that asked lately.
pub struct Limits {
    keys: Buckets<KeyId>,
    orgs: Buckets<OrgId>,
    addresses: Buckets<IpAddr>,
    doors: Buckets<IpAddr>,
    clock: Steady,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

impl Limits {
    /// Full buckets.
    #[must_use]
    pub fn new(rates: &Rates, clock: Arc<dyn Clock>) -> Self {
        let clock = Steady::new(clock);
        Self {
            keys: Buckets::new(rates.key, &clock),
            orgs: Buckets::new(rates.organization, &clock),
            addresses: Buckets::new(rates.address, &clock),
            doors: Buckets::new(rates.door, &clock),
            clock,
        }
    }

    /// Takes one request from the bucket of a client's address (of IPv6 its /64). Before anything is known of
    /// who asks.
    ///
    /// # Errors
    /// [`Retry`] when it is empty.
    pub fn check_address(&self, entry: Entry, address: IpAddr) -> Result<(), Retry> {
        let buckets = match entry {
            Entry::Usual => &self.addresses,
            Entry::Door => &self.doors,
        };
        buckets.take(&client_network(address), &self.clock)
    }

    /// Takes one request from the key's bucket and one from its organization's.
    ///
    /// # Errors
    /// [`Retry`] when either is empty. What the key's bucket gave is not put back.
    pub fn check(&self, org: OrgId, key: KeyId) -> Result<(), Retry> {
        self.keys.take(&key, &self.clock)?;
        self.orgs.take(&org, &self.clock)
    }
}

struct Buckets<K: Hash + Eq + Clone + Send + Sync + 'static> {
    limiter: RateLimiter<K, Bounded<K>, Steady, NoOpMiddleware<Nanos>>,
    per_minute: u32,
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Buckets<K> {
    fn new(rate: Rate, clock: &Steady) -> Self {
        let quota = Quota::per_minute(rate.per_minute).allow_burst(rate.burst);
        // A bucket untouched for the time it takes to fill is the same as none.
        let full_after = quota.burst_size_replenished_in() + Duration::from_secs(1);
        let limiter = RateLimiter::new(quota, Bounded::new(full_after), clock.clone());
        Self { limiter, per_minute: rate.per_minute.get() }
    }

    fn take(&self, key: &K, clock: &Steady) -> Result<(), Retry> {
        self.limiter.check_key(key).map_err(|refused| {
            let wait = refused.wait_time_from(clock.now());
            let after_seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Retry { after_seconds, per_minute: self.per_minute }
        })
    }
}

/// How many buckets of a kind are kept. Beyond, the least useful is forgotten, that is: full again.
const KEPT: u64 = 100_000;

struct Bounded<K>(Cache<K, Arc<InMemoryState>>);

impl<K: Hash + Eq + Send + Sync + 'static> Bounded<K> {
    fn new(idle: Duration) -> Self {
        Self(Cache::builder().max_capacity(KEPT).time_to_idle(idle).build())
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let bucket = self.0.get(key).unwrap_or_else(|| self.0.get_with_by_ref(key, Arc::default));
        bucket.measure_and_replace(&NotKeyed::NonKey, f)
    }
}

/// The time since the start. It stands still while the wall clock is set back, instead of refusing
/// everybody until the wall clock has caught up.
#[derive(Clone)]
struct Steady(Arc<SteadyClock>);

struct SteadyClock {
    wall: Arc<dyn Clock>,
    /// The wall clock at the last look, and the time since the start, in microseconds.
    seen: Mutex<(i64, u64)>,
}

impl Steady {
    fn new(wall: Arc<dyn Clock>) -> Self {
        let seen = Mutex::new((wall.now().as_micros(), 0));
        Self(Arc::new(SteadyClock { wall, seen }))
    }
}

impl GovernorClock for Steady {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let wall = self.0.wall.now().as_micros();
        let (last, elapsed) = *seen;
        *seen = (wall, elapsed + u64::try_from(wall - last).unwrap_or(0));
        Nanos::new(seen.1 * 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_model::{ManualClock, Timestamp};

    fn rate(per_minute: u32, burst: u32) -> Rate {
        let count = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Rate { per_minute: count(per_minute), burst: count(burst) }
    }

    fn limits(key: Rate, organization: Rate, clock: Arc<ManualClock>) -> Limits {
        let (address, door) = (rate(60, 5), rate(6, 2));
        Limits::new(&Rates { key, organization, address, door }, clock)
    }

    fn org(n: u8) -> OrgId {
        OrgId::new(Timestamp::from_micros(0), [n; 10])
    }

    fn key(n: u8) -> KeyId {
        KeyId::new(Timestamp::from_micros(0), [n; 10])
    }

    fn standing() -> Arc<ManualClock> {
        Arc::new(ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000)))
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let clock = standing();
        let limits = limits(rate(60, 3), rate(6_000, 100), clock.clone());
        for _ in 0..3 {
            assert_eq!(limits.check(org(1), key(1)), Ok(()));
        }
        assert_eq!(limits.check(org(1), key(1)), Err(Retry { after_seconds: 1, per_minute: 60 }));
        assert_eq!(limits.check(org(1), key(2)), Ok(()), "another key has its own bucket");
        clock.advance_seconds(1);
        assert_eq!(limits.check(org(1), key(1)), Ok(()));
        assert_eq!(limits.check(org(1), key(1)), Err(Retry { after_seconds: 1, per_minute: 60 }));
    }

    #[test]
    fn many_keys_do_not_help_an_organization() {
        let limits = limits(rate(60, 10), rate(6, 2), standing());
        assert_eq!(limits.check(org(1), key(1)), Ok(()));
        assert_eq!(limits.check(org(1), key(2)), Ok(()));
        assert_eq!(limits.check(org(1), key(3)), Err(Retry { after_seconds: 10, per_minute: 6 }));
        assert_eq!(limits.check(org(2), key(4)), Ok(()), "another organization is not touched");
    }

    #[test]
    fn a_clock_set_back_refuses_nobody_for_long() {
        let clock = standing();
        let limits = limits(rate(60, 1), rate(6_000, 100), clock.clone());
        assert_eq!(limits.check(org(1), key(1)), Ok(()));
        clock.advance_seconds(-3_600);
        assert_eq!(limits.check(org(1), key(1)), Err(Retry { after_seconds: 1, per_minute: 60 }));
        clock.advance_seconds(1);
        assert_eq!(limits.check(org(1), key(1)), Ok(()));
    }

    #[test]
    fn an_address_has_a_bucket_whoever_asks_and_another_one_at_the_doors() {
        let limits = limits(rate(60, 100), rate(6_000, 100), standing());
        let at = |entry, address: IpAddr| limits.check_address(entry, address);
        let four = |last| IpAddr::from([192, 0, 2, last]);
        let six = |network, last| IpAddr::from([0x2001, 0xdb8, 0, network, 0, 0, 0, last]);
        for _ in 0..5 {
            assert_eq!(at(Entry::Usual, four(1)), Ok(()));
        }
        let mapped = IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201]);
        assert_eq!(at(Entry::Usual, mapped), Err(Retry { after_seconds: 1, per_minute: 60 }));
        assert_eq!(at(Entry::Usual, four(2)), Ok(()));
        for last in [1, 2] {
            assert_eq!(at(Entry::Door, six(0, last)), Ok(()));
        }
        assert_eq!(at(Entry::Door, six(0, 3)), Err(Retry { after_seconds: 10, per_minute: 6 }));
        assert_eq!(at(Entry::Door, six(1, 3)), Ok(()), "another network of 64 bits is another client");
    }

    #[test]
    fn a_million_addresses_take_no_more_than_their_table() {
        let table: Bounded<IpAddr> = Bounded::new(Duration::from_secs(3_600));
        let take = |bucket: Option<Nanos>| Ok::<_, ()>((bucket, Nanos::new(1)));
        let mut most = 0;
        for number in 0..1_000_000_u32 {
            let address = std::net::Ipv4Addr::from(number).into();
            assert_eq!(table.measure_and_replace(&address, take), Ok(None));
            if number.is_multiple_of(50_000) {
                table.0.run_pending_tasks();
                most = most.max(table.0.entry_count());
            }
        }
        assert!((KEPT / 2..=KEPT).contains(&most), "{most} buckets");
    }
}
