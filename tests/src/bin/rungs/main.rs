//! Runs the rungs of `make test` in order, and says at the end what passed, what failed
//! and what was skipped, with reasons.
//!
//! ```text
//! ladder (what there is to run) ─▶ run (one command, streamed) ─▶ tally (counted) ─▶ the last line
//!                                                                   └▶ excerpt (what failures said)
//! ```
//!
//! A failed rung does not end the run, it fails it. On std alone, so that `rustc` builds
//! it in a second before anything else is built.
//!
//! `rungs [NAME]...` runs only the rungs of that name or below it (`lab` is `lab/…`).

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "its output is what it is for"
)]

mod excerpt;
mod ladder;
mod run;
mod tally;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use ladder::{Counts, Rung};
use tally::Tally;

/// The names `STERNPOST_REQUIRE` may hold; see `requirement.rs`.
const REQUIREMENTS: [&str; 15] = [
    "root",
    "kubernetes",
    "network",
    "peers",
    "runtime",
    "machine",
    "firewall",
    "browser",
    "monitoring",
    "curl",
    "openssl",
    "memory",
    "systemd",
    "go",
    "calm",
];

/// The Go build beside cargo's takes this much memory; with less they run in turn.
const TWO_BUILDS_KIB: u64 = 8 << 20;

/// Lines of what failed tests said that are repeated at the end, all together: with the names
/// they fit on the last screen of a log.
const SAID: usize = 42;

/// A rung that ended.
struct Entry {
    name: String,
    took: Duration,
    tally: Tally,
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let demanded = match demanded() {
        Ok(demanded) => demanded,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let rungs = ladder::chosen(ladder::all(), &wanted);
    if rungs.is_empty() {
        eprintln!("no rung is called {}", wanted.join(" or "));
        return ExitCode::from(2);
    }
    let entries = climb(rungs, &demanded);
    report(&entries);
    let failed = entries.iter().any(|entry| entry.tally.failed > 0);
    ExitCode::from(u8::from(failed))
}

/// The requirements this machine must offer.
fn demanded() -> Result<BTreeSet<String>, String> {
    let names = std::env::var("STERNPOST_REQUIRE").unwrap_or_default();
    let names = names.split(',').map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(|name| {
            REQUIREMENTS
                .contains(&name)
                .then(|| name.to_owned())
                .ok_or_else(|| {
                    let known = REQUIREMENTS.join(", ");
                    format!(
                        "STERNPOST_REQUIRE: {name:?} is no requirement; there are {known}"
                    )
                })
        })
        .collect()
}

/// Runs the rungs one after the other. Only the Go build may go on beside cargo's builds,
/// and it ends before the first test, whose deadlines are on a real clock.
fn climb(rungs: Vec<Rung>, demanded: &BTreeSet<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    thread::scope(|scope| {
        let mut beside = None;
        for rung in rungs {
            if rung.counts == Counts::Tests {
                entries.extend(beside.take().and_then(ended));
            }
            if rung.name == ladder::GO_BUILD && available_kib() >= TWO_BUILDS_KIB {
                beside = Some(scope.spawn(move || timed(&rung, demanded)));
            } else {
                entries.push(timed(&rung, demanded));
            }
        }
        entries.extend(beside.take().and_then(ended));
    });
    entries
}

fn ended(rung: thread::ScopedJoinHandle<'_, Entry>) -> Option<Entry> {
    rung.join().ok()
}

fn timed(rung: &Rung, demanded: &BTreeSet<String>) -> Entry {
    let start = Instant::now();
    let tally = run::run(rung, demanded);
    Entry {
        name: rung.name.clone(),
        took: start.elapsed(),
        tally,
    }
}

/// Memory the kernel could give to new programs, in KiB; none when it does not say.
fn available_kib() -> u64 {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// The table of rungs, what failed, what was skipped, and the line that sums it up.
fn report(entries: &[Entry]) {
    println!(
        "\n{:<32} {:>8} {:>7} {:>7} {:>8}",
        "rung", "time", "passed", "failed", "skipped"
    );
    for Entry { name, took, tally } in entries {
        let (passed, failed, skipped) = (tally.passed, tally.failed, tally.skipped);
        println!(
            "{name:<32} {:>8} {passed:>7} {failed:>7} {skipped:>8}",
            clock(*took)
        );
    }
    skips(entries);
    failures(entries);
    let sum = |count: fn(&Tally) -> usize| -> usize {
        entries.iter().map(|entry| count(&entry.tally)).sum()
    };
    let (passed, failed) = (sum(|tally| tally.passed), sum(|tally| tally.failed));
    println!(
        "\n{passed} passed, {failed} failed, {} skipped",
        sum(|tally| tally.skipped)
    );
}

fn skips(entries: &[Entry]) {
    if entries.iter().any(|entry| !entry.tally.skips.is_empty()) {
        println!("\nskipped:");
    }
    for Entry { name, tally, .. } in entries {
        for line in &tally.skips {
            println!("  {name}: {line}");
        }
    }
}

/// Last of all, where whoever sees only the end of a log sees it.
fn failures(entries: &[Entry]) {
    let all = entries.iter().flat_map(|Entry { name, tally, .. }| {
        tally.failures.iter().map(move |failure| (name, failure))
    });
    let count = all.clone().count();
    if count == 0 {
        return;
    }
    println!("\nfailed:");
    let each = SAID / count;
    for (rung, failure) in all {
        println!("  {rung}: {}", failure.name);
        for line in failure.said.lines(each) {
            println!("    | {line}");
        }
    }
}

fn clock(took: Duration) -> String {
    let tenths = took.as_millis() / 100;
    format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}
