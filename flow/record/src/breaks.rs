//! Stopping an organization whose record is broken: nothing acts on a record that can't be trusted.

use chancery_model::OrgId;
use chancery_store::{Change, Epoch, Halt, Scope, Store, StoreError};
use serde_json::json;
use uuid::Uuid;

use crate::chain::unsigned;
use crate::{Actor, RecordError, Recorder};

/// Something that is not as the record says it must be: a stable word, and the entry or the size of
/// the tree where it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) code: &'static str,
    pub(crate) seq: u64,
}

/// Halts the organization, with an entry that says why, unless it is halted already. Gives where its
/// record ends then.
///
/// A record may be so broken that no entry can be added to it. Then the halt stands alone: it is what
/// protects, and the log tells of it.
///
/// # Errors
/// When the database does not answer: halt again.
pub(crate) async fn halt(recorder: &Recorder, org: OrgId, broken: Broken) -> Result<u64, StoreError> {
    let Broken { code, seq } = broken;
    metrics::counter!("record_breaks_total", "code" => code).increment(1);
    tracing::error!(%org, seq, code, "the record is broken: the organization is halted");
    let store = &recorder.store;
    let (end, halted) = standing(store, org).await?;
    if halted {
        return Ok(end);
    }
    match with_entry(recorder, org, broken).await {
        Ok(end) => Ok(end),
        Err(error) => {
            tracing::error!(%error, %org, "the halt has no entry: the broken record takes none");
            without_entry(store, org).await?;
            Ok(end)
        }
    }
}

async fn standing(store: &Store, org: OrgId) -> Result<(u64, bool), StoreError> {
    let head: Option<(i64, bool)> = sqlx::query_as("SELECT seq, halted FROM heads WHERE org_id = $1")
        .bind(org.as_uuid())
        .fetch_optional(store.appender())
        .await?;
    // Without a head nothing of the organization's is let in.
    Ok(head.map_or((0, true), |(seq, halted)| (unsigned(seq), halted)))
}

async fn with_entry(recorder: &Recorder, org: OrgId, broken: Broken) -> Result<u64, RecordError> {
    let Broken { code, seq } = broken;
    let scoped = recorder.store.write(&Scope::installation(org)).await?;
    let reason = format!("the record is broken: {code} at {seq}");
    let payload = json!({ "reason": reason, "fault": { "code": code, "seq": seq } });
    let mut change =
        Change::new("organization.halted", Epoch::Bump, ("organization", org.to_string()), payload);
    change.halt = Some(Halt::Halt);
    Ok(recorder.commit(scoped, Actor::installation(), change).await?.seq())
}

async fn without_entry(store: &Store, org: OrgId) -> Result<(), StoreError> {
    let _: Option<Uuid> = sqlx::query_scalar(
        "WITH stopped AS (
             UPDATE heads SET halted = true, epoch = epoch + 1 WHERE org_id = $1 AND NOT halted
             RETURNING org_id, epoch
         ), told AS (SELECT org_id, pg_notify('chancery_epoch', org_id || ' ' || epoch) FROM stopped)
         SELECT org_id FROM told",
    )
    .bind(org.as_uuid())
    .fetch_optional(store.appender())
    .await?;
    Ok(())
}
