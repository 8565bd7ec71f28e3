//! Applying a pack: its actions into the catalogue and its policy in force, in one step.

use std::collections::BTreeMap;

use chancery_decide::{Pack, PolicySource};
use chancery_model::{ActionName, DisplayName, PolicyId};
use chancery_store::{Change, Scoped, StoreError, Write};
use serde_json::json;
use uuid::Uuid;

use crate::policies::{Authorship, hex_hash, insert, insert_version, set_active};
use crate::{PolicyError, actions, state};

/// What applying a pack did with one part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Added,
    /// It was there, the same.
    Present,
    /// The organization has its own under that name, which stays.
    Kept,
}

impl Outcome {
    /// The word in the API and in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Present => "present",
            Self::Kept => "kept",
        }
    }
}

/// What applying a pack did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Each of its actions.
    pub actions: BTreeMap<ActionName, Outcome>,
    /// Its policy.
    pub policy: Outcome,
    /// The policy's id.
    pub policy_id: PolicyId,
    /// Its version in force.
    pub version: u32,
}

/// Applies a pack by name. What the organization already has stays as it is; a policy of the pack
/// that was withdrawn comes into force again, with the pack's text. There is no change, and nothing
/// to commit, when everything was there.
///
/// # Errors
/// [`PolicyError::Missing`] when there is no such pack; [`PolicyError::Problems`] when its policy does
/// not hold against an action that the organization defined otherwise.
pub async fn apply(
    scoped: &mut Scoped<Write>,
    name: &str,
    author: Authorship<'_>,
) -> Result<(Applied, Option<Change>), PolicyError> {
    let pack = Pack::find(name).ok_or(PolicyError::Missing("pack"))?;
    let org = scoped.org();
    let mut known = state::definitions(scoped.connection(), org).await?;
    let mut outcomes = BTreeMap::new();
    let mut added = Vec::new();
    for action in &pack.actions {
        let outcome = match known.iter().find(|definition| definition.name == action.name) {
            Some(same) if same == action => Outcome::Present,
            Some(_) => Outcome::Kept,
            None => Outcome::Added,
        };
        if outcome == Outcome::Added {
            known.push(action.clone());
            added.push(action);
        }
        outcomes.insert(action.name.clone(), outcome);
    }
    let existing = find(scoped, pack).await?;
    let in_force = existing.as_ref().and_then(|policy| policy.active);
    let mut sources = state::in_force(scoped.connection(), org).await?;
    if in_force.is_none() {
        let name = pack.name.clone();
        sources.push(PolicySource { id: name.clone(), version: 1, name, text: pack.policies.into() });
    }
    state::check(known, sources).await.map_err(state::own_problems(&pack.name))?;
    for action in added {
        let text = actions::canonical(action)?;
        actions::write(scoped.connection(), org.as_uuid(), &action.name, &text, author.at).await?;
    }
    let (policy, policy_id, version) = match (existing, in_force) {
        (Some(Existing { id, latest_text, .. }), Some(version)) => {
            let same = latest_text == pack.policies;
            (if same { Outcome::Present } else { Outcome::Kept }, id, version)
        }
        (Some(existing), None) => {
            let version = restore(scoped, pack, &existing, author).await?;
            (Outcome::Added, existing.id, version)
        }
        (None, None | Some(_)) => {
            let name: DisplayName =
                pack.name.parse().map_err(|error| StoreError::corrupt("policies", error))?;
            let policy = insert(scoped, name, pack.policies, Some(1), author).await?;
            (Outcome::Added, policy.id, 1)
        }
    };
    let applied = Applied { actions: outcomes, policy, policy_id, version };
    let change = applied.is_news().then(|| applied.change(pack));
    Ok((applied, change))
}

impl Applied {
    fn is_news(&self) -> bool {
        self.policy == Outcome::Added || self.actions.values().any(|outcome| *outcome == Outcome::Added)
    }

    fn change(&self, pack: &Pack) -> Change {
        let actions: BTreeMap<&str, &str> =
            self.actions.iter().map(|(name, outcome)| (name.as_str(), outcome.as_str())).collect();
        let payload = json!({
            "pack": pack.name,
            "actions": actions,
            "policy": {
                "id": self.policy_id,
                "name": pack.name,
                "version": self.version,
                "outcome": self.policy.as_str(),
            },
            "content_hash": hex_hash(pack.policies),
        });
        let mut change = state::nameless("pack.applied", payload);
        change.refs.push(("policy", self.policy_id.to_string()));
        change
    }
}

/// The organization's policy of the pack's name.
struct Existing {
    id: PolicyId,
    active: Option<u32>,
    latest: u32,
    latest_text: String,
}

async fn find(scoped: &mut Scoped<Write>, pack: &Pack) -> Result<Option<Existing>, StoreError> {
    let org = scoped.org();
    let row: Option<(Uuid, Option<i32>, i32, String)> = sqlx::query_as(
        "SELECT p.id, p.active_version, v.version, v.text FROM policies p
         JOIN policy_versions v ON v.org_id = p.org_id AND v.policy_id = p.id
         WHERE p.org_id = $1 AND p.name = $2
         ORDER BY (v.version = p.active_version) DESC NULLS LAST, v.version DESC LIMIT 1 FOR UPDATE OF p",
    )
    .bind(org.as_uuid())
    .bind(&pack.name)
    .fetch_optional(scoped.connection())
    .await?;
    let number = |stored| u32::try_from(stored).map_err(|error| StoreError::corrupt("policies", error));
    row.map(|(id, active, latest, latest_text)| {
        Ok(Existing {
            id: PolicyId::from_uuid(id),
            active: active.map(number).transpose()?,
            latest: number(latest)?,
            latest_text,
        })
    })
    .transpose()
}

/// Puts the pack's text in force again: the newest version when it has it, else a new one.
async fn restore(
    scoped: &mut Scoped<Write>,
    pack: &Pack,
    existing: &Existing,
    author: Authorship<'_>,
) -> Result<u32, StoreError> {
    let mut version = existing.latest;
    if existing.latest_text != pack.policies {
        version += 1;
        insert_version(scoped, existing.id, version, pack.policies, author).await?;
    }
    set_active(scoped, existing.id, Some(version)).await?;
    Ok(version)
}
