//! Which tokens were used. The primary key on the nonce's hash is what makes a token good once.

use std::collections::{BTreeMap, HashSet};

use chancery_model::{IntentId, KeyId, OrgId, Timestamp, TokenId};
use chancery_store::StoreError;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// One use of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// The organization.
    pub org: OrgId,
    /// See [`crate::Nonce::hash`].
    pub nonce_hash: [u8; 32],
    /// The token.
    pub token: TokenId,
    /// The intent it was for.
    pub intent: IntentId,
    /// The API key that redeemed it.
    pub key: KeyId,
    /// When.
    pub at: Timestamp,
}

/// Consumes the nonces of a batch in one statement, inside the committer's transaction, and says for
/// each whether it was fresh. Of several uses of one nonce in the batch the first is fresh.
///
/// A nonce that another open transaction is consuming is waited for.
///
/// # Errors
/// When the database does not answer.
pub async fn insert_batch(connection: &mut PgConnection, uses: &[TokenUse]) -> Result<Vec<bool>, StoreError> {
    // The first use of each nonce, in one order for every committer: none waits for another in a ring.
    let mut first: BTreeMap<(OrgId, [u8; 32]), usize> = BTreeMap::new();
    for (place, used) in uses.iter().enumerate() {
        first.entry((used.org, used.nonce_hash)).or_insert(place);
    }
    let rows = || first.values().filter_map(|place| uses.get(*place));
    let orgs: Vec<Uuid> = rows().map(|used| used.org.as_uuid()).collect();
    let hashes: Vec<&[u8]> = rows().map(|used| used.nonce_hash.as_slice()).collect();
    let tokens: Vec<Uuid> = rows().map(|used| used.token.as_uuid()).collect();
    let intents: Vec<Uuid> = rows().map(|used| used.intent.as_uuid()).collect();
    let keys: Vec<Uuid> = rows().map(|used| used.key.as_uuid()).collect();
    let moments: Vec<OffsetDateTime> = rows().map(|used| used.at.to_offset()).collect();
    let fresh: Vec<(Uuid, Vec<u8>)> = sqlx::query_as(
        "INSERT INTO token_uses (org_id, nonce_hash, token_id, intent_id, key_id, used_at)
         SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[])
         ON CONFLICT DO NOTHING RETURNING org_id, nonce_hash",
    )
    .bind(orgs)
    .bind(hashes)
    .bind(tokens)
    .bind(intents)
    .bind(keys)
    .bind(moments)
    .fetch_all(connection)
    .await?;
    let fresh: HashSet<(Uuid, Vec<u8>)> = fresh.into_iter().collect();
    let is_fresh = |place: usize, used: &TokenUse| {
        first.get(&(used.org, used.nonce_hash)) == Some(&place)
            && fresh.contains(&(used.org.as_uuid(), used.nonce_hash.to_vec()))
    };
    Ok(uses.iter().enumerate().map(|(place, used)| is_fresh(place, used)).collect())
}
