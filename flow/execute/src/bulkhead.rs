//! Bulkheads: how many calls of one connector may be under way, so that a slow one takes from no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chancery_model::ConnectorId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a call waits for a place.
const PATIENCE: Duration = Duration::from_millis(500);

/// The places of each connector in this process.
#[derive(Debug, Default)]
pub(crate) struct Bulkheads(Mutex<HashMap<ConnectorId, Places>>);

#[derive(Debug)]
struct Places {
    most: u32,
    free: Arc<Semaphore>,
}

/// A place; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Place(#[allow(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Bulkheads {
    /// Takes a place; `None` when none is free in time.
    pub(crate) async fn take(&self, connector: ConnectorId, most: u32) -> Option<Place> {
        let free = self.places(connector, most);
        timeout(PATIENCE, free.acquire_owned()).await.ok()?.ok().map(Place)
    }

    /// Another number of places is another set: calls under way keep the old one until they end.
    fn places(&self, connector: ConnectorId, most: u32) -> Arc<Semaphore> {
        let mut bulkheads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let places = bulkheads.entry(connector).or_insert_with(|| Places::new(most));
        if places.most != most {
            *places = Places::new(most);
        }
        Arc::clone(&places.free)
    }
}

impl Places {
    fn new(most: u32) -> Self {
        Self { most, free: Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(1))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test(start_paused = true)]
    async fn a_full_connector_takes_from_no_other() {
        let bulkheads = Bulkheads::default();
        let [one, other] = [1, 2].map(|number| ConnectorId::from_uuid(Uuid::from_u128(number)));
        let held = [bulkheads.take(one, 2).await.unwrap(), bulkheads.take(one, 2).await.unwrap()];
        assert!(bulkheads.take(one, 2).await.is_none());
        assert!(bulkheads.take(other, 2).await.is_some());
        drop(held);
        assert!(bulkheads.take(one, 2).await.is_some());
    }
}
