//! Connections that wait for their next request, apart for everybody who must not share them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;
use crate::host::Host;
use crate::rules::Reach;
use crate::target::{Scheme, Target};

/// Who may share connections: requests of one organization under one policy. Two that differ in either
/// never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The organization.
    pub organization: u128,
    /// What else sets its requests apart: a hash of its policy, or the id of a connector.
    pub policy: u128,
}

/// What a connection is good for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pool: PoolKey,
    reach: Reach,
    scheme: Scheme,
    host: Host,
    port: u16,
}

impl Key {
    pub(crate) fn new(pool: PoolKey, reach: Reach, target: &Target) -> Self {
        Self { pool, reach, scheme: target.scheme(), host: target.host().clone(), port: target.port() }
    }
}

/// How many connections wait, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// A connection that waited so long is closed.
    pub idle: Duration,
    /// A connection so old is not used again: its name may lead elsewhere by now.
    pub age: Duration,
    /// The most that wait for one host of one pool.
    pub most_of_host: usize,
    /// The most that wait in all pools. Those that waited longest make room.
    pub most: usize,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { idle: Duration::from_secs(30), age: Duration::from_secs(300), most_of_host: 8, most: 512 }
    }
}

struct Waiting {
    connection: Connection,
    since: Instant,
}

#[derive(Default)]
struct Places {
    /// Those that waited longest stand first.
    by_key: HashMap<Key, Vec<Waiting>>,
    count: usize,
    is_swept: bool,
}

pub(crate) struct Pool {
    limits: PoolLimits,
    places: Mutex<Places>,
}

impl Pool {
    pub(crate) fn new(limits: PoolLimits) -> Arc<Self> {
        Arc::new(Self { limits, places: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Nothing in here can be left half done.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that can take a request now.
    pub(crate) fn take(&self, key: &Key) -> Option<Connection> {
        let now = Instant::now();
        let mut places = self.lock();
        let waiting = places.by_key.get_mut(key)?;
        let before = waiting.len();
        let mut found = None;
        while let Some(last) = waiting.pop() {
            if !self.is_good(&last, now) {
                continue;
            }
            if let Some(shared) = last.connection.share() {
                waiting.push(Waiting { connection: last.connection, since: now });
                found = Some(shared);
            } else {
                found = Some(last.connection);
            }
            break;
        }
        let gone = before - waiting.len();
        if waiting.is_empty() {
            places.by_key.remove(key);
        }
        places.count -= gone;
        found
    }

    fn is_good(&self, waiting: &Waiting, now: Instant) -> bool {
        waiting.connection.is_ready()
            && now.duration_since(waiting.since) < self.limits.idle
            && now.duration_since(waiting.connection.made()) < self.limits.age
    }

    /// Takes back a connection whose answer was read whole, or keeps another handle to a shared one.
    pub(crate) fn give(self: &Arc<Self>, key: Key, connection: Connection) {
        let now = Instant::now();
        let waiting = Waiting { connection, since: now };
        if self.limits.most == 0 || self.limits.most_of_host == 0 || !self.is_good(&waiting, now) {
            return;
        }
        let mut places = self.lock();
        let of_host = places.by_key.entry(key).or_default();
        let is_shared = waiting.connection.is_http2();
        if is_shared && of_host.iter().any(|other| other.connection.is_same(&waiting.connection)) {
            return;
        }
        of_host.push(waiting);
        // Many requests share one connection of HTTP/2: a second only waits.
        let most = if is_shared { 1 } else { self.limits.most_of_host };
        let too_many = of_host.len().saturating_sub(most);
        of_host.drain(..too_many);
        places.count = (places.count + 1).saturating_sub(too_many);
        if places.count > self.limits.most {
            places.close_oldest();
        }
        if !std::mem::replace(&mut places.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.limits.idle));
        }
    }

    /// Hands a connection to nobody else.
    pub(crate) fn forget(&self, key: &Key, connection: &Connection) {
        let mut places = self.lock();
        let Some(waiting) = places.by_key.get_mut(key) else { return };
        let before = waiting.len();
        waiting.retain(|other| !other.connection.is_same(connection));
        let gone = before - waiting.len();
        if waiting.is_empty() {
            places.by_key.remove(key);
        }
        places.count -= gone;
    }

    pub(crate) const fn idle(&self) -> Duration {
        self.limits.idle
    }
}

impl Places {
    fn close_oldest(&mut self) {
        let oldest = self
            .by_key
            .iter()
            .filter_map(|(key, waiting)| Some((waiting.first()?.since, key)))
            .min_by_key(|(since, _)| *since)
            .map(|(_, key)| key.clone());
        if let Some(key) = oldest
            && let Some(waiting) = self.by_key.get_mut(&key)
        {
            waiting.drain(..1);
            self.count -= 1;
            if waiting.is_empty() {
                self.by_key.remove(&key);
            }
        }
    }
}

/// Closes what waited too long, until nothing waits any more.
async fn sweep(pool: Weak<Pool>, idle: Duration) {
    loop {
        tokio::time::sleep(idle / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        let mut places = pool.lock();
        places.by_key.retain(|_, waiting| {
            waiting.retain(|each| pool.is_good(each, now));
            !waiting.is_empty()
        });
        places.count = places.by_key.values().map(Vec::len).sum();
        if places.count == 0 {
            places.is_swept = false;
            return;
        }
    }
}
