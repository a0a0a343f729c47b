//! The `bootstrap-signer` binary.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ExitCode::from(bootstrap_signer::cli::Cli::parse().execute())
}
