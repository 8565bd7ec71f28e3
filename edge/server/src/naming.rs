//! What people call an organization: its slug. Ids are for programs.

use chancery_evidence::{VerifierKey, origin};
use chancery_model::{OrgId, Slug};
use chancery_people::organization;
use chancery_record::checkpoint::CheckpointError;
use chancery_store::{Scope, Store};

/// An organization's slug; `None` where the database, which may be broken, does not tell it.
pub(crate) async fn slug_of(store: &Store, org: OrgId) -> Option<Slug> {
    let mut scoped = store.read(&Scope::installation(org)).await.ok()?;
    Some(organization::read(&mut scoped).await.ok()?.slug)
}

/// What to call an organization: its slug, or its id where there is none to be had.
pub(crate) async fn name_of(store: &Store, org: OrgId) -> String {
    slug_of(store, org).await.map_or_else(|| org.to_string(), |slug| slug.to_string())
}

/// The same refusal, of the organization by its slug. One that the database has lost is known by its
/// log only.
pub(crate) async fn named(error: CheckpointError, store: &Store, vkey: &VerifierKey) -> CheckpointError {
    let (CheckpointError::Behind { record, .. } | CheckpointError::Forked { record, .. }) = &error else {
        return error;
    };
    let orgs = store.organizations().await.unwrap_or_default();
    let Some(org) = orgs.into_iter().find(|org| origin(vkey.name(), *org) == *record) else { return error };
    // The log's name as well: it stands in the checkpoint file, and a slug may have been changed.
    let name = format!("`{}` ({record})", name_of(store, org).await);
    match error {
        CheckpointError::Behind { signed, found, .. } => {
            CheckpointError::Behind { record: name, signed, found }
        }
        CheckpointError::Forked { size, .. } => CheckpointError::Forked { record: name, size },
        other => other,
    }
}
