//! `bench`: how fast the server is, as ratios to limits measured in the same run on the same machine.
//!
//! `cargo run --release -p chancery-bench` builds nothing else: build the server first with
//! `cargo build --release -p chancery-server` (and, for the null record, once more with
//! `--features danger-null-record --target-dir target/null`). `docs/performance.md` says what the
//! figures mean and which were measured where.

mod decide;
mod limits;
mod load;
mod report;
mod scenario;
mod setting;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use report::Report;
use setting::Setting;

/// Measures a release build of the server on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// The server's program.
    #[arg(long, default_value = "target/release/chancery")]
    server: PathBuf,
    /// The same server built with a record that writes nothing.
    #[arg(long)]
    null_server: Option<PathBuf>,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Connections of the load.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Organizations of the measurement with many.
    #[arg(long, default_value_t = 1000)]
    organizations: usize,
    /// Milliseconds that every fsync of the database is slowed by.
    #[arg(long)]
    slow_fsync_ms: Option<f64>,
    /// Only the measurements whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let time = Duration::from_secs(arguments.seconds);
    let mut report = Report::new();
    let limits = limits::measure()?;
    report.limits(&limits)?;
    report.decided(decide::measure()?)?;
    let setting =
        Setting::start(&arguments.server, arguments.slow_fsync_ms, arguments.organizations, &arguments.only)?;
    report.started(setting.cold_start, setting.warm_start)?;
    for measurement in scenario::all(&setting, &arguments.only).flatten() {
        let outcome = runtime.block_on(load::run(&measurement.target, arguments.connections, time))?;
        report.measured(&measurement, &outcome, &limits)?;
    }
    report.memory(setting.resident_bytes()?)?;
    drop(setting);
    if let Some(null_server) = &arguments.null_server {
        let setting = Setting::start(null_server, None, 0, "")?;
        let measurement = scenario::decisions(&setting, "null record: decision without token");
        let outcome = runtime.block_on(load::run(&measurement.target, arguments.connections, time))?;
        report.against_null(&outcome)?;
    }
    Ok(())
}
