//! The record, verified whole, against the checkpoints kept outside the database.

use chancery_config::Config;
use chancery_doctor::{Check, Code, Finding};
use chancery_model::Timestamp;
use chancery_record::checkpoint::{checkpoint_key_version, checkpoint_signer, read_newest};
use chancery_record::verify::Verification;
use futures_util::{StreamExt as _, stream};

use super::unseen;
use crate::assemble::{Books, Surroundings};
use crate::database::Database;
use crate::verify::{AT_ONCE, Named, Verifying, missing};

const NAME: &str = "Record";
const RUNBOOK: &str = "docs/runbooks/broken-record.md says what to do. Repair no rows.";
/// How far clocks may differ: as far as revocations allow for.
pub(super) const TOLERANCE_SECONDS: i64 = 5;

pub(super) async fn check(config: &Config, database: &Database) -> Check {
    let around = Surroundings::system();
    let books = match Books::open(config, database, &around).await {
        Ok(books) => books,
        Err(error) => return unseen(NAME, "the record", &error),
    };
    let checked = of(&books, config, &around).await;
    books.close().await;
    checked.unwrap_or_else(|error| unseen(NAME, "the record", &error))
}

async fn of(books: &Books, config: &Config, around: &Surroundings) -> anyhow::Result<Check> {
    let (store, file) = (&books.store, &config.record.checkpoint_file);
    let orgs = store.organizations().await?;
    let check = |seen: String, findings| Check { name: NAME, seen, findings };
    // Asking for the signer makes the key where there is none.
    if checkpoint_key_version(store).await?.is_none() {
        let meaning = "There are organizations, and no key that signs checkpoints: somebody deleted it.";
        let lost = (!orgs.is_empty())
            .then(|| Finding::new(Code::RecordBroken, "the checkpoint key", meaning, RUNBOOK));
        return Ok(check("no checkpoint was ever signed".to_owned(), lost.into_iter().collect()));
    }
    let vkey = checkpoint_signer(store).await?.vkey().clone();
    let outside = match read_newest(file, &vkey) {
        Ok(outside) => outside,
        Err(error) => {
            let path = file.display().to_string();
            let findings = vec![Finding::new(Code::CheckpointFile, path, error.to_string(), RUNBOOK)];
            return Ok(check("not verified".to_owned(), findings));
        }
    };
    let mut findings: Vec<Finding> = missing(&outside, &vkey, &orgs)
        .into_iter()
        .map(|lost| {
            let meaning = format!("It was signed at {} entries, and is not in the database.", lost.size);
            Finding::new(Code::RecordMissing, &lost.origin, meaning, RUNBOOK)
        })
        .collect();
    findings.extend(ahead(books, around).await?);
    let verifying = Verifying::begin(books, vkey, outside, &orgs).await?;
    let (mut entries, count) = (0, orgs.len());
    let mut verified = stream::iter(orgs).map(|org| verifying.verify(org)).buffered(AT_ONCE);
    while let Some((named, outcome)) = verified.next().await {
        match outcome {
            Ok(found) => {
                entries += found.entries;
                findings.extend(broken(&named, &found));
            }
            Err(error) => findings.extend(unseen(NAME, &name(&named), &error).findings),
        }
    }
    verifying.progress.finish_and_clear();
    Ok(check(
        format!("{entries} entries of {count} organizations verified to their last checkpoints"),
        findings,
    ))
}

fn name((org, slug): &Named) -> String {
    slug.as_ref().map_or_else(|| org.to_string(), ToString::to_string)
}

fn broken(named: &Named, found: &Verification) -> Option<Finding> {
    let faults: Vec<String> =
        found.faults.iter().take(5).map(|fault| format!("{} at {}", fault.code, fault.seq)).collect();
    let faults = match found.faults.len().saturating_sub(faults.len()) {
        0 => faults.join(", "),
        more => format!("{}, and {more} more", faults.join(", ")),
    };
    let meaning = format!("Somebody changed what was recorded, outside the server: {faults}.");
    if !found.is_intact() {
        return Some(Finding::new(Code::RecordBroken, name(named), meaning, RUNBOOK));
    }
    (!found.complete).then(|| {
        Finding::new(Code::Unseen, name(named), "It was not read to its end.", "Run the doctor again.")
    })
}

/// Whether an entry is from the future, by this machine's clock.
async fn ahead(books: &Books, around: &Surroundings) -> anyhow::Result<Option<Finding>> {
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT (extract(epoch FROM max(last_time)) * 1000000)::int8 FROM heads")
            .fetch_one(books.store.appender())
            .await?;
    let (newest, now) = (newest.map(Timestamp::from_micros), around.clock.now());
    Ok(newest.filter(|newest| *newest > now.plus_seconds(TOLERANCE_SECONDS)).map(|newest| {
        let meaning = format!(
            "The newest entry is of {}, and it is {} here: one of both clocks is wrong.",
            newest.to_offset(),
            now.to_offset()
        );
        Finding::new(Code::RecordAhead, "the record", meaning, "Set this machine's clock; then look again.")
    }))
}
