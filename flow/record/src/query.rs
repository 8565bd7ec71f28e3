//! Reading the record: entries as they stand, opened for whoever may see them.

use chancery_evidence::kind;
use chancery_model::{CorrelationId, IntentId, OrgId, Principal, Timestamp};
use chancery_store::{Keyring, KeyringError, Read, Scoped, StoreError};
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::chain::hash;
use crate::entry::{OpenedPayload, Sealed, open_payload};

/// An entry as it stands in the database.
#[derive(Debug)]
pub struct StoredEntry {
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// When it was appended; never before its predecessor.
    pub time: Timestamp,
    /// Its type.
    pub kind: String,
    /// The story it belongs to.
    pub correlation: Option<CorrelationId>,
    /// Canonical JSON object of opaque identifiers.
    pub refs: String,
    /// What the leaf commits to.
    pub commitment: [u8; 32],
    /// The hash of the leaf.
    pub leaf_hash: [u8; 32],
    /// The chain hash at this entry.
    pub entry_hash: [u8; 32],
    sealed: Vec<u8>,
}

impl StoredEntry {
    /// Opens the payload. `None` when it was shredded.
    ///
    /// # Errors
    /// When the envelope does not open: another row's, or changed bytes.
    pub async fn open(&self, keyring: &Keyring, org: OrgId) -> Result<Option<OpenedPayload>, KeyringError> {
        let entry = Sealed {
            commitment: &self.commitment,
            kind: &self.kind,
            refs: &self.refs,
            payload: &self.sealed,
        };
        open_payload(keyring, org, entry).await
    }

    /// Opens the payload of the entry that decides an intent. `None` when it was shredded.
    ///
    /// Which entry that is, an unsealed row says: whoever can write the database could point it at
    /// another. So what the entry itself says must be this intent, asked by whom the reader may read.
    ///
    /// # Errors
    /// When the envelope does not open, or the entry is another intent's.
    pub async fn open_decision(
        &self,
        keyring: &Keyring,
        org: OrgId,
        intent: IntentId,
        asked_by: AskedBy,
    ) -> Result<Option<Value>, KeyringError> {
        let payload = self.open(keyring, org).await?.map(|opened| opened.payload);
        let (refs, id) = (self.refs_value(), intent.to_string());
        let says = |value: &Value, pointer: &str, id: &str| {
            value.pointer(pointer).and_then(Value::as_str).is_some_and(|found| found == id)
        };
        let is_theirs = |principal: Principal| {
            let asker = principal.id().to_string();
            says(&refs, "/principal", &asker)
                && payload.as_ref().is_none_or(|payload| says(payload, "/principal/id", &asker))
        };
        let holds = is_decision(&self.kind)
            && says(&refs, "/intent", &id)
            && payload.as_ref().is_none_or(|payload| says(payload, "/intent/id", &id))
            && asked_by.principal().is_none_or(is_theirs);
        if holds {
            Ok(payload)
        } else {
            Err(StoreError::corrupt("intents", "the row points to an entry that is not its intent's").into())
        }
    }

    /// The references as JSON.
    #[must_use]
    pub fn refs_value(&self) -> Value {
        serde_json::from_str(&self.refs).unwrap_or(Value::Null)
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct EntryRow {
    seq: i64,
    time: OffsetDateTime,
    kind: String,
    correlation_id: Option<Uuid>,
    refs: String,
    commitment: Vec<u8>,
    leaf_hash: Vec<u8>,
    entry_hash: Vec<u8>,
    payload: Vec<u8>,
}

impl TryFrom<EntryRow> for StoredEntry {
    type Error = StoreError;
    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        Ok(Self {
            seq: u64::try_from(row.seq).map_err(|_| StoreError::corrupt("entries", "negative seq"))?,
            time: row.time.into(),
            kind: row.kind,
            correlation: row.correlation_id.map(CorrelationId::from_uuid),
            refs: row.refs,
            commitment: hash("entries", row.commitment)?,
            leaf_hash: hash("entries", row.leaf_hash)?,
            entry_hash: hash("entries", row.entry_hash)?,
            sealed: row.payload,
        })
    }
}

pub(crate) const ENTRY: &str =
    "SELECT seq, time, kind, correlation_id, refs, commitment, leaf_hash, entry_hash, payload FROM entries";

/// Which entries.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one story.
    pub correlation: Option<CorrelationId>,
    /// Of one type.
    pub kind: Option<String>,
    /// Older than this one.
    pub before: Option<u64>,
    /// At most this many: 1 to 1000.
    pub limit: u16,
}

/// Entries, the newest first.
///
/// # Errors
/// When the store does not answer.
pub async fn entries<M>(scoped: &mut Scoped<M>, filter: &Filter) -> Result<Vec<StoredEntry>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(ENTRY);
    query.push(" WHERE org_id = ").push_bind(scoped.org().as_uuid());
    if let Some(correlation) = filter.correlation {
        narrow_to_story(&mut query, scoped.org(), correlation);
    }
    if let Some(kind) = &filter.kind {
        query.push(" AND kind = ").push_bind(kind.clone());
        if kind != kind::ALLOWED {
            // As the index has it, which holds all types but the most common.
            query.push(" AND kind <> 'intent.allowed'");
        }
    }
    if let Some(before) = filter.before {
        query.push(" AND seq < ").push_bind(crate::chain::stored(before));
    }
    query.push(" ORDER BY seq DESC LIMIT ").push_bind(i64::from(filter.limit.clamp(1, 1000)));
    let rows: Vec<EntryRow> = query.build_query_as().fetch_all(scoped.connection()).await?;
    rows.into_iter().map(StoredEntry::try_from).collect()
}

/// Narrows a query of `entries` to one story: the decision, which the intent's row names, and what
/// followed. No index holds the stories of decisions, for each would cost as much as the entry's own
/// place.
fn narrow_to_story(query: &mut QueryBuilder<Postgres>, org: OrgId, story: CorrelationId) {
    let (org, story) = (org.as_uuid(), story.as_uuid());
    query.push(" AND correlation_id = ").push_bind(story);
    query.push(" AND seq = ANY(ARRAY(SELECT seq FROM intents WHERE org_id = ").push_bind(org);
    query.push(" AND id = ").push_bind(story);
    query.push(" UNION ALL SELECT seq FROM entries WHERE org_id = ").push_bind(org);
    query.push(" AND correlation_id = ").push_bind(story);
    query.push(" AND kind NOT IN ('intent.allowed', 'intent.escalated', 'intent.denied')))");
}

/// Whether an entry of this type decides an intent.
pub(crate) fn is_decision(kind: &str) -> bool {
    matches!(kind, kind::ALLOWED | kind::ESCALATED | kind::DENIED)
}

/// Whose intents a reader sees. Every read of intents is told, so that none forgets to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// All of the organization.
    Anyone,
    /// Those that this principal asked itself.
    Principal(Principal),
}

impl AskedBy {
    /// Whose intents a principal sees: a member all of the organization, an agent its own. What
    /// another agent asks, with its arguments, is none of its business, and agents are what an
    /// attacker is most likely to hold.
    #[must_use]
    pub const fn seen_by(reader: Principal) -> Self {
        match reader {
            Principal::Member(_) => Self::Anyone,
            Principal::Agent(_) => Self::Principal(reader),
        }
    }

    const fn principal(self) -> Option<Principal> {
        match self {
            Self::Anyone => None,
            Self::Principal(principal) => Some(principal),
        }
    }

    /// Narrows a query of `intents` to these.
    fn narrow(self, query: &mut QueryBuilder<Postgres>) {
        if let Some(principal) = self.principal() {
            query.push(" AND principal_kind = ").push_bind(principal.kind());
            query.push(" AND principal_id = ").push_bind(principal.id().as_uuid());
        }
    }
}

/// An intent as lists show it.
#[derive(Debug)]
pub struct IntentSummary {
    /// Its id.
    pub id: IntentId,
    /// Where its decision stands in the record.
    pub seq: u64,
    /// `member` or `agent`.
    pub principal_kind: String,
    /// Who asked.
    pub principal_id: Uuid,
    /// What for.
    pub action: String,
    /// On what kind of thing.
    pub resource_type: String,
    /// `allow`, `escalate` or `deny`.
    pub effect: String,
    /// The risk score.
    pub risk: u8,
    /// `live` or `test`.
    pub environment: String,
    /// When.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct IntentRow {
    id: Uuid,
    seq: i64,
    principal_kind: String,
    principal_id: Uuid,
    action: String,
    resource_type: String,
    effect: String,
    risk: i16,
    environment: String,
    created_at: OffsetDateTime,
}

impl TryFrom<IntentRow> for IntentSummary {
    type Error = StoreError;
    fn try_from(row: IntentRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: IntentId::from_uuid(row.id),
            seq: u64::try_from(row.seq).map_err(|_| StoreError::corrupt("intents", "negative seq"))?,
            principal_kind: row.principal_kind,
            principal_id: row.principal_id,
            action: row.action,
            resource_type: row.resource_type,
            effect: row.effect,
            risk: u8::try_from(row.risk).map_err(|_| StoreError::corrupt("intents", "risk out of range"))?,
            environment: row.environment,
            created_at: row.created_at.into(),
        })
    }
}

/// Intents, the newest first, optionally of one effect and older than one.
///
/// # Errors
/// When the store does not answer.
pub async fn intents(
    scoped: &mut Scoped<Read>,
    asked_by: AskedBy,
    effect: Option<&str>,
    before: Option<IntentId>,
    limit: u16,
) -> Result<Vec<IntentSummary>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT id, seq, principal_kind, principal_id, action, resource_type, effect, risk, environment, created_at
         FROM intents WHERE org_id = ",
    );
    query.push_bind(scoped.org().as_uuid());
    asked_by.narrow(&mut query);
    if let Some(effect) = effect {
        query.push(" AND effect = ").push_bind(effect.to_owned());
    }
    if let Some(before) = before {
        query.push(" AND id < ").push_bind(before.as_uuid());
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit.clamp(1, 1000)));
    let rows: Vec<IntentRow> = query.build_query_as().fetch_all(scoped.connection()).await?;
    rows.into_iter().map(IntentSummary::try_from).collect()
}

/// The entry that holds an intent's decision; `None` when the reader sees no such intent. It is
/// opened with [`StoredEntry::open_decision`].
///
/// # Errors
/// When the store does not answer.
pub async fn decision_entry(
    scoped: &mut Scoped<Read>,
    intent: IntentId,
    asked_by: AskedBy,
) -> Result<Option<StoredEntry>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT e.seq, e.time, e.kind, e.correlation_id, e.refs, e.commitment, e.leaf_hash, e.entry_hash, e.payload
         FROM intents i JOIN entries e ON e.org_id = i.org_id AND e.seq = i.seq WHERE i.org_id = ",
    );
    query.push_bind(scoped.org().as_uuid()).push(" AND i.id = ").push_bind(intent.as_uuid());
    asked_by.narrow(&mut query);
    let row: Option<EntryRow> = query.build_query_as().fetch_optional(scoped.connection()).await?;
    row.map(StoredEntry::try_from).transpose()
}

/// The entries at these places, those that there are.
///
/// # Errors
/// When the store does not answer.
pub async fn entries_at(scoped: &mut Scoped<Read>, seqs: &[i64]) -> Result<Vec<StoredEntry>, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(ENTRY);
    query.push(" WHERE org_id = ").push_bind(scoped.org().as_uuid());
    query.push(" AND seq = ANY(").push_bind(seqs.to_vec()).push(")");
    let rows: Vec<EntryRow> = query.build_query_as().fetch_all(scoped.connection()).await?;
    rows.into_iter().map(StoredEntry::try_from).collect()
}

/// The entry at a place; `None` when there is none.
///
/// # Errors
/// When the store does not answer.
pub async fn entry(scoped: &mut Scoped<Read>, seq: u64) -> Result<Option<StoredEntry>, StoreError> {
    Ok(entries_at(scoped, &[crate::chain::stored(seq)]).await?.pop())
}
