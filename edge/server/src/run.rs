//! From a command line to an exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use tokio::runtime::Builder;

use crate::{Cli, logging};

/// Does what the command line asks; a failure is one line on standard error.
pub fn run(cli: Cli) -> ExitCode {
    logging::mask_panics();
    // Before anything can make a connection: libraries that find no provider panic.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // A command waits for the database most of the time: on one thread nothing is handed over.
    let failure = cli.failure();
    let mut threads = if cli.serves() { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    let runtime = match threads.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), failure),
    };
    let outcome = runtime.block_on(cli.act());
    // Keys that are being made ahead are not waited for.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => fail(&error, failure),
    }
}

/// Whoever read our output has enough of it, as `head` does.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn fail(error: &anyhow::Error, code: ExitCode) -> ExitCode {
    let _ = writeln!(io::stderr(), "chancery: {error:#}");
    code
}
