//! The offline verification, in the order of `docs/evidence.md`.

mod entries;
mod sections;

use crate::finding::{TokenProof, Withheld};
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
    let opening = sections::check(&bundle, &read, &mut findings);
    let (Some(checkpoint), Some(opening), true) = (checkpoint, opening, findings.is_empty()) else {
        return Err(findings);
    };
    Ok(Report {
        org: bundle.organization.id,
        checkpoint,
        intent: opening.intent.map(str::to_owned),
        effect: opening.effect,
        entries: read.len(),
        without_payload: read
            .iter()
            .filter(|entry| entry.payload.is_none())
            .map(|entry| Withheld { seq: entry.seq, kind: entry.kind.clone() })
            .collect(),
        token: opening.token_id.map(|id| TokenProof {
            id: id.to_owned(),
            signature_verified: bundle.token.as_ref().is_some_and(|token| token.jws.is_some()),
            used: opening.used,
        }),
    })
}
