//! Credentials whose overlap is over: their bytes are destroyed.

use chancery_model::{ConnectorId, CredentialId, OrgId, Timestamp};
use chancery_store::{Change, Epoch, Scoped, Store, StoreError, Write};
use serde_json::json;
use uuid::Uuid;

/// How many one look gives.
const AT_ONCE: i32 = 1_000;

/// The connectors of all organizations that have a credential which ended by `now` and still has its bytes,
/// those that wait longest first; a thousand at most. Only who destroys them in the organization finds out
/// whether that is still so.
///
/// # Errors
/// When the store does not answer.
pub async fn ended(store: &Store, now: Timestamp) -> Result<Vec<(OrgId, ConnectorId)>, StoreError> {
    let rows: Vec<(Uuid, Uuid)> =
        sqlx::query_as("SELECT org_id, connector_id FROM connector_credentials_ended($1, $2)")
            .bind(now.to_offset())
            .bind(AT_ONCE)
            .fetch_all(store.worker())
            .await?;
    Ok(rows.into_iter().map(|(org, id)| (OrgId::from_uuid(org), ConnectorId::from_uuid(id))).collect())
}

/// Destroys the bytes of a connector's credential that ended by `now`. `None` when there is none: another
/// server was first.
///
/// # Errors
/// When the store does not answer.
pub async fn destroy_ended(
    scoped: &mut Scoped<Write>,
    connector: ConnectorId,
    now: Timestamp,
) -> Result<Option<Change>, StoreError> {
    let org = scoped.org();
    let ended: Option<Uuid> = sqlx::query_scalar(
        "UPDATE connector_credentials SET state = 'retired', sealed = NULL
         WHERE org_id = $1 AND connector_id = $2 AND state = 'previous' AND ends_at <= $3 RETURNING id",
    )
    .bind(org.as_uuid())
    .bind(connector.as_uuid())
    .bind(now.to_offset())
    .fetch_optional(scoped.connection())
    .await?;
    let Some(ended) = ended else { return Ok(None) };
    // Keep: it served nobody since it ended.
    let payload = json!({ "credential": CredentialId::from_uuid(ended) });
    Ok(Some(Change::new(
        "connector.credential_ended",
        Epoch::Keep,
        ("connector", connector.to_string()),
        payload,
    )))
}
