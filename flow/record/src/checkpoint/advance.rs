//! One organization's next checkpoint: from the last one to the head, everything recomputed.

use chancery_evidence::{Checkpoint, CheckpointSigner};
use sqlx::PgConnection;

use super::CheckpointError;
use super::stored::{self, Made, Standing};
use crate::breaks::Broken;
use crate::scan::{Break, PIECE, ScanRow, Walk, piece};

/// The most entries of one organization that one round takes, so that a long record that was not
/// signed for a while does not keep the others waiting.
const MOST: u64 = 65_536;

/// What came of an organization's turn.
pub(super) enum Advanced {
    /// There is a checkpoint, and the walk that led to it.
    Made(Box<Made>, Walk),
    /// The record is not what it must be. Nothing is signed.
    Broken(Broken),
}

/// An organization's turn: where it stands, what is known of it, and what signs.
pub(super) struct Turn<'a> {
    pub(super) signer: &'a CheckpointSigner,
    pub(super) standing: Standing,
    pub(super) origin: String,
    /// The newest checkpoint outside Postgres.
    pub(super) outside: Option<Checkpoint>,
    /// Where to go on: this process's last walk, or the beginning; `None` for the newest checkpoint in
    /// the database.
    pub(super) walk: Option<Walk>,
    /// The first entries behind that place, as far as they were read already.
    pub(super) news: Vec<ScanRow>,
}

impl Turn<'_> {
    /// Walks on and signs what is found there. A tree smaller than one that was signed before is never
    /// signed, whatever the database says: neither the newest checkpoint outside nor the one inside is
    /// ever followed by a smaller one.
    pub(super) async fn advance(self, connection: &mut PgConnection) -> Result<Advanced, CheckpointError> {
        let Standing { org, seq, signed, .. } = self.standing;
        let vouched = self.outside.as_ref().map_or(0, |outside| outside.size);
        if seq < vouched.max(signed) {
            return Ok(broken("record_truncated", vouched.max(signed)));
        }
        let key = self.signer.vkey();
        // Signed by another process since this one walked: the walk passes there, and compares.
        let behind = self.walk.as_ref().is_some_and(|walk| walk.frontier.size() < signed);
        let inside = if behind { stored::checkpoint(connection, key, org, signed).await? } else { None };
        let walk = match self.walk {
            Some(walk) if !behind || inside.is_some() => Some(walk),
            Some(_) => None,
            None => stored::resume(connection, key, org, signed).await?,
        };
        let Some(mut walk) = walk else { return Ok(broken("checkpoint_invalid", signed)) };
        let signatures = [self.outside, inside];
        let goal = seq.min(walk.frontier.size().saturating_add(MOST)).max(vouched).max(signed);
        let mut tiles = Vec::new();
        let mut news = self.news;
        while walk.frontier.size() < goal {
            let before = walk.frontier.size();
            let rows = match std::mem::take(&mut news) {
                none if none.is_empty() => piece(connection, org, before, PIECE, false).await?,
                news => news,
            };
            for row in rows.iter().take_while(|row| row.seq() <= goal) {
                let stepped = walk.step(row, &mut |level, index, hash| tiles.push((level, index, hash)));
                let fork = signatures.iter().flatten().any(|signature| {
                    signature.size == walk.frontier.size() && signature.root != walk.frontier.root()
                });
                if let Some(code) = stepped.err().map(Break::code).or(fork.then_some("root_differs")) {
                    return Ok(broken(code, row.seq()));
                }
            }
            if walk.frontier.size() == before {
                return Ok(broken("entry_missing", before + 1));
            }
            // Requests come between the pieces.
            tokio::task::yield_now().await;
        }
        let checkpoint = Checkpoint { origin: self.origin, size: goal, root: walk.frontier.root() };
        let note = self.signer.sign(&checkpoint)?;
        let frontier = walk.frontier.to_bytes();
        Ok(Advanced::Made(Box::new(Made { org, frontier, note, checkpoint, tiles }), walk))
    }
}

const fn broken(code: &'static str, seq: u64) -> Advanced {
    Advanced::Broken(Broken { code, seq })
}
