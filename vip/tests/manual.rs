//! The manual and the program name the same metrics.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;

type Tested = Result<(), Box<dyn Error>>;

const METRICS: &str = "src/status/metrics.rs";
/// Those that every daemon has.
const SHARED: &str = "../crates/daemon/src/identity.rs";
const MANUAL: &str = "../docs/config/vip-daemon.md";
/// How each of our metrics begins.
const OURS: &str = "vip_daemon_";
/// What a histogram has behind its name.
const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Every name of a metric that stands in the text.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !is_name(c));
    let ours = words.filter(|word| word.starts_with(OURS));
    ours.map(|name| {
        let mut parts = PARTS.iter();
        let part = parts.find_map(|part| name.strip_suffix(part));
        part.unwrap_or(name).to_owned()
    })
    .collect()
}

/// What the program exports.
fn exported() -> Result<BTreeSet<String>, Box<dyn Error>> {
    let shared = fs::read_to_string(SHARED)?.replace("{prefix}_", OURS);
    let mut all = named(&fs::read_to_string(METRICS)?);
    all.extend(named(&shared));
    Ok(all)
}

/// The names that have a row of their own in the manual.
fn rows(manual: &str) -> BTreeSet<String> {
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split('`').next());
    names
        .filter(|name| name.starts_with(OURS))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_has_its_row_and_every_row_its_metric() -> Tested {
    let program = exported()?;
    let manual = rows(&fs::read_to_string(MANUAL)?);
    assert!(program.len() > 20, "{program:?}");
    let difference: Vec<_> = program.symmetric_difference(&manual).collect();
    assert!(difference.is_empty(), "on one side only: {difference:?}");
    Ok(())
}

#[test]
fn what_the_manual_speaks_of_there_is() -> Tested {
    let program = exported()?;
    let manual = named(&fs::read_to_string(MANUAL)?);
    let unknown: Vec<_> = manual.difference(&program).collect();
    assert!(unknown.is_empty(), "no such metric: {unknown:?}");
    Ok(())
}

/// A blank line ends a table: what follows it is shown as text.
#[test]
fn every_row_of_a_table_stands_in_it() -> Tested {
    let manual = fs::read_to_string(MANUAL)?;
    let lines: Vec<_> = manual.lines().collect();
    let mut tables = 0;
    for (at, window) in lines.windows(3).enumerate() {
        let [before, row, after] = window else {
            continue;
        };
        if before.starts_with('|') || !row.starts_with('|') {
            continue;
        }
        tables += 1;
        let number = at + 2;
        assert!(
            after.starts_with("|---"),
            "{MANUAL}:{number}: no table: {row}"
        );
    }
    assert!(tables > 3, "{tables} tables");
    Ok(())
}
