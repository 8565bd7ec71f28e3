//! Closing a call: how it ended is recorded, whatever has changed since it was opened.

use std::fmt;

use chancery_crypto::sha256;
use chancery_evidence::{Hex, kind};
use chancery_model::{IntentId, OrgId, ijson};
use chancery_store::{Keyring, KeyringError, Receipt};
use serde_json::{Map, Value, json};

use crate::committer::{Answer, Job};
use crate::entry::{Prepared, Words, refs};
use crate::open::refusal;
use crate::releases::{Call, CallOutcome, Closing, Orphan, answer_context};
use crate::{Engaged, RecordError, Recorder};

/// How a call ended.
pub struct Conclusion {
    /// The outcome.
    pub outcome: CallOutcome,
    /// The status that came back.
    pub status: Option<u16>,
    /// Why there is none, or why it is not a success: a stable word.
    pub code: Option<&'static str>,
    /// How often the system was called.
    pub attempts: u32,
    /// What came back, for its caller; kept sealed for a day.
    pub answer: Option<Vec<u8>>,
}

/// What came back is for whoever asked, and not for a log: its length is shown.
impl fmt::Debug for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outcome, status, code, attempts, answer } = self;
        f.debug_struct("Conclusion")
            .field("outcome", outcome)
            .field("status", status)
            .field("code", code)
            .field("attempts", attempts)
            .field("answer_bytes", &answer.as_ref().map(Vec::len))
            .finish()
    }
}

impl Recorder {
    /// Records how a call ended, once, and keeps what came back, sealed.
    ///
    /// # Errors
    /// [`RecordError::Released`] when its outcome counts as unknown since; others when it could not be
    /// recorded: then nothing of the answer may be told, for nobody would know of it later.
    pub async fn close_call(
        &self,
        engaged: &Engaged,
        conclusion: &Conclusion,
    ) -> Result<Receipt, RecordError> {
        let cleared = engaged.cleared();
        let (org, intent) = (cleared.caller().org(), cleared.intent());
        let principal = cleared.caller().caller().principal();
        let keyring = self.store.keyring();
        let key = keyring.subject_key(org, principal.id()).await?;
        let mut payload = told(intent.id, intent.hash(), conclusion.outcome);
        payload.insert("attempts".to_owned(), conclusion.attempts.into());
        payload.insert("connector".to_owned(), engaged.terms.connector.as_str().into());
        payload.insert("status".to_owned(), conclusion.status.into());
        payload.insert("code".to_owned(), conclusion.code.into());
        if let Some(answer) = &conclusion.answer {
            payload.insert("result_digest".to_owned(), Hex(sha256(&[answer])).to_string().into());
        }
        let entry = words(org, intent.id, &ijson::canonical(&Value::Object(payload))?)
            .prepare(&key, &**keyring.random());
        let row = intent.id.to_string();
        let answer = conclusion.answer.as_ref().map(|answer| {
            chancery_crypto::seal(&key, &answer_context(org, &row), answer, &**keyring.random())
        });
        let closing =
            Closing { intent: intent.id, outcome: conclusion.outcome, status: conclusion.status, answer };
        self.record_closing(entry, closing).await
    }

    /// Records that nobody knows how a call ended: whoever made it is gone.
    ///
    /// # Errors
    /// [`RecordError::Released`] when somebody closed it meanwhile.
    pub async fn close_orphan(&self, orphan: Orphan) -> Result<Receipt, RecordError> {
        let keyring = self.store.keyring();
        let key = keyring.org_key(orphan.org).await?;
        let payload = told(orphan.intent, &orphan.intent_hash, CallOutcome::Unknown);
        let entry = words(orphan.org, orphan.intent, &ijson::canonical(&Value::Object(payload))?)
            .prepare(&key, &**keyring.random());
        let closing =
            Closing { intent: orphan.intent, outcome: CallOutcome::Unknown, status: None, answer: None };
        self.record_closing(entry, closing).await
    }

    async fn record_closing(&self, entry: Prepared, closing: Closing) -> Result<Receipt, RecordError> {
        let answer = self
            .queue(|| {
                // The epoch of what closes a call is compared with nothing.
                let (mut job, waiter) = Job::new(entry, 0);
                job.closing = Some(closing);
                (job, waiter)
            })
            .await?;
        match answer {
            Answer::Committed(receipt) => Ok(receipt),
            refused => Err(refusal(refused)),
        }
    }
}

fn told(intent: IntentId, hash: &[u8; 32], outcome: CallOutcome) -> Map<String, Value> {
    let payload = json!({
        "intent_id": intent,
        "intent_hash": Hex(*hash),
        "outcome": outcome.as_str(),
    });
    match payload {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn words(org: OrgId, intent: IntentId, payload: &str) -> Words<'_> {
    Words {
        org,
        kind: kind::CLOSED,
        correlation: Some(intent.into()),
        refs: refs(&[("intent", intent.to_string())]),
        payload,
    }
}

impl Call {
    /// What came back, unsealed; `None` when nothing did, or it is forgotten.
    ///
    /// # Errors
    /// When it does not open.
    pub async fn answer(
        &self,
        keyring: &Keyring,
        org: OrgId,
        intent: IntentId,
    ) -> Result<Option<Vec<u8>>, KeyringError> {
        let Some(sealed) = &self.answer else { return Ok(None) };
        let key = match keyring.key_by_id(org, chancery_crypto::sealed_under(sealed)?).await {
            Ok(key) => key,
            Err(KeyringError::Shredded) => return Ok(None),
            Err(error) => return Err(error),
        };
        let row = intent.to_string();
        let plain = chancery_crypto::open(&key, &answer_context(org, &row), sealed)?;
        Ok(Some(plain.to_vec()))
    }
}
