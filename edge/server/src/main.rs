//! The `chancery` binary: server, operator's tool and client in one.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    chancery_server::run(chancery_server::Cli::parse())
}
