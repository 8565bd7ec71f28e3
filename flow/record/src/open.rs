//! Opening: every verdict goes through here, and only what comes out releases an answer or a token.

use std::fmt::{self, Write as _};

use chancery_crypto::{DataKey, Random};
use chancery_decide::{Decision, Escalation, Permit, Refusal};
use chancery_evidence::Hex;
use chancery_mint::Minted;
use chancery_model::{Environment, IntentId, OrgId, Principal, PrincipalId, TokenId};
use chancery_screen::{Cleared, Intent};
use chancery_store::{Keyring, KeyringError, Receipt, StoreError};
use secrecy::SecretString;

use crate::committer::{Answer, Job};
use crate::entry::Words;
use crate::idempotency::{Claim, Earlier};
use crate::intents::{IntentRow, token_context};
use crate::{RecordError, Recorder};

/// A verdict, with the token if one was minted.
#[derive(Debug)]
pub enum Outcome {
    /// Permitted, and a token minted for it.
    Minted(Box<Minted>),
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
            Self::Permit(permit) => permit.cleared(),
            Self::Escalation(escalation) => escalation.cleared(),
            Self::Refusal(refusal) => refusal.cleared(),
        }
    }

    /// The decision.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        match self {
            Self::Minted(minted) => minted.permit().decision(),
            Self::Permit(permit) => permit.decision(),
            Self::Escalation(escalation) => escalation.decision(),
            Self::Refusal(refusal) => refusal.decision(),
        }
    }

    const fn token(&self) -> Option<(TokenId, &[u8; 32])> {
        match self {
            Self::Minted(minted) => Some((minted.id(), minted.claims_hash())),
            _ => None,
        }
    }

    const fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Minted(_) | Self::Permit(_) => ("intent.allowed", "allow"),
            Self::Escalation(_) => ("intent.escalated", "escalate"),
            Self::Refusal(_) => ("intent.denied", "deny"),
        }
    }
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
    outcome: Outcome,
    decision: String,
    receipt: Receipt,
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
        let payload = payload(&outcome, &decision).map_err(|_| RecordError::Refused)?;
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
        let claim = idempotency.map(|presented| claim(presented, principal.id(), intent.environment));
        let answer = self
            .queue(|| {
                let (mut job, waiter) = Job::new(entry, epoch);
                job.intent = Some(row);
                job.claim = claim;
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
        Answer::Committed(_) | Answer::Claimed(..) | Answer::Unavailable => RecordError::Unavailable,
    }
}

/// A key of the test environment is another key than the same text of the live one: what one was
/// answered, the other must not be.
fn claim(presented: &IdempotencyKey, principal: PrincipalId, environment: Environment) -> Claim {
    let (environment, key) = (environment.as_str(), presented.key.as_str());
    let key_hash =
        chancery_crypto::sha256(&[b"chancery/idempotency/v1", environment.as_bytes(), b"\0", key.as_bytes()]);
    Claim { principal, route: presented.route, key_hash, request_hash: presented.request_hash }
}

fn sealed_token(outcome: &Outcome, key: &DataKey, random: &dyn Random) -> Option<Vec<u8>> {
    let Outcome::Minted(minted) = outcome else { return None };
    let cleared = outcome.cleared();
    let row = cleared.intent().id.to_string();
    Some(minted.seal(key, &token_context(cleared.caller().org(), &row), random))
}

/// The token of an intent, unsealed.
pub(crate) async fn open_token(
    keyring: &Keyring,
    org: OrgId,
    intent: IntentId,
    sealed: &[u8],
) -> Result<SecretString, KeyringError> {
    let key = keyring.key_by_id(org, chancery_crypto::sealed_under(sealed)?).await?;
    let row = intent.to_string();
    let plain = chancery_crypto::open(&key, &token_context(org, &row), sealed)?;
    let text = std::str::from_utf8(&plain).map_err(|error| StoreError::corrupt("intents", error))?;
    Ok(SecretString::from(text))
}

/// The references of the entry that decides an intent. A token rests on the one that names it, with
/// the hash of its claims: whoever has a signing key can sign others under the same id.
pub(crate) fn decided_refs(
    intent: IntentId,
    principal: Principal,
    token: Option<(TokenId, &[u8; 32])>,
) -> String {
    let principal = principal.id();
    match token {
        Some((token, claims)) => format!(
            r#"{{"claims":"{}","intent":"{intent}","principal":"{principal}","token":"{token}"}}"#,
            Hex(*claims)
        ),
        None => format!(r#"{{"intent":"{intent}","principal":"{principal}"}}"#),
    }
}

/// About as many bytes as a payload has beside its varying parts.
const PAYLOAD_BYTES: usize = 640;

/// The payload of `docs/evidence.md`, written in canonical order: what it consists of is canonical
/// already, and this is the hottest path of all.
fn payload(outcome: &Outcome, decision: &str) -> Result<String, fmt::Error> {
    let cleared = outcome.cleared();
    let caller = cleared.caller().caller();
    let token = match outcome {
        Outcome::Minted(minted) => minted.public_claims(),
        _ => "null",
    };
    let principal = caller.principal();
    let intent = cleared.intent();
    let varying = [decision, token, intent.canonical(), intent.stated()];
    let mut text = String::with_capacity(PAYLOAD_BYTES + varying.map(str::len).iter().sum::<usize>());
    text.extend([r#"{"decision":"#, decision, r#","intent":"#]);
    write_intent(&mut text, intent)?;
    write!(
        text,
        r#","key_id":"{}","principal":{{"id":"{}","type":"{}"}},"token":{token}}}"#,
        caller.key(),
        principal.id(),
        principal.kind(),
    )?;
    Ok(text)
}

fn write_intent(text: &mut String, intent: &Intent) -> fmt::Result {
    let quoted = |text: &mut String, value: Option<&dyn fmt::Display>| match value {
        Some(value) => write!(text, "\"{value}\""),
        None => text.write_str("null"),
    };
    text.extend([r#"{"canonical":"#, intent.canonical(), r#","connector":"#]);
    quoted(text, intent.connector.as_ref().map(|it| it as _))?;
    write!(
        text,
        r#","context":{},"correlation_id":"{}","environment":"{}","hash":"{}","id":"{}","on_behalf_of":"#,
        intent.stated(),
        intent.correlation,
        intent.environment,
        Hex(*intent.hash()),
        intent.id,
    )?;
    quoted(text, intent.on_behalf_of.as_ref().map(|it| it as _))?;
    text.write_str("}")
}
