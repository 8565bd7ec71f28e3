//! What is printed.

use std::io::{Write as _, stdout};
use std::time::Duration;

use crate::acting::Acting;
use crate::egress::Guard;
use crate::limits::Limits;
use crate::load::Outcome;
use crate::neighbours::Neighbours;
use crate::scenario::{Against, Measurement};
use crate::size::Verified;

/// Prints each figure as soon as it is known.
#[derive(Debug)]
pub(crate) struct Report {
    limits: Limits,
}

impl Report {
    /// A report that begins with the machine's limits.
    pub(crate) fn new(limits: Limits) -> anyhow::Result<Self> {
        let mut out = stdout().lock();
        writeln!(out, "limits of this machine, one core each:")?;
        writeln!(out, "  RSA-2048 signatures  {:>9.0}/s", limits.rsa_per_second)?;
        writeln!(out, "  ES256 signatures     {:>9.0}/s", limits.es256_per_second)?;
        writeln!(out, "  write and fdatasync  {:>9.2} ms", milliseconds(limits.fsync))?;
        Ok(Self { limits })
    }

    /// Deciding alone.
    pub(crate) fn decided(&self, [mean, median, p99]: [f64; 3]) -> anyhow::Result<()> {
        writeln!(
            stdout().lock(),
            "deciding alone, 100 policies, on one core: mean {mean:.1} µs, p50 {median:.1} µs, p99 {p99:.1} µs"
        )?;
        Ok(())
    }

    /// What the way out costs.
    pub(crate) fn guarded(&self, found: &Guard) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        let (plain, guarded) = (found.plain_micros, found.guarded_micros);
        writeln!(
            out,
            "egress guard, a warm request: p50 {guarded:.1} µs, a plain client {plain:.1} µs, {:+.1} µs",
            guarded - plain
        )?;
        writeln!(
            out,
            "egress, an answer of 400 MiB: {} KiB beyond its limit",
            found.beyond_limit_bytes / 1024
        )?;
        writeln!(
            out,
            "egress, an answer that drips: ended after {:.0} ms of 500",
            milliseconds(found.ended_after)
        )?;
        Ok(())
    }

    /// What acting costs. An execution has one request and one commit in common with a decision; its second
    /// commit is held to be one more write with fdatasync.
    pub(crate) fn acted(&self, found: &Acting) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        let [decision, execution, upstream] =
            [found.decision, found.execution, found.upstream].map(milliseconds);
        let added = execution - decision - milliseconds(self.limits.fsync);
        writeln!(
            out,
            "executing, one at a time: p50 {execution:.2} ms, a decision {decision:.2} ms, the upstream alone \
             {upstream:.2} ms: adds {added:.2} ms besides its two commits (at most 1)"
        )?;
        let [median, p99] = found.inbox.map(milliseconds);
        writeln!(
            out,
            "the inbox with {} open approvals: p50 {median:.2} ms, p99 {p99:.2} ms (at most 20)",
            found.open
        )?;
        Ok(())
    }

    /// How long the server took to answer.
    pub(crate) fn started(&self, cold: Duration, warm: Duration) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        writeln!(
            out,
            "start to first answer: first {:.2} s, again {:.2} s",
            cold.as_secs_f64(),
            warm.as_secs_f64()
        )?;
        Ok(())
    }

    /// A measurement, with the decisions without a token that were measured in turns with it.
    pub(crate) fn measured(
        &self,
        measurement: &Measurement,
        outcome: &Outcome,
        decisions: Option<&Outcome>,
    ) -> anyhow::Result<()> {
        let rate = outcome.rate();
        let ratio = match measurement.against {
            Against::Floor(floor) => format!("{:.2} × the floor of {floor}/s", rate / f64::from(floor)),
            Against::Rsa => {
                format!("{:.0}% of one core's bare RSA-2048", 100.0 * rate / self.limits.rsa_per_second)
            }
            Against::Decisions | Against::Nothing => String::new(),
        };
        let turns = decisions.map_or_else(String::new, |without| {
            let without = without.rate();
            format!("{:.0}% of {without:.0}/s without token, in turns", 100.0 * rate / without)
        });
        let mut out = stdout().lock();
        writeln!(
            out,
            "{:<52} {rate:>8.0}/s  p50 {:>6.2} ms  p99 {:>6.2} ms  errors {}  {ratio}{turns}",
            measurement.name,
            milliseconds(outcome.percentile(0.5)),
            milliseconds(outcome.percentile(0.99)),
            outcome.bad,
        )?;
        Ok(())
    }

    /// The server's memory, in bytes, with so many keys in it.
    pub(crate) fn memory(&self, bytes: u64, keys: usize) -> anyhow::Result<()> {
        let mebibytes = bytes / (1024 * 1024);
        writeln!(stdout().lock(), "server's resident memory with {keys} cached keys: {mebibytes} MiB")?;
        Ok(())
    }

    /// A whole verification.
    pub(crate) fn verified(&self, verified: &Verified) -> anyhow::Result<()> {
        let (entries, seconds) = (verified.entries, verified.took.as_secs_f64());
        let rate = f64::from(u32::try_from(entries).unwrap_or(u32::MAX)) / seconds;
        writeln!(stdout().lock(), "record verify: {entries} entries in {seconds:.2} s, {rate:.0}/s")?;
        Ok(())
    }

    /// One organization beside another that floods.
    pub(crate) fn neighbours(&self, found: &Neighbours) -> anyhow::Result<()> {
        let p99 = |outcome: &Outcome| milliseconds(outcome.percentile(0.99));
        let (alone, flooded) = (p99(&found.alone), p99(&found.flooded));
        writeln!(
            stdout().lock(),
            "a quiet organization's p99: alone {alone:.2} ms, beside one that floods {flooded:.2} ms ({:.1} ×); \
             errors {} and {}; the flood: {} let through, {} refused",
            flooded / alone,
            found.alone.bad,
            found.flooded.bad,
            found.flood.good,
            found.flood.bad,
        )?;
        Ok(())
    }

    /// The same server with a record that writes nothing.
    pub(crate) fn against_null(&self, [durable, null]: &[Outcome; 2]) -> anyhow::Result<()> {
        let (durable, null) = (durable.rate(), null.rate());
        let share = 100.0 * durable / null;
        writeln!(
            stdout().lock(),
            "null record: {null:.0}/s; the durable one reaches {durable:.0}/s, {share:.0}% of it, in turns"
        )?;
        Ok(())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
