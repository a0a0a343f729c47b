//! The manual and the program name the same metrics; the alert rules name no others.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;

use vrrp::State;

type Tested = Result<(), Box<dyn Error>>;

const METRICS: &str = "src/status/metrics.rs";
/// Those that every daemon has.
const SHARED: &str = "../crates/daemon/src/identity.rs";
const MANUAL: &str = "../docs/config/vip-daemon.md";
const ALERTS: &str = "../docs/monitoring/vip-daemon-alerts.yaml";
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

/// The words that a label is compared with: `state="fault"`, `reason=~"mac|replayed"`.
fn compared(text: &str, label: &str) -> BTreeSet<String> {
    let plain = text.replace("\\\"", "\"");
    let parts = plain.split(label).skip(1);
    let lists = parts.filter_map(|rest| {
        let signs = ["=~\"", "!=\"", "=\""];
        let rest = signs.iter().find_map(|sign| rest.strip_prefix(sign))?;
        rest.split('"').next()
    });
    let words = lists.flat_map(|list| list.split('|'));
    words.map(str::to_owned).collect()
}

#[test]
fn the_alert_rules_name_metrics_states_and_reasons_that_there_are() -> Tested {
    let rules = fs::read_to_string(ALERTS)?;
    let named = named(&rules);
    let unknown: Vec<_> = named.difference(&exported()?).cloned().collect();
    assert!(named.len() > 10 && unknown.is_empty(), "{unknown:?}");
    for label in ["state", "to"] {
        let states = compared(&rules, label);
        let known = |state: &String| State::ALL.iter().any(|it| it.name() == state);
        assert!(!states.is_empty() && states.iter().all(known), "{states:?}");
    }
    let manual = fs::read_to_string(MANUAL)?;
    let row = "| `vip_daemon_channel_refused_total` |";
    let row = manual
        .lines()
        .find(|line| line.starts_with(row))
        .ok_or(row)?;
    let reasons = compared(&rules, "reason");
    let known = |reason: &String| row.contains(&format!("`{reason}`"));
    assert!(
        !reasons.is_empty() && reasons.iter().all(known),
        "{reasons:?}"
    );
    Ok(())
}

#[test]
fn each_alert_says_since_when_how_bad_and_what_to_do() -> Tested {
    let rules = fs::read_to_string(ALERTS)?;
    let count = |word: &str| rules.matches(word).count();
    let alerts = count("- alert: Vip");
    assert!(alerts > 10, "{alerts}");
    for key in [
        "expr: ",
        "for: ",
        "labels: {severity: ",
        "  summary: ",
        "  description: ",
    ] {
        assert_eq!(count(&format!("\n    {key}")), alerts, "{key}");
    }
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
