//! `[policies]`: the installation's own policies.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The layer of policy that no organization can loosen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Policies {
    /// The folder of its `.cedar` files; none if not set.
    pub installation_dir: Option<PathBuf>,
}
