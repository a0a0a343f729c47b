//! `bench-failover`: what a client of the address sees while things happen to its owner,
//! beside keepalived, in the same lab.
//!
//! ```text
//!   hosts a, b, c (200, 150, 100) with one peer's daemons ─ bridge ─ client, probing every 1 ms
//! ```
//! Each cycle is a lab of its own, so that nothing of one is left for the next. Rounds are
//! interleaved: each runs every row with every peer once, so that what the machine does to
//! one it does to all.

#![expect(clippy::print_stderr, reason = "a program for people")]

mod bare;
mod cycle;
mod group;
mod row;
mod table;
mod timeline;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use lab::bench::{Circumstances, Output, replaced, wanted};
use lab::load::usage;
use lab::requirement::peer;
use lab::{binaries, netns, schedule, signals};

use group::Peer;
use row::Row;
use table::{Record, Round};

/// Cycles for one that is not void.
const ATTEMPTS: u32 = 4;

/// Compares failovers with keepalived's.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds of each row.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Rows, separated by commas; all when absent.
    #[arg(long, value_delimiter = ',', value_parser = Row::ALL.map(Row::name))]
    rows: Vec<String>,
    /// An earlier record, of which the rows that are not measured are kept.
    #[arg(long)]
    keep: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
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
    let output = &arguments.output;
    // Read before it is written over: it may be the same file.
    let earlier = arguments.keep.as_ref().map(fs::read).transpose()?;
    let earlier: Option<Record> =
        earlier.map(|it| serde_json::from_slice(&it)).transpose()?;
    let mut record: Record = output.record(|| measure(arguments))?;
    if let Some(earlier) = earlier {
        record = record.within(earlier);
    }
    output.keep(&record)?;
    let table = record.table();
    let Some(path) = &output.page else {
        return Ok(output.show(&table)?);
    };
    let page = replaced(&fs::read_to_string(path)?, table::PLACE, &table)
        .ok_or("the page has no place for the table")?;
    Ok(output.show(&page)?)
}

fn measure(arguments: &Arguments) -> Result<Record, Box<dyn Error>> {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let logs = binaries::logs("bench-failover");
    let mut record = Record {
        circumstances: Circumstances::of(versions()?),
        rounds: Vec::new(),
    };
    let wanted = |row: &Row| wanted(&arguments.rows, row.name());
    for round in 0..arguments.rounds {
        let rows = Row::ALL.into_iter().filter(wanted);
        for row in rows.filter(|row| row.is_in(round)) {
            for peer in order(row.peers(), round) {
                let (name, of) = (row.name(), peer.name());
                for _ in 0..ATTEMPTS {
                    let load = usage::load()?;
                    let figures = cycle::run(row, peer, round, &logs)?;
                    eprintln!("{round} {name} {of}: {figures:?}");
                    let is_void = figures.void(row);
                    record.rounds.push(Round {
                        row,
                        peer,
                        round,
                        load,
                        figures,
                        commit: None,
                    });
                    // What was measured is kept if the next one breaks.
                    arguments.output.keep(&record)?;
                    if !is_void {
                        break;
                    }
                }
            }
        }
    }
    Ok(record)
}

/// Each round begins with another peer.
fn order(peers: &[Peer], round: u32) -> Vec<Peer> {
    let mut order = peers.to_vec();
    let first = usize::try_from(round).unwrap_or_default() % peers.len().max(1);
    order.rotate_left(first);
    order
}

fn versions() -> Result<[(&'static str, Command); 2], Box<dyn Error>> {
    let programs = [
        ("ours", binaries::own("vip-daemon")?),
        ("keepalived", peer("keepalived")),
    ];
    Ok(programs.map(|(name, program)| {
        let mut command = Command::new(program);
        command.arg("--version");
        (name, command)
    }))
}
