//! All keys and certificates of three masters and two nodes: here, and by the commands that
//! people run for it. Interleaved rounds; the median and the spread of each, and of its ratio to
//! ours in the same round. Ends with 1 when ours take longer than they may.

#![expect(
    clippy::print_stderr,
    reason = "what is not on the page is for the person who waits for it"
)]

mod ours;
mod peers;
mod table;

use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use lab::bench::{Circumstances, Output};
use pki::KeyKind;
use sternpost::spec::Cluster;

use ours::{Failure, cluster, ours};
use table::{BOUND, Kind, Maker, OURS, Record};

#[derive(Debug, Parser)]
struct Options {
    /// How often each is timed; an odd number has a median.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    #[command(flatten)]
    output: Output,
    /// What cargo gives to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

type Make = fn(&Cluster, KeyKind) -> Result<usize, Failure>;

fn main() -> Result<ExitCode, Failure> {
    let options = Options::parse();
    let record = options.output.record(|| measure(options.rounds))?;
    options.output.keep(&record)?;
    options.output.show(&record.page())?;
    if record.median().is_some_and(|took| took <= BOUND) {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("bench-pki: ours take longer than {BOUND:?}");
    Ok(ExitCode::FAILURE)
}

fn measure(rounds: u16) -> Result<Record, Failure> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let cluster = cluster()?;
    let mut makers: Vec<(&str, Make)> = vec![(OURS, ours)];
    for (name, make) in [("openssl", peers::openssl as Make), ("cfssl", peers::cfssl)] {
        match version(name).output() {
            Ok(_) => makers.push((name, make)),
            Err(_) => eprintln!("{name} is not here: no row of it"),
        }
    }
    let peers = makers
        .iter()
        .skip(1)
        .map(|(name, _)| (*name, version(name)));
    let circumstances = Circumstances::of(peers);
    let kinds = KeyKind::ALL.into_iter();
    let kinds = kinds.map(|kind| timed(&cluster, kind, &makers, rounds));
    Ok(Record {
        circumstances,
        load,
        kinds: kinds.collect::<Result<_, _>>()?,
    })
}

fn version(name: &str) -> Command {
    let mut command = Command::new(name);
    command.arg("version");
    command
}

fn timed(
    cluster: &Cluster,
    kind: KeyKind,
    makers: &[(&str, Make)],
    rounds: u16,
) -> Result<Kind, Failure> {
    let mut keys = 0;
    let mut timed: Vec<_> = makers.iter().map(|(name, _)| Maker::of(name)).collect();
    for _ in 0..rounds {
        for ((_, make), maker) in makers.iter().zip(&mut timed) {
            let begun = Instant::now();
            keys = make(cluster, kind)?;
            maker.millis.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(Kind {
        kind: kind.to_string(),
        keys,
        makers: timed,
    })
}
