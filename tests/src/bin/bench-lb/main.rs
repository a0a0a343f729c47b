//! `bench-lb`: the data path beside its peers, on one machine.
//!
//! ```text
//!   generator (threads of this process) ─▶ proxy ─▶ servers (a child of this process)
//! ```
//! All in a network namespace of its own, which ends with it. Rounds are interleaved: each
//! runs every peer once, so that what the machine does to one it does to all.

#![expect(clippy::print_stderr, reason = "a program for people")]

mod cluster;
mod figures;
mod peer;
mod row;
mod run;
mod secure;
mod servers;
mod svg;
mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use lab::bench::{Circumstances, Output, wanted};
use lab::load::usage;
use nix::sched::{CloneFlags, unshare};

use cluster::Cluster;
use peer::{Cores, Peer, Programs, Proxy};
use row::Row;
use run::{Around, Size};
use servers::{Answers, Servers, serve};
use table::{Record, Round};

/// Compares the data path with its peers.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds of each row.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds that each row is measured in each round.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Rows, separated by commas; all when absent.
    #[arg(long, value_delimiter = ',', value_parser = Row::ALL.map(Row::name))]
    rows: Vec<String>,
    /// Peers, separated by commas; all when absent.
    #[arg(long, value_delimiter = ',', value_parser = Peer::ALL.map(Peer::name))]
    peers: Vec<String>,
    /// Only with the proxy on one core, or only with all cores shared.
    #[arg(long, value_parser = ["one", "all"])]
    cores: Option<String>,
    /// An earlier record, of which the rows that are not measured are kept.
    #[arg(long)]
    keep: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// Where the picture is written; nowhere when absent.
    #[arg(long)]
    picture: Option<PathBuf>,
    /// This project's program.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Is the servers, until killed; their answers go before all else where wanted.
    #[arg(long, hide = true)]
    serve: Option<Answers>,
    /// Where the servers find what they show to clients with TLS.
    #[arg(long, hide = true)]
    certificates: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.serve {
        Some(answers) => serve(answers, arguments.certificates.as_deref()),
        None => bench(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-lb: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> io::Result<()> {
    let output = &arguments.output;
    // Read first: it may be where this run is written.
    let earlier = arguments.keep.as_ref().map(fs::read).transpose()?;
    let mut record: Record = output.record(|| measure(arguments))?;
    if let Some(earlier) = earlier {
        record = record.within(serde_json::from_slice(&earlier)?);
    }
    output.keep(&record)?;
    if let Some(path) = &arguments.picture {
        fs::write(path, record.picture())?;
    }
    output.show(&record.page())
}

fn measure(arguments: &Arguments) -> io::Result<Record> {
    lab::schedule::prefer_run();
    usage::widen_table()?;
    own_network()?;
    let scratch = std::env::temp_dir().join(format!("sp-bench-{}", std::process::id()));
    let programs = programs(arguments, scratch)?;
    let mut record = Record {
        circumstances: Circumstances::of(versions(&programs.peers)),
        rounds: Vec::new(),
    };
    let measured = rounds(arguments, &programs, &mut record);
    fs::remove_dir_all(&programs.scratch)?;
    measured.map(|()| record)
}

fn rounds(
    arguments: &Arguments,
    programs: &Programs,
    record: &mut Record,
) -> io::Result<()> {
    let time = Duration::from_secs_f64(arguments.seconds);
    let size = Size {
        warm_up: time.mul_f64(0.2),
        time,
        quiet: time * 4,
        idle: 9_900,
        storm: 9_000,
    };
    for cores in [Cores::One, Cores::All] {
        let name = if cores == Cores::One { "one" } else { "all" };
        if arguments.cores.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        for row in Row::ALL
            .into_iter()
            .filter(|row| wanted(&arguments.rows, row.name()))
        {
            let peers: Vec<Peer> = Peer::ALL
                .into_iter()
                .filter(|peer| row.takes(*peer, cores))
                .filter(|peer| wanted(&arguments.peers, peer.name()))
                .collect();
            if peers.is_empty() || !possible(row) {
                continue;
            }
            let servers = Servers::start(row, cores, &programs.scratch)?;
            let around = around(row, cores, &programs.scratch)?;
            let mut round = 0;
            while record.wants(row, cores, round, arguments.rounds) {
                for &peer in in_order(&peers, round) {
                    let proxy =
                        Proxy::start(programs, peer, cores, row.lines(), row.manners())?;
                    let load = usage::load()?;
                    let run = row.run(&proxy, cores, size, &around);
                    drop(proxy);
                    let figures = match run {
                        Ok(figures) => figures,
                        // One run that breaks is no reason to lose the others.
                        Err(error) => {
                            eprintln!("{} {}: {error}", row.name(), peer.name());
                            continue;
                        }
                    };
                    eprintln!(
                        "{} {} {name} {round}: {figures:?}",
                        row.name(),
                        peer.name()
                    );
                    record.rounds.push(Round {
                        row,
                        peer,
                        cores,
                        round,
                        load,
                        figures,
                        commit: None,
                    });
                }
                round += 1;
            }
            drop(around);
            // After each row, so that a run that is broken off leaves what it has.
            arguments.output.keep(record)?;
            drop(servers);
        }
    }
    Ok(())
}

/// Each round begins with another peer.
fn in_order(peers: &[Peer], round: u32) -> impl Iterator<Item = &Peer> {
    let first = usize::try_from(round).unwrap_or(0) % peers.len().max(1);
    peers.iter().cycle().skip(first).take(peers.len())
}

/// Whether this machine has what a row needs; says so when it has not.
fn possible(row: Row) -> bool {
    let possible = row != Row::Kubectl || Cluster::can_be_had();
    if !possible {
        eprintln!(
            "{}: skipped, as `make kubernetes` has built nothing",
            row.name()
        );
    }
    possible
}

/// What a row needs beside servers and load.
fn around(row: Row, cores: Cores, scratch: &Path) -> io::Result<Around> {
    let cluster = if row == Row::Kubectl {
        // What is started here inherits the cores.
        usage::pin(&row.server_cores(cores).collect::<Vec<_>>())?;
        let cluster = Cluster::start(scratch);
        usage::pin(&(0..usage::cores()).collect::<Vec<_>>())?;
        Some(cluster?)
    } else {
        None
    };
    Ok(Around {
        scratch: scratch.to_owned(),
        cluster,
    })
}

/// A network namespace without a name: it is gone with the last process in it.
fn own_network() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let address = format!("{}/32", cluster::ADDRESS);
    for arguments in [
        &["link", "set", "lo", "up"][..],
        &["address", "add", &address, "dev", "lo"][..],
    ] {
        if !Command::new("ip").args(arguments).status()?.success() {
            return Err(io::Error::other("the loopback interface did not come up"));
        }
    }
    for (key, value) in [
        ("core/somaxconn", "65535"),
        ("ipv4/tcp_max_syn_backlog", "65535"),
        ("ipv4/ip_local_port_range", "10240 65535"),
        ("ipv4/tcp_tw_reuse", "1"),
        // Closed connections would use up the ports of one machine that plays all parts.
        ("ipv4/tcp_max_tw_buckets", "8192"),
    ] {
        fs::write(Path::new("/proc/sys/net").join(key), value)?;
    }
    Ok(())
}

fn programs(arguments: &Arguments, scratch: PathBuf) -> io::Result<Programs> {
    fs::create_dir_all(&scratch)?;
    // Ours runs as nobody and makes its socket here.
    std::os::unix::fs::chown(&scratch, Some(65_534), Some(65_534))?;
    let ours = match &arguments.program {
        Some(path) => path.clone(),
        None => lab::binaries::own("api-lb").map_err(io::Error::other)?,
    };
    Ok(Programs {
        peers: lab::requirement::peers(),
        ours,
        scratch,
    })
}

fn versions(peers: &Path) -> [(&'static str, Command); 2] {
    ["haproxy", "nginx"].map(|name| {
        let mut command = Command::new(peers.join("bin").join(name));
        command.arg("-v");
        (name, command)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_and_peers_that_there_are_can_be_asked_for() {
        let asked = |args: &[&str]| {
            Arguments::try_parse_from([&["bench-lb"], args].concat())
                .map_err(|error| error.to_string())
        };
        let known = asked(&["--rows", "down1,idle", "--peers", "ours"]).unwrap();
        assert_eq!(known.rows, ["down1", "idle"]);
        for args in [["--rows", "down1,donw16"], ["--peers", "hapoxy"]] {
            let said = asked(&args).unwrap_err();
            let (all, own): (Vec<_>, _) = match args[0] {
                "--rows" => (Row::ALL.map(Row::name).to_vec(), "donw16"),
                _ => (Peer::ALL.map(Peer::name).to_vec(), "hapoxy"),
            };
            assert!(said.contains(own), "{said}");
            for name in all {
                assert!(said.contains(name), "{name} is not in {said}");
            }
        }
    }
}
