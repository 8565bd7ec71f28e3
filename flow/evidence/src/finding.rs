//! What a verification says.

use std::fmt;

use chancery_model::OrgId;
use serde::Serialize;

use crate::{CallResult, Checkpoint};

/// One thing that is wrong with a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable word for programs; `docs/evidence.md` lists them all.
    pub code: &'static str,
    /// The same for people.
    pub message: String,
}

impl Finding {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// What a bundle proves, under the checkpoint keys that were trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whose record.
    pub org: OrgId,
    /// The state of the record that everything is proven against.
    pub checkpoint: Checkpoint,
    /// The intent's id, unless its payload is not there.
    pub intent: Option<String>,
    /// What was decided first: `allow`, `escalate` or `deny`.
    pub effect: &'static str,
    /// Who agreed to it, of those whose answers are in the bundle, and did not take it back.
    pub agreed: Vec<Agreement>,
    /// The entry that ended the asking of people without an approval, if one is in the bundle.
    pub ended: Option<Told>,
    /// The sequence number of the entry that let it happen after people agreed.
    pub released: Option<u64>,
    /// Those of entries that refused it all the same.
    pub denied_again: Vec<u64>,
    /// How many entries are proven to be in the record.
    pub entries: usize,
    /// Those whose payload is not there: whoever gave the bundle withheld it, or it was shredded. Nobody
    /// can tell which; what they say is not in any section.
    pub without_payload: Vec<Told>,
    /// The token that was minted, if one was.
    pub token: Option<TokenProof>,
    /// The connector through which we were to call, if we were and the payload that says so is there.
    pub connector: Option<String>,
    /// How the call ended, if an entry that says so is in the bundle.
    pub closed: Option<Closed>,
}

/// A person who agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// The sequence number of the entry that says so.
    pub seq: u64,
    /// The person's id.
    pub member: String,
    /// The role in which they agreed; `None` without the entry's payload.
    pub role: Option<String>,
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Closed {
    /// The sequence number of the entry that tells of it.
    pub seq: u64,
    /// What the entry says; `None` without its payload.
    pub result: Option<CallResult>,
}

/// What the leaf of an entry tells, with or without its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Its place in the record.
    pub seq: u64,
    /// What happened, such as `token.used`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What is proven about a token, by leaves alone: no payload has to be there for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenProof {
    /// Its `jti`.
    pub id: String,
    /// Whether its signature was in the bundle, and so was verified.
    pub signature_verified: bool,
    /// The sequence number of the entry that says it was used, if one was in the bundle.
    pub used: Option<u64>,
}

impl fmt::Display for Report {
    /// For people, a line for each thing proven.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "record of {}, checkpoint at {} entries, signed as {}",
            self.org, self.checkpoint.size, self.checkpoint.origin
        )?;
        match &self.intent {
            Some(intent) => writeln!(f, "intent {intent}: {}", self.effect)?,
            None => writeln!(f, "intent: {} (its payload was withheld or shredded)", self.effect)?,
        }
        self.people(f)?;
        write!(f, "{} entries proven to be in the record", self.entries)?;
        if !self.without_payload.is_empty() {
            write!(f, ", {} of them without a payload (withheld or shredded):", self.without_payload.len())?;
            for entry in &self.without_payload {
                write!(f, " {} {}", entry.seq, entry.kind)?;
            }
        }
        self.token(f)?;
        self.call(f)
    }
}

impl Report {
    /// Who agreed or did not, and what came of it.
    fn people(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for agreement in &self.agreed {
            let role = agreement.role.as_deref().unwrap_or("role withheld or shredded");
            writeln!(f, "agreed: member {} ({role}, entry {})", agreement.member, agreement.seq)?;
        }
        if let Some(ended) = &self.ended {
            let how = ended.kind.strip_prefix("approval.").unwrap_or(&ended.kind);
            writeln!(f, "asking people ended: {how} (entry {})", ended.seq)?;
        }
        for seq in &self.denied_again {
            writeln!(f, "decided again and not allowed (entry {seq})")?;
        }
        match self.released {
            Some(seq) => writeln!(f, "decided again and released (entry {seq})"),
            None => Ok(()),
        }
    }

    fn token(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(token) = &self.token else { return Ok(()) };
        let signature =
            if token.signature_verified { "signature verified" } else { "signature not in the bundle" };
        write!(f, "\ntoken {}: {signature}", token.id)?;
        match token.used {
            Some(seq) => write!(f, ", used (entry {seq})"),
            None => write!(f, ", no use in the bundle"),
        }
    }

    fn call(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(closed) = &self.closed else {
            return match &self.connector {
                Some(connector) => write!(f, "\ncall through {connector}: no result in the bundle"),
                None => Ok(()),
            };
        };
        f.write_str("\ncall")?;
        if let Some(connector) = &self.connector {
            write!(f, " through {connector}")?;
        }
        match &closed.result {
            Some(result) => write!(f, ": {} (entry {})", result.outcome, closed.seq)?,
            None => write!(f, ": ended (entry {}, its payload was withheld or shredded)", closed.seq)?,
        }
        match closed.result.as_ref().and_then(|result| result.result_digest.as_deref()) {
            Some(digest) => write!(f, ", result SHA-256 {digest}"),
            None => Ok(()),
        }
    }
}
