//! Every file of `tests/scenarios` is a trial: one claim, tested on the wire with the real
//! binaries, `cycles` times, each in a lab of its own.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab::bench::{Circumstances, replaced};
use lab::requirement::{Requirement, too_disturbed, trial};
use lab::scenario::{Entry, Figures, Outcome, Record, Scenario, cycle, parse};
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
    let patience = Arc::new(Mutex::new(PATIENCE));
    // Asked before anything is written: the page would count as a change of ours.
    let circumstances = env::var_os(FIGURES).map(|_| Arc::new(circumstances()));
    let scenarios = files().into_iter().map(|path| {
        let name = stem(&path);
        let (patience, circumstances) = (Arc::clone(&patience), circumstances.clone());
        trial(
            format!("scenario::{name}"),
            &[Requirement::Root],
            move || test(&path, &name, &patience, circumstances.as_deref()),
        )
    });
    let page = trial("the_page_says_what_was_measured", &[], page);
    scenarios.chain([page]).collect()
}

/// Every scenario there is.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn test(
    path: &Path,
    name: &str,
    patience: &Mutex<Duration>,
    circumstances: Option<&Circumstances>,
) -> Result<(), Failed> {
    let text = fs::read_to_string(path)?;
    let file = path.display();
    let scenario = parse(&text).map_err(|error| format!("{file}: {error}"))?;
    scenario.makes_sense()?;
    let logs = binaries::logs(name);
    let entry = cycles(&scenario, name, &logs, patience)?;
    circumstances.map_or(Ok(()), |of| kept(name, entry, of))
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
) -> Result<Entry, Failed> {
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
    Ok(Entry::new(scenario, void, &measured))
}

/// Set, it has what was measured kept, and the page drawn anew.
const FIGURES: &str = "STERNPOST_FIGURES";
const PLACE: &str = "scenarios";

/// Which daemons are measured, and where.
fn circumstances() -> Circumstances {
    let programs = ["vip-daemon", "api-lb"].map(|name| {
        let mut command = Command::new(binaries::own(name).unwrap_or_default());
        command.arg("--version");
        (name, command)
    });
    Circumstances::of(programs)
}

/// Puts what one scenario measured in the place of what it measured before. One trial runs at
/// a time.
fn kept(name: &str, entry: Entry, circumstances: &Circumstances) -> Result<(), Failed> {
    let (json, page) = (docs("scenarios.json"), docs("failover.md"));
    let earlier = fs::read_to_string(&json).ok();
    let earlier: Option<Record> = earlier
        .map(|text| serde_json::from_str(&text))
        .transpose()?;
    let mut scenarios = earlier.map_or_else(BTreeMap::new, |record| record.scenarios);
    scenarios.insert(name.to_owned(), entry);
    let record = Record {
        circumstances: circumstances.clone(),
        scenarios,
    };
    fs::write(&json, serde_json::to_string_pretty(&record)? + "\n")?;
    let drawn = replaced(&fs::read_to_string(&page)?, PLACE, &record.table());
    fs::write(&page, drawn.ok_or("the page has no place for the table")?)?;
    Ok(())
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name)
}

/// The page shows what is kept, for each scenario that there is, with its claim of today.
fn page() -> Result<(), Failed> {
    let text = fs::read_to_string(docs("scenarios.json"))?;
    let record: Record = serde_json::from_str(&text)?;
    let page = fs::read_to_string(docs("failover.md"))?;
    let again = format!("{FIGURES}=1 cargo test --profile lab -p lab --test scenarios");
    if replaced(&page, PLACE, &record.table()).as_ref() != Some(&page) {
        return Err(format!("draw docs/failover.md anew: {again}").into());
    }
    for path in files() {
        let scenario = parse(&fs::read_to_string(&path)?)?;
        let row = format!("| `{}` | {}", stem(&path), scenario.claim);
        if !page.contains(&row) {
            return Err(format!("no figures for {row:?}: {again}").into());
        }
    }
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
