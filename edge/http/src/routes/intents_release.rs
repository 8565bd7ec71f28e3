//! `/api/v1/intents/{id}/…`: what whoever asked does with an escalated intent.

use chancery_api::{
    AnswerTaken, Answering, ApprovalStatus, Code, IntentAnswer, IntentStatus, RecordRef, ReleaseIntent,
};
use chancery_approve::{Agreed, AnswerError, State, agreed};
use chancery_authenticate::permission::IntentsSubmit;
use chancery_evidence::Hex;
use chancery_mint::UnverifiedToken;
use chancery_model::{IntentId, Timestamp};
use chancery_record::query::{self, AskedBy};
use chancery_record::releases::{self, Released, ReleasedFor};
use chancery_record::{Outcome, grounds};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::intents::{called, finish, opened_answer, reveal};
use crate::call::standing;
use crate::way::{self, Approved, Carry, Step};
use crate::{Answer, ApiError, Cx, Json, Needs, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/intents/{id}/token", token)
            .named(
                "intents.token",
                "The token of an escalated intent that people agreed to: it is decided on again first.",
            )
            .may(RELEASING),
        Route::post("/api/v1/intents/{id}/execute", execute)
            .named(
                "intents.execute",
                "Executes an escalated intent that people agreed to: it is decided on again first.",
            )
            .also(&[(StatusCode::ACCEPTED, "it is under way")])
            .may(EXECUTING),
        Route::post("/api/v1/intents/{id}/cancel", cancel)
            .named("intents.cancel", "Takes an escalated intent back, while nothing was released.")
            .may(&[Code::IntentNotEscalated, Code::ApprovalEnded, Code::IntentReleased]),
    ]
}

const RELEASING: &[Code] = &[
    Code::IntentDenied,
    Code::OrganizationHalted,
    Code::EnvironmentHalted,
    Code::ConnectorPaused,
    Code::IntentNotEscalated,
    Code::ApprovalPending,
    Code::ApprovalEnded,
    Code::IntentChanged,
    Code::IntentReleased,
    Code::Erased,
    Code::RecordUnavailable,
];

const EXECUTING: &[Code] = &[
    Code::IntentDenied,
    Code::OrganizationHalted,
    Code::EnvironmentHalted,
    Code::ConnectorPaused,
    Code::IntentNotEscalated,
    Code::ApprovalPending,
    Code::ApprovalEnded,
    Code::IntentChanged,
    Code::IntentReleased,
    Code::NotExecutable,
    Code::Erased,
    Code::ExecutionFailed,
    Code::RecordUnavailable,
    Code::ConnectorUnavailable,
    Code::ConnectorBusy,
    Code::OutcomeUnknown,
];

async fn token(cx: Cx<Needs<IntentsSubmit>, Json<ReleaseIntent>>) -> Result<Answer<IntentAnswer>, ApiError> {
    let found = find(&cx).await?;
    if let Some(released) = &found.released {
        return again(&cx, &found, released).await;
    }
    release(cx, found, Carry::Token).await
}

async fn execute(
    cx: Cx<Needs<IntentsSubmit>, Json<ReleaseIntent>>,
) -> Result<Answer<IntentAnswer>, ApiError> {
    let found = find(&cx).await?;
    if let Some(released) = &found.released {
        return executed(&cx, &found, released).await;
    }
    release(cx, found, Carry::Call).await
}

async fn release(
    cx: Cx<Needs<IntentsSubmit>, Json<ReleaseIntent>>,
    found: Found,
    carry: Carry,
) -> Result<Answer<IntentAnswer>, ApiError> {
    let Cx { app, proof, .. } = cx;
    let opened = match way::release(&app, proof, &found.approved()?, carry).await? {
        Step::Call(opened, prepared) => return called(&app, *opened, *prepared).await,
        Step::Opened(opened) => opened,
        Step::Replayed(_) => return Err(ApiError::internal("a release has no idempotency key")),
    };
    match opened.outcome() {
        // More is asked for now than people agreed to: it stands in the record, and releases nothing.
        Outcome::Escalation(escalation) => {
            let decision = escalation.decision();
            let message = "more people have to agree than did; `data` says who";
            Err(ApiError::new(Code::IntentDenied, message).with(&json!({ "decision": decision })))
        }
        _ => opened_answer(*opened),
    }
}

/// What is there of an intent that its requester wants to have released.
struct Found {
    intent: IntentId,
    recorded: Value,
    agreed: Result<Agreed, State>,
    released: Option<Released>,
}

impl Found {
    fn approved(self) -> Result<Approved, ApiError> {
        match self.agreed {
            Ok(agreed) => Ok(Approved { intent: self.intent, recorded: self.recorded, agreed }),
            Err(State::Pending) => {
                Err(ApiError::new(Code::ApprovalPending, "people have not answered enough yet"))
            }
            Err(state) => Err(AnswerError::Ended(state).into()),
        }
    }
}

/// Reads the intent as it was recorded, which only whoever asked can release.
async fn find(cx: &Cx<Needs<IntentsSubmit>, Json<ReleaseIntent>>) -> Result<Found, ApiError> {
    let intent: IntentId = cx.param("id")?;
    let own = AskedBy::Principal(cx.caller().principal());
    let mut scoped = cx.read().await?;
    let entry = query::decision_entry(&mut scoped, intent, own).await?.ok_or_else(ApiError::not_found)?;
    let agreed = match agreed(&mut scoped, intent, cx.app.clock.now()).await {
        Ok(Some(agreed)) => Ok(agreed),
        Ok(None) => {
            return Err(ApiError::new(Code::IntentNotEscalated, "the intent was not escalated"));
        }
        Err(AnswerError::Ended(state)) => Err(state),
        Err(error) => return Err(error.into()),
    };
    // In this order: a release that another server is making is seen in the row, if the entry is seen.
    let grounds = grounds(&mut scoped, intent).await?;
    let released = releases::read(&mut scoped, intent).await?;
    drop(scoped);
    let payload = entry.open_decision(cx.keyring(), cx.org(), intent, own).await?;
    let payload = payload.ok_or_else(|| ApiError::new(Code::Erased, "the intent was erased"))?;
    let recorded = payload.get("intent").cloned().unwrap_or_default();
    // To a key of the other environment it does not exist: what is live is not for a test key.
    let environment = recorded.get("environment").and_then(Value::as_str);
    if environment != Some(cx.caller().record().environment.as_str()) {
        return Err(ApiError::not_found());
    }
    compare(&recorded, &cx.input.0)?;
    if let (Ok(agreed), None) = (&agreed, &released)
        && !grounds.bear(cx.keyring(), (cx.org(), intent), agreed, cx.app.clock.now()).await?
    {
        metrics::counter!("record_groundless_approvals_total").increment(1);
        return Err(ApiError::internal("who agreed, or that nothing was released, the record does not tell"));
    }
    Ok(Found { intent, recorded, agreed, released })
}

/// What is sent along must be what was approved: it is compared, and nothing of it is taken.
fn compare(recorded: &Value, sent: &ReleaseIntent) -> Result<(), ApiError> {
    let differs = |pointer: &str, sent: Option<Value>| {
        sent.is_some_and(|sent| recorded.pointer(pointer) != Some(&sent))
    };
    let resource = sent.resource.as_ref();
    let parts = [
        ("action", "/canonical/action", sent.action.clone().map(Value::from)),
        ("resource.type", "/canonical/resource/type", resource.map(|it| Value::from(it.r#type.clone()))),
        ("resource.id", "/canonical/resource/id", resource.map(|it| Value::from(it.id.clone()))),
        ("arguments", "/canonical/arguments", sent.arguments.clone().map(canonical).transpose()?),
    ];
    for (field, pointer, sent) in parts {
        if differs(pointer, sent) {
            return Err(
                ApiError::new(Code::IntentChanged, format!("`{field}` is not what was approved")).at(field)
            );
        }
    }
    Ok(())
}

/// Numbers written differently are the same number: both sides are compared as the record writes them.
fn canonical(arguments: Value) -> Result<Value, ApiError> {
    let text = chancery_model::ijson::canonical(&arguments)
        .map_err(|error| ApiError::invalid("arguments", error.message))?;
    serde_json::from_str(&text).map_err(ApiError::internal)
}

/// An approval releases one token. Whoever asks again while it is good gets the same one: the first answer
/// may not have arrived.
async fn again(
    cx: &Cx<Needs<IntentsSubmit>, Json<ReleaseIntent>>,
    found: &Found,
    released: &Released,
) -> Result<Answer<IntentAnswer>, ApiError> {
    let over = || ApiError::new(Code::IntentReleased, "the intent was released before");
    let ReleasedFor::Token(sealed) = &released.what else { return Err(over()) };
    let token = releases::open_token(cx.keyring(), cx.org(), found.intent, sealed).await?;
    let expires_at = UnverifiedToken::parse(token.expose_secret()).map_err(ApiError::internal)?.expires_at();
    let expires_at = Timestamp::from_micros(0).plus_seconds(expires_at);
    if expires_at <= cx.app.clock.now() {
        return Err(over());
    }
    let answer = released_answer(cx, found, released).await?;
    let (token, token_expires_at) = (Some(reveal(token)), Some(expires_at));
    Ok(Answer::read(IntentAnswer { token, token_expires_at, ..answer }))
}

/// An approval is executed once. Whoever asks again is told what came of it.
async fn executed(
    cx: &Cx<Needs<IntentsSubmit>, Json<ReleaseIntent>>,
    found: &Found,
    released: &Released,
) -> Result<Answer<IntentAnswer>, ApiError> {
    let ReleasedFor::Call(call) = &released.what else {
        return Err(ApiError::new(Code::IntentReleased, "the intent was released before, as a token"));
    };
    let content = call.answer(cx.keyring(), cx.org(), found.intent).await?;
    let execution = Some(standing(call, content, cx.app.clock.now()));
    finish(IntentAnswer { execution, ..released_answer(cx, found, released).await? })
}

/// What was answered when the intent was released, but for the token and what came of the call.
async fn released_answer(
    cx: &Cx<Needs<IntentsSubmit>, Json<ReleaseIntent>>,
    found: &Found,
    released: &Released,
) -> Result<IntentAnswer, ApiError> {
    let mut scoped = cx.read().await?;
    let entry = query::entry(&mut scoped, released.seq).await?.ok_or_else(ApiError::not_found)?;
    drop(scoped);
    let payload = entry.open(cx.keyring(), cx.org()).await?.map(|opened| opened.payload).unwrap_or_default();
    let decision = payload.get("decision").cloned().unwrap_or_default();
    Ok(IntentAnswer {
        id: found.intent,
        correlation_id: found.intent.into(),
        status: IntentStatus::Allowed,
        decision: to_raw_value(&decision).map_err(ApiError::internal)?,
        approval: None,
        token: None,
        token_expires_at: None,
        execution: None,
        record: RecordRef { seq: entry.seq, entry_hash: Hex(entry.entry_hash).to_string() },
    })
}

async fn cancel(cx: Cx<Needs<IntentsSubmit>, Json<Answering>>) -> Result<Answer<AnswerTaken>, ApiError> {
    let id: IntentId = cx.param("id")?;
    let own = AskedBy::Principal(cx.caller().principal());
    let mut scoped = cx.read().await?;
    query::decision_entry(&mut scoped, id, own).await?.ok_or_else(ApiError::not_found)?;
    drop(scoped);
    let mut scoped = cx.write().await?;
    // Releasing takes the head: who holds it knows what is released until the transaction ends.
    chancery_record::hold_head(&mut scoped).await?;
    if releases::read(&mut scoped, id).await?.is_some() {
        return Err(ApiError::new(Code::IntentReleased, "the intent was released before"));
    }
    let words = (cx.input.0.reason.as_str(), cx.app.clock.now());
    let environment = cx.caller().record().environment;
    let change = chancery_approve::cancel(&mut scoped, (id, environment), words)
        .await?
        .ok_or_else(|| ApiError::new(Code::IntentNotEscalated, "the intent was not escalated"))?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(AnswerTaken { id, status: ApprovalStatus::Cancelled }, &receipt))
}
