//! `[record]`: the record.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How the record is written and checkpointed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// How often a checkpoint is signed while there is news, in milliseconds.
    pub checkpoint_interval_ms: u64,
    /// The file that checkpoints are appended to, outside the database.
    pub checkpoint_file: PathBuf,
    /// Writes that may wait for the committer, in all.
    pub queue_length: usize,
    /// Writes of one organization that may wait.
    pub queue_share: usize,
}

impl Record {
    pub(crate) fn defaults(data_dir: &Path) -> Self {
        Self {
            checkpoint_interval_ms: 1_000,
            checkpoint_file: data_dir.join("checkpoints.log"),
            queue_length: 8_192,
            queue_share: 2_048,
        }
    }
}
