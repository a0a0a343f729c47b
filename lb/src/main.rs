//! `api-lb`: the command line.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    api_lb::cli::Cli::parse().go()
}
