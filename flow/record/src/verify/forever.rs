//! Verifying all records, one after the other, without end and without hurry.

use std::time::Duration;

use chancery_evidence::{Checkpoint, VerifierKey, origin};
use chancery_model::OrgId;
use chancery_store::StoreError;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use super::{Depth, Pace, verify_over};
use crate::Recorder;
use crate::breaks::{self, Broken};
use crate::checkpoint::Outside;

/// The pause between two organizations: it bounds what many small records take.
const BETWEEN: Duration = Duration::from_millis(100);

/// Verifies all records, again and again; a break raises a metric and halts the organization, with an
/// entry that says why.
///
/// `rest` is the pause between two passes.
pub async fn verify_forever(
    recorder: Recorder,
    key: VerifierKey,
    outside: Outside,
    rest: Duration,
    stop: impl Future<Output = ()>,
) {
    let passes = async {
        loop {
            let began = Instant::now();
            pass(&recorder, &key, &outside).await;
            metrics::gauge!("record_verification_pass_seconds").set(began.elapsed().as_secs_f64());
            sleep(rest).await;
        }
    };
    tokio::select! { () = passes => {} () = stop => {} }
}

async fn pass(recorder: &Recorder, key: &VerifierKey, outside: &Outside) {
    let orgs = match recorder.store.organizations().await {
        Ok(orgs) => orgs,
        Err(error) => return tracing::warn!(%error, "the records can't be verified now"),
    };
    metrics::gauge!("record_organizations").set(f64::from(u32::try_from(orgs.len()).unwrap_or(u32::MAX)));
    // One connection for all of them, and another after a failure.
    let mut kept: Option<PgConnection> = None;
    for org in orgs {
        let verified = async {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => recorder.store.appender_connection().await?,
            };
            if verify_one(recorder, &mut connection, key, outside, org).await? {
                kept = Some(connection);
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = verified.await {
            tracing::warn!(%error, %org, "a record could not be verified now");
        }
        sleep(BETWEEN).await;
    }
    if let Some(connection) = kept {
        let _ = connection.close().await;
    }
}

/// Whether it was read to its end.
async fn verify_one(
    recorder: &Recorder,
    connection: &mut PgConnection,
    key: &VerifierKey,
    outside: &Outside,
    org: OrgId,
) -> Result<bool, StoreError> {
    let outside: Vec<Checkpoint> = outside.of(&origin(key.name(), org)).into_iter().collect();
    let depth = Depth { payloads: true, outside: &outside, pace: Pace::Gentle, until: None };
    let found = verify_over(connection, &recorder.store, key, org, depth, |_, _| {}).await?;
    metrics::counter!("record_verified_entries_total").increment(found.entries);
    if let Some(fault) = found.faults.first() {
        breaks::halt(recorder, org, Broken { code: fault.code, seq: fault.seq }).await?;
    }
    Ok(found.complete)
}
