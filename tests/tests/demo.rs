//! The demo itself, with the first act of its programme, on either ground: it comes up, keeps
//! its bounds, and writes its report.

use std::process::Command;

use lab::control_plane::Kind;
use lab::requirement::{Requirement, trial};
use lab::{binaries, harness};
use libtest_mimic::Failed;

fn main() {
    let machines = trial(
        "masters_laid_down_by_sternpost_on_booted_machines",
        &[Requirement::Machine, Requirement::Kubernetes],
        || demo("machines", "3 booted machines"),
    );
    let namespaces = trial(
        "masters_in_network_namespaces",
        &[Requirement::Root, Requirement::Peers],
        || demo("netns", "3 masters in network namespaces"),
    );
    harness::run(vec![machines, namespaces]);
}

#[expect(
    clippy::print_stdout,
    reason = "what it measured belongs to the result"
)]
fn demo(on: &str, first: &str) -> Result<(), Failed> {
    let report = binaries::output("demo").join("report.html");
    drop(std::fs::remove_file(&report));
    // Ended with this test, however that ends, it removes what it has made.
    let output = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", env!("CARGO_BIN_EXE_demo")])
        .env_remove("STERNPOST_DEMO")
        .args(["--on", on, "--acts", "1"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    // There is none when it did not come to its end.
    let page = std::fs::read_to_string(&report).unwrap_or_default();
    let kind = Kind::best().name();
    let told = said.lines().next().is_some_and(|line| {
        line.starts_with(&format!("{kind}: {first}"))
            && said.lines().next_back() == Some(line)
    });
    match output.status.success() && told && page.contains("<svg") {
        true => Ok(()),
        false => {
            let complained = String::from_utf8_lossy(&output.stderr);
            let (said, complained) = (last(&said, 24), last(&complained, 12));
            Err(format!(
                "{}\n{said}\non standard error:\n{complained}",
                output.status
            )
            .into())
        }
    }
}

/// The last lines, where the end is that it came to.
fn last(text: &str, count: usize) -> String {
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(count);
    lines.get(from..).unwrap_or_default().join("\n")
}
