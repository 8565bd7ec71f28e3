//! Assembling the evidence of an intent: `docs/evidence.md` says what it is made of.

use chancery_evidence::merkle::Plan;
use chancery_evidence::{
    Approval, Bundle, CallResult, Entry, FORMAT, GENESIS, Hex, Jws, Leaf, Organization, Token, kind,
};
use chancery_mint::CLOCK_SKEW_SECONDS;
use chancery_model::{CorrelationId, IntentId, OrgId, Timestamp};
use chancery_store::{Keyring, KeyringError, Read, Scoped, Store, StoreError};
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::PgConnection;

use crate::chain::{hash, stored, unsigned};
use crate::intents::open_token;
use crate::query::{AskedBy, Filter, StoredEntry, decision_entry, entries, is_decision};
use crate::releases::{self, ReleasedFor};
use crate::tree::nodes;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The newest entries are not yet under a checkpoint: that takes at most a second.
    #[error("the intent's newest entry is not under a checkpoint yet")]
    Pending,
    /// The record does not give what it should.
    #[error("the record is not in order: {0}")]
    Broken(&'static str),
    /// A payload does not open.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for EvidenceError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An entry, opened.
struct Opened {
    stored: StoredEntry,
    payload: Option<Value>,
    salt: Option<Hex<32>>,
}

impl Opened {
    fn is(&self, kind: &str) -> bool {
        self.stored.kind == kind
    }

    /// A member of the payload that is there and not null.
    fn says(&self, name: &str) -> Option<&Value> {
        self.payload.as_ref()?.get(name).filter(|value| !value.is_null())
    }
}

/// What the sections of a bundle are filled with.
#[derive(Default)]
struct Sections {
    intent: Option<Value>,
    principal: Option<Value>,
    decision: Option<Value>,
    approvals: Vec<Approval>,
    released: Option<Value>,
    execution: Option<Value>,
    claims: Option<Value>,
    result: Option<CallResult>,
}

impl Sections {
    /// Without the payload that opens the intent, which is its requester's, all is left empty: what people
    /// answered to is not there to hold it against.
    fn of(story: &[Opened], opening: &Opened) -> Self {
        if opening.payload.is_none() {
            return Self::default();
        }
        let find = |kind: &str| story.iter().find(|entry| entry.is(kind));
        let released = find(kind::RELEASED);
        let allowing = if opening.is(kind::ALLOWED) { Some(opening) } else { released };
        let section = |entry: Option<&Opened>, name: &str| entry.and_then(|entry| entry.says(name)).cloned();
        let approval = |entry: &Opened| {
            let payload = entry.payload.clone().filter(|_| kind::is_approval(&entry.stored.kind))?;
            Some(Approval { seq: entry.stored.seq, kind: entry.stored.kind.clone(), payload })
        };
        Self {
            intent: section(Some(opening), "intent"),
            principal: section(Some(opening), "principal"),
            decision: section(Some(opening), "decision"),
            approvals: story.iter().filter_map(approval).collect(),
            released: section(released, "decision"),
            execution: section(allowing, "execution"),
            claims: section(allowing, "token"),
            result: find(kind::CLOSED).and_then(|closed| CallResult::of(closed.payload.as_ref()?)),
        }
    }
}

/// The newest checkpoint of an organization; `None` before the first.
///
/// # Errors
/// When the store does not answer.
pub async fn newest_checkpoint(scoped: &mut Scoped<Read>) -> Result<Option<(u64, String)>, StoreError> {
    let row: Option<(i64, String)> =
        sqlx::query_as("SELECT size, note FROM checkpoints WHERE org_id = $1 ORDER BY size DESC LIMIT 1")
            .bind(scoped.org().as_uuid())
            .fetch_optional(scoped.connection())
            .await?;
    Ok(row.map(|(size, note)| (unsigned(size), note)))
}

/// The evidence of an intent; `None` when the reader sees no such intent. The token's signature
/// is part of it only once the token is used or has expired: until then it is a bearer secret.
///
/// # Errors
/// See [`EvidenceError`].
pub async fn assemble(
    store: &Store,
    scoped: &mut Scoped<Read>,
    intent: IntentId,
    asked_by: AskedBy,
    now: Timestamp,
) -> Result<Option<Bundle>, EvidenceError> {
    let org = scoped.org();
    let keyring = store.keyring();
    let Some(decided) = decision_entry(scoped, intent, asked_by).await? else { return Ok(None) };
    decided.open_decision(keyring, org, intent, asked_by).await?;
    let mut opened = story(scoped, keyring, intent).await?;
    let Some(opening) = opened.iter().find(|entry| entry.stored.seq == decided.seq) else {
        return Err(EvidenceError::Broken("the intent's story lacks its decision"));
    };
    let shown = Sections::of(&opened, opening);
    let used = opened.iter().any(|entry| entry.is(kind::TOKEN_USED));
    let over = shown.claims.as_ref().is_some_and(|claims| {
        let end = claims.get("exp").and_then(Value::as_i64);
        // A verifier whose clock is behind ours may take it for as long as clocks may differ.
        used || end.is_some_and(|end| end.saturating_add(2 * CLOCK_SKEW_SECONDS) < now.as_seconds())
    });
    let after_people = shown.released.is_some();
    let jws = if over { signed_token(scoped, keyring, intent, after_people).await? } else { None };
    let mut keys = Vec::new();
    if let Some(jws) = &jws {
        let published = publication(scoped, keyring, &jws_kid(jws)?).await?;
        keys.extend(published.payload.as_ref().and_then(|payload| payload.get("jwk")).cloned());
        opened.push(published);
    }
    let slug = founding(scoped, keyring, &mut opened).await?;
    opened.sort_by_key(|entry| entry.stored.seq);
    opened.dedup_by_key(|entry| entry.stored.seq);
    let (size, checkpoint) = newest_checkpoint(scoped).await?.ok_or(EvidenceError::Pending)?;
    if opened.last().is_some_and(|last| last.stored.seq > size) {
        return Err(EvidenceError::Pending);
    }
    let mut proven = Vec::new();
    for entry in opened {
        proven.push(prove(scoped.connection(), org, entry, size).await?);
    }
    Ok(Some(Bundle {
        format: FORMAT.to_owned(),
        organization: Organization { id: org, slug },
        intent: shown.intent,
        principal: shown.principal,
        decision: shown.decision,
        approvals: shown.approvals,
        released: shown.released,
        execution: shown.execution,
        token: shown.claims.map(|claims| Token { claims, jws }),
        result: shown.result,
        entries: proven,
        checkpoint,
        keys,
    }))
}

/// An intent's entries, the oldest first. Whoever asks again and again gets long evidence, not none.
async fn story(
    scoped: &mut Scoped<Read>,
    keyring: &Keyring,
    intent: IntentId,
) -> Result<Vec<Opened>, EvidenceError> {
    let org = scoped.org();
    let mut filter =
        Filter { correlation: Some(CorrelationId::from(intent)), limit: 1000, ..Filter::default() };
    let mut story = Vec::new();
    loop {
        let page = entries(scoped, &filter).await?;
        let is_last = page.len() < usize::from(filter.limit);
        filter.before = page.last().map(|oldest| oldest.seq);
        for stored in page {
            story.push(of_story(intent, open(keyring, org, stored).await?)?);
        }
        if is_last {
            story.reverse();
            return Ok(story);
        }
    }
}

/// Which story an entry belongs to, an unsealed column says: what the entry itself says must agree,
/// or whoever can write the database could have any entry shown in a bundle.
fn of_story(intent: IntentId, entry: Opened) -> Result<Opened, EvidenceError> {
    let id = intent.to_string();
    let is_it = |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|found| found == id);
    let refs = entry.stored.refs_value();
    let names_it = entry.payload.as_ref().is_none_or(|payload| {
        is_it(if is_decision(&entry.stored.kind) {
            payload.pointer("/intent/id")
        } else {
            payload.get("intent_id")
        })
    });
    if is_it(refs.get("intent")) && names_it {
        Ok(entry)
    } else {
        Err(EvidenceError::Broken("an entry stands in another intent's story"))
    }
}

async fn open(keyring: &Keyring, org: OrgId, stored: StoredEntry) -> Result<Opened, KeyringError> {
    let (payload, salt) = match stored.open(keyring, org).await? {
        Some(opened) => (Some(opened.payload), Some(Hex(opened.salt))),
        None => (None, None),
    };
    Ok(Opened { stored, payload, salt })
}

/// The token: of the decision that was released after people agreed, or of the first.
async fn signed_token(
    scoped: &mut Scoped<Read>,
    keyring: &Keyring,
    intent: IntentId,
    after_people: bool,
) -> Result<Option<Jws>, EvidenceError> {
    let sealed: Option<Vec<u8>> = if after_people {
        match releases::read(scoped, intent).await?.map(|released| released.what) {
            Some(ReleasedFor::Token(sealed)) => Some(sealed),
            Some(ReleasedFor::Call(_)) | None => None,
        }
    } else {
        let row: Option<Option<Vec<u8>>> =
            sqlx::query_scalar("SELECT token FROM intents WHERE org_id = $1 AND id = $2")
                .bind(scoped.org().as_uuid())
                .bind(intent.as_uuid())
                .fetch_optional(scoped.connection())
                .await?;
        row.flatten()
    };
    let Some(sealed) = sealed else { return Ok(None) };
    let token = open_token(keyring, scoped.org(), intent, &sealed).await?;
    Ok(Jws::from_compact(token.expose_secret()))
}

fn jws_kid(jws: &Jws) -> Result<String, EvidenceError> {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&jws.protected).ok();
    let header: Option<Value> = header.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let kid = header.as_ref().and_then(|header| header.get("kid")).and_then(Value::as_str);
    kid.map(str::to_owned).ok_or(EvidenceError::Broken("a stored token names no key"))
}

/// The entry that published a signing key.
async fn publication(
    scoped: &mut Scoped<Read>,
    keyring: &Keyring,
    kid: &str,
) -> Result<Opened, EvidenceError> {
    let org = scoped.org();
    let mut filter = Filter { kind: Some(kind::KEY_CREATED.to_owned()), limit: 100, ..Filter::default() };
    loop {
        let page = entries(scoped, &filter).await?;
        let Some(oldest) = page.last().map(|entry| entry.seq) else {
            return Err(EvidenceError::Broken("no entry published the token's key"));
        };
        for stored in page {
            let entry = open(keyring, org, stored).await?;
            let names = entry.payload.as_ref().and_then(|payload| payload.get("kid")).and_then(Value::as_str);
            if names == Some(kid) {
                return Ok(entry);
            }
        }
        filter.before = Some(oldest);
    }
}

/// The organization's first entry, which proves its name.
async fn founding(
    scoped: &mut Scoped<Read>,
    keyring: &Keyring,
    opened: &mut Vec<Opened>,
) -> Result<Option<String>, EvidenceError> {
    let org = scoped.org();
    let filter = Filter { kind: Some(kind::ORG_CREATED.to_owned()), limit: 1, ..Filter::default() };
    let Some(stored) = entries(scoped, &filter).await?.pop() else { return Ok(None) };
    let entry = open(keyring, org, stored).await?;
    let slug = entry.payload.as_ref().and_then(|payload| payload.get("slug")).and_then(Value::as_str);
    let slug = slug.map(str::to_owned);
    if slug.is_some() {
        opened.push(entry);
    }
    Ok(slug)
}

async fn prove(
    connection: &mut PgConnection,
    org: OrgId,
    entry: Opened,
    size: u64,
) -> Result<Entry, EvidenceError> {
    let Opened { stored: entry, payload, salt } = entry;
    let leaf = Leaf {
        org,
        seq: entry.seq,
        time: entry.time,
        kind: &entry.kind,
        refs: &entry.refs,
        commitment: entry.commitment,
    };
    let leaf = String::from_utf8(leaf.to_bytes()).map_err(|_| EvidenceError::Broken("a leaf is not text"))?;
    let broken = |_| EvidenceError::Broken("the tree lacks hashes");
    let plan = Plan::inclusion(entry.seq - 1, size).map_err(broken)?;
    let proof = plan.compute(&nodes(connection, org, &plan).await?).map_err(broken)?;
    Ok(Entry {
        seq: entry.seq,
        leaf,
        prev_hash: Hex(previous_hash(connection, org, entry.seq).await?),
        entry_hash: Hex(entry.entry_hash),
        payload,
        salt,
        inclusion_proof: proof.into_iter().map(Hex).collect(),
    })
}

async fn previous_hash(
    connection: &mut PgConnection,
    org: OrgId,
    seq: u64,
) -> Result<[u8; 32], EvidenceError> {
    if seq <= 1 {
        return Ok(GENESIS);
    }
    let bytes: Vec<u8> = sqlx::query_scalar("SELECT entry_hash FROM entries WHERE org_id = $1 AND seq = $2")
        .bind(org.as_uuid())
        .bind(stored(seq - 1))
        .fetch_optional(connection)
        .await?
        .ok_or(EvidenceError::Broken("an entry is missing"))?;
    Ok(hash("entries", bytes)?)
}
