//! Verifying: the record in the database, and bundles of evidence offline.

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, anyhow, bail};
use chancery_config::Config;
use chancery_evidence::{Checkpoint, Trust, VerifierKey};
use chancery_model::{OrgId, Slug};
use chancery_people::organization;
use chancery_record::checkpoint::{checkpoint_signer, read_newest};
use chancery_record::verify::{Depth, Verification, entries_of, verify_over};
use futures_util::{StreamExt as _, stream};
use indicatif::ProgressBar;
use serde_json::json;
use sqlx::PgConnection;
use tokio::task::spawn_blocking;

use crate::assemble::Books;
use crate::naming::slug_of;
use crate::operate::{bar, with_books};
use crate::terminal::{Style, Terminal};

/// How many records are verified at once: the database answers for one while another is computed. Each
/// keeps some three pieces in memory.
pub(crate) const AT_ONCE: usize = 4;

/// `record verify`: every organization's record, or one's, whole.
///
/// # Errors
/// When it can't be read, or is not intact.
pub async fn verify_record(
    config: &Config,
    org: Option<&Slug>,
    as_json: bool,
    terminal: Terminal,
) -> anyhow::Result<()> {
    let intact = with_books(config, async |books| {
        let vkey = checkpoint_signer(&books.store).await?.vkey().clone();
        let outside = read_newest(&config.record.checkpoint_file, &vkey)?;
        let orgs = match org {
            Some(slug) => {
                vec![
                    organization::find(&books.store, slug)
                        .await?
                        .with_context(|| format!("no organization `{slug}`"))?,
                ]
            }
            None => books.store.organizations().await?,
        };
        if orgs.is_empty() && outside.is_empty() {
            bail!("there is no record to verify: no organization was made yet");
        }
        let mut intact = true;
        if org.is_none() {
            intact = none_is_missing(&outside, &vkey, &orgs, as_json, terminal)?;
        }
        let verifying = Verifying::begin(books, vkey, outside, &orgs).await?;
        let printer = Printer::start(verifying.progress.clone(), terminal);
        let mut verified = stream::iter(orgs).map(|org| verifying.verify(org)).buffered(AT_ONCE);
        // One that can't be read hides none of the others.
        let mut unread = None;
        while let Some((named, outcome)) = verified.next().await {
            let text = match outcome {
                Ok(found) => {
                    intact &= found.is_intact();
                    report(named, &found, as_json, terminal)
                }
                Err(error) => {
                    tracing::error!(org = %named.0, %error, "the record can't be read");
                    unread = Some(error);
                    continue;
                }
            };
            if !printer.print(text) {
                break;
            }
        }
        printer.finish().await?;
        verifying.progress.finish_and_clear();
        match unread {
            Some(error) if intact => Err(error),
            _ => Ok(intact),
        }
    })
    .await?;
    if intact { Ok(()) } else { bail!("the record is not intact") }
}

/// An organization, with its slug where it is known.
pub(crate) type Named = (OrgId, Option<Slug>);

/// Many records being verified.
pub(crate) struct Verifying<'a> {
    books: &'a Books,
    vkey: VerifierKey,
    outside: Vec<Checkpoint>,
    pub(crate) progress: ProgressBar,
    /// Connections that no record needs at the moment.
    kept: Mutex<Vec<PgConnection>>,
}

impl<'a> Verifying<'a> {
    pub(crate) async fn begin(
        books: &'a Books,
        vkey: VerifierKey,
        outside: Vec<Checkpoint>,
        orgs: &[OrgId],
    ) -> anyhow::Result<Self> {
        let progress = bar("entries");
        progress.set_length(entries_of(&books.store, orgs).await?);
        Ok(Self { books, vkey, outside, progress, kept: Mutex::default() })
    }

    pub(crate) async fn verify(&self, org: OrgId) -> (Named, anyhow::Result<Verification>) {
        let named = (org, slug_of(&self.books.store, org).await);
        (named, self.verify_one(org).await)
    }

    async fn verify_one(&self, org: OrgId) -> anyhow::Result<Verification> {
        let store = &self.books.store;
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let free = kept().pop();
        let mut connection = match free {
            Some(connection) => connection,
            None => store.appender_connection().await?,
        };
        let mut before = 0;
        let show = |done, _| {
            self.progress.inc(u64::saturating_sub(done, before));
            before = done;
        };
        let depth = Depth::whole(&self.outside);
        let found = verify_over(&mut connection, store, &self.vkey, org, depth, show).await?;
        if found.complete {
            kept().push(connection);
        }
        Ok(found)
    }
}

/// Whether no organization is missing that a checkpoint outside the database vouches for; says which are.
fn none_is_missing(
    outside: &[Checkpoint],
    vkey: &VerifierKey,
    orgs: &[OrgId],
    as_json: bool,
    terminal: Terminal,
) -> anyhow::Result<bool> {
    let mut complete = true;
    for lost in missing(outside, vkey, orgs) {
        complete = false;
        if as_json {
            terminal.line(json!({ "missing": lost.origin, "signed_entries": lost.size }))?;
            continue;
        }
        let text = format!("✗ {}: signed at {} entries, and gone", lost.origin, lost.size);
        terminal.line(terminal.paint(Style::Bad, text))?;
    }
    Ok(complete)
}

/// The checkpoints outside the database whose organizations are not in it.
pub(crate) fn missing<'c>(
    outside: &'c [Checkpoint],
    vkey: &VerifierKey,
    orgs: &[OrgId],
) -> Vec<&'c Checkpoint> {
    let known: Vec<String> = orgs.iter().map(|org| chancery_evidence::origin(vkey.name(), *org)).collect();
    outside.iter().filter(|signed| !known.contains(&signed.origin)).collect()
}

/// Prints on a thread of its own: whoever reads it may take their time, and the database would wait for
/// what waits to be printed.
struct Printer {
    lines: Sender<String>,
    thread: JoinHandle<io::Result<()>>,
}

impl Printer {
    fn start(progress: ProgressBar, terminal: Terminal) -> Self {
        let (lines, printed) = mpsc::channel::<String>();
        let print = move || printed.iter().try_for_each(|text| progress.suspend(|| terminal.line(text)));
        Self { lines, thread: thread::spawn(print) }
    }

    /// Whether anybody still reads.
    fn print(&self, text: String) -> bool {
        self.lines.send(text).is_ok()
    }

    /// Waits until all is printed.
    async fn finish(self) -> anyhow::Result<()> {
        drop(self.lines);
        let printed = spawn_blocking(move || self.thread.join()).await?;
        Ok(printed.map_err(|_| anyhow!("printing failed"))??)
    }
}

fn report((org, slug): Named, found: &Verification, as_json: bool, terminal: Terminal) -> String {
    if as_json {
        return json!({ "organization": org, "slug": slug, "verification": found }).to_string();
    }
    let name = slug.map_or_else(|| org.to_string(), |slug| slug.to_string());
    let checked = format!("{name}: {} entries, checkpoint at {}", found.entries, found.checkpoint);
    if found.is_intact() {
        return format!("{} {checked}", terminal.paint(Style::Good, "✓"));
    }
    // By the id as well: leaves vouch for it, and for no slug.
    let mut text = format!("{} {checked} ({org})", terminal.paint(Style::Bad, "✗"));
    for fault in &found.faults {
        text += &format!("\n    {} at {}", fault.code, fault.seq);
    }
    if !found.complete {
        text += "\n    and it was not read to its end";
    }
    text
}

/// `verify`: a bundle, offline.
///
/// # Errors
/// When a file does not read, or the bundle does not stand up.
pub fn verify_bundle(file: &Path, trust: &str, as_json: bool, terminal: Terminal) -> anyhow::Result<()> {
    let bundle = std::fs::read(file).with_context(|| format!("`{}` can't be read", file.display()))?;
    match chancery_evidence::verify(&bundle, &trusted(trust)?) {
        Ok(report) if as_json => {
            terminal.line(json!({ "verified": true, "organization": report.org, "intent": report.intent,
                "effect": report.effect, "agreed": report.agreed, "ended": report.ended,
                "denied_again": report.denied_again, "released": report.released, "token": report.token,
                "connector": report.connector, "closed": report.closed, "entries": report.entries,
                "without_payload": report.without_payload }))?;
        }
        Ok(report) => {
            terminal.line(format_args!("{} {report}", terminal.paint(Style::Good, "✓ verified:")))?
        }
        Err(findings) => {
            if as_json {
                terminal.line(json!({ "verified": false, "findings": findings }))?;
            }
            for finding in findings.iter().filter(|_| !as_json) {
                terminal.line(format_args!("{} {finding}", terminal.paint(Style::Bad, "✗")))?;
            }
            bail!("the evidence does not stand up");
        }
    }
    Ok(())
}

/// The keys in a file, or the one key that the text itself is.
fn trusted(trust: &str) -> anyhow::Result<Trust> {
    if let Ok(keys) = Trust::parse(trust) {
        return Ok(keys);
    }
    let text = std::fs::read_to_string(trust)
        .with_context(|| format!("`{trust}` is neither a verifier key nor a file of them"))?;
    Trust::parse(&text).with_context(|| format!("`{trust}`"))
}
