//! `bench-failures`: what clients see while servers fail, beside the peers, in one lab run.

#![expect(clippy::print_stderr, reason = "a program for people")]

mod table;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use lab::bench::{Circumstances, Output, wanted};
use lab::failures::{Peer, Programs, Scene, Size, backend};
use lab::load::usage;
use lab::{binaries, netns, requirement, signals};

use table::{Record, Run};

/// Compares what clients see while servers fail. Exit code 1 when this project's proxy misses a
/// bound, also of a record that was measured earlier.
#[derive(Debug, Parser)]
struct Arguments {
    /// Scenes, separated by commas; all when absent.
    #[arg(long, value_delimiter = ',', value_parser = Scene::ALL.map(Scene::name))]
    scenes: Vec<String>,
    /// Peers, separated by commas; all when absent.
    #[arg(long, value_delimiter = ',', value_parser = Peer::ALL.map(Peer::name))]
    peers: Vec<String>,
    /// Faults of a few seconds, as in the tests.
    #[arg(long)]
    short: bool,
    /// An earlier record, of which the scenes that are not measured are kept.
    #[arg(long)]
    keep: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// This project's program.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Is a server of this number, until killed.
    #[arg(long, hide = true, requires_all = ["address", "mode"])]
    serve: Option<u8>,
    #[arg(long, hide = true)]
    address: Option<SocketAddr>,
    #[arg(long, hide = true, default_value_t = 1024)]
    backlog: u32,
    #[arg(long, hide = true)]
    mode: Option<PathBuf>,
}

impl Arguments {
    const fn size(&self) -> Size {
        match self.short {
            true => Size::Short,
            false => Size::Whole,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (arguments.serve, arguments.address, &arguments.mode) {
        (Some(number), Some(address), Some(mode)) => {
            backend::serve(number, address, arguments.backlog, mode.clone())
                .map_err(Into::into)
        }
        _ => bench(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-failures: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let output = &arguments.output;
    let mut record: Record = output.record(|| measure(arguments))?;
    if let Some(path) = &arguments.keep {
        record = record.within(serde_json::from_slice(&std::fs::read(path)?)?);
    }
    output.keep(&record)?;
    output.show(&record.page())?;
    // The page says so too, of everybody; a peer's are no failure.
    let missed = record.missed_by_ours(arguments.size());
    for missed in &missed {
        eprintln!("bench-failures: MISSED {missed}");
    }
    match missed.len() {
        0 => Ok(()),
        some => Err(format!("{some} bounds are missed; see above").into()),
    }
}

fn measure(arguments: &Arguments) -> Result<Record, Box<dyn Error>> {
    netns::sweep();
    signals::clean_up_on_interrupt();
    usage::widen_table()?;
    let programs = Programs {
        ours: match &arguments.program {
            Some(program) => program.clone(),
            None => binaries::own("api-lb")?,
        },
        backend: std::env::current_exe()?,
    };
    let size = arguments.size();
    let circumstances = Circumstances::of(versions());
    let logs = binaries::output("failures-logs");
    let mut runs = Vec::new();
    for scene in Scene::ALL {
        for peer in Peer::ALL {
            if !wanted(&arguments.scenes, scene.name())
                || !wanted(&arguments.peers, peer.name())
            {
                continue;
            }
            let logs = logs.join(scene.name()).join(peer.name());
            let figures = scene.run(peer, size, &programs, &logs)?;
            eprintln!("{} {}: {figures:?}", scene.name(), peer.name());
            runs.push(Run {
                scene,
                peer,
                figures,
                commit: None,
            });
        }
    }
    Ok(Record {
        circumstances,
        runs,
    })
}

fn versions() -> [(&'static str, Command); 2] {
    ["haproxy", "nginx"].map(|name| {
        let mut command = Command::new(requirement::peer(name));
        command.arg("-v");
        (name, command)
    })
}
