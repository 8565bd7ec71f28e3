//! `bench`: how fast the server is, as ratios to limits measured in the same run on the same machine.
//!
//! `./bench` builds what is measured and runs all of it. `docs/performance.md` says what the figures
//! mean and which were measured where.

mod acting;
mod decide;
mod egress;
mod limits;
mod load;
mod neighbours;
mod report;
mod scenario;
mod setting;
mod size;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use report::Report;
use scenario::Against;
use setting::{Disk, Setting};

/// Measures a release build of the server on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// The server's program.
    #[arg(long, default_value = "target/release/chancery")]
    server: PathBuf,
    /// The same server built with a record that writes nothing.
    #[arg(long, default_value = "target/release/chancery-null")]
    null_server: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Connections of the load.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Organizations of the measurement with many.
    #[arg(long, default_value_t = 1000)]
    organizations: usize,
    /// Keys of the measurement of memory.
    #[arg(long, default_value_t = 10_000)]
    keys: usize,
    /// Milliseconds that every fsync of the database is slowed by, where it is.
    #[arg(long, default_value_t = 2.4)]
    slow_fsync_ms: f64,
    /// Only the measurements whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        name.contains(&self.only)
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let time = Duration::from_secs(arguments.seconds);
    let report = Report::new(limits::measure()?)?;
    if arguments.wants("deciding alone") {
        report.decided(decide::measure()?)?;
    }
    if arguments.wants(egress::NAME) {
        report.guarded(&runtime.block_on(egress::measure())?)?;
    }
    let measure = |setting: &Setting, measurement: &scenario::Measurement| {
        if measurement.against != Against::Decisions {
            let outcome = runtime.block_on(load::run(&measurement.target, arguments.connections, time))?;
            return report.measured(measurement, &outcome, None);
        }
        let without = scenario::decisions(setting, scenario::DECISIONS, 7000);
        let targets = [&without.target, &measurement.target];
        let [without, outcome] = runtime.block_on(load::in_turns(targets, arguments.connections, time))?;
        report.measured(measurement, &outcome, Some(&without))
    };

    let mut setting = Setting::start(&arguments.server, Disk::AsItIs)?;
    report.started(setting.cold_start, setting.warm_start)?;
    for measurement in scenario::all(&setting, &arguments.only) {
        measure(&setting, &measurement)?;
    }
    if arguments.wants(scenario::MANY) {
        let keys = setting.found_many(arguments.organizations)?;
        measure(&setting, &scenario::many(&setting, &keys))?;
    }
    if arguments.wants(size::MEMORY) {
        report.memory(size::memory(&mut setting, arguments.keys)?, arguments.keys)?;
    }
    if arguments.wants(size::VERIFICATION) {
        let decisions = scenario::decisions(&setting, scenario::DECISIONS, 7000);
        runtime.block_on(load::run(&decisions.target, arguments.connections, time))?;
        report.verified(&size::verification(&setting)?)?;
    }
    drop(setting);
    if arguments.wants(acting::NAME) {
        report.acted(&acting::measure(&arguments.server)?)?;
    }
    if arguments.wants(scenario::NULL) && arguments.null_server.exists() {
        // Both new: what is recorded already makes no difference between them.
        let setting = Setting::start(&arguments.server, Disk::AsItIs)?;
        let pretending = Setting::start(&arguments.null_server, Disk::AsItIs)?;
        let [durable, null] =
            [&setting, &pretending].map(|setting| scenario::decisions(setting, scenario::NULL, 1));
        let targets = [&durable.target, &null.target];
        report.against_null(&runtime.block_on(load::in_turns(targets, arguments.connections, time))?)?;
    }
    if arguments.wants(neighbours::NAME) {
        report.neighbours(&runtime.block_on(neighbours::measure(&arguments.server, time))?)?;
    }
    if arguments.wants(scenario::SLOW) {
        let setting =
            Setting::start(&arguments.server, Disk::Slowed { milliseconds: arguments.slow_fsync_ms })?;
        measure(&setting, &scenario::decisions(&setting, scenario::SLOW, 4000))?;
    }
    Ok(())
}
