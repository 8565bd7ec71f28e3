//! What an approval rests on: the entries of those who agreed. Who agreed is read from unsealed rows, which
//! whoever can write the database can make; an entry that tells of it, only the server can.

use chancery_approve::Agreed;
use chancery_decide::may_answer;
use chancery_evidence::{Hex, kind};
use chancery_model::{IntentId, OrgId, Role};
use chancery_store::{Keyring, KeyringError, Read, Scoped, StoreError};
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};

use crate::query::{ENTRY, EntryRow, StoredEntry};

/// The most answers of one intent that are looked through. A person who has taken back more than that is
/// not believed, nor is anybody before them.
const MOST: i64 = 1000;

/// The entries that tell of people's answers to an intent and of its release, the newest first.
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
    let kinds = [&kind::ANSWERS[..], &[kind::RELEASED]].concat();
    query.push_bind(kinds).push(") ORDER BY seq DESC LIMIT ").push_bind(MOST);
    let rows: Vec<EntryRow> = query.build_query_as().fetch_all(scoped.connection()).await?;
    rows.into_iter().map(StoredEntry::try_from).collect::<Result<_, _>>().map(Grounds)
}

impl Grounds {
    /// Whether each of these people who counts stands in the record as one who agreed to exactly this, with that key,
    /// and did not take it back; and the record tells of no release.
    ///
    /// # Errors
    /// When a payload does not open: another entry's, or changed bytes.
    pub async fn bear(
        &self,
        keyring: &Keyring,
        org: OrgId,
        intent: IntentId,
        agreed: &Agreed,
    ) -> Result<bool, KeyringError> {
        if self.0.iter().any(|entry| entry.kind == kind::RELEASED) {
            return Ok(false);
        }
        // Who was given a lower role since counts for nothing anyhow.
        let counted = agreed.people.iter().filter(|person| may_answer(person.role, Role::Approver));
        for person in counted {
            let member = person.member.to_string();
            let of_them = |entry: &&StoredEntry| says(&entry.refs_value(), "/member", &member);
            let Some(last) = self.0.iter().find(of_them).filter(|entry| entry.kind == kind::GRANTED) else {
                return Ok(false);
            };
            // Whose data is erased speaks for nothing any more.
            let Some(opened) = last.open(keyring, org).await? else { return Ok(false) };
            let told = [
                ("/intent_id", intent.to_string()),
                ("/intent_hash", Hex(agreed.intent_hash).to_string()),
                ("/approver/id", member),
                ("/approver/key_id", person.key.to_string()),
            ];
            let says = |pointer, text: &str| says(&opened.payload, pointer, text);
            // An admin counts wherever an approver does, and not the other way round.
            let in_role = says("/approver/role", person.role.as_str()) || says("/approver/role", "admin");
            if !in_role || !told.iter().all(|(pointer, text)| says(pointer, text)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn says(value: &Value, pointer: &str, text: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_str) == Some(text)
}
