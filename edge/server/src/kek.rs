//! `kek rotate`: a new version of the KEK, and every organization's key wrapped under it; `kek drop`:
//! the versions before, which wrap nothing then, destroyed.

use anyhow::ensure;
use chancery_model::OrgId;
use chancery_record::checkpoint::{checkpoint_key_version, rewrap_checkpoint_key};
use chancery_record::{Actor, RecordError, Recorder};
use chancery_store::{Change, Epoch, Scope, Store, exclude_wrapping};
use indicatif::ProgressBar;
use serde_json::json;
use sqlx::Connection as _;

use crate::naming::name_of;

/// How often an organization is tried that changes at the same moment.
const TRIES: usize = 5;

/// What a rotation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotated {
    /// Organizations whose key was wrapped anew.
    pub rewrapped: usize,
    /// Organizations whose key was under the newest version already.
    pub skipped: usize,
}

/// Wraps every key under the newest version of the KEK. Safe to repeat and to break off: what is
/// done stays done, and what is under the newest version is skipped.
///
/// # Errors
/// When the key file or the database refuses. What was not reached keeps its old version, which
/// stays in the key file.
pub async fn rewrap_all(
    store: &Store,
    recorder: &Recorder,
    progress: &ProgressBar,
) -> anyhow::Result<Rotated> {
    // First, so that an old copy of the key file is noticed at the next start.
    rewrap_checkpoint_key(store).await?;
    let orgs = store.organizations().await?;
    progress.set_length(orgs.len() as u64);
    let mut rotated = Rotated::default();
    for org in orgs {
        let changed = match rewrap(store, recorder, org).await {
            Ok(changed) => changed,
            Err(error) => return Err(of(store, org, error).await),
        };
        if changed {
            rotated.rewrapped += 1
        } else {
            rotated.skipped += 1
        }
        progress.inc(1);
    }
    Ok(rotated)
}

/// How many keys are wrapped under a version of the KEK before `version`, by what their envelopes say.
///
/// # Errors
/// When the database does not answer, or an envelope does not read.
pub async fn wrapped_before(store: &Store, version: u32) -> anyhow::Result<usize> {
    let mut before = usize::from(checkpoint_key_version(store).await?.is_some_and(|under| under < version));
    for org in store.organizations().await? {
        let mut scoped = store.read(&Scope::installation(org)).await?;
        let under = match store.keyring().org_key_version(&mut scoped).await {
            Ok(under) => under,
            Err(error) => return Err(of(store, org, error.into()).await),
        };
        before += usize::from(under < version);
    }
    Ok(before)
}

/// Destroys the versions of the KEK before `version`, which must wrap nothing any more. Gives how many.
///
/// # Errors
/// When a key is wrapped under one of them, or is being wrapped at this moment and may be committed
/// afterwards: then none is destroyed.
pub async fn drop_before(store: &Store, version: u32) -> anyhow::Result<usize> {
    // Outside the pool, which may have one connection, and counting needs that.
    let mut connection = store.appender_connection().await?;
    let mut alone = connection.begin().await?;
    ensure!(
        exclude_wrapping(&mut alone).await?,
        "a key is being wrapped at this moment, of an organization that is being founded or by a rotation: \
         run the command again; nothing was dropped"
    );
    none_wrapped_before(store, version).await?;
    // Whether the transaction still lives, and keeps everyone out: counting may have taken long.
    ensure!(exclude_wrapping(&mut alone).await?, "a key was wrapped meanwhile; nothing was dropped");
    Ok(store.keyring().custody().drop_versions_before(version)?)
}

/// Refuses while a key is wrapped under a version before `version`.
///
/// # Errors
/// When one is, or as [`wrapped_before`].
pub async fn none_wrapped_before(store: &Store, version: u32) -> anyhow::Result<()> {
    let left = wrapped_before(store, version).await?;
    ensure!(
        left == 0,
        "{left} keys are still wrapped under versions before {version}: `chancery kek rotate --resume` \
         wraps them anew; nothing was dropped"
    );
    Ok(())
}

async fn of(store: &Store, org: OrgId, error: anyhow::Error) -> anyhow::Error {
    error.context(format!("organization `{}`", name_of(store, org).await))
}

async fn rewrap(store: &Store, recorder: &Recorder, org: OrgId) -> anyhow::Result<bool> {
    for _ in 0..TRIES {
        let mut scoped = store.write(&Scope::installation(org)).await?;
        let Some(version) = store.keyring().rewrap_org_key(&mut scoped).await? else { return Ok(false) };
        let payload = json!({ "kek_version": version });
        let change = Change::new("kek.rewrapped", Epoch::Keep, ("organization", org.to_string()), payload);
        match recorder.commit(scoped, Actor::installation(), change).await {
            Ok(_) => return Ok(true),
            Err(RecordError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("it changed each time it was tried; run the command again")
}
