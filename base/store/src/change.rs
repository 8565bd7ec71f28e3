//! What a mutation says of itself: the entry it must leave.

use chancery_model::{CorrelationId, PrincipalId};
use serde_json::Value;

/// The entry of one mutation. The crate that owns the table makes it beside the rows; the record
/// appends it in the same transaction, or nothing of the mutation stays.
#[derive(Debug)]
pub struct Change {
    /// The entry's type, such as `agent.created`.
    pub kind: &'static str,
    /// Opaque identifiers in the leaf, readable by anyone who sees the record: name and id.
    pub refs: Vec<(&'static str, String)>,
    /// What happened, sealed; an object. Never a secret.
    pub payload: Value,
    /// Whose key seals the payload: the person or agent it is about; `None` for the organization.
    pub subject: Option<PrincipalId>,
    /// The story it belongs to, if it belongs to one.
    pub correlation: Option<CorrelationId>,
    /// Whether decisions and rights read before it are out of date.
    pub epoch: Epoch,
    /// Whether it halts or resumes the organization.
    pub halt: Option<Halt>,
}

/// What a change does to the organization's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// Nothing known before is wrong now (something new was made).
    Keep,
    /// A right, role, policy, setting or revocation changed: every process decides again.
    Bump,
}

/// Stopping and starting an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Nothing acts from here on.
    Halt,
    /// Acting is possible again.
    Resume,
}

impl Change {
    /// A change about the organization, with one reference.
    #[must_use]
    pub fn new(kind: &'static str, epoch: Epoch, reference: (&'static str, String), payload: Value) -> Self {
        Self { kind, refs: vec![reference], payload, subject: None, correlation: None, epoch, halt: None }
    }

    /// The same, with another reference.
    #[must_use]
    pub fn with(mut self, reference: (&'static str, String)) -> Self {
        self.refs.push(reference);
        self
    }

    /// The same, sealed under the key of the person or agent it is about.
    #[must_use]
    pub fn about(mut self, subject: PrincipalId) -> Self {
        self.subject = Some(subject);
        self
    }
}
