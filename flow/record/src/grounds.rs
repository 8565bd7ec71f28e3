//! What an approval rests on: the entries of those who agreed. Who agreed is read from unsealed rows, which
//! whoever can write the database can make; an entry that tells of it, only the server can.

use chancery_approve::{Agreed, GOOD_SECONDS};
use chancery_decide::may_answer;
use chancery_evidence::{Hex, kind};
use chancery_model::{IntentId, OrgId, Role, Timestamp};
use chancery_store::{Keyring, KeyringError, Read, Scoped, StoreError};
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};

use crate::query::{ENTRY, EntryRow, StoredEntry};

/// The most answers of one intent that are looked through. A person who has taken back more than that is
/// not believed, nor is anybody before them.
const MOST: i64 = 1000;

/// The entries that tell of people's answers to an intent, of other ends of the asking, and of its release;
/// the newest first.
#[derive(Debug)]
pub struct Grounds(Vec<StoredEntry>);

/// Reads them.
///
/// # Errors
/// When the store does not answer.
pub async fn grounds(scoped: &mut Scoped<Read>, intent: IntentId) -> Result<Grounds, StoreError> {
    let mut query = QueryBuilder::<Postgres>::new(ENTRY);
    query.push(" WHERE org_id = ").push_bind(scoped.org().as_uuid());
    query.push(" AND correlation_id = ").push_bind(intent.as_uuid());
    // The first condition is the index's own.
    query.push(" AND kind NOT IN ('intent.allowed', 'intent.escalated', 'intent.denied') AND kind = ANY(");
    let kinds = [&kind::ANSWERS[..], &kind::REFUSALS[..], &[kind::RELEASED]].concat();
    query.push_bind(kinds).push(") ORDER BY seq DESC LIMIT ").push_bind(MOST);
    let rows: Vec<EntryRow> = query.build_query_as().fetch_all(scoped.connection()).await?;
    rows.into_iter().map(StoredEntry::try_from).collect::<Result<_, _>>().map(Grounds)
}

impl Grounds {
    /// Whether the record tells that an intent stands approved: that the asking ended with the answer that
    /// approved it, no longer ago than approvals are good for, and nothing was released. And of each of these
    /// people who counts, that they agreed to exactly this, with that key, and did not take it back.
    ///
    /// # Errors
    /// When a payload does not open: another entry's, or changed bytes.
    pub async fn bear(
        &self,
        keyring: &Keyring,
        (org, intent): (OrgId, IntentId),
        agreed: &Agreed,
        now: Timestamp,
    ) -> Result<bool, KeyringError> {
        let ends = |entry: &StoredEntry| kind::REFUSALS.contains(&entry.kind.as_str());
        if self.0.iter().any(|entry| entry.kind == kind::RELEASED || ends(entry)) {
            return Ok(false);
        }
        let Some(last) = self.0.first() else { return Ok(false) };
        let is_good = last.time.plus_seconds(GOOD_SECONDS) > now;
        if !is_good || !tells(last, keyring, org, &[("/state", "approved")]).await? {
            return Ok(false);
        }
        // Who was given a lower role since counts for nothing anyhow.
        let counted = agreed.people.iter().filter(|person| may_answer(person.role, Role::Approver));
        let (intent, hash) = (intent.to_string(), Hex(agreed.intent_hash).to_string());
        for person in counted {
            let (member, key) = (person.member.to_string(), person.key.to_string());
            let of_them = |entry: &&StoredEntry| says(&entry.refs_value(), "/member", &member);
            let Some(answer) = self.0.iter().find(of_them).filter(|entry| entry.kind == kind::GRANTED) else {
                return Ok(false);
            };
            let mut told = vec![
                ("/intent_id", intent.as_str()),
                ("/intent_hash", &hash),
                ("/approver/id", &member),
                ("/approver/key_id", &key),
            ];
            // An admin counts wherever an approver does, and not the other way round.
            told.extend((person.role == Role::Admin).then_some(("/approver/role", "admin")));
            if !tells(answer, keyring, org, &told).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether an entry's payload says all of this. Whose data is erased speaks for nothing any more.
async fn tells(
    entry: &StoredEntry,
    keyring: &Keyring,
    org: OrgId,
    told: &[(&str, &str)],
) -> Result<bool, KeyringError> {
    let opened = entry.open(keyring, org).await?;
    Ok(opened.is_some_and(|opened| told.iter().all(|(pointer, text)| says(&opened.payload, pointer, text))))
}

fn says(value: &Value, pointer: &str, text: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_str) == Some(text)
}
