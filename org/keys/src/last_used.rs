//! When keys were used: collected in memory, written in batches.
//!
//! Verifying a key must not write. What is collected and not yet written is lost in a crash; it is
//! for people to see which keys are idle, not for the record.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, PoisonError};

use chancery_model::{KeyId, OrgId, Timestamp};
use chancery_store::{Store, StoreError};
use sqlx::types::time::OffsetDateTime;
use uuid::Uuid;

/// The most keys remembered between two flushes; uses of further keys are not counted.
const MOST_KEYS: usize = 16_384;

/// Collects uses of keys until they are flushed.
#[derive(Debug, Default)]
pub struct LastUsed {
    uses: Mutex<Uses>,
}

type Uses = HashMap<(OrgId, KeyId), Use>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    last: Timestamp,
    count: u64,
}

impl LastUsed {
    /// Nothing collected.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one use of a key.
    pub fn note(&self, org: OrgId, key: KeyId, at: Timestamp) {
        self.with(|uses| merge(uses, (org, key), Use { last: at, count: 1 }));
    }

    /// Writes what was collected, in one call. Gives how many keys were written; on an error all of
    /// it is kept for the next time.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn flush(&self, store: &Store) -> Result<u64, StoreError> {
        let uses = self.with(std::mem::take);
        if uses.is_empty() {
            return Ok(0);
        }
        let written = write(store, &uses).await;
        if written.is_err() {
            self.with(|newer| uses.into_iter().for_each(|(key, older)| merge(newer, key, older)));
        }
        written
    }

    fn with<T>(&self, act: impl FnOnce(&mut Uses) -> T) -> T {
        // A panic while counting can only have miscounted.
        act(&mut self.uses.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn merge(uses: &mut Uses, key: (OrgId, KeyId), new: Use) {
    let full = uses.len() >= MOST_KEYS;
    match uses.entry(key) {
        Entry::Occupied(mut known) => {
            let known = known.get_mut();
            known.last = known.last.max(new.last);
            known.count = known.count.saturating_add(new.count);
        }
        Entry::Vacant(unknown) if !full => {
            unknown.insert(new);
        }
        Entry::Vacant(_) => {}
    }
}

async fn write(store: &Store, uses: &Uses) -> Result<u64, StoreError> {
    let orgs: Vec<Uuid> = uses.keys().map(|(org, _)| org.as_uuid()).collect();
    let ids: Vec<Uuid> = uses.keys().map(|(_, key)| key.as_uuid()).collect();
    let moments: Vec<OffsetDateTime> = uses.values().map(|used| used.last.to_offset()).collect();
    let counts: Vec<i64> = uses.values().map(|used| i64::try_from(used.count).unwrap_or(i64::MAX)).collect();
    let written: i64 = sqlx::query_scalar("SELECT touch_api_keys($1, $2, $3, $4)")
        .bind(orgs)
        .bind(ids)
        .bind(moments)
        .bind(counts)
        .fetch_one(store.worker())
        .await?;
    Ok(u64::try_from(written).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u128) -> (OrgId, KeyId) {
        (OrgId::from_uuid(Uuid::from_u128(1)), KeyId::from_uuid(Uuid::from_u128(number)))
    }

    #[test]
    fn uses_of_a_key_merge_whatever_their_order() {
        let used = LastUsed::new();
        for at in [5, 9, 7] {
            used.note(key(1).0, key(1).1, Timestamp::from_micros(at));
        }
        assert_eq!(used.with(|uses| uses[&key(1)]), Use { last: Timestamp::from_micros(9), count: 3 });
    }

    #[test]
    fn a_full_collector_goes_on_with_the_keys_it_knows() {
        let used = LastUsed::new();
        for number in 0..=MOST_KEYS as u128 {
            used.note(key(number).0, key(number).1, Timestamp::from_micros(1));
        }
        used.note(key(0).0, key(0).1, Timestamp::from_micros(2));
        used.with(|uses| {
            assert_eq!(uses.len(), MOST_KEYS);
            assert_eq!(uses[&key(0)].count, 2);
            assert!(!uses.contains_key(&key(MOST_KEYS as u128)));
        });
    }
}
