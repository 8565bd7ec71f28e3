//! Which tokens were used. The primary key on the nonce's hash is what makes a token good once.

use std::collections::{BTreeMap, HashSet};

use chancery_model::{IntentId, KeyId, OrgId, Timestamp, TokenId};
use chancery_store::StoreError;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};
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

/// Uses in columns, for one array insert.
#[derive(Debug, Default)]
pub struct Columns<'a> {
    org: Vec<Uuid>,
    nonce_hash: Vec<&'a [u8]>,
    token: Vec<Uuid>,
    intent: Vec<Uuid>,
    key: Vec<Uuid>,
    used_at: Vec<OffsetDateTime>,
}

impl<'a> Columns<'a> {
    /// The table's columns, in the order of [`Self::bind`].
    pub const NAMES: &'static str = "org_id, nonce_hash, token_id, intent_id, key_id, used_at";
    /// The types of the arrays that [`Self::bind`] binds.
    pub const TYPES: [&'static str; 6] = ["uuid", "bytea", "uuid", "uuid", "uuid", "timestamptz"];

    /// Adds a use.
    pub fn push(&mut self, used: &'a TokenUse) {
        self.org.push(used.org.as_uuid());
        self.nonce_hash.push(&used.nonce_hash);
        self.token.push(used.token.as_uuid());
        self.intent.push(used.intent.as_uuid());
        self.key.push(used.key.as_uuid());
        self.used_at.push(used.at.to_offset());
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.token.is_empty()
    }

    /// Binds one array for each column.
    pub fn bind<'q>(self, query: Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments>
    where
        'a: 'q,
    {
        query
            .bind(self.org)
            .bind(self.nonce_hash)
            .bind(self.token)
            .bind(self.intent)
            .bind(self.key)
            .bind(self.used_at)
    }
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
    let mut columns = Columns::default();
    first.values().filter_map(|place| uses.get(*place)).for_each(|used| columns.push(used));
    let insert = sqlx::query(
        "INSERT INTO token_uses (org_id, nonce_hash, token_id, intent_id, key_id, used_at)
         SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[])
         ON CONFLICT DO NOTHING RETURNING org_id, nonce_hash",
    );
    let fresh: HashSet<(Uuid, Vec<u8>)> = columns
        .bind(insert)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, sqlx::Error>>()?;
    let is_fresh = |place: usize, used: &TokenUse| {
        first.get(&(used.org, used.nonce_hash)) == Some(&place)
            && fresh.contains(&(used.org.as_uuid(), used.nonce_hash.to_vec()))
    };
    Ok(uses.iter().enumerate().map(|(place, used)| is_fresh(place, used)).collect())
}
