//! `/api/v1/intents`: asking to act.

use chancery_api::{Code, IntentAnswer, IntentQuery, IntentStatus, IntentSummary, RecordRef, SubmitIntent};
use chancery_authenticate::permission::{IntentsRead, IntentsSubmit};
use chancery_decide::{Decision, Effect};
use chancery_evidence::Hex;
use chancery_model::{IntentId, Timestamp, ijson};
use chancery_record::evidence::{self, EvidenceError};
use chancery_record::query::{self, AskedBy, StoredEntry};
use chancery_record::{IdempotencyKey, Opened, Opening, Outcome, Replayed};
use chancery_screen::Draft;
use chancery_store::Receipt;
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::time::Duration;

use crate::way::{self, Request};
use crate::{Answer, ApiError, Cx, Inner, Input, Json, Many, Needs, Plain, Query, Route};

/// The route in idempotency claims.
const ROUTE: &str = "intents";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/intents", submit)
            .named("intents.submit", "Asks to act: a decision, and a single-use token when it is allow.")
            .also(&[(StatusCode::ACCEPTED, "escalated: `approval` says what people have to do")])
            .may(&[
                Code::IntentDenied,
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
    match way::submit(&app, proof, Request { draft, token: asked.token, idempotency }).await? {
        Opening::Opened(opened) => opened_answer(*opened),
        Opening::Replayed(replayed) => {
            let mut scoped = app.store.read(&scope).await?;
            let entry = query::decision_entry(&mut scoped, replayed.intent, own).await?;
            drop(scoped);
            let entry = entry.ok_or_else(ApiError::not_found)?;
            let keyring = app.store.keyring();
            let payload = entry.open_decision(keyring, scope.org(), replayed.intent, own).await?;
            replayed_answer(&entry, payload.unwrap_or_default(), replayed)
        }
    }
}

pub(super) fn opened_answer(opened: Opened) -> Result<Answer<IntentAnswer>, ApiError> {
    let record = record_ref(opened.receipt());
    let outcome = opened.outcome();
    let expires = match outcome {
        Outcome::Minted(minted) => Some(Timestamp::from_micros(0).plus_seconds(minted.expires_at())),
        _ => None,
    };
    let (intent, decision) = (outcome.cleared().intent(), outcome.decision());
    let answer = IntentAnswer {
        id: intent.id,
        correlation_id: intent.correlation,
        status: status(decision.effect),
        decision: RawValue::from_string(opened.decision_json().to_owned()).map_err(ApiError::internal)?,
        approval: approval(decision)?,
        token: None,
        token_expires_at: expires,
        execution: None,
        record,
    };
    let token = opened.release().map_err(ApiError::internal)?;
    finish(IntentAnswer { token: token.map(reveal), ..answer })
}

/// An earlier request with the same idempotency key gets the same answer.
fn replayed_answer(
    entry: &StoredEntry,
    payload: Value,
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
        execution: None,
        record: record_ref(&replayed.receipt),
        token: replayed.token.map(reveal),
    })
}

/// The token leaves the server here and nowhere else.
pub(super) fn reveal(token: SecretString) -> String {
    token.expose_secret().to_owned()
}

fn finish(answer: IntentAnswer) -> Result<Answer<IntentAnswer>, ApiError> {
    match answer.status {
        IntentStatus::Allowed => Ok(Answer::read(answer)),
        IntentStatus::Escalated => Ok(Answer::read(answer).with_status(StatusCode::ACCEPTED)),
        IntentStatus::Denied => {
            let data = serde_json::to_value(&answer).map_err(ApiError::internal)?;
            Err(ApiError::new(Code::IntentDenied, "the intent is denied; `data` says why").with(data))
        }
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
