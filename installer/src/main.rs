//! The `sternpost` binary.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ExitCode::from(sternpost::cli::Cli::parse().execute())
}
