//! What bounds the calls of a connector.

use serde::Serialize;

use crate::Invalid;
use crate::fields::Fields;

/// How long a call may take, in milliseconds.
pub(crate) const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 100..=120_000;
/// How large an answer may be, in bytes.
pub(crate) const ANSWER_BYTES: std::ops::RangeInclusive<u32> = 1..=16 * 1024 * 1024;

/// What bounds the calls of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Limits {
    /// How long a call may take, in milliseconds, all its tries together.
    pub timeout_ms: u32,
    /// The most of an answer that is read, in bytes.
    pub max_answer_bytes: u32,
    /// How many calls of one process may be under way.
    pub concurrency: u32,
    /// When the connector is left alone for a while.
    pub breaker: Breaker,
    /// When a call is tried again.
    pub retries: Retries,
    /// How many redirects are followed, all of them on the connector's own host.
    pub redirects: u32,
}

/// When a connector that fails is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Breaker {
    /// How many failures open it.
    pub failures: u32,
    /// Within how many seconds.
    pub window_seconds: u32,
    /// For how many seconds nothing is called then.
    pub open_seconds: u32,
    /// How many calls are let through afterwards to see whether it works again.
    pub probes: u32,
}

/// When a call that failed is tried again. Only an idempotent one ever is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retries {
    /// How many tries a call has in all.
    pub attempts: u32,
    /// How many of a hundred calls may be second and later tries, over the breaker's window.
    pub budget_percent: u32,
}

impl Limits {
    /// Reads the members that are limits; what is absent has its default.
    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Self, Invalid> {
        Ok(Self {
            timeout_ms: fields.whole("timeout_ms", TIMEOUT_MS)?.unwrap_or(30_000),
            max_answer_bytes: fields.whole("max_answer_bytes", ANSWER_BYTES)?.unwrap_or(1024 * 1024),
            concurrency: fields.whole("concurrency", 1..=256)?.unwrap_or(16),
            breaker: Breaker::read(fields)?,
            retries: Retries::read(fields)?,
            redirects: fields.whole("redirects", 0..=3)?.unwrap_or(0),
        })
    }
}

impl Breaker {
    fn read(fields: &mut Fields<'_>) -> Result<Self, Invalid> {
        let mut breaker = Self { failures: 5, window_seconds: 600, open_seconds: 1_800, probes: 1 };
        let Some((value, at)) = fields.take("breaker") else { return Ok(breaker) };
        let mut fields = Fields::of(value, at)?;
        for (name, range, slot) in [
            ("failures", 1..=1_000, &mut breaker.failures),
            ("window_seconds", 1..=86_400, &mut breaker.window_seconds),
            ("open_seconds", 1..=86_400, &mut breaker.open_seconds),
            ("probes", 1..=10, &mut breaker.probes),
        ] {
            *slot = fields.whole(name, range)?.unwrap_or(*slot);
        }
        fields.end()?;
        Ok(breaker)
    }
}

impl Retries {
    fn read(fields: &mut Fields<'_>) -> Result<Self, Invalid> {
        let mut retries = Self { attempts: 2, budget_percent: 20 };
        let Some((value, at)) = fields.take("retries") else { return Ok(retries) };
        let mut fields = Fields::of(value, at)?;
        retries.attempts = fields.whole("attempts", 1..=4)?.unwrap_or(retries.attempts);
        retries.budget_percent = fields.whole("budget_percent", 0..=100)?.unwrap_or(retries.budget_percent);
        fields.end()?;
        Ok(retries)
    }
}
