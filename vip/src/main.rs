//! The `vip-daemon` binary.

use std::process::ExitCode;

use clap::Parser;
use vip_daemon::cli::{self, Cli};

fn main() -> ExitCode {
    let guarded = cli::guard(std::env::args_os().skip(1));
    ExitCode::from(guarded.unwrap_or_else(|| Cli::parse().execute()))
}
