//! Which keys a caller may make: never with more rights than its own, now or later.

use chancery_model::{Audience, Environment, KeyId, MemberId, Permission, Principal, Role, Timestamp};
use chancery_people::member;
use chancery_store::{Scoped, StoreError, Write};

use crate::api_key::{ApiKeyError, NewApiKey};
use crate::{agent, scopes};

/// The most audiences one key redeems tokens for.
pub const MAX_AUDIENCES: usize = 32;

/// The authenticated caller that makes or rotates a key.
pub struct Creator<'a> {
    /// The member on whose rights the key will rest: as long as it lives it has none that its
    /// creator has not.
    pub member: MemberId,
    /// The caller's key; `None` for the installation.
    pub key: Option<KeyId>,
    /// What the caller may do now (its key's scopes and its role together): a set of
    /// [`Permission::bit`].
    pub rights: u64,
    /// What the caller acts on.
    pub environment: Environment,
    /// The audiences of the caller's key. One that has some hands on no others; one that has none may
    /// redeem nothing itself, and its scope `keys:manage` says for whom it may make keys.
    pub audiences: &'a [Audience],
    /// When the caller's key ends: it makes none that live longer.
    pub expires_at: Option<Timestamp>,
    /// The installation's role policy: what a role may do, as such a set.
    pub rights_of: &'a (dyn Fn(Role) -> u64 + Sync),
}

impl NewApiKey {
    /// The key with its lists sorted and without repetitions, if they are sensible.
    pub(crate) fn checked(mut self, now: Timestamp) -> Result<Self, ApiKeyError> {
        self.scopes.sort_unstable();
        self.scopes.dedup();
        self.audiences.sort_unstable();
        self.audiences.dedup();
        let refuse = |field, rule| Err(ApiKeyError::Invalid { field, rule });
        if self.scopes.is_empty() {
            return refuse("scopes", "a key needs at least one scope");
        }
        if self.audiences.len() > MAX_AUDIENCES {
            return refuse("audiences", "a key has at most 32 audiences");
        }
        if !self.audiences.is_empty() && !self.scopes.contains(&Permission::TokensVerify) {
            return refuse("audiences", "audiences need the scope `tokens:verify`");
        }
        if self.expires_at.is_some_and(|at| at <= now) {
            return refuse("expires_at", "`expires_at` must be in the future");
        }
        Ok(self)
    }
}

impl Creator<'_> {
    /// Whether this caller may decide over the keys of this holder. Whoever has a member's key acts as
    /// that member, so only the member does, and who manages members.
    pub(crate) fn require_charge_of(&self, holder: Principal) -> Result<(), ApiKeyError> {
        match holder {
            Principal::Member(id)
                if id != self.member && self.rights & Permission::MembersManage.bit() == 0 =>
            {
                Err(ApiKeyError::HolderIsAnother)
            }
            Principal::Member(_) | Principal::Agent(_) => Ok(()),
        }
    }

    /// Whether a key of the caller's may make one with these audiences, to this end.
    pub(crate) fn require_bounds(
        &self,
        audiences: &[Audience],
        expires_at: Option<Timestamp>,
    ) -> Result<(), ApiKeyError> {
        if !self.audiences.is_empty() && audiences.iter().any(|wanted| !self.audiences.contains(wanted)) {
            return Err(ApiKeyError::AudienceExceedsCreator);
        }
        match (self.expires_at, expires_at) {
            (Some(end), Some(wanted)) if wanted <= end => Ok(()),
            (Some(_), _) => Err(ApiKeyError::OutlivesCreator),
            (None, _) => Ok(()),
        }
    }

    /// Whether this caller may hand out a key with these rights to this holder.
    pub(crate) async fn require_rights(
        &self,
        scoped: &mut Scoped<Write>,
        holder: Principal,
        environment: Environment,
        wanted: &[Permission],
    ) -> Result<(), ApiKeyError> {
        self.require_charge_of(holder)?;
        if self.environment == Environment::Test && environment == Environment::Live {
            return Err(ApiKeyError::EnvironmentExceedsCreator);
        }
        let over = scopes::beyond(wanted, self.rights);
        if !over.is_empty() {
            return Err(ApiKeyError::ScopeExceedsCreator { scopes: over });
        }
        let role = active_role(scoped, holder).await?.ok_or(ApiKeyError::HolderNotActive)?;
        let over = scopes::beyond(wanted, (self.rights_of)(role));
        if !over.is_empty() {
            return Err(ApiKeyError::ScopeExceedsHolder { role, scopes: over });
        }
        Ok(())
    }
}

/// The role of a holder that can act; `None` when it is unknown, removed or retired.
async fn active_role(scoped: &mut Scoped<Write>, holder: Principal) -> Result<Option<Role>, StoreError> {
    Ok(match holder {
        Principal::Member(id) => member::read(scoped, id).await?.filter(|m| m.is_active()).map(|m| m.role),
        Principal::Agent(id) => {
            agent::read(scoped, id).await?.filter(|a| a.retired_at.is_none()).map(|_| Role::Agent)
        }
    })
}

/// Sorted words for the database.
pub(crate) fn words(scopes: &[Permission]) -> Vec<&'static str> {
    scopes.iter().map(|scope| scope.as_str()).collect()
}

/// Audiences for the database.
pub(crate) fn texts(audiences: &[Audience]) -> Vec<&str> {
    audiences.iter().map(Audience::as_str).collect()
}
