//! The main job on one machine: three masters, one address, requests that go on while things
//! die.
//!
//! ```text
//!   machines (sternpost apply) ─┐
//!   or namespaces ──────────────┴▶ stage (masters, client) ─▶ programme (fault, heal, …) ─▶ rows
//!                                       │                         │ looks at                  │
//!                                       └─▶ instruments ◀─────────┘        table, report.html ◀┘
//!                                              └─▶ drawing: the timeline, while it runs
//! ```
#![expect(clippy::print_stdout, reason = "showing is what a demo is for")]

mod drawing;
mod kubectl;
mod machines;
mod masters;
mod namespaces;
mod programme;
mod report;
mod row;
mod stage;
mod svg;
mod table;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use lab::control_plane::Kind;
use lab::requirement::Requirement;
use lab::{LabError, netns, schedule, signals};

use drawing::Drawing;
use masters::Masters;
use row::Row;
use stage::{Ground, Stage};

/// Which API servers namespaces get: `real`, `stand-in`; without it what is there.
const CHOICE: &str = "STERNPOST_DEMO";

/// Three masters, one address, and what their clients see while things die.
#[derive(Debug, Parser)]
struct Options {
    /// What the masters stand on; by default machines, where they can be booted.
    #[arg(long, value_enum)]
    on: Option<On>,
    /// Only so many acts of the programme.
    #[arg(long)]
    acts: Option<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum On {
    /// Booted machines, made masters by `sternpost apply`.
    Machines,
    /// Network namespaces.
    Netns,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if !lab::is_root() {
        println!(
            "The demo needs root: it boots machines in network namespaces of its own, and the \
             daemons on them add addresses and open raw sockets; run it with sudo."
        );
        return ExitCode::FAILURE;
    }
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let ground = match ground(options.on) {
        Ok(ground) => ground,
        Err(missing) => {
            println!("The demo cannot run on booted machines {missing}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}: {}", ground.name(), ground.describe());
    let code = match run(ground, options.acts) {
        Ok(rows) if rows.iter().all(Row::met) => ExitCode::SUCCESS,
        Ok(_) => {
            println!("A bound was missed.");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("The demo could not be run to its end: {error}");
            ExitCode::FAILURE
        }
    };
    println!("{}: {}", ground.name(), ground.describe());
    code
}

/// What was asked for, or the best there is.
fn ground(on: Option<On>) -> Result<Ground, lab::requirement::Missing> {
    let kind = match std::env::var(CHOICE).as_deref() {
        Ok("real") => Some(Kind::Real),
        Ok("stand-in") => Some(Kind::StandIn),
        Ok(_) | Err(_) => None,
    };
    let namespaces = || Ground::Namespaces(kind.unwrap_or_else(Kind::best));
    let needs = [Requirement::Machine, Requirement::Kubernetes];
    let lacking = needs.into_iter().find_map(|need| need.met().err());
    match (on, kind, lacking) {
        (Some(On::Netns), _, _) | (None, Some(_), _) => Ok(namespaces()),
        (_, _, None) => Ok(Ground::Machines),
        (Some(On::Machines), _, Some(missing)) => Err(missing),
        (None, None, Some(missing)) => {
            println!("In network namespaces, not on booted machines {missing}");
            Ok(namespaces())
        }
    }
}

fn run(ground: Ground, acts: Option<usize>) -> Result<Vec<Row>, LabError> {
    let begun = Instant::now();
    let mut stage = Stage::raise(ground)?;
    let from = Instant::now();
    println!(
        "Everything stands after {:.1?}. The programme:",
        from - begun
    );
    let drawing = Drawing::start(&stage, std::io::stdout().is_terminal())?;
    let rows = programme::perform(&mut stage, &drawing, acts.unwrap_or(usize::MAX));
    drop(drawing);
    let mut rows = rows?;
    let to = Instant::now();
    if let Some(kubectl) = stage.kubectl.take() {
        rows.push(Row::events(&kubectl.finish(), from));
    }
    println!("{}", table::render(&rows));
    let path = report::write(ground, &rows, &stage, from, to)?;
    if let Masters::Machines(machines) = &stage.masters {
        machines::status(&machines.rig)?;
    }
    println!(
        "Report: {} ({:.0?} in all)",
        path.display(),
        begun.elapsed()
    );
    Arc::clone(&stage.instruments).end();
    Ok(rows)
}
