//! The newest epoch this process has heard of, per organization.

use chancery_model::OrgId;
use moka::sync::Cache;

/// The newest epoch heard of, per organization. What is cached from an older epoch is loaded again.
///
/// This only decides when to load early. What makes a revoke hold is the comparison with the head's
/// epoch inside the transaction that acts (`enter` in SQL, and the committer).
#[derive(Clone, Debug)]
pub struct KnownEpochs(Cache<OrgId, i64>);

impl Default for KnownEpochs {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(100_000).build())
    }
}

impl KnownEpochs {
    /// Hears of an epoch: from a stale answer, a notification, or a change made here.
    pub fn learn(&self, org: OrgId, epoch: i64) {
        self.0.entry(org).and_upsert_with(|known| known.map_or(epoch, |known| known.into_value().max(epoch)));
    }

    /// Whether something read at `epoch` may still be current.
    #[must_use]
    pub fn is_current(&self, org: OrgId, epoch: i64) -> bool {
        self.0.get(&org).is_none_or(|known| epoch >= known)
    }
}
