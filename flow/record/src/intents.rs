//! The rows of decided intents.

use chancery_crypto::{Context, DataKey, Random};
use chancery_model::{Environment, IntentId, KeyId, OrgId, Principal, Timestamp};
use chancery_store::{Keyring, KeyringError, StoreError};
use secrecy::SecretString;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Outcome;
use crate::chain::{Statement, Table, stored};

/// What lists show of an intent.
#[derive(Debug)]
pub(crate) struct IntentRow {
    pub(crate) id: IntentId,
    pub(crate) principal: Principal,
    pub(crate) key: KeyId,
    pub(crate) action: String,
    pub(crate) resource_type: String,
    pub(crate) effect: &'static str,
    pub(crate) risk: u8,
    pub(crate) environment: Environment,
    /// The signed token, sealed.
    pub(crate) token: Option<Vec<u8>>,
}

/// Intents in columns, for one array insert.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    org: Vec<Uuid>,
    id: Vec<Uuid>,
    seq: Vec<i64>,
    principal_kind: Vec<&'static str>,
    principal_id: Vec<Uuid>,
    key_id: Vec<Uuid>,
    action: Vec<&'a str>,
    resource_type: Vec<&'a str>,
    effect: Vec<&'static str>,
    risk: Vec<i16>,
    environment: Vec<&'static str>,
    created_at: Vec<OffsetDateTime>,
    token: Vec<Option<&'a [u8]>>,
}

impl<'a> Columns<'a> {
    /// The table, its columns and their types, in the order of [`Self::bind`].
    pub(crate) const TABLE: Table = Table {
        name: "intents",
        columns: "org_id, id, seq, principal_kind, principal_id, key_id, action, resource_type, effect, risk, \
                  environment, created_at, token",
        types: &[
            "uuid",
            "uuid",
            "int8",
            "text",
            "uuid",
            "uuid",
            "text",
            "text",
            "text",
            "int2",
            "text",
            "timestamptz",
            "bytea",
        ],
    };

    /// Adds a row: of the entry at `seq`, made at its time.
    pub(crate) fn push(&mut self, org: OrgId, row: &'a IntentRow, seq: u64, time: Timestamp) {
        self.org.push(org.as_uuid());
        self.id.push(row.id.as_uuid());
        self.seq.push(stored(seq));
        self.principal_kind.push(row.principal.kind());
        self.principal_id.push(row.principal.id().as_uuid());
        self.key_id.push(row.key.as_uuid());
        self.action.push(&row.action);
        self.resource_type.push(&row.resource_type);
        self.effect.push(row.effect);
        self.risk.push(i16::from(row.risk));
        self.environment.push(row.environment.as_str());
        self.created_at.push(time.to_offset());
        self.token.push(row.token.as_deref());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.id.is_empty()
    }

    /// About as many bytes as [`Self::bind`] adds.
    pub(crate) fn encoded_bytes(&self) -> usize {
        /// Of an intent, all but its token.
        const FIXED: usize = 256;
        let tokens: usize = self.token.iter().flatten().map(|token| token.len()).sum();
        FIXED * (self.id.len() + 1) + tokens
    }

    /// Binds one array for each column.
    pub(crate) fn bind<'q>(self, query: Statement<'q>) -> Statement<'q>
    where
        'a: 'q,
    {
        query
            .bind(self.org)
            .bind(self.id)
            .bind(self.seq)
            .bind(self.principal_kind)
            .bind(self.principal_id)
            .bind(self.key_id)
            .bind(self.action)
            .bind(self.resource_type)
            .bind(self.effect)
            .bind(self.risk)
            .bind(self.environment)
            .bind(self.created_at)
            .bind(self.token)
    }
}

/// What a sealed token is bound to.
pub(crate) fn token_context(org: OrgId, intent: &str) -> Context<'_> {
    Context { org: Some(org), table: "intents", column: "token", row: intent, purpose: "token" }
}

/// A minted token, sealed for its row.
pub(crate) fn sealed_token(outcome: &Outcome, key: &DataKey, random: &dyn Random) -> Option<Vec<u8>> {
    let Outcome::Minted(minted) = outcome else { return None };
    let cleared = outcome.cleared();
    let row = cleared.intent().id.to_string();
    Some(minted.seal(key, &token_context(cleared.caller().org(), &row), random))
}

/// The token of an intent, unsealed.
///
/// # Errors
/// When it does not open, or is not text.
pub async fn open_token(
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
