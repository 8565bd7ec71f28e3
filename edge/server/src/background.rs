//! Work beside the requests: it is tracked, and told when to end.

use std::sync::Arc;
use std::time::Duration;

use chancery_approve::CHANNEL;
use chancery_authenticate::KnownEpochs;
use chancery_http::App;
use chancery_keys::LastUsed;
use chancery_model::OrgId;
use chancery_record::idempotency::{REMEMBERED_SECONDS, forget_old};
use chancery_store::Store;
use chancery_store::embedded::Embedded;
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::postgres::PgListener;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often uses of API keys are written.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
/// How often old idempotency keys are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// How often the meters are tidied.
const METERS_EVERY: Duration = Duration::from_secs(5);
/// The pause before a lost listener is opened again.
const RELISTEN_AFTER: Duration = Duration::from_secs(1);

/// Runs a task beside the requests. One that panics is a guard that nobody stands any more, so the server
/// stops: it is better not to serve than to serve unwatched.
pub(crate) fn guard(
    work: &TaskTracker,
    lost: &CancellationToken,
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) {
    let lost = lost.clone();
    let running = tokio::spawn(task);
    work.spawn(async move {
        if running.await.is_err() {
            metrics::counter!("background_failures_total", "task" => name).increment(1);
            tracing::error!(task = name, "a task beside the requests ended; the server stops");
            lost.cancel();
        }
    });
}

/// Hears of changed organizations and intents from other processes, until told to stop. Whatever is missed while
/// nobody listens makes every cached key suspect.
pub(crate) async fn hear_epochs(app: Arc<App>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            lost = listen(&app) => {
                app.authenticator.forget_all();
                app.waits.wake_all();
                if let Err(error) = lost {
                    tracing::warn!(%error, "changes of other servers are not heard for a moment");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(RELISTEN_AFTER) => {}
        }
    }
}

async fn listen(app: &App) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(app.store.worker()).await?;
    listener.listen_all(["chancery_epoch", CHANNEL]).await?;
    // Whatever changed before we listened.
    app.authenticator.forget_all();
    app.waits.wake_all();
    while let Some(told) = listener.try_recv().await? {
        match told.channel() {
            CHANNEL => {
                if let Ok(told) = told.payload().parse() {
                    app.waits.wake(told);
                }
            }
            _ => learn(app.authenticator.epochs(), told.payload()),
        }
    }
    Ok(())
}

/// `ORGANIZATION EPOCH`, as the record tells it. Anything else is somebody else's.
fn learn(epochs: &KnownEpochs, told: &str) {
    let Some((org, epoch)) = told.split_once(' ') else { return };
    if let (Ok(org), Ok(epoch)) = (org.parse::<OrgId>(), epoch.parse()) {
        epochs.learn(org, epoch);
    }
}

/// Writes when API keys were used, now and then, and once more at the end.
pub(crate) async fn flush_last_used(store: Store, last_used: Arc<LastUsed>, stop: CancellationToken) {
    let mut ticks = interval(FLUSH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let last = tokio::select! { _ = ticks.tick() => false, () = stop.cancelled() => true };
        if let Err(error) = last_used.flush(&store).await {
            tracing::warn!(%error, "uses of api keys are written later");
        }
        if last {
            return;
        }
    }
}

/// Forgets idempotency keys that are older than they are remembered.
pub(crate) async fn forget_idempotency_keys(store: Store, stop: CancellationToken) {
    let mut ticks = interval(FORGET_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! { _ = ticks.tick() => {}, () = stop.cancelled() => return }
        let before = store.keyring().clock().now().plus_seconds(-REMEMBERED_SECONDS);
        if let Err(error) = forget_old(&store, before).await {
            tracing::warn!(%error, "old idempotency keys are forgotten later");
        }
    }
}

/// Keeps what the meters remember bounded.
pub(crate) async fn tidy_meters(metrics: PrometheusHandle, stop: CancellationToken) {
    let mut ticks = interval(METERS_EVERY);
    loop {
        tokio::select! { _ = ticks.tick() => metrics.run_upkeep(), () = stop.cancelled() => return }
    }
}

/// Starts the embedded Postgres again whenever it ends, until told to stop; gives it back to be
/// stopped. What can't be started again is told by `lost`.
pub(crate) async fn keep_running(
    mut embedded: Embedded,
    stop: CancellationToken,
    lost: CancellationToken,
) -> Embedded {
    loop {
        let exited = embedded.exited();
        tokio::select! {
            () = stop.cancelled() => return embedded,
            () = exited => {}
        }
        tracing::error!("the embedded postgres ended; it is started again");
        match embedded.restart().await {
            Ok(()) => tracing::info!("the embedded postgres runs again"),
            Err(error) => {
                tracing::error!(%error, "the embedded postgres can't be started again");
                lost.cancel();
                return embedded;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_task_that_panics_stops_the_server_and_one_that_ends_does_not() {
        let (work, lost) = (TaskTracker::new(), CancellationToken::new());
        guard(&work, &lost, "test", async {});
        work.close();
        work.wait().await;
        assert!(!lost.is_cancelled());
        work.reopen();
        guard(&work, &lost, "test", async { panic!("on purpose") });
        work.close();
        work.wait().await;
        assert!(lost.is_cancelled());
    }

    #[test]
    fn an_epoch_is_learnt_and_nonsense_is_not() {
        let epochs = KnownEpochs::default();
        let org = OrgId::from_uuid(Uuid::from_u128(7));
        for told in ["", "x", "x 9", &format!("{org}"), &format!("{org} x")] {
            learn(&epochs, told);
            assert!(epochs.is_current(org, 1), "{told}");
        }
        learn(&epochs, &format!("{org} 9"));
        assert!(!epochs.is_current(org, 8) && epochs.is_current(org, 9));
    }
}
