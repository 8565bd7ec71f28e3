//! Holding back who asks too often.

use std::time::Duration;

use chancery_crypto::Random;
use tokio::sync::Semaphore;

/// How long a request beyond the limits waits for its refusal. Whoever sends the next one as soon as
/// the last is answered would otherwise spend the server's time, and its neighbours', on refusals.
const HELD: Duration = Duration::from_millis(100);
/// And up to so much longer, by chance: many that were refused together do not come back together.
const SPREAD: Duration = Duration::from_millis(100);
/// How many wait at a time, a few kilobytes each; beyond these a refusal goes out at once.
const PLACES: usize = 1024;

/// The places in which refused requests wait.
#[derive(Debug)]
pub(crate) struct Restraint(Semaphore);

impl Restraint {
    pub(crate) const fn new() -> Self {
        Self(Semaphore::const_new(PLACES))
    }

    /// Holds a refused request back, if there is a place.
    pub(crate) async fn hold(&self, random: &dyn Random) {
        if let Ok(_place) = self.0.try_acquire() {
            let [chance] = random.bytes();
            tokio::time::sleep(HELD + SPREAD * u32::from(chance) / 256).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_crypto::SeededRandom;
    use std::sync::Arc;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn so_many_wait_and_no_more() {
        let (restraint, random) = (Arc::new(Restraint::new()), Arc::new(SeededRandom::new(1)));
        let started = Instant::now();
        let held: Vec<_> = (0..PLACES)
            .map(|_| {
                let (restraint, random) = (Arc::clone(&restraint), Arc::clone(&random));
                tokio::spawn(async move {
                    restraint.hold(&*random).await;
                    started.elapsed()
                })
            })
            .collect();
        while restraint.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        restraint.hold(&*random).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        let mut times = Vec::new();
        for one in held {
            times.push(one.await.unwrap());
        }
        assert!(times.iter().all(|time| (HELD..=HELD + SPREAD).contains(time)), "{times:?}");
        times.sort_unstable();
        times.dedup();
        assert!(times.len() > 50, "they come back together: {times:?}");
        assert_eq!(restraint.0.available_permits(), PLACES);
    }
}
