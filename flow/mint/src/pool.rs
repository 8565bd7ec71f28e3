//! Keys made before they are needed.

use chancery_crypto::{Algorithm, SignError, SigningKey};
use tokio::sync::{Mutex, mpsc};

/// How many keys of each algorithm wait ready; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// RSA-2048, each 0.05 to 0.5 s of one core.
    pub rs256: usize,
    /// P-256.
    pub es256: usize,
    /// Ed25519.
    pub eddsa: usize,
}

impl Default for Stock {
    fn default() -> Self {
        Self { rs256: 4, es256: 2, eddsa: 2 }
    }
}

/// The pool makes no more keys: the cryptographic library failed, or the runtime is going down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no signing key can be made")]
pub struct PoolClosed;

/// Ready signing keys. Making an RSA key takes too long for a request; waiting for one here does not.
#[derive(Debug)]
pub struct KeyPool {
    rs256: Shelf,
    es256: Shelf,
    eddsa: Shelf,
}

/// The channel's capacity is the stock: its filler waits for a free place before it makes a key.
type Shelf = Mutex<mpsc::Receiver<SigningKey>>;

impl KeyPool {
    /// Begins filling the pool in the background, until it is dropped. Needs a running Tokio runtime.
    #[must_use]
    pub fn fill(stock: Stock) -> Self {
        Self {
            rs256: shelf(Algorithm::Rs256, stock.rs256),
            es256: shelf(Algorithm::Es256, stock.es256),
            eddsa: shelf(Algorithm::EdDsa, stock.eddsa),
        }
    }

    /// Takes a key that nobody else has, waiting until one is made if none is ready.
    ///
    /// # Errors
    /// [`PoolClosed`].
    pub async fn take(&self, algorithm: Algorithm) -> Result<SigningKey, PoolClosed> {
        let shelf = match algorithm {
            Algorithm::Rs256 => &self.rs256,
            Algorithm::Es256 => &self.es256,
            Algorithm::EdDsa => &self.eddsa,
        };
        shelf.lock().await.recv().await.ok_or(PoolClosed)
    }
}

fn shelf(algorithm: Algorithm, size: usize) -> Shelf {
    let (place, keys) = mpsc::channel(size.max(1));
    tokio::spawn(async move {
        while let Ok(free) = place.reserve().await {
            match generate(algorithm).await {
                Some(key) => free.send(key),
                None => break,
            }
        }
    });
    Mutex::new(keys)
}

async fn generate(algorithm: Algorithm) -> Option<SigningKey> {
    let made: Result<SigningKey, SignError> =
        tokio::task::spawn_blocking(move || SigningKey::generate(algorithm)).await.ok()?;
    made.inspect_err(|error| tracing::error!(%error, "the pool of signing keys is closed")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_pool_gives_a_new_key_each_time_and_refills() {
        let pool = KeyPool::fill(Stock { rs256: 0, es256: 1, eddsa: 2 });
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let mut seen = std::collections::HashSet::new();
            for _ in 0..5 {
                let key = pool.take(algorithm).await.unwrap();
                assert_eq!(key.public().algorithm(), algorithm);
                assert!(seen.insert(key.public().thumbprint()));
            }
        }
    }
}
