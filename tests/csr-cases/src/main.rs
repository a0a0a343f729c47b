//! Runs the policy over a file of cases: `make csr-cases CASES=file.json`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use csr_cases::{Tally, Tried, try_all};

/// Decide every case of a file and compare with what it expects.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// A JSON list of cases; see docs/csr-cases.md.
    file: PathBuf,
    /// Print the cases that passed too.
    #[arg(long, short)]
    all: bool,
}

/// Nothing could be tried, as for a wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let text = std::fs::read_to_string(&cli.file).map_err(|error| error.to_string());
    let tried = text.and_then(|text| try_all(&text).map_err(|error| error.to_string()));
    match tried {
        // What tries nothing shows nothing.
        Ok(tried) if tried.is_empty() => {
            say(&format!("{}: it holds no case", cli.file.display()));
            ExitCode::from(USAGE)
        }
        Ok(tried) => report(&tried, cli.all),
        Err(error) => {
            say(&format!("{}: {error}", cli.file.display()));
            ExitCode::from(USAGE)
        }
    }
}

fn report(tried: &[Tried], all: bool) -> ExitCode {
    for each in tried {
        match &each.outcome {
            Ok(verdict) if all => say(&format!("ok    {}: {verdict}", each.name)),
            Ok(_) => {}
            Err(problem) => say(&format!("FAIL  {}: {problem}", each.name)),
        }
    }
    let tally = Tally::of(tried);
    say(&tally.to_string());
    if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::print_stdout, reason = "what the command was asked for")]
fn say(text: &str) {
    println!("{text}");
}
