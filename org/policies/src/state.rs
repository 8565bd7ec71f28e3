//! What is in force, as it is read from the store, and the check that it holds together.

use std::sync::Arc;

use chancery_decide::{ActionDefinition, Catalogue, Layer, ParseCache, Policies, PolicySource, check_policy};
use chancery_model::{ActionName, OrgId};
use chancery_store::{Change, Epoch, StoreError};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::PolicyError;

/// The texts of the definitions in the catalogue, by name.
pub(crate) async fn definition_texts(
    connection: &mut PgConnection,
    org: OrgId,
) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(
        "SELECT definition FROM actions WHERE org_id = $1 AND retired_at IS NULL ORDER BY name",
    )
    .bind(org.as_uuid())
    .fetch_all(connection)
    .await?)
}

/// Reads a definition that was checked when it was written.
pub(crate) fn definition(text: &str) -> Result<ActionDefinition, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt("actions", error))
}

/// The definitions in the catalogue, by name.
pub(crate) async fn definitions(
    connection: &mut PgConnection,
    org: OrgId,
) -> Result<Vec<ActionDefinition>, StoreError> {
    definition_texts(connection, org).await?.iter().map(|text| definition(text)).collect()
}

/// The policies in force, in the order they were made.
pub(crate) async fn in_force(
    connection: &mut PgConnection,
    org: OrgId,
) -> Result<Vec<PolicySource>, StoreError> {
    let rows: Vec<(Uuid, String, i32, String)> = sqlx::query_as(
        "SELECT p.id, p.name, v.version, v.text FROM policies p
         JOIN policy_versions v ON v.org_id = p.org_id AND v.policy_id = p.id AND v.version = p.active_version
         WHERE p.org_id = $1 AND p.active_version IS NOT NULL ORDER BY p.id",
    )
    .bind(org.as_uuid())
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(id, name, version, text)| {
            let version = u32::try_from(version).map_err(|error| StoreError::corrupt("policies", error))?;
            Ok(PolicySource { id: id.to_string(), version, name, text: text.into() })
        })
        .collect()
}

/// Checks that the definitions make a catalogue and that all policies hold against it. Validating
/// hundreds of policies takes long, so it runs on a thread that answers no requests.
pub(crate) async fn check(
    definitions: Vec<ActionDefinition>,
    sources: Vec<PolicySource>,
) -> Result<(), PolicyError> {
    off_thread(move || {
        let catalogue = Arc::new(Catalogue::build(definitions)?);
        for source in &sources {
            check_policy(&source.text, &catalogue, Layer::Organization)
                .map_err(|problems| PolicyError::Breaks { policy: source.name.clone(), problems })?;
        }
        Policies::compile(catalogue, &[], &sources, &ParseCache::new(sources.len(), 1))?;
        Ok(())
    })
    .await?
}

/// Checks one text against the definitions.
pub(crate) async fn check_text(definitions: Vec<ActionDefinition>, text: String) -> Result<(), PolicyError> {
    off_thread(move || {
        let catalogue = Catalogue::build(definitions)?;
        check_policy(&text, &catalogue, Layer::Organization).map(drop).map_err(PolicyError::Problems)
    })
    .await?
}

/// Runs long work beside the threads that answer requests.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    // Fails only when the runtime is going down.
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Database(sqlx::Error::WorkerCrashed))
}

/// The definitions with one replaced or added.
pub(crate) fn with(mut definitions: Vec<ActionDefinition>, new: ActionDefinition) -> Vec<ActionDefinition> {
    definitions.retain(|definition| definition.name != new.name);
    definitions.push(new);
    definitions
}

/// The definitions without one.
pub(crate) fn without(mut definitions: Vec<ActionDefinition>, name: &ActionName) -> Vec<ActionDefinition> {
    definitions.retain(|definition| definition.name != *name);
    definitions
}

/// The entry of a change that has no opaque id to refer to: names stay in the sealed payload.
pub(crate) const fn nameless(kind: &'static str, payload: Value) -> Change {
    Change {
        kind,
        refs: Vec::new(),
        payload,
        subject: None,
        correlation: None,
        epoch: Epoch::Bump,
        halt: None,
    }
}

/// Says of problems with a text that is about to come into force that they are the text's own.
pub(crate) fn own_problems(name: &str) -> impl Fn(PolicyError) -> PolicyError {
    move |error| match error {
        PolicyError::Breaks { policy, problems } if policy == name => PolicyError::Problems(problems),
        other => other,
    }
}
