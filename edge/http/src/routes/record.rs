//! `/api/v1/record`: reading and verifying the record.

use chancery_api::{Code, RecordEntry, RecordFault, RecordQuery, RecordVerification};
use chancery_authenticate::permission::RecordRead;
use chancery_evidence::{Checkpoint, Hex, origin};
use chancery_record::evidence;
use chancery_record::query::{self, Filter, StoredEntry};
use chancery_record::verify::{Depth, verify_organization};
use serde_json::Value;
use tokio::time::Instant;

use crate::{Answer, ApiError, Cx, Many, Needs, Plain, Query, Route, Witness};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/record", list)
            .named("record.list", "Entries of the record, newest first, opened."),
        Route::get("/api/v1/record/verify", verify).named(
            "record.verify",
            "Verifies the organization's record: chain, tree, checkpoints, payloads, lists. A record too long \
             for one request is read as far as time allows: `complete` says whether it was read whole.",
        )
        .may(&[Code::VerificationRunning]),
        Route::get("/api/v1/record/checkpoint", checkpoint)
            .named("record.checkpoint", "The newest signed checkpoint (C2SP tlog-checkpoint).")
            .may(&[Code::CheckpointPending]),
    ]
}

async fn list(cx: Cx<Needs<RecordRead>, Query<RecordQuery>>) -> Result<Many<RecordEntry>, ApiError> {
    let asked = &cx.input.0;
    let (limit, before) = crate::input::window::<u64>(asked.limit, asked.cursor.as_deref())?;
    let filter = Filter { correlation: asked.correlation_id, kind: asked.r#type.clone(), before, limit };
    let mut scoped = cx.read().await?;
    let found = query::entries(&mut scoped, &filter).await?;
    drop(scoped);
    let mut entries = Vec::with_capacity(found.len());
    for entry in found {
        entries.push(view(&cx, entry).await?);
    }
    Ok(Many::page(entries, limit, |entry| entry.seq))
}

async fn view(
    cx: &Cx<Needs<RecordRead>, Query<RecordQuery>>,
    entry: StoredEntry,
) -> Result<RecordEntry, ApiError> {
    let payload = entry.open(cx.keyring(), cx.org()).await?.map_or(Value::Null, |opened| opened.payload);
    Ok(RecordEntry {
        seq: entry.seq,
        time: entry.time,
        refs: entry.refs_value(),
        r#type: entry.kind,
        correlation_id: entry.correlation,
        payload,
        commitment: Hex(entry.commitment).to_string(),
        leaf_hash: Hex(entry.leaf_hash).to_string(),
        entry_hash: Hex(entry.entry_hash).to_string(),
    })
}

async fn verify(cx: Cx<Needs<RecordRead>>) -> Result<Answer<RecordVerification>, ApiError> {
    cx.confirm().await?;
    let Witness { key, outside, turn } = &cx.app.witness;
    let _turn = turn.try_acquire().map_err(|_| {
        ApiError::new(Code::VerificationRunning, "a record is being verified; try again").retry_after(5)
    })?;
    let outside: Vec<Checkpoint> = outside.of(&origin(key.name(), cx.org())).into_iter().collect();
    let until = Instant::now() + cx.app.bounds.request_time / 2;
    let depth = Depth { until: Some(until), ..Depth::whole(&outside) };
    let found = verify_organization(&cx.app.store, key, cx.org(), depth, |_, _| {}).await?;
    Ok(Answer::read(RecordVerification {
        complete: found.complete,
        intact: found.is_intact(),
        entries: found.entries,
        shredded: found.shredded,
        checkpoint: found.checkpoint,
        faults: found
            .faults
            .into_iter()
            .map(|fault| RecordFault { code: fault.code.to_owned(), seq: fault.seq })
            .collect(),
    }))
}

async fn checkpoint(cx: Cx<Needs<RecordRead>>) -> Result<Plain, ApiError> {
    let mut scoped = cx.read().await?;
    let (_, note) = evidence::newest_checkpoint(&mut scoped).await?.ok_or_else(|| {
        ApiError::new(Code::CheckpointPending, "there is no checkpoint yet; try again").retry_after(1)
    })?;
    Ok(Plain::new("text/plain; charset=utf-8", note))
}
