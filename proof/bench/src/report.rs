//! What is printed.

use std::io::{Write as _, stdout};
use std::time::Duration;

use crate::limits::Limits;
use crate::load::Outcome;
use crate::scenario::{Against, Measurement};

/// Prints each figure as soon as it is known.
#[derive(Debug)]
pub(crate) struct Report {
    decisions: Option<f64>,
}

impl Report {
    /// An empty report.
    pub(crate) const fn new() -> Self {
        Self { decisions: None }
    }

    /// The machine's limits.
    pub(crate) fn limits(&self, limits: &Limits) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        writeln!(out, "limits of this machine, one core each:")?;
        writeln!(out, "  RSA-2048 signatures  {:>9.0}/s", limits.rsa_per_second)?;
        writeln!(out, "  ES256 signatures     {:>9.0}/s", limits.es256_per_second)?;
        writeln!(out, "  write and fdatasync  {:>9.2} ms", milliseconds(limits.fsync))?;
        Ok(())
    }

    /// Deciding alone.
    pub(crate) fn decided(&self, [mean, median, p99]: [f64; 3]) -> anyhow::Result<()> {
        writeln!(
            stdout().lock(),
            "deciding alone, 100 policies, on one core: mean {mean:.1} µs, p50 {median:.1} µs, p99 {p99:.1} µs"
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

    /// A measurement.
    pub(crate) fn measured(
        &mut self,
        measurement: &Measurement,
        outcome: &Outcome,
        limits: &Limits,
    ) -> anyhow::Result<()> {
        let rate = outcome.rate();
        let ratio = match measurement.against {
            Against::Floor(floor) => format!("{:.2} × the floor of {floor}/s", rate / f64::from(floor)),
            Against::Rsa => {
                format!("{:.0}% of one core's bare RSA-2048", 100.0 * rate / limits.rsa_per_second)
            }
            Against::Decisions => match self.decisions {
                Some(decisions) => format!("{:.0}% of decisions without token", 100.0 * rate / decisions),
                None => String::new(),
            },
            Against::Nothing => String::new(),
        };
        if self.decisions.is_none() {
            self.decisions = Some(rate);
        }
        let mut out = stdout().lock();
        writeln!(
            out,
            "{:<52} {rate:>8.0}/s  p50 {:>6.2} ms  p99 {:>6.2} ms  errors {}  {ratio}",
            measurement.name,
            milliseconds(outcome.percentile(0.5)),
            milliseconds(outcome.percentile(0.99)),
            outcome.bad,
        )?;
        Ok(())
    }

    /// The server's memory.
    pub(crate) fn memory(&self, bytes: u64) -> anyhow::Result<()> {
        writeln!(stdout().lock(), "server's resident memory: {} MiB", bytes / (1024 * 1024))?;
        Ok(())
    }

    /// The same server with a record that writes nothing.
    pub(crate) fn against_null(&self, outcome: &Outcome) -> anyhow::Result<()> {
        let null = outcome.rate();
        let share = self.decisions.map_or(0.0, |decisions| 100.0 * decisions / null);
        writeln!(stdout().lock(), "null record: {null:.0}/s; the durable one reaches {share:.0}% of it")?;
        Ok(())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
