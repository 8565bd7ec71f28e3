//! What a verification says.

use std::fmt;

use chancery_model::OrgId;
use serde::Serialize;

use crate::Checkpoint;

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
    /// `allow`, `escalate` or `deny`.
    pub effect: &'static str,
    /// How many entries are proven to be in the record.
    pub entries: usize,
    /// Those whose payload is not there: whoever gave the bundle withheld it, or it was shredded. Nobody
    /// can tell which; what they say is not in any section.
    pub without_payload: Vec<Withheld>,
    /// The token that was minted, if one was.
    pub token: Option<TokenProof>,
}

/// An entry without its payload: its leaf still tells what kind of thing happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Withheld {
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
        write!(f, "{} entries proven to be in the record", self.entries)?;
        if !self.without_payload.is_empty() {
            write!(f, ", {} of them without a payload (withheld or shredded):", self.without_payload.len())?;
            for entry in &self.without_payload {
                write!(f, " {} {}", entry.seq, entry.kind)?;
            }
        }
        if let Some(token) = &self.token {
            let signature =
                if token.signature_verified { "signature verified" } else { "signature not in the bundle" };
            write!(f, "\ntoken {}: {signature}", token.id)?;
            match token.used {
                Some(seq) => write!(f, ", used (entry {seq})")?,
                None => write!(f, ", no use in the bundle")?,
            }
        }
        Ok(())
    }
}
