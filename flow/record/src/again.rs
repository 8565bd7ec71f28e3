//! Deciding again, after people agreed: what comes of it is recorded and released once.

use crate::committer::{Answer, Job};
use crate::entry::Words;
use crate::intents::sealed_token;
use crate::open::refusal;
use crate::payload::{decided_again, decided_refs};
use crate::releases::{Carries, Release};
use crate::{Opened, Outcome, RecordError, Recorder};

/// The entry that lets an approved intent go on.
pub(crate) const RELEASED: &str = chancery_evidence::kind::RELEASED;
/// The entry that tells that an approved intent was refused all the same.
const DENIED: &str = chancery_evidence::kind::RELEASE_DENIED;

impl Recorder {
    /// Records what was decided on an intent again, after people agreed to what stands at `escalated_seq`.
    /// An intent is released once, whoever asks in whatever process: a second token or call is refused.
    ///
    /// # Errors
    /// [`RecordError::Released`] when it was released before; [`RecordError::Stale`]: decide again.
    pub async fn open_again(&self, outcome: Outcome, escalated_seq: i64) -> Result<Opened, RecordError> {
        let cleared = outcome.cleared();
        let caller = cleared.caller().caller();
        let (org, epoch, principal) = (caller.org(), caller.record().epoch, caller.principal());
        let intent = cleared.intent();
        let keyring = self.store.keyring();
        let key = keyring.subject_key(org, principal.id()).await?;
        let decision = outcome.decision().to_canonical().map_err(|_| RecordError::Refused)?;
        let payload = decided_again(&outcome, &decision, escalated_seq).map_err(|_| RecordError::Refused)?;
        let token = sealed_token(&outcome, &key, &**keyring.random()).map(|token| Release {
            intent: intent.id,
            intent_hash: *intent.hash(),
            carries: Carries::Token(token),
        });
        let release = token.or_else(|| outcome.call());
        let kind = match (&outcome, &release) {
            (Outcome::Minted(_) | Outcome::Call(..), Some(_)) => RELEASED,
            (Outcome::Escalation(_) | Outcome::Refusal(_), None) => DENIED,
            // Allowed and released for nothing: nobody asks for that.
            _ => return Err(RecordError::Refused),
        };
        let words = Words {
            org,
            kind,
            correlation: Some(intent.correlation),
            refs: decided_refs(intent.id, principal, outcome.token()),
            payload: &payload,
        };
        let entry = words.prepare(&key, &**keyring.random());
        let answer = self
            .queue(|| {
                let (mut job, waiter) = Job::new(entry, epoch);
                job.release = release;
                (job, waiter)
            })
            .await?;
        match answer {
            Answer::Committed(receipt) => Ok(Opened { outcome, decision, receipt }),
            refused => Err(refusal(refused)),
        }
    }
}
