//! Organizations: found one, find one by its address.

use std::sync::Arc;

use chancery_crypto::DataKey;
use chancery_model::{DisplayName, OrgId, Slug, Timestamp};
use chancery_store::{Change, Epoch, Keyring, KeyringError, Scoped, Store, StoreError, Write};
use serde_json::json;
use sqlx::types::time::OffsetDateTime;

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrgId,
    /// Its short name, as it stands in addresses; unique in the installation.
    pub slug: Slug,
    /// Its name.
    pub name: DisplayName,
    /// When it was founded.
    pub created_at: Timestamp,
}

/// What founding gives.
#[derive(Debug)]
pub struct Founded {
    /// The organization.
    pub organization: Organization,
    /// Its key. The keyring can't read it before the founding is committed, and the first member
    /// needs it in the same transaction.
    pub org_key: Arc<DataKey>,
    /// `organization.created`.
    pub change: Change,
}

/// Why an organization was not founded.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// Another organization has the slug.
    #[error("the slug is taken")]
    SlugTaken,
    /// No key could be made for it.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The store did not do it.
    #[error(transparent)]
    Store(StoreError),
}

impl FoundError {
    /// The stable code of the API.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SlugTaken => "slug_taken",
            Self::Keyring(_) | Self::Store(_) => "internal",
        }
    }
}

impl From<StoreError> for FoundError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken { constraint } if constraint == "organizations_slug" => Self::SlugTaken,
            other => Self::Store(other),
        }
    }
}

/// Founds the organization of a founding scope ([`chancery_store::Scope::founding`]) and makes its
/// key. Its head is the record's to insert.
///
/// # Errors
/// See [`FoundError`].
pub async fn found(
    founding: &mut Scoped<Write>,
    keyring: &Keyring,
    slug: Slug,
    name: DisplayName,
) -> Result<Founded, FoundError> {
    let organization = Organization { id: founding.org(), slug, name, created_at: keyring.clock().now() };
    insert(founding, &organization).await?;
    let org_key = keyring.create_org_key(founding).await?;
    let change = Change::new(
        "organization.created",
        Epoch::Keep,
        ("organization", organization.id.to_string()),
        json!({ "slug": organization.slug, "name": organization.name }),
    );
    Ok(Founded { organization, org_key, change })
}

async fn insert(founding: &mut Scoped<Write>, organization: &Organization) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO organizations (org_id, slug, name, created_at) VALUES ($1, $2, $3, $4)")
        .bind(organization.id.as_uuid())
        .bind(organization.slug.as_str())
        .bind(organization.name.as_str())
        .bind(organization.created_at.to_offset())
        .execute(founding.connection())
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    slug: String,
    name: String,
    created_at: OffsetDateTime,
}

/// The organization of the scope.
///
/// # Errors
/// See [`StoreError`].
pub async fn read<M>(scoped: &mut Scoped<M>) -> Result<Organization, StoreError> {
    let id = scoped.org();
    let row: Row = sqlx::query_as("SELECT slug, name, created_at FROM organizations WHERE org_id = $1")
        .bind(id.as_uuid())
        .fetch_optional(scoped.connection())
        .await?
        .ok_or(StoreError::NoOrganization)?;
    let corrupt = |error| StoreError::corrupt("organizations", error);
    Ok(Organization {
        id,
        slug: row.slug.parse().map_err(corrupt)?,
        name: row.name.parse().map_err(corrupt)?,
        created_at: row.created_at.into(),
    })
}

/// Gives the organization of the scope another name; its short name stays. `None` when it has that
/// name already.
///
/// # Errors
/// See [`StoreError`].
pub async fn rename(
    scoped: &mut Scoped<Write>,
    name: DisplayName,
) -> Result<Option<(Organization, Change)>, StoreError> {
    let id = scoped.org();
    let before: String = sqlx::query_scalar("SELECT name FROM organizations WHERE org_id = $1 FOR UPDATE")
        .bind(id.as_uuid())
        .fetch_optional(scoped.connection())
        .await?
        .ok_or(StoreError::NoOrganization)?;
    if before == name.as_str() {
        return Ok(None);
    }
    sqlx::query("UPDATE organizations SET name = $2 WHERE org_id = $1")
        .bind(id.as_uuid())
        .bind(name.as_str())
        .execute(scoped.connection())
        .await?;
    let payload = json!({ "from": before, "to": name });
    let change = Change::new("organization.renamed", Epoch::Keep, ("organization", id.to_string()), payload);
    Ok(Some((read(scoped).await?, change)))
}

/// The organization with this slug, for what is public: no principal is known yet.
///
/// # Errors
/// See [`StoreError`].
pub async fn find(store: &Store, slug: &Slug) -> Result<Option<OrgId>, StoreError> {
    let mut outside = store.outside().await?;
    let id: Option<sqlx::types::Uuid> = sqlx::query_scalar("SELECT find_organization($1)")
        .bind(slug.as_str())
        .fetch_one(&mut *outside)
        .await?;
    Ok(id.map(OrgId::from_uuid))
}
