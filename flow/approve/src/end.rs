//! The other ends of an escalation: its requester takes it back, or its time is over.

use chancery_evidence::Hex;
use chancery_model::{Environment, IntentId, OrgId, Timestamp};
use chancery_store::{Change, Epoch, Scoped, Store, StoreError, Write};
use serde_json::json;
use uuid::Uuid;

use crate::answer::{AnswerError, about};
use crate::escalation::{State, hold};
use crate::wait::tell;

/// Writes what an escalation has become.
pub(crate) async fn end(
    scoped: &mut Scoped<Write>,
    intent: IntentId,
    state: State,
    now: Timestamp,
) -> Result<(), StoreError> {
    let good_until = match state {
        State::Approved { good_until } => Some(good_until.to_offset()),
        _ => None,
    };
    sqlx::query(
        "UPDATE escalations SET state = $3, ended_at = $4, good_until = $5 WHERE org_id = $1 AND intent_id = $2",
    )
    .bind(scoped.org().as_uuid())
    .bind(intent.as_uuid())
    .bind(state.as_str())
    .bind(now.to_offset())
    .bind(good_until)
    .execute(scoped.connection())
    .await?;
    Ok(())
}

/// Takes an escalated intent back, also one that was approved and is not carried out yet. `None` when
/// there is no such escalation here.
///
/// # Errors
/// See [`AnswerError`].
pub async fn cancel(
    scoped: &mut Scoped<Write>,
    (intent, environment): (IntentId, Environment),
    (reason, now): (&str, Timestamp),
) -> Result<Option<Change>, AnswerError> {
    let escalation = hold(scoped, intent).await?.filter(|it| it.environment == environment);
    let Some(escalation) = escalation else { return Ok(None) };
    match escalation.state_at(now) {
        State::Pending | State::Approved { .. } => {}
        ended => return Err(AnswerError::Ended(ended)),
    }
    end(scoped, intent, State::Cancelled, now).await?;
    tell(scoped, intent).await?;
    let payload =
        json!({ "intent_id": intent, "intent_hash": Hex(escalation.intent_hash), "reason": reason });
    // Whoever is just about to carry it out, having read it as approved, must look again.
    Ok(Some(about(intent, "approval.cancelled", Epoch::Bump, payload)))
}

/// An escalation whose time is over.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// In which organization.
    pub org: OrgId,
    /// Which intent's.
    pub intent: IntentId,
}

/// The most that one look finds.
const MOST: i32 = 200;

/// Escalations of all organizations whose time is over.
///
/// # Errors
/// When the store does not answer.
pub async fn due(store: &Store, now: Timestamp) -> Result<Vec<Due>, StoreError> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as("SELECT org_id, intent_id FROM escalations_due($1, $2)")
        .bind(now.to_offset())
        .bind(MOST)
        .fetch_all(store.worker())
        .await?;
    Ok(rows
        .into_iter()
        .map(|(org, intent)| Due { org: OrgId::from_uuid(org), intent: IntentId::from_uuid(intent) })
        .collect())
}

/// Ends an escalation whose time is over: nobody answering is a refusal. `None` when another was first.
///
/// # Errors
/// When the store does not answer.
pub async fn expire(
    scoped: &mut Scoped<Write>,
    intent: IntentId,
    now: Timestamp,
) -> Result<Option<Change>, StoreError> {
    let Some(escalation) = hold(scoped, intent).await? else { return Ok(None) };
    if escalation.state != State::Pending || escalation.expires_at > now {
        return Ok(None);
    }
    end(scoped, intent, State::Expired, now).await?;
    tell(scoped, intent).await?;
    let payload = json!({
        "intent_id": intent,
        "intent_hash": Hex(escalation.intent_hash),
        "expires_at": escalation.expires_at,
    });
    Ok(Some(about(intent, "approval.expired", Epoch::Keep, payload)))
}
