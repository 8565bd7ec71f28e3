//! `/api/v1/intents/{id}`: one intent, now or as soon as something becomes of it.

use std::time::Duration;

use bytes::Bytes;
use chancery_api::{
    AnswerWord, ApprovalState, ApprovalStatus, Code, ExecutionStatus, GivenAnswer, IntentDetail, RecordRef,
    Release, ReleaseWord, WaitQuery,
};
use chancery_approve::{Escalation, Given, State, Told};
use chancery_authenticate::permission::IntentsRead;
use chancery_evidence::Hex;
use chancery_model::{IntentId, Timestamp};
use chancery_record::query;
use chancery_record::releases::{self, Noted, Released, ReleasedFor};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::intents::{seen, status_of};
use crate::call::{ANSWERING, standing};
use crate::input::Input;
use crate::{Answer, ApiError, Cx, Events, Inner, Needs, Query, Route};

/// The longest a request may ask to wait, in seconds.
const LONGEST_WAIT: u32 = 25;
/// How often a stream says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The longest a stream lasts: then its reader comes again, with a key that is looked at again.
const LONGEST_STREAM: Duration = Duration::from_secs(600);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/intents/{id}", show)
            .named("intents.show", "One intent with its decision, and what became of it; waits if asked to."),
        Route::get("/api/v1/intents/{id}/events", events).named(
            "intents.events",
            "The same as a stream of server-sent events, until people have answered and it is done.",
        ),
    ]
}

async fn show(cx: Cx<Needs<IntentsRead>, Query<WaitQuery>>) -> Result<Answer<IntentDetail>, ApiError> {
    let id: IntentId = cx.param("id")?;
    let seconds = cx.input.0.wait.unwrap_or(0);
    if seconds > LONGEST_WAIT {
        let rule = format!("`wait` is at most {LONGEST_WAIT}");
        return Err(ApiError::new(Code::QueryInvalid, rule).at("wait"));
    }
    let until = Instant::now() + patience(seconds, cx.app.bounds.request_time);
    let mut news = watch(&cx, id);
    loop {
        let found = detail(&cx, id).await?;
        if is_settled(&found) || timeout_at(until, news.changed()).await.is_err() {
            return Ok(Answer::read(found));
        }
    }
}

/// How long a request waits: what it asks for, and shorter than requests may take, or it got no answer.
fn patience(seconds: u32, request_time: Duration) -> Duration {
    Duration::from_secs(u64::from(seconds)).min(request_time.saturating_sub(ANSWERING))
}

fn watch<G: Inner, I: Input>(cx: &Cx<G, I>, intent: IntentId) -> watch::Receiver<()> {
    cx.app.waits.watch(Told { org: cx.entered().org(), intent })
}

/// Whether nothing becomes of it any more without its requester.
fn is_settled(intent: &IntentDetail) -> bool {
    let waits = intent.approval.as_ref().is_some_and(|it| it.status == ApprovalStatus::Pending);
    let runs = intent.execution.as_ref().is_some_and(|it| it.status == ExecutionStatus::Open);
    !waits && !runs
}

/// A stream and where it is.
struct Stream {
    cx: Cx<Needs<IntentsRead>>,
    intent: IntentId,
    news: watch::Receiver<()>,
    until: Instant,
    next: Next,
}

enum Next {
    Look,
    Wait,
    End,
}

async fn events(cx: Cx<Needs<IntentsRead>>) -> Result<Events, ApiError> {
    let intent: IntentId = cx.param("id")?;
    let news = watch(&cx, intent);
    // What is not there is 404, and no stream.
    let first = detail(&cx, intent).await?;
    let next = if is_settled(&first) { Next::End } else { Next::Wait };
    let stream = Stream { cx, intent, news, until: Instant::now() + LONGEST_STREAM, next };
    let rest = stream::unfold(stream, |mut stream| async move {
        let event = stream.next().await?;
        Some((event, stream))
    });
    Ok(Events::new(stream::once(std::future::ready(event(&first))), rest))
}

impl Stream {
    /// What is said next. A reader whose rights or organization changed is let go: it comes again.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.next {
                Next::End => return None,
                Next::Look => {
                    let Ok(found) = detail(&self.cx, self.intent).await else { return None };
                    self.next = if is_settled(&found) { Next::End } else { Next::Wait };
                    return Some(event(&found));
                }
                Next::Wait => {
                    let beat = Instant::now() + HEARTBEAT;
                    match timeout_at(beat.min(self.until), self.news.changed()).await {
                        Ok(Ok(())) => self.next = Next::Look,
                        Ok(Err(_)) => return None,
                        Err(_) if Instant::now() >= self.until => return None,
                        Err(_) => return Some(Bytes::from_static(b": still here\n\n")),
                    }
                }
            }
        }
    }
}

/// One event (HTML Living Standard, server-sent events): JSON has no line feeds of its own.
fn event(intent: &IntentDetail) -> Bytes {
    match serde_json::to_string(intent) {
        Ok(text) => Bytes::from(format!("event: intent\ndata: {text}\n\n")),
        Err(_) => Bytes::from_static(b": unwritable\n\n"),
    }
}

/// An intent with what became of it, as the caller may see it.
async fn detail<G: Inner, I: Input>(cx: &Cx<G, I>, id: IntentId) -> Result<IntentDetail, ApiError> {
    let asked_by = seen(cx);
    let mut scoped = cx.read().await?;
    let entry = query::decision_entry(&mut scoped, id, asked_by).await?.ok_or_else(ApiError::not_found)?;
    let escalation = chancery_approve::read(&mut scoped, id).await?;
    let given = match &escalation {
        Some(_) => chancery_approve::answers(&mut scoped, &[id]).await?,
        None => Vec::new(),
    };
    let released = releases::read(&mut scoped, id).await?;
    drop(scoped);
    let release = released.as_ref().map(Released::noted);
    let org = cx.entered().org();
    let now = cx.app.clock.now();
    let payload = entry.open_decision(cx.keyring(), org, id, asked_by).await?.unwrap_or_default();
    let part = |name: &str| payload.get(name).cloned().unwrap_or_default();
    let execution = match released.as_ref().map(|released| &released.what) {
        Some(ReleasedFor::Call(call)) => {
            // What came back is for whoever asked; how it ended, for whoever may see the intent.
            let caller = cx.entered().caller().principal().id().to_string();
            let own = payload.pointer("/principal/id").and_then(|id| id.as_str()) == Some(caller.as_str());
            let answer = if own { call.answer(cx.keyring(), org, id).await? } else { None };
            Some(standing(call, answer, now))
        }
        _ => None,
    };
    Ok(IntentDetail {
        id,
        correlation_id: id.into(),
        status: status_of(&entry.kind),
        created_at: entry.time,
        intent: part("intent"),
        principal: part("principal"),
        decision: part("decision"),
        token: part("token"),
        approval: escalation.map(|escalation| approval(&escalation, &given, release, now)),
        execution,
        record: RecordRef { seq: entry.seq, entry_hash: Hex(entry.entry_hash).to_string() },
    })
}

/// How an escalation stands. What was released stays approved: its time was used.
pub(super) fn approval(
    escalation: &Escalation,
    given: &[Given],
    released: Option<Noted>,
    now: Timestamp,
) -> ApprovalState {
    let state = if released.is_some() { escalation.state } else { escalation.state_at(now) };
    ApprovalState {
        status: status(state),
        expires_at: escalation.expires_at,
        good_until: match escalation.state {
            State::Approved { good_until } => Some(good_until),
            _ => None,
        },
        ended_at: escalation.ended_at,
        released: released.map(|noted| Release {
            r#as: if noted.as_token { ReleaseWord::Token } else { ReleaseWord::Execution },
            at: noted.at,
        }),
        answers: given
            .iter()
            .filter(|one| one.intent == escalation.intent)
            .map(|one| GivenAnswer {
                member_id: one.member,
                member_name: None,
                key_id: one.key,
                answer: if one.approves { AnswerWord::Approve } else { AnswerWord::Reject },
                at: one.at,
            })
            .collect(),
    }
}

pub(super) const fn status(state: State) -> ApprovalStatus {
    match state {
        State::Pending => ApprovalStatus::Pending,
        State::Approved { .. } => ApprovalStatus::Approved,
        State::Rejected => ApprovalStatus::Rejected,
        State::Cancelled => ApprovalStatus::Cancelled,
        State::Expired => ApprovalStatus::Expired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_no_longer_than_it_may_take() {
        let seconds = Duration::from_secs;
        assert_eq!(patience(0, seconds(10)), seconds(0));
        assert_eq!(patience(5, seconds(10)), seconds(5));
        assert_eq!(patience(25, seconds(10)), seconds(8));
        assert_eq!(patience(25, seconds(30)), seconds(25));
        assert_eq!(patience(25, Duration::from_millis(100)), seconds(0));
    }
}
