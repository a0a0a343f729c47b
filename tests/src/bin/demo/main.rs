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
mod ground;
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
use lab::requirement::{Missing, Requirement};
use lab::{LabError, netns, schedule, signals};

use drawing::Drawing;
use ground::Ground;
use masters::Masters;
use row::Row;
use stage::Stage;

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
    match play(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("The demo cannot run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every bound was kept. What is real stands in the first line and the last.
fn play(options: &Options) -> Result<bool, LabError> {
    let (ground, lacking) = ground(options.on)?;
    let what = ground.describe()?;
    let headline = format!("{}: {what}", ground.name());
    println!("{headline}");
    if let Some(missing) = lacking {
        println!("In network namespaces, not on booted machines {missing}");
    }
    let met = match run((ground, &what), options.acts) {
        Ok(rows) => rows.iter().all(Row::met),
        Err(error) => {
            println!("The demo could not be run to its end: {error}\n{headline}");
            return Ok(false);
        }
    };
    if !met {
        println!("A bound was missed.");
    }
    println!("{headline}");
    Ok(met)
}

/// What was asked for, or the best there is, and then what is missing for a better one.
fn ground(on: Option<On>) -> Result<(Ground, Option<Missing>), LabError> {
    let kind = match std::env::var(CHOICE).unwrap_or_default().as_str() {
        "real" => Some(Kind::Real),
        "stand-in" => Some(Kind::StandIn),
        "" => None,
        other => {
            let said = format!("{CHOICE}: {other:?} is neither real nor stand-in");
            return Err(LabError::Missing(said));
        }
    };
    let namespaces = || Ground::Namespaces(kind.unwrap_or_else(Kind::best));
    let needs = [Requirement::Machine, Requirement::Kubernetes];
    let lacking = || needs.into_iter().find_map(|need| need.met().err());
    Ok(match (on, kind) {
        (Some(On::Netns), _) | (None, Some(_)) => (namespaces(), None),
        (Some(On::Machines), _) => match lacking() {
            None => (Ground::Machines, None),
            Some(missing) => return Err(LabError::Missing(missing.to_string())),
        },
        (None, None) => match lacking() {
            None => (Ground::Machines, None),
            missing @ Some(_) => (namespaces(), missing),
        },
    })
}

fn run(
    (ground, what): (Ground, &str),
    acts: Option<usize>,
) -> Result<Vec<Row>, LabError> {
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
    let path = report::write((ground, what), &rows, &stage, from, to)?;
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
