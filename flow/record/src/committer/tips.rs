//! What the committer remembers of the chains it wrote last.

use std::collections::HashMap;

use chancery_model::OrgId;

use super::Job;
use crate::chain::Tip;

/// How many tips are remembered, about 150 bytes each.
const KEPT: usize = 16_384;
/// How many batches go the long way after a memory proved wrong: another process writes to the same
/// chains, and will again.
const REST: u32 = 16;

/// The tips of chains as this process's last commits left them. They are a guess: another process,
/// or a mutation of this one, may have appended since. Only the database says whether they still hold.
#[derive(Debug, Default)]
pub(super) struct Tips {
    known: HashMap<OrgId, Tip>,
    resting: u32,
}

impl Tips {
    /// The tips a batch would be linked to, in the order of their organizations, if each is remembered
    /// and none was wrong of late.
    pub(super) fn of(&mut self, jobs: &[Job]) -> Option<Vec<Tip>> {
        if self.resting > 0 {
            self.resting -= 1;
            return None;
        }
        let mut orgs: Vec<OrgId> = jobs.iter().map(|job| job.entry.org).collect();
        orgs.sort_unstable();
        orgs.dedup();
        orgs.iter().map(|org| self.known.get(org).cloned()).collect()
    }

    /// Remembers tips just committed.
    pub(super) fn keep(&mut self, tips: impl IntoIterator<Item = Tip>) {
        if self.known.len() > KEPT {
            self.known.clear();
        }
        self.known.extend(tips.into_iter().map(|tip| (tip.org, tip)));
    }

    /// Forgets tips that were not those of the database.
    pub(super) fn were_wrong(&mut self, tips: &[Tip]) {
        self.resting = REST;
        for tip in tips {
            self.known.remove(&tip.org);
        }
    }

    #[cfg(test)]
    pub(super) fn knows(&self, org: OrgId) -> bool {
        self.known.contains_key(&org)
    }
}
