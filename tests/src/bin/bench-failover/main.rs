//! `bench-failover`: what a client of the address sees while things happen to its owner,
//! beside keepalived, in the same lab.
//!
//! ```text
//!   hosts a, b, c (200, 150, 100) with one peer's daemons ─ bridge ─ client, probing every 1 ms
//! ```
//! Each cycle is a lab of its own, so that nothing of one is left for the next. Rounds are
//! interleaved: each runs every row with every peer once, so that what the machine does to
//! one it does to all.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod cycle;
mod group;
mod row;
mod table;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use lab::load::usage;
use lab::requirement::peer;
use lab::{binaries, netns, schedule, signals};

use group::Peer;
use row::Row;
use table::{Record, Round};

/// Compares failovers with keepalived's.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds of each row.
    #[arg(long, default_value_t = 10)]
    rounds: u32,
    /// Rows, separated by commas; all when absent.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Where the rounds are written, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// The page whose table is replaced; standard output when absent.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Makes the table of rounds that were measured earlier, and measures nothing.
    #[arg(long)]
    from: Option<PathBuf>,
}

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-failover: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let record = match &arguments.from {
        Some(path) => serde_json::from_str(&fs::read_to_string(path)?)?,
        None => measure(arguments)?,
    };
    if let Some(path) = &arguments.json {
        fs::write(path, serde_json::to_string_pretty(&record)? + "\n")?;
    }
    match &arguments.page {
        Some(path) => {
            let page = fs::read_to_string(path)?;
            let page = table::replaced(&page, &record.table())
                .ok_or("the page has no place for the table")?;
            Ok(fs::write(path, page)?)
        }
        None => {
            println!("{}", record.table());
            Ok(())
        }
    }
}

fn measure(arguments: &Arguments) -> Result<Record, Box<dyn Error>> {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let wanted = |row: &Row| {
        arguments.rows.is_empty() || arguments.rows.iter().any(|name| name == row.name())
    };
    let logs = binaries::output("lab-logs").join("bench-failover");
    let mut record = Record {
        commit: said(Command::new("git").args(["describe", "--always", "--dirty"])),
        kernel: usage::kernel(),
        cores: usage::cores(),
        versions: versions()?,
        rounds: Vec::new(),
    };
    for round in 0..arguments.rounds {
        for row in Row::ALL.into_iter().filter(wanted) {
            for peer in order(round) {
                let load = usage::load()?;
                let figures = cycle::run(row, peer, round, &logs)?;
                let (name, of) = (row.name(), peer.name());
                eprintln!("{round} {name} {of}: {figures:?}");
                record.rounds.push(Round {
                    row,
                    peer,
                    round,
                    load,
                    figures,
                });
            }
        }
    }
    Ok(record)
}

/// Each round begins with the other peer.
fn order(round: u32) -> [Peer; 2] {
    match round % 2 {
        0 => [Peer::Ours, Peer::Keepalived],
        _ => [Peer::Keepalived, Peer::Ours],
    }
}

fn versions() -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let ours = binaries::own("vip-daemon")?;
    let theirs = peer("keepalived");
    let versions = [
        ("ours", said(Command::new(ours).arg("--version"))),
        ("keepalived", said(Command::new(theirs).arg("--version"))),
    ];
    let named = versions.map(|(name, version)| (name.to_owned(), version));
    Ok(named.into())
}

/// The first line that a command says, on whichever stream.
fn said(command: &mut Command) -> String {
    let Ok(output) = command.output() else {
        return "unknown".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}
