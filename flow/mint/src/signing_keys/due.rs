//! Which keys have to be activated or retired by now.

use chancery_model::{OrgId, SigningKeyId, Timestamp};
use chancery_store::{Store, StoreError};
use uuid::Uuid;

use super::{KeyState, PUBLISHED_SECONDS, VERIFIES_SECONDS};

/// How many keys of each state one look gives.
const AT_ONCE: i32 = 1000;

/// A key whose state has had its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The organization.
    pub org: OrgId,
    /// The key.
    pub id: SigningKeyId,
    /// [`KeyState::Next`] when it can sign, [`KeyState::Previous`] when it can be retired.
    pub state: KeyState,
}

/// The keys of all organizations that can be activated or retired at `now`, those that wait longest
/// first; a thousand of each at most. Only who does it in the organization finds out whether that is
/// still so.
///
/// # Errors
/// When the store does not answer.
pub async fn due(store: &Store, now: Timestamp) -> Result<Vec<Due>, StoreError> {
    let rows: Vec<(Uuid, Uuid, String)> =
        sqlx::query_as("SELECT org_id, id, state FROM signing_keys_due($1, $2, $3)")
            .bind(now.plus_seconds(-PUBLISHED_SECONDS).to_offset())
            .bind(now.plus_seconds(-VERIFIES_SECONDS).to_offset())
            .bind(AT_ONCE)
            .fetch_all(store.worker())
            .await?;
    let due = |(org, id, state): (Uuid, Uuid, String)| {
        let state = match state.as_str() {
            "next" => KeyState::Next,
            "previous" => KeyState::Previous,
            _ => return Err(StoreError::corrupt("signing_keys", "a key in this state is not due")),
        };
        Ok(Due { org: OrgId::from_uuid(org), id: SigningKeyId::from_uuid(id), state })
    };
    rows.into_iter().map(due).collect()
}
