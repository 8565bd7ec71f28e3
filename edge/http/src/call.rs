//! Making a call that stands in the record as opened, and closing it: in a task of its own, which no client
//! that goes away and no slow answer ends.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_api::{Code, Execution, ExecutionStatus};
use chancery_approve::Told;
use chancery_execute::{Finished, PrepareError, Prepared, ProbeError};
use chancery_model::Timestamp;
use chancery_record::Conclusion;
use chancery_record::releases::{Call, CallOutcome};
use chancery_record::{Opened, RecordError};
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};

use crate::{ApiError, App, foreign};

/// What is left of a request's time for its answer.
pub(crate) const ANSWERING: Duration = Duration::from_secs(2);
/// How often closing is tried while the record does not answer, and with which pause: less than the time
/// after which the outcome counts as unknown.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Makes a call and closes it. If that takes longer than a request may, the answer is that it is under way.
pub(crate) async fn carry_out(
    app: &Arc<App>,
    opened: Opened,
    prepared: Prepared,
) -> Result<Execution, ApiError> {
    let terms = prepared.terms();
    let engaged = opened.engage().ok_or_else(|| ApiError::internal("a call was not opened as one"))?;
    let task = {
        let app = Arc::clone(app);
        app.calls.clone().spawn(async move {
            let finished = app.executor.run(engaged, prepared).await;
            close(&app, finished).await
        })
    };
    match timeout(app.bounds.request_time.saturating_sub(ANSWERING), task).await {
        Ok(Ok(closed)) => closed,
        Ok(Err(_)) => Err(ApiError::internal("the task of a call ended")),
        Err(_) => Ok(execution(terms.connector.as_str(), ExecutionStatus::Open)),
    }
}

/// Records how a call ended. What came back is told only once that stands.
async fn close(app: &App, finished: Finished) -> Result<Execution, ApiError> {
    let Finished { engaged, conclusion } = finished;
    let cleared = engaged.cleared();
    let told = Told { org: cleared.caller().org(), intent: cleared.intent().id };
    let mut tries = 0;
    let receipt = loop {
        tries += 1;
        match app.recorder.close_call(&engaged, &conclusion).await {
            Ok(receipt) => break receipt,
            Err(RecordError::Released) => {
                tracing::error!(org = %told.org, intent = %told.intent,
                    "a call ended after its outcome was recorded as unknown");
                return Ok(execution(engaged.connector().as_str(), ExecutionStatus::OutcomeUnknown));
            }
            Err(error) if tries < TRIES => {
                tracing::warn!(%error, "how a call ended is recorded later");
                sleep(PAUSE).await;
            }
            Err(error) => {
                tracing::error!(%error, org = %told.org, intent = %told.intent, "how a call ended is not recorded");
                // Whatever it was, also what else a request is run again for: the call was made.
                return Err(RecordError::Unavailable.into());
            }
        }
    };
    // Other servers hear of it with the commit.
    app.waits.wake(told);
    Ok(concluded(engaged.connector().as_str(), conclusion, receipt.time()))
}

fn execution(connector: &str, status: ExecutionStatus) -> Execution {
    Execution {
        connector: connector.to_owned(),
        status,
        http_status: None,
        code: None,
        answer: None,
        answer_base64: None,
        closed_at: None,
    }
}

fn concluded(connector: &str, conclusion: Conclusion, at: Timestamp) -> Execution {
    let (answer, answer_base64) = content(conclusion.answer);
    Execution {
        http_status: conclusion.status,
        code: conclusion.code.map(str::to_owned),
        answer,
        answer_base64,
        closed_at: Some(at),
        ..execution(connector, status(Some(conclusion.outcome)))
    }
}

const fn status(outcome: Option<CallOutcome>) -> ExecutionStatus {
    match outcome {
        None => ExecutionStatus::Open,
        Some(CallOutcome::Succeeded) => ExecutionStatus::Succeeded,
        Some(CallOutcome::Failed) => ExecutionStatus::Failed,
        Some(CallOutcome::Unknown) => ExecutionStatus::OutcomeUnknown,
    }
}

/// What came back: as JSON, or else as base64.
fn content(answer: Option<Vec<u8>>) -> (Option<Box<RawValue>>, Option<String>) {
    let Some(bytes) = answer else { return (None, None) };
    match foreign::json(bytes) {
        Ok(json) => (Some(json), None),
        Err(bytes) => (None, Some(BASE64.encode(&bytes))),
    }
}

/// How a call stands, with what came back.
pub(crate) fn standing(call: &Call, answer: Option<Vec<u8>>, now: Timestamp) -> Execution {
    let (answer, answer_base64) = content(answer);
    Execution {
        http_status: call.status,
        answer,
        answer_base64,
        closed_at: call.closed_at,
        ..execution(&call.connector, status(call.outcome_at(now)))
    }
}

impl From<PrepareError> for ApiError {
    fn from(error: PrepareError) -> Self {
        let text = error.to_string();
        match error {
            PrepareError::Unnamed => Self::invalid("connector", "name the connector that executes it"),
            PrepareError::Unknown | PrepareError::Uncredentialed | PrepareError::Render(_) => {
                Self::new(Code::NotExecutable, text).at("connector")
            }
            PrepareError::Open { .. } => {
                Self::new(Code::ConnectorUnavailable, text).at("connector").retry_after(30)
            }
            PrepareError::Full => Self::new(Code::ConnectorBusy, text).at("connector").retry_after(1),
            PrepareError::Credential(error) => error.into(),
            PrepareError::Store(error) => error.into(),
        }
    }
}

impl From<ProbeError> for ApiError {
    fn from(error: ProbeError) -> Self {
        let text = error.to_string();
        match error {
            ProbeError::Unknown | ProbeError::Untestable | ProbeError::Uncredentialed => {
                Self::new(Code::NotExecutable, text)
            }
            ProbeError::Credential(error) => error.into(),
            ProbeError::Store(error) => error.into(),
        }
    }
}
