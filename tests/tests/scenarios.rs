//! Every file of `tests/scenarios` is a trial: one claim, tested on the wire with the real
//! binaries, `cycles` times, each in a lab of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab::requirement::{Requirement, too_disturbed, trial};
use lab::scenario::{Figures, Outcome, Scenario, cycle, parse};
use lab::{binaries, netns, prober, schedule, signals};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    schedule::prefer_run();
    netns::sweep();
    signals::clean_up_on_interrupt();
    let mut arguments = Arguments::from_args();
    // Two scenarios at once would disturb each other's clocks.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, trials()).exit();
}

fn trials() -> Vec<Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    let patience = Arc::new(Mutex::new(PATIENCE));
    let files = files.into_iter().map(|path| {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let patience = Arc::clone(&patience);
        trial(
            format!("scenario::{name}"),
            &[Requirement::Root],
            move || test(&path, &name, &patience),
        )
    });
    files.collect()
}

fn test(path: &Path, name: &str, patience: &Mutex<Duration>) -> Result<(), Failed> {
    let text = fs::read_to_string(path)?;
    let file = path.display();
    let scenario = parse(&text).map_err(|error| format!("{file}: {error}"))?;
    scenario.makes_sense()?;
    let logs = binaries::logs(name);
    cycles(&scenario, name, &logs, patience)
}

/// Cycles that may be void: one in twenty, and in a few cycles so many that one more means
/// a machine on which nothing can be measured.
fn void_at_most(cycles: u32) -> u32 {
    const OF_FEW: u32 = 12;
    (cycles / 20).max(OF_FEW)
}

/// How long it is waited, after a void cycle, for a machine that disturbs nothing.
const CALM: Duration = Duration::from_secs(10);

/// What void cycles and the waiting after them may take of the whole run. A machine that
/// stalls all the time is told so by each scenario's first void cycle from then on.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the cycles. A void one is printed and run again: what counts are `cycles` cycles
/// that nothing disturbed. Too many void ones are a verdict about the machine: the claim is
/// skipped, neither met nor missed.
#[expect(
    clippy::print_stdout,
    reason = "what was measured belongs to the result"
)]
fn cycles(
    scenario: &Scenario,
    name: &str,
    logs: &Path,
    patience: &Mutex<Duration>,
) -> Result<(), Failed> {
    let mut measured = BTreeMap::<String, Vec<Duration>>::new();
    let (mut met, mut void) = (0, 0);
    while met < scenario.cycles {
        let logs = logs.join(format!("{}", met + void + 1));
        let begun = Instant::now();
        match cycle(scenario, &logs)? {
            Outcome::Met(Figures(figures)) => {
                met += 1;
                for (figure, took) in figures {
                    measured.entry(figure).or_default().push(took);
                }
            }
            Outcome::Missed(said) => {
                let (claim, logs) = (&scenario.claim, logs.display());
                let cycle = met + void + 1;
                return Err(
                    format!("{claim}\ncycle {cycle}: {said}\nlogs: {logs}").into()
                );
            }
            Outcome::Void(why) => {
                void += 1;
                println!("{name}: void cycle: {why}");
                let left = *patience.lock().unwrap_or_else(PoisonError::into_inner);
                if void > void_at_most(scenario.cycles) || left.is_zero() {
                    return Err(too_disturbed(&format!(
                        "{void} void cycles beside {met} good ones; the machine stalls, \
                         and the claim is neither met nor missed; the last: {why}"
                    )));
                }
                prober::calm(CALM)?;
                let mut left = patience.lock().unwrap_or_else(PoisonError::into_inner);
                *left = left.saturating_sub(begun.elapsed());
            }
        }
    }
    println!("{name}: {met} cycles, {void} void{}", table(&measured));
    Ok(())
}

fn table(measured: &BTreeMap<String, Vec<Duration>>) -> String {
    let line = |(name, took): (&String, &Vec<Duration>)| {
        let mut took = took.clone();
        took.sort();
        let at = |n: usize| took.get(n).copied().unwrap_or_default();
        let (min, median, max) = (at(0), at(took.len() / 2), at(took.len() - 1));
        format!("; {name} {min:.1?}/{median:.1?}/{max:.1?}")
    };
    measured.iter().map(line).collect()
}
