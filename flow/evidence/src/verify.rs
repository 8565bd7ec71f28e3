//! The offline verification, in the order of `docs/evidence.md`.

mod entries;
mod people;
mod sections;
mod story;

use serde_json::Value;

use self::entries::Read;
use self::sections::Proven;
use crate::bundle::{CallResult, kind};
use crate::finding::{Agreement, Closed, TokenProof, Told};
use crate::note::Checkpoint;
use crate::{Bundle, Finding, Report, Trust};

/// Verifies a bundle: everything it says is in the record that a trusted key signed. Needs no
/// network, no database and no clock, and takes no trust from the bundle.
///
/// # Errors
/// All that is wrong with it; never empty.
pub fn verify(bundle: &[u8], trust: &Trust) -> Result<Report, Vec<Finding>> {
    let bundle = Bundle::parse(bundle).map_err(|finding| vec![finding])?;
    let mut findings = Vec::new();
    let checkpoint = entries::checkpoint(&bundle, trust).map_err(|finding| findings.push(finding)).ok();
    let read = entries::check(&bundle, checkpoint.as_ref(), &mut findings);
    let proven = sections::check(&bundle, &read, &mut findings);
    let (Some(checkpoint), Some(proven), true) = (checkpoint, proven, findings.is_empty()) else {
        return Err(findings);
    };
    Ok(report(&bundle, checkpoint, &read, &proven))
}

fn report(bundle: &Bundle, checkpoint: Checkpoint, read: &[Read<'_>], proven: &Proven<'_>) -> Report {
    let Proven { story, intent } = proven;
    let told = |entry: &Read<'_>| Told { seq: entry.seq, kind: entry.kind.clone() };
    let first = |kinds: &[&str]| read.iter().find(|entry| kinds.contains(&entry.kind.as_str())).map(told);
    Report {
        org: bundle.organization.id,
        checkpoint,
        intent: intent.map(str::to_owned),
        effect: story.effect,
        agreed: people::agreed(read)
            .into_iter()
            .map(|answer| Agreement {
                seq: answer.seq,
                member: answer.refers_to(story::MEMBER).unwrap_or_default().to_owned(),
                role: people::role(answer).map(str::to_owned),
            })
            .collect(),
        ended: first(&kind::REFUSALS),
        released: story.released.map(|entry| entry.seq),
        denied_again: read.iter().filter(|it| it.kind == kind::RELEASE_DENIED).map(|it| it.seq).collect(),
        entries: read.len(),
        without_payload: read.iter().filter(|entry| entry.payload.is_none()).map(told).collect(),
        token: story.token().map(|id| TokenProof {
            id: id.to_owned(),
            signature_verified: bundle.token.as_ref().is_some_and(|token| token.jws.is_some()),
            used: story.used.map(|entry| entry.seq),
        }),
        connector: bundle.execution.as_ref().and_then(|it| text(it, "connector")).map(str::to_owned),
        closed: story
            .closed
            .map(|entry| Closed { seq: entry.seq, result: entry.payload.and_then(CallResult::of) }),
    }
}

/// A member that is text.
fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}
