//! Redemptions of a batch: each must rest on a recorded decision, and each nonce is good once.

use std::collections::HashSet;
use std::sync::LazyLock;

use chancery_mint::Redemption;
use chancery_mint::token_uses::{TokenUse, insert_batch};
use chancery_store::StoreError;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::{Job, Planned};
use crate::payload::decided_refs;

/// A verified token, about to be consumed.
#[derive(Debug)]
pub(crate) struct Redeemed {
    pub(crate) used: TokenUse,
    /// The references of the entry that allowed the intent and names this token. Whoever can write
    /// signing keys can sign tokens; what was decided stands in the record.
    pub(super) grounds: String,
}

impl Redeemed {
    pub(crate) fn new(used: TokenUse, redemption: &Redemption) -> Self {
        let claims = redemption.claims();
        let asker = claims.act.as_ref().map_or(claims.sub, |act| act.sub);
        Self {
            used,
            grounds: decided_refs(claims.intent_id, asker, Some((claims.jti, redemption.claims_hash()))),
        }
    }
}

/// Grounds in columns.
#[derive(Default)]
pub(super) struct Grounds<'a> {
    orgs: Vec<Uuid>,
    intents: Vec<Uuid>,
    refs: Vec<&'a str>,
}

impl<'a> Grounds<'a> {
    pub(super) const TYPES: [&'static str; 3] = ["uuid", "uuid", "text"];

    pub(super) fn push(&mut self, redeemed: &'a Redeemed) {
        self.orgs.push(redeemed.used.org.as_uuid());
        self.intents.push(redeemed.used.intent.as_uuid());
        self.refs.push(&redeemed.grounds);
    }

    /// Binds one array for each of [`Self::TYPES`].
    pub(super) fn bind<'q>(self, statement: crate::chain::Statement<'q>) -> crate::chain::Statement<'q>
    where
        'a: 'q,
    {
        statement.bind(self.orgs).bind(self.intents).bind(self.refs)
    }
}

/// The rows of `(org_id, intent_id, refs)` whose decision, the first or that after an approval, is recorded, of those that the parameters
/// from `$first` on hold.
pub(super) fn recorded(first: usize) -> String {
    let arrays: Vec<String> =
        Grounds::TYPES.iter().zip(first..).map(|(of, number)| format!("${number}::{of}[]")).collect();
    format!(
        "unnest({}) AS g (org_id, intent_id, refs)
         JOIN intents i ON i.org_id = g.org_id AND i.id = g.intent_id
         LEFT JOIN releases r ON r.org_id = i.org_id AND r.intent_id = i.id AND r.state = 'token'
             AND i.effect = 'escalate'
         JOIN entries e ON e.org_id = i.org_id AND e.refs = g.refs
             AND e.seq = coalesce(r.seq, i.seq)
             AND e.kind = CASE WHEN r.seq IS NULL THEN 'intent.allowed' ELSE 'intent.released' END",
        arrays.join(", ")
    )
}

/// Consumes the nonces of this batch's redemptions; of several with one nonce the first wins. One
/// without a recorded decision is refused.
pub(super) async fn consume(
    connection: &mut PgConnection,
    jobs: &[Job],
    refused: &mut [Option<Planned>],
) -> Result<(), StoreError> {
    let open = |slot: &Option<Planned>, job: &Job| slot.is_none() && job.redemption.is_some();
    if !jobs.iter().zip(refused.iter()).any(|(job, slot)| open(slot, job)) {
        return Ok(());
    }
    let grounded = grounded(connection, jobs).await?;
    let (mut slots, mut uses) = (Vec::new(), Vec::new());
    for (job, slot) in jobs.iter().zip(refused.iter_mut()) {
        let (Some(redeemed), None) = (&job.redemption, &slot) else { continue };
        if !grounded.contains(&(redeemed.used.org.as_uuid(), redeemed.grounds.clone())) {
            *slot = Some(Planned::Groundless);
            continue;
        }
        uses.push(redeemed.used);
        slots.push(slot);
    }
    let fresh = insert_batch(connection, &uses).await?;
    for (slot, fresh) in slots.into_iter().zip(fresh) {
        if !fresh {
            *slot = Some(Planned::Used);
        }
    }
    Ok(())
}

async fn grounded(
    connection: &mut PgConnection,
    jobs: &[Job],
) -> Result<HashSet<(Uuid, String)>, StoreError> {
    static SELECT: LazyLock<String> =
        LazyLock::new(|| format!("SELECT g.org_id, g.refs FROM {}", recorded(1)));
    let mut grounds = Grounds::default();
    jobs.iter().filter_map(|job| job.redemption.as_ref()).for_each(|redeemed| grounds.push(redeemed));
    let rows = grounds.bind(sqlx::query(SELECT.as_str())).fetch_all(connection).await?;
    Ok(rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, sqlx::Error>>()?)
}
