//! How much may be tried again: a share of the calls, so that a system in trouble is not given more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chancery_model::ConnectorId;

/// The most tries that can be saved up, in hundredths.
const MOST: u32 = 1_000;
/// What a connector begins with: one try.
const FIRST: u32 = 100;

/// What each connector may still try again, in hundredths of a try.
#[derive(Debug, Default)]
pub(crate) struct Budgets(Mutex<HashMap<ConnectorId, u32>>);

impl Budgets {
    /// A first try earns its share.
    pub(crate) fn earn(&self, connector: ConnectorId, percent: u32) {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = budgets.entry(connector).or_insert(FIRST);
        *saved = saved.saturating_add(percent).min(MOST);
    }

    /// Whether there is enough for another try, which takes it.
    pub(crate) fn spend(&self, connector: ConnectorId) -> bool {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = budgets.entry(connector).or_insert(FIRST);
        let enough = *saved >= 100;
        if enough {
            *saved -= 100;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn of_many_calls_only_their_share_is_tried_again() {
        let (budgets, connector) = (Budgets::default(), ConnectorId::from_uuid(Uuid::from_u128(1)));
        let mut again = 0;
        for _ in 0..100 {
            budgets.earn(connector, 20);
            again += u32::from(budgets.spend(connector));
        }
        assert_eq!(again, 21, "the first, and a fifth of a hundred");
        let other = ConnectorId::from_uuid(Uuid::from_u128(2));
        (0..1_000).for_each(|_| budgets.earn(other, 100));
        assert_eq!((0..100).filter(|_| budgets.spend(other)).count(), 10, "not more than ten are saved up");
    }
}
