//! What was parsed and compiled, shared by what it was made from: organizations with the same packs
//! share one copy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_crypto::sha256;

use crate::PolicyProblem;
use crate::policies::Compiled;
use crate::text::PolicyText;

type Hash = [u8; 32];

/// A bounded cache of policies by the hash of their content.
#[derive(Debug)]
pub struct ParseCache {
    texts: Mutex<Recent<PolicyText>>,
    compiled: Mutex<Recent<Compiled>>,
}

impl ParseCache {
    /// A cache of at most `texts` policy texts and `sets` compiled sets of them.
    #[must_use]
    pub fn new(texts: usize, sets: usize) -> Self {
        Self { texts: Mutex::new(Recent::new(texts)), compiled: Mutex::new(Recent::new(sets)) }
    }

    pub(crate) fn text(&self, text: &str) -> Result<Arc<PolicyText>, Vec<PolicyProblem>> {
        Recent::get_or_make(&self.texts, sha256(&[text.as_bytes()]), || PolicyText::parse(text))
    }

    pub(crate) fn compiled<E>(
        &self,
        hash: Hash,
        compile: impl FnOnce() -> Result<Compiled, E>,
    ) -> Result<Arc<Compiled>, E> {
        Recent::get_or_make(&self.compiled, hash, compile)
    }
}

impl Default for ParseCache {
    fn default() -> Self {
        Self::new(10_000, 1_000)
    }
}

/// The most recently used values, at most `capacity` of them.
#[derive(Debug)]
struct Recent<T> {
    values: HashMap<Hash, (Arc<T>, u64)>,
    capacity: usize,
    uses: u64,
}

impl<T> Recent<T> {
    fn new(capacity: usize) -> Self {
        Self { values: HashMap::new(), capacity: capacity.max(1), uses: 0 }
    }

    /// The value is made outside the lock: two callers may make it, and both get the first one.
    fn get_or_make<E>(
        this: &Mutex<Self>,
        hash: Hash,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let lock = || this.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = lock().get(&hash) {
            return Ok(value);
        }
        let made = Arc::new(make()?);
        Ok(lock().keep(hash, made))
    }

    fn get(&mut self, hash: &Hash) -> Option<Arc<T>> {
        self.uses += 1;
        let (value, used) = self.values.get_mut(hash)?;
        *used = self.uses;
        Some(Arc::clone(value))
    }

    fn keep(&mut self, hash: Hash, made: Arc<T>) -> Arc<T> {
        if let Some(value) = self.get(&hash) {
            return value;
        }
        if self.values.len() >= self.capacity
            && let Some(oldest) = self.values.iter().min_by_key(|(_, (_, used))| *used).map(|(hash, _)| *hash)
        {
            self.values.remove(&oldest);
        }
        self.values.insert(hash, (Arc::clone(&made), self.uses));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_goes_first() {
        let recent = Mutex::new(Recent::new(2));
        let get = |n: u8| *Recent::get_or_make(&recent, [n; 32], || Ok::<_, ()>(n)).unwrap();
        assert_eq!((get(1), get(2), get(1), get(3)), (1, 2, 1, 3));
        let kept = recent.lock().unwrap();
        assert!(kept.values.contains_key(&[1; 32]) && kept.values.contains_key(&[3; 32]));
        assert_eq!(kept.values.len(), 2);
    }

    #[test]
    fn equal_texts_are_parsed_once() {
        let cache = ParseCache::default();
        let text = "permit(principal, action, resource);";
        let copy = text.to_owned();
        assert!(Arc::ptr_eq(&cache.text(text).unwrap(), &cache.text(&copy).unwrap()));
    }
}
