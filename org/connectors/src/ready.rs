//! All that a call needs, in one query.

use std::fmt;

use chancery_model::{Audience, ConnectorId, CredentialId, Timestamp};
use chancery_store::{Read, Scoped, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::connector::stored;
use crate::{CredentialKind, Definition};

/// A connector that may be called: neither paused nor retired.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The connector.
    pub connector: ConnectorId,
    /// Its name.
    pub name: Audience,
    /// Where it is, and how each action becomes a call.
    pub definition: Definition,
    /// What authenticates; `None` when it was given nothing, and is called without, or when that ended.
    pub current: Option<SealedCredential>,
    /// What still may authenticate where the current one is not taken yet.
    pub previous: Option<SealedCredential>,
    /// Whether it was ever given a credential.
    pub had_credential: bool,
}

impl Ready {
    /// Whether what authenticated was taken away: then nothing is called, rather than without.
    #[must_use]
    pub const fn lost_credential(&self) -> bool {
        self.current.is_none() && self.had_credential
    }
}

/// A credential, sealed: [`crate::credential::open`].
#[derive(Clone)]
pub struct SealedCredential {
    /// Its id.
    pub id: CredentialId,
    /// How it authenticates.
    pub kind: CredentialKind,
    envelope: Vec<u8>,
}

impl SealedCredential {
    fn read(
        id: Option<Uuid>,
        kind: Option<String>,
        envelope: Option<Vec<u8>>,
    ) -> Result<Option<Self>, StoreError> {
        let (Some(id), Some(kind), Some(envelope)) = (id, kind, envelope) else { return Ok(None) };
        let kind = kind.parse().map_err(|error| StoreError::corrupt("connector_credentials", error))?;
        Ok(Some(Self { id: CredentialId::from_uuid(id), kind, envelope }))
    }

    pub(crate) fn envelope(&self) -> &[u8] {
        &self.envelope
    }
}

impl fmt::Debug for SealedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedCredential")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    definition: String,
    current_id: Option<Uuid>,
    current_kind: Option<String>,
    current_sealed: Option<Vec<u8>>,
    previous_id: Option<Uuid>,
    previous_kind: Option<String>,
    previous_sealed: Option<Vec<u8>>,
    had_credential: bool,
}

/// The connector of this name with the credentials that serve at `now`; `None` when there is none, or it is
/// paused or retired.
///
/// # Errors
/// When the store does not answer.
pub async fn usable(
    scoped: &mut Scoped<Read>,
    name: &Audience,
    now: Timestamp,
) -> Result<Option<Ready>, StoreError> {
    let org = scoped.org();
    let moment: OffsetDateTime = now.to_offset();
    let row: Option<Row> = sqlx::query_as(
        "SELECT c.id, c.definition,
             current.id AS current_id, current.kind AS current_kind, current.sealed AS current_sealed,
             previous.id AS previous_id, previous.kind AS previous_kind, previous.sealed AS previous_sealed,
             EXISTS (SELECT FROM connector_credentials any_of
                 WHERE any_of.org_id = c.org_id AND any_of.connector_id = c.id) AS had_credential
         FROM connectors c
         LEFT JOIN connector_credentials current
             ON current.org_id = c.org_id AND current.connector_id = c.id AND current.state = 'current'
         LEFT JOIN connector_credentials previous
             ON previous.org_id = c.org_id AND previous.connector_id = c.id AND previous.state = 'previous'
                 AND previous.ends_at > $3
         WHERE c.org_id = $1 AND c.name = $2 AND c.retired_at IS NULL AND c.paused_at IS NULL",
    )
    .bind(org.as_uuid())
    .bind(name.as_str())
    .bind(moment)
    .fetch_optional(scoped.connection())
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Ready {
        connector: ConnectorId::from_uuid(row.id),
        name: name.clone(),
        definition: stored(&row.definition)?,
        current: SealedCredential::read(row.current_id, row.current_kind, row.current_sealed)?,
        previous: SealedCredential::read(row.previous_id, row.previous_kind, row.previous_sealed)?,
        had_credential: row.had_credential,
    }))
}
