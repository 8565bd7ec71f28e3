//! Holding back who asks too often.

use std::time::Duration;

use tokio::sync::Semaphore;

/// How long a request beyond the limits waits for its refusal. Whoever sends the next one as soon as
/// the last is answered would otherwise spend the server's time, and its neighbours', on refusals.
const HELD: Duration = Duration::from_millis(100);
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
    pub(crate) async fn hold(&self) {
        if let Ok(_place) = self.0.try_acquire() {
            tokio::time::sleep(HELD).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn so_many_wait_and_no_more() {
        let restraint = Arc::new(Restraint::new());
        let started = Instant::now();
        let held: Vec<_> = (0..PLACES)
            .map(|_| {
                let restraint = Arc::clone(&restraint);
                tokio::spawn(async move { restraint.hold().await })
            })
            .collect();
        while restraint.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        restraint.hold().await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        for one in held {
            one.await.unwrap();
        }
        assert_eq!(started.elapsed(), HELD);
        restraint.hold().await;
        assert_eq!(started.elapsed(), 2 * HELD);
    }
}
