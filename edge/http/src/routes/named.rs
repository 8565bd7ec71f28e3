//! Names beside ids, for people.

use std::collections::HashMap;

use chancery_keys::agent;
use chancery_model::{Principal, PrincipalId};
use chancery_people::member::{self, Member};
use chancery_store::{Keyring, KeyringError, Scoped};

use crate::ApiError;

/// Principals as their rows stand, of which members' names are still sealed.
pub(super) struct Rows {
    members: Vec<Member>,
    names: HashMap<PrincipalId, String>,
}

/// Reads the rows of principals, each once.
pub(super) async fn rows<M>(scoped: &mut Scoped<M>, of: &[Principal]) -> Result<Rows, ApiError> {
    let (mut members, mut agents) = (Vec::new(), Vec::new());
    for principal in of {
        match principal {
            Principal::Member(id) => members.push(*id),
            Principal::Agent(id) => agents.push(*id),
        }
    }
    let mut names = HashMap::new();
    if !agents.is_empty() {
        let found = agent::those(scoped, &agents).await?.into_iter();
        names.extend(found.map(|agent| (agent.id.into(), agent.name.to_string())));
    }
    let members = if members.is_empty() { Vec::new() } else { member::those(scoped, &members).await? };
    Ok(Rows { members, names })
}

impl Rows {
    /// The names, after the transaction is gone. Who was erased has none.
    pub(super) async fn open(self, keyring: &Keyring) -> Result<Names, ApiError> {
        let Self { members, mut names } = self;
        for member in members {
            match member.profile(keyring).await {
                Ok(profile) => {
                    names.insert(member.id.into(), profile.name.to_string());
                }
                Err(KeyringError::Shredded) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Names(names))
    }
}

/// Names by ids.
pub(super) struct Names(HashMap<PrincipalId, String>);

impl Names {
    pub(super) fn of(&self, id: PrincipalId) -> Option<String> {
        self.0.get(&id).cloned()
    }
}
