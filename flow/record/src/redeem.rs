//! Redeeming: a token's nonce is consumed in the transaction that records it.

use chancery_authenticate::{Allowed, permission::TokensVerify};
use chancery_evidence::Hex;
use chancery_mint::Redemption;
use chancery_model::ijson;
use chancery_store::Receipt;
use serde_json::json;

use crate::committer::{Answer, Job, Redeemed};
use crate::entry::{Words, refs};
use crate::open::refusal;
use crate::{RecordError, Recorder};

impl Recorder {
    /// Consumes a verified token: of any number of callers, in any number of processes, one gets a
    /// receipt.
    ///
    /// # Errors
    /// [`RecordError::Used`] when the nonce was consumed before; [`RecordError::Groundless`] when no
    /// recorded decision allowed the token; [`RecordError::Stale`] when
    /// something was revoked or changed since the token was verified: verify it again.
    pub async fn redeem(
        &self,
        caller: &Allowed<TokensVerify>,
        redemption: &Redemption,
    ) -> Result<Receipt, RecordError> {
        // Caller, keys and revocations must be known as of one epoch: the committer compares it.
        let epoch = caller.epoch();
        match redemption.epoch() {
            Some(seen) if seen == epoch => {}
            seen => return Err(RecordError::Stale { epoch: seen.unwrap_or(epoch).max(epoch) }),
        }
        let org = caller.org();
        let claims = redemption.claims();
        let key = self.store.keyring().org_key(org).await?;
        let used = redemption.used_by(caller.caller().key(), self.store.keyring().clock().now());
        let payload = ijson::canonical(&json!({
            "jti": claims.jti,
            "intent_id": claims.intent_id,
            "intent_hash": claims.intent_hash,
            "audience": claims.aud,
            "key_id": used.key,
            "nonce_hash": Hex(used.nonce_hash),
        }))?;
        let words = Words {
            org,
            kind: "token.used",
            correlation: Some(claims.intent_id.into()),
            refs: refs(&[("intent", claims.intent_id.to_string()), ("token", claims.jti.to_string())]),
            payload: &payload,
        };
        let entry = words.prepare(&key, &**self.store.keyring().random());
        let answer = self
            .queue(|| {
                let (mut job, waiter) = Job::new(entry, epoch);
                job.redemption = Some(Redeemed::new(used, redemption));
                (job, waiter)
            })
            .await?;
        match answer {
            Answer::Committed(receipt) => Ok(receipt),
            refused => Err(refusal(refused)),
        }
    }
}
