//! Answering: a person agrees, refuses, or takes their answer back.

use std::collections::{HashMap, HashSet};

use chancery_evidence::{Hex, kind};
use chancery_model::{Environment, IntentId, KeyId, MemberId, Principal, Role, Timestamp};
use chancery_store::{Change, Epoch, Read, Scoped, StoreError, Write};
use serde_json::json;
use uuid::Uuid;

use crate::Escalation;
use crate::end::end;
use crate::escalation::{Given, State, answers, hold, read};
use crate::keys::{self, Keys};
use crate::people::{self, Barred, Lineage, Person, Request, With};
use crate::wait::tell;

/// How long what was approved can be carried out, in seconds: an hour.
pub const GOOD_SECONDS: i64 = 3_600;

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub struct Approver {
    /// The person.
    pub member: MemberId,
    /// The API key they answer with.
    pub key: KeyId,
    /// What it acts on: to a test key, a live intent is not there to be answered.
    pub environment: Environment,
}

/// What they answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It may be done.
    Approve,
    /// It may not.
    Reject,
}

impl Answer {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The person is not another than whoever asked.
    #[error("nobody answers their own request: {}", .0.message())]
    Own(Barred),
    /// Nobody in the person's role is asked.
    #[error("the escalation asks people in another role")]
    Role,
    /// The person is not another than one who agreed before.
    #[error("you created one who agreed before, or were created by one: that is no second person")]
    NotAnother,
    /// The person answered before.
    #[error("you answered before")]
    Answered,
    /// The person has not answered.
    #[error("you have not answered")]
    Unanswered,
    /// It waits for nobody any more.
    #[error("the escalation is {} already", .0.as_str())]
    Ended(State),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AnswerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An answer that was taken.
#[derive(Debug)]
pub struct Answered {
    /// What the escalation is now.
    pub state: State,
}

/// Takes a person's answer. The last that is needed approves; one refusal rejects. `None` when there is
/// no such escalation here.
///
/// # Errors
/// See [`AnswerError`].
pub async fn answer(
    scoped: &mut Scoped<Write>,
    intent: IntentId,
    approver: Approver,
    answer: Answer,
    (reason, now): (&str, Timestamp),
) -> Result<Option<(Answered, Change)>, AnswerError> {
    let escalation = hold(scoped, intent).await?.filter(|it| it.environment == approver.environment);
    let Some(escalation) = escalation else { return Ok(None) };
    match escalation.state_at(now) {
        State::Pending => {}
        ended => return Err(AnswerError::Ended(ended)),
    }
    let given = answers(scoped, &[intent]).await?;
    if given.iter().any(|one| one.member == approver.member) {
        return Err(AnswerError::Answered);
    }
    let candidate = Given {
        intent,
        member: approver.member,
        key: approver.key,
        approves: answer == Answer::Approve,
        at: now,
    };
    let circle = Circle::of(scoped, &escalation, &given, Some(&candidate)).await?;
    let person = circle.person(&candidate, &escalation).map_err(AnswerError::Own)?;
    if !escalation.asks(person.role) {
        return Err(AnswerError::Role);
    }
    let agreed = circle.agreed(&given, &escalation);
    // It takes one to refuse, whoever that is beside those who agreed.
    if answer == Answer::Approve && !circle.is_apart(&agreed, person.id) {
        return Err(AnswerError::NotAnother);
    }
    note(scoped, approver, (intent, answer), now).await?;
    let state = match answer {
        Answer::Reject => State::Rejected,
        Answer::Approve => {
            let roles: Vec<Role> = agreed.iter().map(|one| one.role).chain([person.role]).collect();
            if escalation.is_met_by(&roles) {
                State::Approved { good_until: now.plus_seconds(GOOD_SECONDS) }
            } else {
                State::Pending
            }
        }
    };
    if state != State::Pending {
        end(scoped, intent, state, now).await?;
    }
    tell(scoped, intent).await?;
    let change = change(&escalation, approver, person.role, answer, (reason, state));
    Ok(Some((Answered { state }, change)))
}

fn change(
    escalation: &Escalation,
    approver: Approver,
    role: Role,
    answer: Answer,
    (reason, state): (&str, State),
) -> Change {
    let kind = match answer {
        Answer::Approve => kind::GRANTED,
        Answer::Reject => kind::REJECTED,
    };
    let payload = json!({
        "intent_id": escalation.intent,
        "intent_hash": Hex(escalation.intent_hash),
        "approver": { "id": approver.member, "role": role, "key_id": approver.key },
        "reason": reason,
        "state": state.as_str(),
    });
    about(escalation.intent, kind, Epoch::Keep, payload)
        .with(("member", approver.member.to_string()))
        .about(approver.member.into())
}

/// A change in an intent's story.
pub(crate) fn about(
    intent: IntentId,
    kind: &'static str,
    epoch: Epoch,
    payload: serde_json::Value,
) -> Change {
    let mut change = Change::new(kind, epoch, ("intent", intent.to_string()), payload);
    change.correlation = Some(intent.into());
    change
}

async fn note(
    scoped: &mut Scoped<Write>,
    approver: Approver,
    (intent, answer): (IntentId, Answer),
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO approvals (org_id, intent_id, member_id, key_id, answer, answered_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (org_id, intent_id, member_id) DO UPDATE SET key_id = excluded.key_id,
             answer = excluded.answer, answered_at = excluded.answered_at, withdrawn_at = NULL",
    )
    .bind(scoped.org().as_uuid())
    .bind(intent.as_uuid())
    .bind(approver.member.as_uuid())
    .bind(approver.key.as_uuid())
    .bind(answer.as_str())
    .bind(now.to_offset())
    .execute(scoped.connection())
    .await?;
    Ok(())
}

/// Takes a person's answer back, while it has not ended the escalation. `None` when there is no such
/// escalation here.
///
/// # Errors
/// See [`AnswerError`].
pub async fn withdraw(
    scoped: &mut Scoped<Write>,
    intent: IntentId,
    approver: Approver,
    (reason, now): (&str, Timestamp),
) -> Result<Option<(Answered, Change)>, AnswerError> {
    let escalation = hold(scoped, intent).await?.filter(|it| it.environment == approver.environment);
    let Some(escalation) = escalation else { return Ok(None) };
    match escalation.state_at(now) {
        State::Pending => {}
        ended => return Err(AnswerError::Ended(ended)),
    }
    let taken = sqlx::query(
        "UPDATE approvals SET withdrawn_at = $4
         WHERE org_id = $1 AND intent_id = $2 AND member_id = $3 AND withdrawn_at IS NULL",
    )
    .bind(scoped.org().as_uuid())
    .bind(intent.as_uuid())
    .bind(approver.member.as_uuid())
    .bind(now.to_offset())
    .execute(scoped.connection())
    .await?;
    if taken.rows_affected() == 0 {
        return Err(AnswerError::Unanswered);
    }
    tell(scoped, intent).await?;
    let payload = json!({
        "intent_id": intent,
        "intent_hash": Hex(escalation.intent_hash),
        "approver": { "id": approver.member, "key_id": approver.key },
        "reason": reason,
    });
    let change = about(intent, "approval.withdrawn", Epoch::Keep, payload)
        .with(("member", approver.member.to_string()))
        .about(approver.member.into());
    Ok(Some((Answered { state: State::Pending }, change)))
}

/// One who agreed.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    /// Who.
    pub member: MemberId,
    /// With which key.
    pub key: KeyId,
    /// In which role they count: the one they have now, but no higher than the one they agreed in.
    pub role: Role,
}

/// The people of one escalation, as they are now.
struct Circle {
    behind: HashSet<MemberId>,
    /// The keys that were answered with, and the one that was asked with.
    keys: Keys,
    lineage: Lineage,
    people: HashMap<MemberId, Person>,
}

impl Circle {
    async fn of<M>(
        scoped: &mut Scoped<M>,
        escalation: &Escalation,
        given: &[Given],
        candidate: Option<&Given>,
    ) -> Result<Self, StoreError> {
        let org = scoped.org().as_uuid();
        let mut behind = escalation.behind.clone();
        if let Principal::Agent(agent) = escalation.requester {
            behind.extend(people::behind_agent(scoped.connection(), org, agent.as_uuid()).await?);
        }
        let answering: Vec<Uuid> = given.iter().chain(candidate).map(|one| one.member.as_uuid()).collect();
        let everybody: Vec<Uuid> =
            behind.iter().map(|id| id.as_uuid()).chain(answering.iter().copied()).collect();
        let with: Vec<Uuid> = given.iter().chain(candidate).map(|one| one.key.as_uuid()).collect();
        let keys = keys::read(scoped.connection(), org, escalation.intent.as_uuid(), &with).await?;
        let lineage = people::lineage(scoped.connection(), org, &everybody).await?;
        let people = people::people(scoped.connection(), org, &answering).await?;
        Ok(Self { behind, keys, lineage, people })
    }

    fn person(&self, given: &Given, escalation: &Escalation) -> Result<Person, Barred> {
        let person = self.people.get(&given.member).ok_or(Barred::Gone)?;
        let key = self.keys.of(given.key).ok_or(Barred::KeyGone)?;
        let with = With { key_makers: &key.makers, requested_at: escalation.requested_at };
        let request = Request { behind: &self.behind, asked_with: self.keys.asked_with() };
        people::may_answer(person, with, request, &self.lineage)?;
        Ok(*person)
    }

    /// Those who agreed and still may, each another person, in no higher role than they agreed in: the
    /// record says which that was, and must be enough for whoever counts by it.
    fn agreed(&self, given: &[Given], escalation: &Escalation) -> Vec<Voice> {
        let mut agreed: Vec<Voice> = Vec::new();
        for one in given.iter().filter(|one| one.approves) {
            let Ok(person) = self.person(one, escalation) else { continue };
            let raised = person.role == Role::Admin && person.role_granted_at >= one.at;
            let role = if raised { Role::Approver } else { person.role };
            if self.is_apart(&agreed, person.id) {
                agreed.push(Voice { member: person.id, key: one.key, role });
            }
        }
        agreed
    }

    /// Whether somebody is another person than all of these.
    fn is_apart(&self, agreed: &[Voice], who: MemberId) -> bool {
        !agreed.iter().any(|one| self.lineage.are_one(one.member, who))
    }
}

/// An approval that can be carried out now: the facts for deciding again.
#[derive(Debug)]
pub struct Agreed {
    /// Those who agreed and still may.
    pub people: Vec<Voice>,
    /// The hash of exactly what they agreed to.
    pub intent_hash: [u8; 32],
    /// Where the entry that asked them stands.
    pub seq: i64,
}

/// Who agreed to an intent, looked at again: people change. `None` when there is no such escalation.
///
/// # Errors
/// [`AnswerError::Ended`] with what it is when it is not approved.
pub async fn agreed(
    scoped: &mut Scoped<Read>,
    intent: IntentId,
    now: Timestamp,
) -> Result<Option<Agreed>, AnswerError> {
    let Some(escalation) = read(scoped, intent).await? else { return Ok(None) };
    match escalation.state_at(now) {
        State::Approved { .. } => {}
        other => return Err(AnswerError::Ended(other)),
    }
    let given = answers(scoped, &[intent]).await?;
    let circle = Circle::of(scoped, &escalation, &given, None).await?;
    let people = circle.agreed(&given, &escalation);
    Ok(Some(Agreed { people, intent_hash: escalation.intent_hash, seq: escalation.seq }))
}
