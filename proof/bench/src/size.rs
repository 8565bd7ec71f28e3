//! What grows with what is kept: memory with many keys, the time of a whole verification.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::setting::Setting;

/// The measurement of memory.
pub(crate) const MEMORY: &str = "memory with cached keys";
/// The measurement of verification.
pub(crate) const VERIFICATION: &str = "record verify";

/// The server's resident memory, in bytes, once `count` keys were each used.
pub(crate) fn memory(setting: &mut Setting, count: usize) -> anyhow::Result<u64> {
    let mut admin = setting.client(&setting.admin_key);
    let agent = admin.made("/api/v1/agents", &json!({"name": "many keys"}))?;
    let holder = json!({"type": "agent", "id": agent.get("id")});
    let asked = json!({"name": "bench", "holder": holder, "environment": "live", "scopes": ["intents:read"],
        "audiences": []});
    let mut keys = Vec::with_capacity(count);
    for _ in 0..count {
        let made = admin.made("/api/v1/api-keys", &asked)?;
        keys.push(made.get("secret").and_then(Value::as_str).context("no secret")?.to_owned());
    }
    for key in keys {
        ensure!(setting.client(&key).get("/api/v1/me")?.status == 200, "a key is not good");
    }
    setting.resident_bytes()
}

/// A verification of every record in the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verified {
    /// How many entries.
    pub(crate) entries: u64,
    /// How long, the start of the program included.
    pub(crate) took: Duration,
}

/// Verifies every record beside the running server.
pub(crate) fn verification(setting: &Setting) -> anyhow::Result<Verified> {
    let started = Instant::now();
    let output = setting.command(&["record", "verify", "--json"]).output()?;
    let took = started.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut entries = 0;
    for line in String::from_utf8(output.stdout)?.lines() {
        let found: Value = serde_json::from_str(line)?;
        entries += found.pointer("/verification/entries").and_then(Value::as_u64).context("no count")?;
    }
    Ok(Verified { entries, took })
}
