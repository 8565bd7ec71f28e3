//! Revoking tokens before they expire: one, all that an API key asked for, all that were
//! issued to an agent, or all of the organization.

use std::collections::{HashMap, HashSet};

use chancery_crypto::Random;
use chancery_model::{AgentId, Clock, KeyId, Principal, Timestamp, TokenId};
use chancery_store::{Change, Epoch, Read, Scoped, StoreError, Write};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::verify::CLOCK_SKEW_SECONDS;
use crate::{Claims, Lifetime};

/// What is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One token.
    Token(TokenId),
    /// Every token that an API key asked for until now.
    Key(KeyId),
    /// Every token that was issued to an agent until now, whichever key asked and in whose name.
    Agent(AgentId),
    /// Every token of the organization until now.
    Organization,
}

impl Target {
    const fn kind(self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Key(_) => "key",
            Self::Agent(_) => "agent",
            Self::Organization => "organization",
        }
    }

    const fn id(self) -> Option<Uuid> {
        match self {
            Self::Token(id) => Some(id.as_uuid()),
            Self::Key(id) => Some(id.as_uuid()),
            Self::Agent(id) => Some(id.as_uuid()),
            Self::Organization => None,
        }
    }
}

/// A revocation as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its id.
    pub id: Uuid,
    /// What it is about.
    pub target: Target,
    /// What was issued until then is revoked, with what [`Revoked::covers`] adds for clocks.
    pub before: Timestamp,
}

/// Revokes what was issued to the target until now, and within [`CLOCK_SKEW_SECONDS`] from now for a
/// key, an agent or an organization (see [`Revoked::covers`]). `reason` is 1 to 1000 bytes, for the record.
/// A target that does not exist is revoked all the same: whether it does is nobody's business here.
///
/// # Errors
/// When the store does not answer.
pub async fn revoke(
    scoped: &mut Scoped<Write>,
    target: Target,
    reason: &str,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(Revocation, Change), StoreError> {
    let before = clock.now();
    let id = TokenId::new(before, random.bytes()).as_uuid();
    let org = scoped.org();
    sqlx::query(
        "INSERT INTO revocations (org_id, id, kind, target, before, reason, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $5)",
    )
    .bind(org.as_uuid())
    .bind(id)
    .bind(target.kind())
    .bind(target.id())
    .bind(before.to_offset())
    .bind(reason)
    .execute(scoped.connection())
    .await?;
    let payload = json!({"kind": target.kind(), "target": target.id(), "before": before, "reason": reason});
    let change = Change::new("tokens.revoked", Epoch::Bump, ("revocation", id.to_string()), payload);
    Ok((Revocation { id, target, before }, change))
}

/// The revocations that can still meet a token that has not expired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    tokens: HashSet<TokenId>,
    keys: HashMap<KeyId, Timestamp>,
    agents: HashMap<AgentId, Timestamp>,
    organization: Option<Timestamp>,
}

impl Revoked {
    /// Adds one.
    pub fn add(&mut self, target: Target, before: Timestamp) {
        match target {
            Target::Token(id) => {
                self.tokens.insert(id);
            }
            Target::Key(id) => later(&mut self.keys, id, before),
            Target::Agent(id) => later(&mut self.agents, id, before),
            Target::Organization => self.organization = self.organization.max(Some(before)),
        }
    }

    /// Whether a token with these claims is revoked. A token issued before the revocation by a server
    /// whose clock is ahead says that it was issued later, so those issued within
    /// [`CLOCK_SKEW_SECONDS`] after the revocation are revoked too.
    #[must_use]
    pub fn covers(&self, claims: &Claims) -> bool {
        let issued_until = |before: Option<Timestamp>| {
            before.is_some_and(|before| claims.iat <= before.as_seconds() + CLOCK_SKEW_SECONDS)
        };
        let agent = match claims.actor() {
            Principal::Agent(id) => self.agents.get(&id).copied(),
            Principal::Member(_) => None,
        };
        self.tokens.contains(&claims.jti)
            || issued_until(self.keys.get(&claims.key).copied())
            || issued_until(agent)
            || issued_until(self.organization)
    }
}

/// Of two revocations of the same target the later one covers more.
fn later<T: Eq + std::hash::Hash>(known: &mut HashMap<T, Timestamp>, target: T, before: Timestamp) {
    known.entry(target).and_modify(|known| *known = before.max(*known)).or_insert(before);
}

/// Reads the revocations that matter at `now`: those after which a token that they cover may not
/// have expired yet.
///
/// # Errors
/// When the store does not answer.
pub async fn active(scoped: &mut Scoped<Read>, now: Timestamp) -> Result<Revoked, StoreError> {
    let org = scoped.org();
    let oldest = now.plus_seconds(-(Lifetime::LONGEST.as_seconds() + 2 * CLOCK_SKEW_SECONDS));
    let rows: Vec<(String, Option<Uuid>, OffsetDateTime)> =
        sqlx::query_as("SELECT kind, target, before FROM revocations WHERE org_id = $1 AND before >= $2")
            .bind(org.as_uuid())
            .bind(oldest.to_offset())
            .fetch_all(scoped.connection())
            .await?;
    let mut revoked = Revoked::default();
    for (kind, target, before) in rows {
        let target = match (kind.as_str(), target) {
            ("token", Some(id)) => Target::Token(TokenId::from_uuid(id)),
            ("key", Some(id)) => Target::Key(KeyId::from_uuid(id)),
            ("agent", Some(id)) => Target::Agent(AgentId::from_uuid(id)),
            ("organization", None) => Target::Organization,
            _ => return Err(StoreError::corrupt("revocations", "the kind and its target do not fit")),
        };
        revoked.add(target, before.into());
    }
    Ok(revoked)
}
