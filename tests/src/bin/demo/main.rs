//! The main job on one machine: three masters, one address, requests that go on while things
//! die.
//!
//! ```text
//!   stage (masters, client) ─▶ programme (fault, heal, …) ─▶ rows ─▶ table, report.html
//!        │                          │ looks at
//!        └─▶ instruments ◀──────────┘        drawing: the timeline, while it runs
//! ```
#![expect(clippy::print_stdout, reason = "showing is what a demo is for")]

mod drawing;
mod kubectl;
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

use lab::control_plane::Kind;
use lab::{LabError, netns, schedule, signals};

use drawing::Drawing;
use row::Row;
use stage::Stage;

/// Which API servers may be chosen: `real`, `stand-in`; without it what is there.
const CHOICE: &str = "STERNPOST_DEMO";

fn main() -> ExitCode {
    if !lab::is_root() {
        println!(
            "The demo needs root: it makes network namespaces, and the daemons in them add \
             addresses and open raw sockets; run it with sudo."
        );
        return ExitCode::FAILURE;
    }
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let kind = kind();
    println!("{}: {}", kind.name(), stage::describe(kind));
    let code = match run(kind) {
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
    println!("{}: {}", kind.name(), stage::describe(kind));
    code
}

fn kind() -> Kind {
    match std::env::var(CHOICE).as_deref() {
        Ok("real") => Kind::Real,
        Ok("stand-in") => Kind::StandIn,
        Ok(_) | Err(_) => Kind::best(),
    }
}

fn run(kind: Kind) -> Result<Vec<Row>, LabError> {
    let begun = Instant::now();
    let mut stage = Stage::raise(kind)?;
    let from = Instant::now();
    println!(
        "Everything stands after {:.1?}. The programme:",
        from - begun
    );
    let drawing = Drawing::start(&stage, std::io::stdout().is_terminal())?;
    let rows = programme::perform(&mut stage, &drawing);
    drop(drawing);
    let mut rows = rows?;
    let to = Instant::now();
    if let Some(kubectl) = stage.kubectl.take() {
        rows.push(Row::events(&kubectl.finish(), from));
    }
    println!("{}", table::render(&rows));
    let path = report::write(kind, &rows, &stage, from, to)?;
    println!(
        "Report: {} ({:.0?} in all)",
        path.display(),
        begun.elapsed()
    );
    Arc::clone(&stage.instruments).end();
    Ok(rows)
}
