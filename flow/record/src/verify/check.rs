//! What can be said of a piece of a record from the piece alone.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread;

use chancery_crypto::{DataKey, sealed_under};
use chancery_evidence::{Hash, Hex, kind};
use chancery_model::{OrgId, Timestamp};
use serde::Deserialize;
use uuid::Uuid;

use super::Fault;
use crate::entry::{Sealed, unseal};
use crate::scan::{ScanRow, Walk};
use crate::tree::Tile;

/// The type of the entry that tells of a destroyed key: `data_key` in its references.
const ERASED: &str = "subject.erased";

/// What is carried from piece to piece.
pub(super) struct Tree {
    pub(super) walk: Walk,
    /// Signed roots by size, as long as they were not reached.
    pub(super) roots: BTreeMap<u64, Hash>,
    /// The size of the newest checkpoint in the database.
    pub(super) signed: u64,
}

/// The key of a payload.
pub(super) enum Key {
    Found(Arc<DataKey>),
    Destroyed,
    Missing,
}

/// Some entries in a row, and the keys that open them.
pub(super) struct Piece {
    pub(super) rows: Vec<ScanRow>,
    pub(super) keys: HashMap<Uuid, Key>,
    pub(super) payloads: bool,
    /// One or two: on how many threads payloads are opened.
    pub(super) threads: u8,
}

/// What was found, and what other tables must say of it.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) faults: Vec<Fault>,
    pub(super) checkpoint: u64,
    pub(super) decided: Vec<Decided>,
    pub(super) used: Vec<Used>,
    pub(super) tiles: Vec<Tile>,
    pub(super) shredded: Vec<(Uuid, u64)>,
    pub(super) erased: Vec<Uuid>,
}

/// A decision.
pub(super) struct Decided {
    pub(super) seq: u64,
    pub(super) time: Timestamp,
    pub(super) intent: Uuid,
    pub(super) effect: &'static str,
    pub(super) has_token: bool,
    /// What its payload says; `None` when it was not opened.
    pub(super) said: Option<Said>,
}

/// What a decision's payload says of the columns that lists show.
#[derive(PartialEq, Eq)]
pub(super) struct Said {
    pub(super) principal_kind: String,
    pub(super) principal_id: Uuid,
    pub(super) key_id: Uuid,
    pub(super) action: String,
    pub(super) resource_type: String,
    pub(super) risk: i16,
    pub(super) environment: String,
}

/// A use of a token.
pub(super) struct Used {
    pub(super) seq: u64,
    pub(super) intent: Uuid,
    pub(super) token: Uuid,
    /// What its payload says: the hash of the nonce, and who used it.
    pub(super) said: Option<(Hash, Uuid)>,
}

/// The references that other tables know as well.
#[derive(Deserialize, Default)]
struct Refs {
    intent: Option<Uuid>,
    principal: Option<Uuid>,
    token: Option<Uuid>,
    data_key: Option<Uuid>,
}

/// Walks along a piece: one thread links, and opens what the others leave it.
pub(super) fn check(mut tree: Tree, piece: &Piece) -> (Tree, Checked) {
    let org = tree.walk.org;
    let (ours, theirs) = piece.rows.split_at(piece.rows.len() / usize::from(piece.threads.max(1)));
    let mut checked = thread::scope(|scope| {
        let elsewhere = || thread::Builder::new().spawn_scoped(scope, || look_into(org, theirs, piece));
        let opening = (!theirs.is_empty()).then(elsewhere);
        let mut checked = Checked::default();
        for row in &piece.rows {
            step(&mut tree, row, &mut checked);
        }
        checked.add(look_into(org, ours, piece));
        checked.add(match opening.map(|opening| opening.map(thread::ScopedJoinHandle::join)) {
            Some(Ok(Ok(opened))) => opened,
            Some(Ok(Err(panic))) => std::panic::resume_unwind(panic),
            // The system has no thread for it, or there is nothing.
            Some(Err(_)) | None => look_into(org, theirs, piece),
        });
        checked
    });
    checked.faults.sort_by_key(|fault| fault.seq);
    (tree, checked)
}

/// Opens entries, and notes what they tell.
fn look_into(org: OrgId, rows: &[ScanRow], piece: &Piece) -> Checked {
    let mut checked = Checked::default();
    for row in rows {
        let payload = if piece.payloads { open(org, row, piece, &mut checked) } else { None };
        tell(row, payload.as_ref().map(|plain| plain.as_slice()), &mut checked);
    }
    checked
}

/// Takes one entry, and compares the tree with what was signed of it at this size.
fn step(tree: &mut Tree, row: &ScanRow, checked: &mut Checked) {
    let signed = tree.signed;
    let tiles = &mut checked.tiles;
    let stepped = tree.walk.step(row, &mut |level, index, hash| {
        if (index + 1) << level <= signed {
            tiles.push((level, index, hash));
        }
    });
    if let Err(broken) = stepped {
        checked.fault(broken.code(), row);
    }
    let size = tree.walk.frontier.size();
    if let Some(root) = tree.roots.remove(&size) {
        if root == tree.walk.frontier.root() {
            checked.checkpoint = size;
        } else {
            checked.faults.push(Fault { code: "root_differs", seq: size });
        }
    }
}

fn open(
    org: OrgId,
    row: &ScanRow,
    piece: &Piece,
    checked: &mut Checked,
) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let commitment = row.commitment?;
    let id = sealed_under(row.payload()).ok();
    match id.and_then(|id| piece.keys.get(&id)) {
        Some(Key::Found(key)) => {
            let entry = Sealed {
                commitment: &commitment,
                kind: row.kind(),
                refs: row.refs(),
                payload: row.payload(),
            };
            if let Ok((_, plain)) = unseal(key, org, entry) {
                return Some(plain);
            }
            checked.fault("payload_unreadable", row);
        }
        Some(Key::Destroyed) => checked.shredded.extend(id.map(|id| (id, row.seq()))),
        Some(Key::Missing) | None => checked.fault("payload_unreadable", row),
    }
    None
}

/// Notes what other tables must say of an entry.
fn tell(row: &ScanRow, payload: Option<&[u8]>, checked: &mut Checked) {
    let refs: Refs = serde_json::from_str(row.refs()).unwrap_or_default();
    // An entry about an intent belongs to its story. The column is not part of the leaf.
    if row.correlation_id != refs.intent {
        checked.fault("entry_changed", row);
    }
    let effect = match row.kind() {
        kind::ALLOWED => "allow",
        kind::ESCALATED => "escalate",
        kind::DENIED => "deny",
        kind::TOKEN_USED => return tell_use(row, &refs, payload, checked),
        // Its own payload must be there, and say so too.
        ERASED => {
            let said = payload.and_then(|plain| serde_json::from_slice::<Erasure>(plain).ok());
            return checked
                .erased
                .extend(said.map(|said| said.data_key).filter(|key| Some(*key) == refs.data_key));
        }
        _ => return,
    };
    let (Some(intent), Ok(said)) =
        (refs.intent, payload.map(|plain| Decision::said(plain, &refs)).transpose())
    else {
        return checked.fault("entry_changed", row);
    };
    checked.decided.push(Decided {
        seq: row.seq(),
        time: row.time(),
        intent,
        effect,
        has_token: refs.token.is_some(),
        said,
    });
}

fn tell_use(row: &ScanRow, refs: &Refs, payload: Option<&[u8]>, checked: &mut Checked) {
    let said = payload.map(serde_json::from_slice::<Use>).transpose();
    let (Some(intent), Some(token), Ok(said)) = (refs.intent, refs.token, said) else {
        return checked.fault("entry_changed", row);
    };
    if said.as_ref().is_some_and(|said| said.jti != token || said.intent_id != intent) {
        return checked.fault("entry_changed", row);
    }
    let said = said.map(|said| (said.nonce_hash.0, said.key_id));
    checked.used.push(Used { seq: row.seq(), intent, token, said });
}

impl Checked {
    /// What was found further on.
    fn add(&mut self, later: Self) {
        self.faults.extend(later.faults);
        self.checkpoint = self.checkpoint.max(later.checkpoint);
        self.decided.extend(later.decided);
        self.used.extend(later.used);
        self.tiles.extend(later.tiles);
        self.shredded.extend(later.shredded);
        self.erased.extend(later.erased);
    }

    fn fault(&mut self, code: &'static str, row: &ScanRow) {
        self.faults.push(Fault { code, seq: row.seq() });
    }
}

#[derive(Deserialize)]
struct Use {
    jti: Uuid,
    intent_id: Uuid,
    nonce_hash: Hex<32>,
    key_id: Uuid,
}

/// The payload of an erasure.
#[derive(Deserialize)]
struct Erasure {
    data_key: Uuid,
}

/// Of the payload of a decision, what columns repeat.
#[derive(Deserialize)]
struct Decision<'a> {
    #[serde(borrow)]
    intent: Intent<'a>,
    key_id: Uuid,
    #[serde(borrow)]
    principal: Principal<'a>,
    decision: Judgement,
    token: Option<Token>,
}

#[derive(Deserialize)]
struct Token {
    jti: Uuid,
}

#[derive(Deserialize)]
struct Intent<'a> {
    id: Uuid,
    #[serde(borrow)]
    canonical: Canonical<'a>,
    #[serde(borrow)]
    environment: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Canonical<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    resource: Resource<'a>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Principal<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    id: Uuid,
}

#[derive(Deserialize)]
struct Judgement {
    risk: Risk,
}

#[derive(Deserialize)]
struct Risk {
    score: i16,
}

/// A payload that is not that of its entry.
struct NotTheSame;

impl Decision<'_> {
    /// What a payload says. Of whom and of what it is, the references say as well.
    fn said(payload: &[u8], refs: &Refs) -> Result<Said, NotTheSame> {
        // As text from the start: else every string in it is looked through again.
        let text = std::str::from_utf8(payload).map_err(|_| NotTheSame)?;
        let Decision { intent, key_id, principal, decision, token } =
            serde_json::from_str(text).map_err(|_| NotTheSame)?;
        let told = (Some(intent.id), Some(principal.id), token.map(|token| token.jti));
        if told != (refs.intent, refs.principal, refs.token) {
            return Err(NotTheSame);
        }
        Ok(Said {
            principal_kind: principal.r#type.into_owned(),
            principal_id: principal.id,
            key_id,
            action: intent.canonical.action.into_owned(),
            resource_type: intent.canonical.resource.r#type.into_owned(),
            risk: decision.risk.score,
            environment: intent.environment.into_owned(),
        })
    }
}
