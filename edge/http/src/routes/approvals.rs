//! `/api/v1/approvals`: the inbox of escalated intents, and answering them.

use std::collections::HashMap;

use chancery_api::{AnswerTaken, Answering, Approval, ApprovalQuery, Code, RecordRef, Requirement};
use chancery_approve::{
    Answer as Given, Approver, Demand, Escalation, State, answer, answers, list as escalations, read,
};
use chancery_authenticate::permission::{ApprovalsDecide, ApprovalsRead};
use chancery_evidence::Hex;
use chancery_model::{IntentId, Principal, PrincipalId, Timestamp};
use chancery_record::query::{self, AskedBy, StoredEntry};
use chancery_record::releases::{self, Noted};
use serde_json::Value;

use super::intents_show::{approval, status};
use super::named::{self, Names};
use crate::{Answer, ApiError, Cx, Inner, Input, Json, Many, Needs, Query, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/approvals", list)
            .named("approvals.list", "Escalated intents, newest first: those that wait for people, or all."),
        Route::get("/api/v1/approvals/{id}", show)
            .named("approvals.show", "One escalated intent, with all that is needed to answer it."),
        Route::post("/api/v1/approvals/{id}/approve", approve)
            .named("approvals.approve", "Agrees to exactly this intent.")
            .may(ANSWERING),
        Route::post("/api/v1/approvals/{id}/reject", reject)
            .named("approvals.reject", "Refuses the intent: one refusal ends it.")
            .may(ANSWERING),
        Route::post("/api/v1/approvals/{id}/withdraw", withdraw)
            .named("approvals.withdraw", "Takes one's own answer back, while others are still needed.")
            .may(&[Code::MemberRequired, Code::ApprovalEnded, Code::NotAnswered]),
    ]
}

const ANSWERING: &[Code] = &[
    Code::MemberRequired,
    Code::SelfApproval,
    Code::ApproverRequired,
    Code::ApproverNotDistinct,
    Code::ApprovalEnded,
    Code::AlreadyAnswered,
];

/// How many the inbox shows, and at most: each is unsealed.
const SHOWN: u32 = 50;
const MOST: u32 = 200;

async fn list(cx: Cx<Needs<ApprovalsRead>, Query<ApprovalQuery>>) -> Result<Many<Approval>, ApiError> {
    let asked = &cx.input.0;
    let limit = asked.limit.unwrap_or(SHOWN);
    if limit > MOST {
        return Err(ApiError::new(Code::QueryInvalid, format!("`limit` is at most {MOST}")).at("limit"));
    }
    let (limit, before) = crate::input::window::<IntentId>(Some(limit), asked.cursor.as_deref())?;
    let pending_at = (!asked.ended).then(|| cx.app.clock.now());
    let mut scoped = cx.read().await?;
    let found = escalations(&mut scoped, pending_at, before, limit).await?;
    let seen = open(&cx, scoped, found).await?;
    Ok(Many::page(seen, limit, |approval| approval.id))
}

async fn show(cx: Cx<Needs<ApprovalsRead>>) -> Result<Answer<Approval>, ApiError> {
    let id: IntentId = cx.param("id")?;
    let mut scoped = cx.read().await?;
    let found = read(&mut scoped, id).await?.ok_or_else(ApiError::not_found)?;
    let seen = open(&cx, scoped, vec![found]).await?.pop();
    Ok(Answer::read(seen.ok_or_else(ApiError::not_found)?))
}

/// Escalations with what is asked, unsealed.
async fn open<G: Inner, I: Input>(
    cx: &Cx<G, I>,
    mut scoped: chancery_store::Scoped<chancery_store::Read>,
    found: Vec<Escalation>,
) -> Result<Vec<Approval>, ApiError> {
    let ids: Vec<IntentId> = found.iter().map(|escalation| escalation.intent).collect();
    let given = answers(&mut scoped, &ids).await?;
    let agreed = |it: &&Escalation| matches!(it.state, State::Approved { .. });
    let agreed: Vec<IntentId> = found.iter().filter(agreed).map(|it| it.intent).collect();
    let released = if agreed.is_empty() { Vec::new() } else { releases::noted(&mut scoped, &agreed).await? };
    let people = given.iter().map(|one| Principal::Member(one.member));
    let people: Vec<Principal> = found.iter().map(|it| it.requester).chain(people).collect();
    let names = named::rows(&mut scoped, &people).await?;
    let seqs: Vec<i64> = found.iter().map(|escalation| escalation.seq).collect();
    let entries = query::entries_at(&mut scoped, &seqs).await?;
    drop(scoped);
    let mut entries: HashMap<u64, StoredEntry> =
        entries.into_iter().map(|entry| (entry.seq, entry)).collect();
    let names = names.open(cx.keyring()).await?;
    let reader = cx.entered().caller().principal().id();
    let around = Around { given, released, names, reader, now: cx.app.clock.now() };
    let mut seen = Vec::with_capacity(found.len());
    for escalation in found {
        let entry = u64::try_from(escalation.seq).ok().and_then(|seq| entries.remove(&seq));
        let entry = entry.ok_or_else(|| ApiError::internal("an escalation has no entry"))?;
        let (org, intent) = (cx.entered().org(), escalation.intent);
        let payload = entry.open_decision(cx.keyring(), org, intent, AskedBy::Anyone).await?;
        seen.push(around.seen(&escalation, &entry, &payload.unwrap_or_default()));
    }
    Ok(seen)
}

/// What stands beside the decisions of escalations.
struct Around {
    given: Vec<chancery_approve::Given>,
    released: Vec<Noted>,
    names: Names,
    reader: PrincipalId,
    now: Timestamp,
}

impl Around {
    fn seen(&self, escalation: &Escalation, entry: &StoredEntry, payload: &Value) -> Approval {
        let released = self.released.iter().find(|noted| noted.intent == escalation.intent).copied();
        let mut state = approval(escalation, &self.given, released, self.now);
        for given in &mut state.answers {
            given.member_name = self.names.of(given.member_id.into());
        }
        let part = |pointer: &str| payload.pointer(pointer).cloned().unwrap_or_default();
        let required = |demand: &Demand| Requirement { approvals: demand.approvals, role: demand.role };
        Approval {
            id: escalation.intent,
            state,
            requester: part("/principal"),
            requester_name: self.names.of(escalation.requester.id()),
            intent: part("/intent"),
            reasons: part("/decision/reasons"),
            risk: part("/decision/risk"),
            requirements: escalation.demands.iter().map(required).collect(),
            own: escalation.behind.iter().any(|member| PrincipalId::from(*member) == self.reader),
            requested_at: escalation.requested_at,
            record: RecordRef { seq: entry.seq, entry_hash: Hex(entry.entry_hash).to_string() },
        }
    }
}

type Answers = Cx<Needs<ApprovalsDecide>, Json<Answering>>;

async fn approve(cx: Answers) -> Result<Answer<AnswerTaken>, ApiError> {
    give(&cx, Given::Approve).await
}

async fn reject(cx: Answers) -> Result<Answer<AnswerTaken>, ApiError> {
    give(&cx, Given::Reject).await
}

/// Who answers: a person, with the key they hold.
fn approver(cx: &Answers) -> Result<Approver, ApiError> {
    let member = cx.member()?;
    let record = cx.caller().record();
    Ok(Approver { member, key: record.id, environment: record.environment })
}

async fn give(cx: &Answers, given: Given) -> Result<Answer<AnswerTaken>, ApiError> {
    let id: IntentId = cx.param("id")?;
    let words = (cx.input.0.reason.as_str(), cx.app.clock.now());
    let approver = approver(cx)?;
    let mut scoped = cx.write().await?;
    let taken = answer(&mut scoped, id, approver, given, words).await?;
    let (answered, change) = taken.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(AnswerTaken { id, status: status(answered.state) }, &receipt))
}

async fn withdraw(cx: Answers) -> Result<Answer<AnswerTaken>, ApiError> {
    let id: IntentId = cx.param("id")?;
    let words = (cx.input.0.reason.as_str(), cx.app.clock.now());
    let approver = approver(&cx)?;
    let mut scoped = cx.write().await?;
    let taken = chancery_approve::withdraw(&mut scoped, id, approver, words).await?;
    let (answered, change) = taken.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(AnswerTaken { id, status: status(answered.state) }, &receipt))
}
