//! What time alone brings about: an escalation that nobody answered is refused, a call that nobody closed
//! has an unknown outcome, and what came back is forgotten after a day.
//!
//! Every server looks. Each step is a compare and swap under lock, so of several servers one succeeds and
//! the others find it done.

use std::time::Duration;

use chancery_approve::Due;
use chancery_model::Timestamp;
use chancery_record::releases::{ANSWERS_KEPT_SECONDS, forget_answers, orphans};
use chancery_record::{Actor, RecordError, Recorder};
use chancery_store::{Scope, Store};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often what is over is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks after what is over until told to stop.
pub(crate) async fn sweep_forever(store: Store, recorder: Recorder, stop: CancellationToken) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! { _ = ticks.tick() => {}, () = stop.cancelled() => return }
        if let Err(error) = sweep(&store, &recorder).await {
            tracing::warn!(%error, "what is over is ended later");
        }
    }
}

/// Ends whatever is over by the store's clock, each with an entry of its own, and each part whether or not
/// another fails. Gives how many were ended here.
///
/// # Errors
/// When the store does not answer. What could not be ended is tried again at the next look.
pub async fn sweep(store: &Store, recorder: &Recorder) -> anyhow::Result<usize> {
    let now = store.keyring().clock().now();
    let closed = close_orphans(store, recorder, now).await;
    let expired = expire_due(store, recorder, now).await;
    forget_answers(store, now.plus_seconds(-ANSWERS_KEPT_SECONDS)).await?;
    Ok(closed? + expired?)
}

async fn expire_due(store: &Store, recorder: &Recorder, now: Timestamp) -> anyhow::Result<usize> {
    let mut ended = 0;
    for due in chancery_approve::due(store, now).await? {
        match expire(store, recorder, due, now).await {
            Ok(done) => ended += usize::from(done),
            Err(error) => tracing::warn!(org = %due.org, %error, "an escalation is ended later"),
        }
    }
    Ok(ended)
}

/// Ends one; `false` when another was first.
async fn expire(store: &Store, recorder: &Recorder, due: Due, now: Timestamp) -> anyhow::Result<bool> {
    let mut scoped = store.write(&Scope::installation(due.org)).await?;
    let Some(change) = chancery_approve::expire(&mut scoped, due.intent, now).await? else {
        return Ok(false);
    };
    recorder.commit(scoped, Actor::installation(), change).await?;
    Ok(true)
}

async fn close_orphans(store: &Store, recorder: &Recorder, now: Timestamp) -> anyhow::Result<usize> {
    let mut ended = 0;
    for orphan in orphans(store, now).await? {
        match recorder.close_orphan(orphan).await {
            Ok(_) => {
                metrics::counter!("executions_total", "outcome" => "outcome_unknown").increment(1);
                tracing::error!(org = %orphan.org, intent = %orphan.intent,
                    "a call was opened and nobody closed it: its outcome is unknown");
                ended += 1;
            }
            Err(RecordError::Released) => {}
            Err(error) => tracing::warn!(org = %orphan.org, %error, "a call is closed later"),
        }
    }
    Ok(ended)
}
