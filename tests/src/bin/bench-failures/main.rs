//! `bench-failures`: what clients see while servers fail, beside the peers, in one lab run.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod table;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Parser;
use lab::failures::{Peer, Programs, Scene, Size, backend};
use lab::load::usage;
use lab::{binaries, netns, requirement, signals};

use table::{Record, Run};

/// Compares what clients see while servers fail.
#[derive(Debug, Parser)]
struct Arguments {
    /// Scenes, separated by commas; all when absent.
    #[arg(long, value_delimiter = ',')]
    scenes: Vec<String>,
    /// Peers, separated by commas; all when absent.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Faults of a few seconds, as in the tests.
    #[arg(long)]
    short: bool,
    /// Where the figures are written, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the table is written; standard output when absent.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Makes the page of figures that were measured earlier, and measures nothing.
    #[arg(long)]
    from: Option<PathBuf>,
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
    let record = match &arguments.from {
        Some(path) => serde_json::from_str(&fs::read_to_string(path)?)?,
        None => measure(arguments)?,
    };
    if let Some(path) = &arguments.json {
        fs::write(path, serde_json::to_string_pretty(&record)? + "\n")?;
    }
    match &arguments.page {
        Some(path) => fs::write(path, record.page())?,
        None => println!("{}", record.page()),
    }
    Ok(())
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
    let size = if arguments.short {
        Size::Short
    } else {
        Size::Whole
    };
    let wanted =
        |list: &[String], name: &str| list.is_empty() || list.iter().any(|n| n == name);
    let commit = said(Command::new("git").args(["describe", "--always", "--dirty"]));
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
            });
        }
    }
    Ok(Record {
        commit,
        kernel: usage::kernel(),
        cores: usage::cores(),
        versions: versions(),
        runs,
    })
}

fn versions() -> BTreeMap<String, String> {
    let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
    let ask = |name: &str| first(said(Command::new(requirement::peer(name)).arg("-v")));
    ["haproxy", "nginx"]
        .into_iter()
        .map(|name| (name.to_owned(), ask(name)))
        .collect()
}

/// What a program prints, wherever it does.
fn said(command: &mut Command) -> String {
    command.output().map_or_else(
        |error| error.to_string(),
        |output| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
            let out = text(&output.stdout);
            if out.is_empty() {
                text(&output.stderr)
            } else {
                out
            }
        },
    )
}
