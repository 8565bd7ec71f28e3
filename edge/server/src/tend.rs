//! Tending the signing keys: the next key begins to sign when verifiers know it, and the one before is
//! retired when its last token has ended.
//!
//! Every server does so. Each step is a compare and swap in the organization, so of several servers
//! one succeeds and the others find it done.

use std::time::Duration;

use chancery_mint::signing_keys::{self, Due, KeyState, Retirement, SigningKeyError, due};
use chancery_record::{Actor, RecordError, Recorder};
use chancery_store::{Scope, Store, StoreError};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the keys are looked at.
const TEND_EVERY: Duration = Duration::from_secs(5);

/// Looks after the keys until told to stop.
pub(crate) async fn tend_forever(store: Store, recorder: Recorder, stop: CancellationToken) {
    let mut ticks = interval(TEND_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! { _ = ticks.tick() => {}, () = stop.cancelled() => return }
        if let Err(error) = tend(&store, &recorder).await {
            tracing::warn!(%error, "signing keys are looked after later");
        }
    }
}

/// Activates and retires whatever is due by the store's clock, each with an entry of its own. Gives how
/// many were changed here; what could not be is tried again at the next look.
///
/// # Errors
/// When the store does not say what is due.
pub async fn tend(store: &Store, recorder: &Recorder) -> Result<usize, StoreError> {
    let mut changed = 0;
    for key in due(store, store.keyring().clock().now()).await? {
        match step(store, recorder, key).await {
            Ok(here) => changed += usize::from(here),
            Err(error) => {
                let Due { org, id, state } = key;
                tracing::warn!(%org, %id, state = state.as_str(), %error, "a signing key is tended later");
            }
        }
    }
    Ok(changed)
}

/// Whether the key was changed here: `false` when another server was first.
async fn step(store: &Store, recorder: &Recorder, key: Due) -> anyhow::Result<bool> {
    let now = store.keyring().clock().now();
    let mut scoped = store.write(&Scope::installation(key.org)).await?;
    let changed = match key.state {
        KeyState::Next => signing_keys::activate_waiting(&mut scoped, key.id, now).await,
        _ => signing_keys::retire(&mut scoped, key.id, Retirement::Orderly, now).await,
    };
    let change = match changed {
        Ok((_, change)) => change,
        Err(SigningKeyError::Store(error)) => return Err(error.into()),
        Err(_) => return Ok(false),
    };
    match recorder.commit(scoped, Actor::installation(), change).await {
        Ok(_) => Ok(true),
        Err(RecordError::Stale { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
