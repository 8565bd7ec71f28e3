//! What Chancery authenticates with at a connector, at rest: written, and read back only to make a call.
//!
//! Sealed under the organization's key. The context is the connector, the row and the connector's origin, so
//! that an envelope that somebody moves to another connector or another organization does not open, nor one
//! whose connector points to another host since.

use chancery_crypto::{Context, DataKey, OpenError};
use chancery_model::{ConnectorId, CredentialId, OrgId, PrincipalId, Timestamp};
use chancery_store::{Change, Keyring, KeyringError, Scoped, StoreError, Write};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::connector::{change, lock};
use crate::ready::SealedCredential;
use crate::{BaseUrl, ConnectorError, Credential, CredentialDraft, CredentialKind, Ready};

/// The longest that a credential serves on beside the one that took its place: 7 days.
pub const MAX_OVERLAP_SECONDS: u32 = 7 * 24 * 3_600;

/// A credential without what it is for: the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRecord {
    /// Its id.
    pub id: CredentialId,
    /// How it authenticates.
    pub kind: CredentialKind,
    /// Whether it is used.
    pub state: CredentialState,
    /// Who wrote it.
    pub created_by: PrincipalId,
    /// When it was written.
    pub created_at: Timestamp,
    /// Until when it serves beside the current one.
    pub ends_at: Option<Timestamp>,
}

/// Whether a credential is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialState {
    /// The one that is used.
    Current,
    /// Used where the current one is not taken yet, until it ends.
    Previous,
}

impl CredentialState {
    /// The word in the API and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

/// What stands before its envelope opens; see [`Context`].
fn row(connector: ConnectorId, credential: CredentialId, host: &BaseUrl) -> String {
    format!("{connector} {credential} at {}", host.origin())
}

const fn context(org: OrgId, row: &str) -> Context<'_> {
    Context { org: Some(org), table: "connector_credentials", column: "sealed", row, purpose: "credential" }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    kind: String,
    state: String,
    created_by: Uuid,
    created_at: OffsetDateTime,
    ends_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for CredentialRecord {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |reason| StoreError::corrupt("connector_credentials", reason);
        Ok(Self {
            id: CredentialId::from_uuid(row.id),
            kind: row.kind.parse().map_err(|_| corrupt("unknown kind"))?,
            state: match row.state.as_str() {
                "current" => CredentialState::Current,
                "previous" => CredentialState::Previous,
                _ => return Err(corrupt("unknown state")),
            },
            created_by: PrincipalId::from_uuid(row.created_by),
            created_at: row.created_at.into(),
            ends_at: row.ends_at.map(Into::into),
        })
    }
}

/// The credentials of a connector that serve at `now`: at most a current and a previous one.
///
/// # Errors
/// When the store does not answer.
pub async fn list<M>(
    scoped: &mut Scoped<M>,
    connector: ConnectorId,
    now: Timestamp,
) -> Result<Vec<CredentialRecord>, StoreError> {
    let org = scoped.org();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, kind, state, created_by, created_at, ends_at FROM connector_credentials
         WHERE org_id = $1 AND connector_id = $2 AND state <> 'retired' AND (ends_at IS NULL OR ends_at > $3)
         ORDER BY id DESC",
    )
    .bind(org.as_uuid())
    .bind(connector.as_uuid())
    .bind(now.to_offset())
    .fetch_all(scoped.connection())
    .await?;
    rows.into_iter().map(CredentialRecord::try_from).collect()
}

/// What writing a credential needs besides it.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// Gives time and randomness.
    pub keyring: &'a Keyring,
    /// The organization's key, from [`Keyring::org_key`] before the transaction began.
    pub org_key: &'a DataKey,
    /// Who writes it.
    pub by: PrincipalId,
    /// For how many seconds the one before serves on: at most [`MAX_OVERLAP_SECONDS`].
    pub overlap_seconds: u32,
}

/// Writes a credential. The one before serves on for the overlap, or ends now; what was previous until now
/// ends. `None` when there is no such connector.
///
/// # Errors
/// See [`ConnectorError`].
pub async fn write(
    scoped: &mut Scoped<Write>,
    connector: ConnectorId,
    draft: CredentialDraft,
    writing: Writing<'_>,
) -> Result<Option<(CredentialRecord, Change)>, ConnectorError> {
    let Some(at) = lock(scoped, connector).await? else { return Ok(None) };
    if writing.overlap_seconds > MAX_OVERLAP_SECONDS {
        let rule = "an overlap is at most 7 days: 604800 seconds";
        return Err(ConnectorError::Credential { field: "overlap_seconds", rule });
    }
    let credential = draft.check(&at.definition)?;
    let (now, random) = (writing.keyring.clock().now(), &**writing.keyring.random());
    let id = CredentialId::new(now, random.bytes());
    let plain = credential.expose().ok_or_else(|| StoreError::corrupt("connector_credentials", "no JSON"))?;
    let (org, row) = (scoped.org(), row(connector, id, at.definition.base_url()));
    let sealed = chancery_crypto::seal(writing.org_key, &context(org, &row), &plain, random);
    let ends_at = now.plus_seconds(writing.overlap_seconds.into());
    supersede(scoped, connector, now, ends_at).await?;
    sqlx::query(
        "INSERT INTO connector_credentials
             (org_id, connector_id, id, kind, state, sealed, created_by, created_at)
         VALUES ($1, $2, $3, $4, 'current', $5, $6, $7)",
    )
    .bind(org.as_uuid())
    .bind(connector.as_uuid())
    .bind(id.as_uuid())
    .bind(credential.kind().as_str())
    .bind(sealed)
    .bind(writing.by.as_uuid())
    .bind(now.to_offset())
    .execute(scoped.connection())
    .await?;
    let record = CredentialRecord {
        id,
        kind: credential.kind(),
        state: CredentialState::Current,
        created_by: writing.by,
        created_at: now,
        ends_at: None,
    };
    let payload = json!({
        "credential": id, "kind": record.kind.as_str(), "overlap_seconds": writing.overlap_seconds,
    });
    Ok(Some((record, change("connector.credential_written", connector, payload))))
}

/// Ends what is previous, and makes what is current previous until `ends_at`.
async fn supersede(
    scoped: &mut Scoped<Write>,
    connector: ConnectorId,
    now: Timestamp,
    ends_at: Timestamp,
) -> Result<(), StoreError> {
    let org = scoped.org();
    sqlx::query(
        "UPDATE connector_credentials SET state = 'retired', sealed = NULL, ends_at = least(ends_at, $3)
         WHERE org_id = $1 AND connector_id = $2 AND state = 'previous'",
    )
    .bind(org.as_uuid())
    .bind(connector.as_uuid())
    .bind(now.to_offset())
    .execute(scoped.connection())
    .await?;
    sqlx::query(
        "UPDATE connector_credentials SET superseded_at = $3, ends_at = $4,
             state = CASE WHEN $4 > $3 THEN 'previous' ELSE 'retired' END,
             sealed = CASE WHEN $4 > $3 THEN sealed END
         WHERE org_id = $1 AND connector_id = $2 AND state = 'current'",
    )
    .bind(org.as_uuid())
    .bind(connector.as_uuid())
    .bind(now.to_offset())
    .bind(ends_at.to_offset())
    .execute(scoped.connection())
    .await?;
    Ok(())
}

/// Removes every credential of a connector, the previous one too: nothing is called in its name from here
/// on. `None` when there is no such connector.
///
/// # Errors
/// [`ConnectorError::Unchanged`] when it has none.
pub async fn remove(
    scoped: &mut Scoped<Write>,
    connector: ConnectorId,
    now: Timestamp,
) -> Result<Option<(Vec<CredentialId>, Change)>, ConnectorError> {
    if lock(scoped, connector).await?.is_none() {
        return Ok(None);
    }
    let removed = retire_all(scoped, connector, now).await?;
    if removed.is_empty() {
        return Err(ConnectorError::Unchanged);
    }
    let payload = json!({ "credentials": removed });
    Ok(Some((removed, change("connector.credential_removed", connector, payload))))
}

/// Retires every credential of a connector and destroys its bytes; gives which.
pub(crate) async fn retire_all(
    scoped: &mut Scoped<Write>,
    connector: ConnectorId,
    now: Timestamp,
) -> Result<Vec<CredentialId>, StoreError> {
    let org = scoped.org();
    let retired: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE connector_credentials SET state = 'retired', sealed = NULL,
             superseded_at = coalesce(superseded_at, $3), ends_at = least(ends_at, $3)
         WHERE org_id = $1 AND connector_id = $2 AND state <> 'retired' RETURNING id",
    )
    .bind(org.as_uuid())
    .bind(connector.as_uuid())
    .bind(now.to_offset())
    .fetch_all(scoped.connection())
    .await?;
    Ok(retired.into_iter().map(CredentialId::from_uuid).collect())
}

/// Opens a credential to make a call with it.
///
/// # Errors
/// [`KeyringError::Open`] when it is not this connector's, of this organization, at this host.
pub async fn open(
    keyring: &Keyring,
    org: OrgId,
    ready: &Ready,
    credential: &SealedCredential,
) -> Result<Credential, KeyringError> {
    let envelope = credential.envelope();
    let key = keyring.key_by_id(org, chancery_crypto::sealed_under(envelope)?).await?;
    let row = row(ready.connector, credential.id, ready.definition.base_url());
    let plain = chancery_crypto::open(&key, &context(org, &row), envelope)?;
    Credential::read(&plain).ok_or(KeyringError::Open(OpenError::Content { expected: "credential" }))
}
