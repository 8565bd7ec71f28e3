//! Tending what has its time: the next signing key begins to sign when verifiers know it, and the one before
//! is retired when its last token has ended; a connector's credential whose overlap is over is destroyed.
//!
//! Every server does so. Each step is a compare and swap in the organization, so of several servers
//! one succeeds and the others find it done.

use std::time::Duration;

use chancery_connectors::{destroy_ended, ended};
use chancery_mint::signing_keys::{self, Due, KeyState, Retirement, SigningKeyError, due};
use chancery_model::{ConnectorId, OrgId};
use chancery_record::{Actor, RecordError, Recorder};
use chancery_store::{Change, Scope, Scoped, Store, StoreError, Write};
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
            tracing::warn!(%error, "signing keys and credentials are looked after later");
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
    let now = store.keyring().clock().now();
    for (org, connector) in ended(store, now).await? {
        match destroy(store, recorder, org, connector).await {
            Ok(here) => changed += usize::from(here),
            Err(error) => tracing::warn!(%org, %connector, %error, "a credential is destroyed later"),
        }
    }
    for key in due(store, now).await? {
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

/// Whether the connector's ended credential was destroyed here: `false` when another server was first.
async fn destroy(
    store: &Store,
    recorder: &Recorder,
    org: OrgId,
    connector: ConnectorId,
) -> anyhow::Result<bool> {
    let now = store.keyring().clock().now();
    let mut scoped = store.write(&Scope::installation(org)).await?;
    let Some(change) = destroy_ended(&mut scoped, connector, now).await? else { return Ok(false) };
    commit(recorder, scoped, change).await
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
    commit(recorder, scoped, change).await
}

async fn commit(recorder: &Recorder, scoped: Scoped<Write>, change: Change) -> anyhow::Result<bool> {
    match recorder.commit(scoped, Actor::installation(), change).await {
        Ok(_) => Ok(true),
        Err(RecordError::Stale { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
