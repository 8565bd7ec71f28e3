//! Opening: every verdict goes through here, and only what comes out releases an answer or a token.

use chancery_approve::{Ask, Escalated};
use chancery_authenticate::{Allowed, permission::IntentsSubmit};
use chancery_decide::{Decision, Escalation, Permit, Refusal};
use chancery_evidence::kind;
use chancery_mint::Minted;
use chancery_model::{Audience, Environment, IntentId, OrgId, PrincipalId, TokenId};
use chancery_screen::Cleared;
use chancery_store::Receipt;
use secrecy::SecretString;

use crate::committer::{Answer, Job};
use crate::entry::Words;
use crate::idempotency::{self, Claim, Earlier};
use crate::intents::{IntentRow, open_token, sealed_token};
use crate::payload::{decided, decided_refs};
use crate::releases::{Carries, Release};
use crate::{RecordError, Recorder};

/// A verdict, with the token if one was minted.
#[derive(Debug)]
pub enum Outcome {
    /// Permitted, and a token minted for it.
    Minted(Box<Minted>),
    /// Permitted, and called by us through a connector once it is recorded.
    Call(Permit, CallTerms),
    /// Permitted, without a token.
    Permit(Permit),
    /// Escalated.
    Escalation(Escalation),
    /// Refused.
    Refusal(Refusal),
}

impl Outcome {
    /// The intent and who asks.
    #[must_use]
    pub const fn cleared(&self) -> &Cleared {
        match self {
            Self::Minted(minted) => minted.permit().cleared(),
            Self::Permit(permit) | Self::Call(permit, _) => permit.cleared(),
            Self::Escalation(escalation) => escalation.cleared(),
            Self::Refusal(refusal) => refusal.cleared(),
        }
    }

    /// The decision.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        match self {
            Self::Minted(minted) => minted.permit().decision(),
            Self::Permit(permit) | Self::Call(permit, _) => permit.decision(),
            Self::Escalation(escalation) => escalation.decision(),
            Self::Refusal(refusal) => refusal.decision(),
        }
    }

    pub(crate) const fn token(&self) -> Option<(TokenId, &[u8; 32])> {
        match self {
            Self::Minted(minted) => Some((minted.id(), minted.claims_hash())),
            _ => None,
        }
    }

    const fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Minted(_) | Self::Call(..) | Self::Permit(_) => (kind::ALLOWED, "allow"),
            Self::Escalation(_) => (kind::ESCALATED, "escalate"),
            Self::Refusal(_) => (kind::DENIED, "deny"),
        }
    }

    /// The call it is to be released for, as a row.
    pub(crate) fn call(&self) -> Option<Release> {
        let Self::Call(permit, terms) = self else { return None };
        let intent = permit.cleared().intent();
        Some(Release {
            intent: intent.id,
            intent_hash: *intent.hash(),
            carries: Carries::Call {
                connector: terms.connector.as_str().to_owned(),
                unknown_after_seconds: terms.unknown_after_seconds,
            },
        })
    }

    fn escalated(&self) -> Result<Option<Escalated>, RecordError> {
        let Self::Escalation(escalation) = self else { return Ok(None) };
        let (caller, intent) =
            (escalation.cleared().caller().caller().record(), escalation.cleared().intent());
        let ask = Ask {
            requester: caller.holder,
            owner: caller.owner,
            key_created_by: caller.created_by,
            on_behalf_of: intent.on_behalf_of,
        };
        let requirements = &escalation.decision().requirements;
        let row = Escalated::new(intent.id, *intent.hash(), intent.environment, ask, requirements);
        row.map(Some).map_err(|_| RecordError::Refused)
    }
}

/// On what terms an intent is called by us.
#[derive(Debug)]
pub struct CallTerms {
    /// Through which connector.
    pub connector: Audience,
    /// After how many seconds its outcome counts as unknown if nobody said how it ended: longer than the
    /// call may take.
    pub unknown_after_seconds: i64,
}

/// An idempotency key as a request presents it.
#[derive(Debug)]
pub struct IdempotencyKey {
    /// The route, as a fixed word.
    pub route: &'static str,
    /// The key's text.
    pub key: String,
    /// Hash of the request's canonical body.
    pub request_hash: [u8; 32],
}

impl IdempotencyKey {
    /// A key of the test environment is another key than the same text of the live one: what one was
    /// answered, the other must not be.
    fn claim(&self, principal: PrincipalId, environment: Environment) -> Claim {
        let (environment, key) = (environment.as_str(), self.key.as_str());
        let parts = [b"chancery/idempotency/v1".as_slice(), environment.as_bytes(), b"\0", key.as_bytes()];
        let key_hash = chancery_crypto::sha256(&parts);
        Claim { principal, route: self.route, key_hash, request_hash: self.request_hash }
    }
}

/// A verdict that stands in the record.
///
/// It comes from [`Recorder::open`] and is what releases a token:
///
/// ```no_run
/// use chancery_record::{Opening, Outcome, RecordError, Recorder};
/// use secrecy::SecretString;
/// async fn opens(recorder: &Recorder, outcome: Outcome) -> Result<Option<SecretString>, RecordError> {
///     match recorder.open(outcome, None).await? {
///         Opening::Opened(opened) => Ok(opened.release().ok().flatten()),
///         Opening::Replayed(replayed) => Ok(replayed.token),
///     }
/// }
/// ```
///
/// A verdict that was not recorded releases nothing, and nobody else says that it was:
///
/// ```compile_fail,E0599
/// # use chancery_record::Outcome;
/// fn skips(outcome: Outcome) {
///     let _ = outcome.release();
/// }
/// ```
/// ```compile_fail,E0451
/// # use chancery_record::{Opened, Outcome};
/// # use chancery_store::Receipt;
/// fn forges(outcome: Outcome, decision: String, receipt: Receipt) -> Opened {
///     Opened { outcome, decision, receipt }
/// }
/// ```
#[derive(Debug)]
pub struct Opened {
    pub(crate) outcome: Outcome,
    pub(crate) decision: String,
    pub(crate) receipt: Receipt,
}

impl Opened {
    /// What was decided.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The decision as canonical JSON: the very text that the record commits to.
    #[must_use]
    pub fn decision_json(&self) -> &str {
        &self.decision
    }

    /// Where it stands in the record.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Hands out the token, if one was minted.
    ///
    /// # Errors
    /// When the receipt is not the token's: the two were mixed up, and nothing is handed out.
    pub fn release(self) -> Result<Option<SecretString>, chancery_mint::Mismatch> {
        match self.outcome {
            Outcome::Minted(minted) => minted.release(&self.receipt).map(Some),
            _ => Ok(None),
        }
    }

    /// What a call is made with, if it is to be called.
    #[must_use]
    pub fn engage(self) -> Option<Engaged> {
        match self.outcome {
            Outcome::Call(permit, terms) => Some(Engaged { permit, terms, receipt: self.receipt }),
            _ => None,
        }
    }
}

/// Proof that a permitted call stands in the record as opened: what a connector is reached with. It comes
/// from [`Opened::engage`]; [`Recorder::close_call`] closes the call, once.
///
/// ```compile_fail,E0277
/// # use chancery_record::Engaged;
/// fn twice<T: Clone>() {}
/// twice::<Engaged>();
/// ```
#[derive(Debug)]
pub struct Engaged {
    pub(crate) permit: Permit,
    pub(crate) terms: CallTerms,
    pub(crate) receipt: Receipt,
}

impl Engaged {
    /// The intent and who asks.
    #[must_use]
    pub const fn cleared(&self) -> &Cleared {
        self.permit.cleared()
    }

    /// Through which connector.
    #[must_use]
    pub const fn connector(&self) -> &Audience {
        &self.terms.connector
    }

    /// Where the entry that opened it stands.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.receipt
    }
}

/// What an earlier request with the same idempotency key was answered.
#[derive(Debug)]
pub struct Replayed {
    /// The intent.
    pub intent: IntentId,
    /// The token it was given, if one was.
    pub token: Option<SecretString>,
    /// Where the decision stands in the record.
    pub receipt: Receipt,
}

/// What opening gives.
#[derive(Debug)]
pub enum Opening {
    /// The verdict stands in the record.
    Opened(Box<Opened>),
    /// The idempotency key was used before, with the same request.
    Replayed(Replayed),
}

impl Recorder {
    /// Records a verdict. Its epoch is compared with the head's in the same transaction, so a
    /// verdict made on what is no longer so never gets out.
    ///
    /// # Errors
    /// [`RecordError::Stale`]: decide again. All others: nothing was recorded and nothing released.
    pub async fn open(
        &self,
        outcome: Outcome,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<Opening, RecordError> {
        let cleared = outcome.cleared();
        let caller = cleared.caller().caller();
        let (org, epoch, principal) = (caller.org(), caller.record().epoch, caller.principal());
        let intent = cleared.intent();
        let (kind, effect) = outcome.words();
        let keyring = self.store.keyring();
        let key = keyring.subject_key(org, principal.id()).await?;
        let decision = outcome.decision().to_canonical().map_err(|_| RecordError::Refused)?;
        let payload = decided(&outcome, &decision).map_err(|_| RecordError::Refused)?;
        let words = Words {
            org,
            kind,
            correlation: Some(intent.correlation),
            refs: decided_refs(intent.id, principal, outcome.token()),
            payload: &payload,
        };
        let entry = words.prepare(&key, &**keyring.random());
        let row = IntentRow {
            id: intent.id,
            principal,
            key: caller.key(),
            action: intent.action.as_str().to_owned(),
            resource_type: intent.resource_type.as_str().to_owned(),
            effect,
            risk: outcome.decision().risk.score,
            environment: intent.environment,
            token: sealed_token(&outcome, &key, &**keyring.random()),
        };
        let (escalated, release) = (outcome.escalated()?, outcome.call());
        let claim = idempotency.map(|presented| presented.claim(principal.id(), intent.environment));
        let answer = self
            .queue(|| {
                let (mut job, waiter) = Job::new(entry, epoch);
                job.intent = Some(row);
                job.claim = claim;
                job.escalated = escalated;
                job.release = release;
                (job, waiter)
            })
            .await?;
        match answer {
            Answer::Committed(receipt) => {
                metrics::counter!("decisions_total", "effect" => effect).increment(1);
                Ok(Opening::Opened(Box::new(Opened { outcome, decision, receipt })))
            }
            Answer::Claimed(earlier, receipt) => {
                self.replay(org, earlier, receipt, idempotency).await.map(Opening::Replayed)
            }
            refused => Err(refusal(refused)),
        }
    }

    /// What an earlier request with the same idempotency key was answered; `None` when there was none.
    ///
    /// # Errors
    /// [`RecordError::KeyReused`] when it was another request.
    pub async fn earlier(
        &self,
        caller: &Allowed<IntentsSubmit>,
        presented: &IdempotencyKey,
    ) -> Result<Option<Replayed>, RecordError> {
        let org = caller.org();
        let environment = caller.caller().record().environment;
        let claim = presented.claim(caller.caller().principal().id(), environment);
        let mut scoped = self.store.read(caller.scope()).await?;
        let earlier = idempotency::find(scoped.connection(), org.as_uuid(), &claim).await?;
        drop(scoped);
        let Some(earlier) = earlier else { return Ok(None) };
        let (link, story) = (earlier.link, Some(earlier.intent.into()));
        let receipt =
            self.right.found_committed().receipt(org, (link.seq, link.time), link.entry_hash, story);
        self.replay(org, earlier, receipt, Some(presented)).await.map(Some)
    }

    async fn replay(
        &self,
        org: OrgId,
        earlier: Earlier,
        receipt: Receipt,
        presented: Option<&IdempotencyKey>,
    ) -> Result<Replayed, RecordError> {
        if presented.is_none_or(|presented| presented.request_hash != earlier.request_hash) {
            return Err(RecordError::KeyReused);
        }
        let token = match &earlier.token {
            Some(sealed) => Some(open_token(self.store.keyring(), org, earlier.intent, sealed).await?),
            None => None,
        };
        Ok(Replayed { intent: earlier.intent, token, receipt })
    }
}

/// What a refused job means to whoever waits for it.
pub(crate) fn refusal(answer: Answer) -> RecordError {
    match answer {
        Answer::Stale { epoch } => RecordError::Stale { epoch },
        Answer::Halted => RecordError::Halted,
        Answer::Used => RecordError::Used,
        Answer::Groundless => {
            metrics::counter!("record_groundless_tokens_total").increment(1);
            RecordError::Groundless
        }
        Answer::Refused => RecordError::Refused,
        Answer::Released => RecordError::Released,
        Answer::Committed(_) | Answer::Claimed(..) | Answer::Unavailable => RecordError::Unavailable,
    }
}
