//! `/api/v1/intents`: asking to act.

use chancery_api::{
    Code, Execution, ExecutionStatus, IntentAnswer, IntentQuery, IntentStatus, IntentSummary, RecordRef,
    SubmitIntent,
};
use chancery_authenticate::permission::{IntentsRead, IntentsSubmit};
use chancery_decide::{Decision, Effect};
use chancery_evidence::Hex;
use chancery_execute::Prepared;
use chancery_model::{IntentId, Timestamp, ijson};
use chancery_record::evidence::{self, EvidenceError};
use chancery_record::query::{self, AskedBy, StoredEntry};
use chancery_record::releases::{self, ReleasedFor};
use chancery_record::{IdempotencyKey, Opened, Outcome, Replayed};
use chancery_screen::Draft;
use chancery_store::{Receipt, Scope};
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use crate::App;
use crate::call::{carry_out, standing};
use crate::way::{self, Carry, Request, Step};
use crate::{Answer, ApiError, Cx, Inner, Input, Json, Many, Needs, Plain, Query, Route};

/// The route in idempotency claims.
const ROUTE: &str = "intents";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/intents", submit)
            .named(
                "intents.submit",
                "Asks to act: a decision, and when it is allow a single-use token, or the act itself.",
            )
            .also(&[(
                StatusCode::ACCEPTED,
                "escalated: `approval` says what people have to do; or under way",
            )])
            .may(&[
                Code::IntentDenied,
                Code::NotExecutable,
                Code::ExecutionFailed,
                Code::OutcomeUnknown,
                Code::ConnectorUnavailable,
                Code::ConnectorBusy,
                Code::OrganizationHalted,
                Code::EnvironmentHalted,
                Code::ConnectorPaused,
                Code::IdempotencyConflict,
                Code::RecordUnavailable,
                Code::OrganizationBusy,
            ]),
        Route::get("/api/v1/intents", list).named(
            "intents.list",
            "Intents, newest first: a member sees the organization's, an agent those it asked itself.",
        ),
        Route::get("/api/v1/intents/{id}/evidence", prove)
            .named(
                "intents.evidence",
                "Everything that proves an intent, for `chancery verify` and other verifiers.",
            )
            .may(&[Code::CheckpointPending]),
    ]
}

async fn submit(cx: Cx<Needs<IntentsSubmit>, Json<SubmitIntent>>) -> Result<Answer<IntentAnswer>, ApiError> {
    let Cx { app, head, proof, input: Json(asked) } = cx;
    let idempotency = match head.idempotency_key()? {
        Some(key) => Some(IdempotencyKey {
            route: ROUTE,
            key: key.to_owned(),
            request_hash: chancery_crypto::sha256(&[ijson::canonical(&asked)
                .map_err(ApiError::internal)?
                .as_bytes()]),
        }),
        None => None,
    };
    let draft = Draft {
        action: asked.action,
        resource_type: asked.resource.r#type,
        resource_id: asked.resource.id,
        arguments: asked.arguments,
        context: asked.context,
        connector: asked.connector,
        on_behalf_of: asked.on_behalf_of,
    };
    let (scope, own) = (proof.scope().clone(), AskedBy::Principal(proof.caller().principal()));
    let carry = match (asked.execute, asked.token) {
        (true, _) => Carry::Call,
        (false, true) => Carry::Token,
        (false, false) => Carry::Nothing,
    };
    // Whether a call can be made now is no matter to one that was made before.
    if let (Carry::Call, Some(presented)) = (carry, &idempotency)
        && let Some(replayed) = app.recorder.earlier(&proof, presented).await?
    {
        return again(&app, &scope, own, replayed).await;
    }
    match way::submit(&app, proof, Request { draft, carry, idempotency }).await? {
        Step::Opened(opened) => opened_answer(*opened),
        Step::Call(opened, prepared) => called(&app, *opened, *prepared).await,
        Step::Replayed(replayed) => again(&app, &scope, own, replayed).await,
    }
}

/// Makes the call that is opened, and answers with what came of it.
pub(super) async fn called(
    app: &Arc<App>,
    opened: Opened,
    prepared: Prepared,
) -> Result<Answer<IntentAnswer>, ApiError> {
    let answer = answer_of(&opened)?;
    let execution = carry_out(app, opened, prepared).await?;
    finish(IntentAnswer { execution: Some(execution), ..answer })
}

/// An earlier request with the same idempotency key gets the same answer, with what came of it since.
async fn again(
    app: &App,
    scope: &Scope,
    own: AskedBy,
    replayed: Replayed,
) -> Result<Answer<IntentAnswer>, ApiError> {
    let intent = replayed.intent;
    let mut scoped = app.store.read(scope).await?;
    let entry = query::decision_entry(&mut scoped, intent, own).await?.ok_or_else(ApiError::not_found)?;
    let released = releases::read(&mut scoped, intent).await?;
    drop(scoped);
    let keyring = app.store.keyring();
    let payload = entry.open_decision(keyring, scope.org(), intent, own).await?.unwrap_or_default();
    let execution = match released.map(|released| released.what) {
        // What was released after an approval was not what this request asked for.
        Some(ReleasedFor::Call(call)) if payload.get("execution").is_some() => {
            let answer = call.answer(keyring, scope.org(), intent).await?;
            Some(standing(&call, answer, app.clock.now()))
        }
        _ => None,
    };
    replayed_answer(&entry, payload, execution, replayed)
}

pub(super) fn opened_answer(opened: Opened) -> Result<Answer<IntentAnswer>, ApiError> {
    let answer = answer_of(&opened)?;
    let token = opened.release().map_err(ApiError::internal)?;
    finish(IntentAnswer { token: token.map(reveal), ..answer })
}

/// What is answered of a verdict, but for its token.
fn answer_of(opened: &Opened) -> Result<IntentAnswer, ApiError> {
    let record = record_ref(opened.receipt());
    let outcome = opened.outcome();
    let expires = match outcome {
        Outcome::Minted(minted) => Some(Timestamp::from_micros(0).plus_seconds(minted.expires_at())),
        _ => None,
    };
    let (intent, decision) = (outcome.cleared().intent(), outcome.decision());
    Ok(IntentAnswer {
        id: intent.id,
        correlation_id: intent.correlation,
        status: status(decision.effect),
        decision: RawValue::from_string(opened.decision_json().to_owned()).map_err(ApiError::internal)?,
        approval: approval(decision)?,
        token: None,
        token_expires_at: expires,
        execution: None,
        record,
    })
}

fn replayed_answer(
    entry: &StoredEntry,
    payload: Value,
    execution: Option<Execution>,
    replayed: Replayed,
) -> Result<Answer<IntentAnswer>, ApiError> {
    let decision = payload.get("decision").cloned().unwrap_or(Value::Null);
    let expires = payload.pointer("/token/exp").and_then(Value::as_i64);
    let requirements = decision.get("requirements").cloned().unwrap_or_default();
    let status = status_of(&entry.kind);
    finish(IntentAnswer {
        id: replayed.intent,
        correlation_id: replayed.intent.into(),
        status,
        decision: to_raw_value(&decision).map_err(ApiError::internal)?,
        approval: (status == IntentStatus::Escalated)
            .then(|| json!({"status": "pending", "requirements": requirements})),
        token_expires_at: expires.map(|end| Timestamp::from_micros(0).plus_seconds(end)),
        execution,
        record: record_ref(&replayed.receipt),
        token: replayed.token.map(reveal),
    })
}

/// The token leaves the server here and nowhere else.
pub(super) fn reveal(token: SecretString) -> String {
    token.expose_secret().to_owned()
}

pub(super) fn finish(answer: IntentAnswer) -> Result<Answer<IntentAnswer>, ApiError> {
    let failed = |answer: &IntentAnswer, code, message| Err(ApiError::new(code, message).with(answer));
    match answer.execution.as_ref().map(|execution| execution.status) {
        Some(ExecutionStatus::Open) => return Ok(Answer::read(answer).with_status(StatusCode::ACCEPTED)),
        Some(ExecutionStatus::Failed) => {
            let message = "the system did not do it; `data` says what it answered";
            return failed(&answer, Code::ExecutionFailed, message);
        }
        Some(ExecutionStatus::OutcomeUnknown) => {
            return failed(&answer, Code::OutcomeUnknown, "nobody knows whether the system did it");
        }
        Some(ExecutionStatus::Succeeded) | None => {}
    }
    match answer.status {
        IntentStatus::Allowed => Ok(Answer::read(answer)),
        IntentStatus::Escalated => Ok(Answer::read(answer).with_status(StatusCode::ACCEPTED)),
        IntentStatus::Denied => failed(&answer, Code::IntentDenied, "the intent is denied; `data` says why"),
    }
}

fn approval(decision: &Decision) -> Result<Option<Value>, ApiError> {
    if decision.effect != Effect::Escalate {
        return Ok(None);
    }
    let requirements = serde_json::to_value(&decision.requirements).map_err(ApiError::internal)?;
    Ok(Some(json!({"status": "pending", "requirements": requirements})))
}

const fn status(effect: Effect) -> IntentStatus {
    match effect {
        Effect::Allow => IntentStatus::Allowed,
        Effect::Escalate => IntentStatus::Escalated,
        Effect::Deny => IntentStatus::Denied,
    }
}

pub(super) fn status_of(word: &str) -> IntentStatus {
    match word {
        "allow" | "intent.allowed" => IntentStatus::Allowed,
        "escalate" | "intent.escalated" => IntentStatus::Escalated,
        _ => IntentStatus::Denied,
    }
}

fn record_ref(receipt: &Receipt) -> RecordRef {
    RecordRef { seq: receipt.seq(), entry_hash: Hex(*receipt.entry_hash()).to_string() }
}

/// Whose intents the caller sees.
pub(super) fn seen<G: Inner, I: Input>(cx: &Cx<G, I>) -> AskedBy {
    AskedBy::seen_by(cx.entered().caller().principal())
}

async fn list(cx: Cx<Needs<IntentsRead>, Query<IntentQuery>>) -> Result<Many<IntentSummary>, ApiError> {
    let asked = &cx.input.0;
    let (limit, before) = crate::input::window::<IntentId>(asked.limit, asked.cursor.as_deref())?;
    let effect = asked.status.map(|status| match status {
        IntentStatus::Allowed => "allow",
        IntentStatus::Escalated => "escalate",
        IntentStatus::Denied => "deny",
    });
    let mut scoped = cx.read().await?;
    let found = query::intents(&mut scoped, seen(&cx), effect, before, limit).await?;
    Ok(Many::page(found.into_iter().map(summary).collect(), limit, |intent| intent.id))
}

fn summary(intent: query::IntentSummary) -> IntentSummary {
    IntentSummary {
        id: intent.id,
        status: status_of(&intent.effect),
        principal_type: intent.principal_kind,
        principal_id: intent.principal_id,
        action: intent.action,
        resource_type: intent.resource_type,
        risk: intent.risk,
        environment: intent.environment,
        created_at: intent.created_at,
    }
}

/// How often, and how far apart, a bundle is tried while its newest entry waits for a checkpoint.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

async fn prove(cx: Cx<Needs<IntentsRead>>) -> Result<Plain, ApiError> {
    let id: IntentId = cx.param("id")?;
    for _ in 0..TRIES {
        match bundle(&cx, id).await {
            Err(EvidenceError::Pending) => tokio::time::sleep(PAUSE).await,
            Ok(bundle) => {
                let bundle = bundle.ok_or_else(ApiError::not_found)?;
                let text = serde_json::to_vec_pretty(&bundle).map_err(ApiError::internal)?;
                return Ok(Plain::new("application/json", text));
            }
            Err(EvidenceError::Keyring(error)) => return Err(error.into()),
            Err(EvidenceError::Store(error)) => return Err(error.into()),
            Err(error @ EvidenceError::Broken(_)) => return Err(ApiError::internal(error)),
        }
    }
    Err(ApiError::new(Code::CheckpointPending, "the newest entry is not under a checkpoint yet; try again")
        .retry_after(1))
}

async fn bundle<G: Inner, I: Input>(
    cx: &Cx<G, I>,
    id: IntentId,
) -> Result<Option<chancery_evidence::Bundle>, EvidenceError> {
    let mut scoped = cx.app.store.read(cx.entered().scope()).await?;
    evidence::assemble(&cx.app.store, &mut scoped, id, seen(cx), cx.app.clock.now()).await
}
