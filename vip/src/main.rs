//! The `vip-daemon` binary.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ExitCode::from(vip_daemon::cli::Cli::parse().execute())
}
