//! A member's other name. It is a part of the profile, so it is sealed, and the record does not say it.

use chancery_crypto::Sealed;
use chancery_model::DisplayName;
use chancery_store::{Change, Epoch, Keyring, Scoped, StoreError, Write};
use serde_json::json;

use super::{Member, MemberError, lock, profile_context};
use crate::Profile;

/// A new name, sealed, for the profile that was read.
#[derive(Debug)]
pub struct Renaming {
    member: Member,
    sealed: Sealed<Profile>,
}

/// Prepares another name for a member that was read. Call it after that transaction is gone, and
/// before the one that writes: the keyring may need a connection of its own.
///
/// # Errors
/// See [`MemberError`].
pub async fn prepare(member: Member, keyring: &Keyring, name: DisplayName) -> Result<Renaming, MemberError> {
    if !member.is_active() {
        return Err(MemberError::Removed);
    }
    let before = member.profile(keyring).await?;
    if before.name == name {
        return Err(MemberError::Unchanged);
    }
    let key = keyring.subject_key(member.org, member.id.into()).await?;
    let (row, profile) = (member.id.to_string(), Profile { name, ..before });
    let sealed = Sealed::seal(&key, &profile_context(member.org, &row), &profile, &**keyring.random())?;
    Ok(Renaming { member, sealed })
}

/// Gives the member the prepared name. `None` when there is no such member.
///
/// # Errors
/// [`StoreError::Stale`] when the profile changed since it was read: read it again. Otherwise see
/// [`MemberError`].
pub async fn rename(
    scoped: &mut Scoped<Write>,
    renaming: Renaming,
) -> Result<Option<(Member, Change)>, MemberError> {
    let Some(mut member) = lock(scoped, renaming.member.id).await? else { return Ok(None) };
    if member.profile.as_bytes() != renaming.member.profile.as_bytes() {
        return Err(StoreError::Stale { epoch: 0 }.into());
    }
    member.profile = renaming.sealed;
    sqlx::query("UPDATE members SET profile = $3 WHERE org_id = $1 AND id = $2")
        .bind(member.org.as_uuid())
        .bind(member.id.as_uuid())
        .bind(member.profile.as_bytes())
        .execute(scoped.connection())
        .await
        .map_err(StoreError::from)?;
    let change = Change::new("member.renamed", Epoch::Keep, ("member", member.id.to_string()), json!({}));
    Ok(Some((member, change)))
}
