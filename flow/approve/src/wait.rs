//! Waiting for what becomes of an intent.
//!
//! Whoever changes one tells it on a channel of the database; every server hears it and wakes who waits
//! here. A waiter reads the rows again: what is told is only that there may be news.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_model::{IntentId, OrgId};
use chancery_store::{Scoped, StoreError, Write};
use tokio::sync::watch;

/// The channel on which changed intents are told, as `ORGANIZATION INTENT`.
pub const CHANNEL: &str = "chancery_intent";

/// Tells of a change when its transaction commits.
pub(crate) async fn tell(scoped: &mut Scoped<Write>, intent: IntentId) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(format!("{} {intent}", scoped.org()))
        .execute(scoped.connection())
        .await?;
    Ok(())
}

/// An intent that was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    /// In which organization.
    pub org: OrgId,
    /// Which.
    pub intent: IntentId,
}

impl std::str::FromStr for Told {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (org, intent) = text.split_once(' ').ok_or(())?;
        Ok(Self { org: org.parse().map_err(|_| ())?, intent: intent.parse().map_err(|_| ())? })
    }
}

/// Who waits in this process. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Waits(Arc<Mutex<HashMap<Told, watch::Sender<()>>>>);

impl Waits {
    /// Begins to wait: every change from here on wakes the receiver. Look at the intent after this, not
    /// before, and a change in between is not missed.
    #[must_use]
    pub fn watch(&self, told: Told) -> watch::Receiver<()> {
        let mut waiting = self.lock();
        waiting.retain(|_, sender| sender.receiver_count() > 0);
        waiting.entry(told).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// Wakes who waits for an intent.
    pub fn wake(&self, told: Told) {
        if let Some(sender) = self.lock().get(&told) {
            sender.send_replace(());
        }
    }

    /// Wakes everybody: when nobody listened for a while.
    pub fn wake_all(&self) {
        for sender in self.lock().values() {
            sender.send_replace(());
        }
    }

    /// How many intents are waited for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Told, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn told(number: u128) -> Told {
        Told {
            org: OrgId::from_uuid(Uuid::from_u128(1)),
            intent: IntentId::from_uuid(Uuid::from_u128(number)),
        }
    }

    #[tokio::test]
    async fn a_change_after_the_wait_began_wakes_and_another_intents_does_not() {
        let waits = Waits::default();
        let mut waiting = waits.watch(told(1));
        waits.wake(told(2));
        assert!(!waiting.has_changed().unwrap());
        waits.wake(told(1));
        waiting.changed().await.unwrap();
        waits.wake_all();
        assert!(waiting.has_changed().unwrap());
    }

    #[tokio::test]
    async fn nobody_is_remembered_who_has_gone() {
        let waits = Waits::default();
        drop(waits.watch(told(1)));
        let _waiting = waits.watch(told(2));
        assert_eq!(waits.len(), 1);
    }

    #[test]
    fn what_is_told_reads_back_and_nonsense_does_not() {
        let told = told(3);
        assert_eq!(format!("{} {}", told.org, told.intent).parse(), Ok(told));
        for text in ["", " ", "x y", &told.org.to_string()] {
            assert_eq!(text.parse::<Told>(), Err(()), "{text}");
        }
    }
}
