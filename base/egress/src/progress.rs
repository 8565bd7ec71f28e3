//! How far a request has come, for whoever ends it from outside.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::failure::{Cause, Failure, Phase, Sent};

/// What a request has done by now. Only its own task writes; its deadline reads, in the same task.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    phase: AtomicU8,
    is_sent: AtomicBool,
}

impl Progress {
    pub(crate) fn enter(&self, phase: Phase) {
        let number = match phase {
            Phase::Resolve => 0,
            Phase::Connect => 1,
            Phase::Head => 2,
            Phase::Body => 3,
        };
        self.phase.store(number, Ordering::Relaxed);
    }

    /// From here on the request may have left, in this hop or in one before.
    pub(crate) fn hand_over(&self) {
        self.enter(Phase::Head);
        self.is_sent.store(true, Ordering::Relaxed);
    }

    /// It came back untouched, and `sent` is what it was before.
    pub(crate) fn take_back(&self, sent: Sent) {
        self.is_sent.store(sent == Sent::Perhaps, Ordering::Relaxed);
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Resolve,
            1 => Phase::Connect,
            2 => Phase::Head,
            _ => Phase::Body,
        }
    }

    pub(crate) fn sent(&self) -> Sent {
        if self.is_sent.load(Ordering::Relaxed) { Sent::Perhaps } else { Sent::No }
    }

    /// A failure at this point.
    pub(crate) fn fail(&self, cause: impl Into<Cause>) -> Failure {
        Failure::new(cause.into(), self.sent())
    }
}
