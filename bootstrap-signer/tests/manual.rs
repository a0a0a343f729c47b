//! What docs/tls-bootstrapping.md says of reasons and rules is what the code says.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the manual has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use policy::{RULES, Reason};

const MANUAL: &str = "../docs/tls-bootstrapping.md";

/// The rows of the table whose head begins with `head`, cell by cell.
fn table(head: &str) -> Vec<Vec<String>> {
    let manual = fs::read_to_string(MANUAL).unwrap();
    let (_, rest) = manual.split_once(&format!("| {head} |")).unwrap();
    let rows = rest
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_matches('|').split(" | ");
        inner.map(|cell| cell.trim().replace('`', "")).collect()
    };
    rows.map(cells).collect()
}

#[test]
fn every_reason_is_told_with_its_verdict_and_sentence() {
    let written: Vec<[String; 3]> = table("reason")
        .into_iter()
        .map(|row| [row[0].clone(), row[1].clone(), row[2].clone()])
        .collect();
    let meant: Vec<[String; 3]> = Reason::ALL
        .iter()
        .map(|reason| {
            [
                reason.name().to_owned(),
                reason.decision().name().to_owned(),
                reason.sentence().to_owned(),
            ]
        })
        .collect();
    assert_eq!(written, meant);
}

#[test]
fn every_rule_is_told_in_its_order() {
    let written: Vec<String> = table("rule")
        .into_iter()
        .map(|row| row[0].clone())
        .collect();
    let meant: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(written, meant);
}

/// The names of metrics that stand as text of their own in the sources below a folder.
fn metrics(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            metrics(&path, found);
            continue;
        }
        let code = fs::read_to_string(path).unwrap();
        let is_name = |word: &&str| {
            let mut letters = word.chars();
            word.starts_with("bootstrap_signer_")
                && letters.all(|c| c.is_ascii_lowercase() || c == '_')
        };
        found.extend(code.split('"').filter(is_name).map(str::to_owned));
    }
}

/// Those that every daemon has, by what stands behind their prefix.
fn shared() -> impl Iterator<Item = String> {
    let code = fs::read_to_string("../crates/daemon/src/identity.rs").unwrap();
    let names: Vec<String> = code
        .split("{prefix}_")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert!(names.contains(&"build_info".to_owned()), "{names:?}");
    names
        .into_iter()
        .map(|rest| format!("bootstrap_signer_{rest}"))
}

#[test]
fn every_metric_is_told_and_no_other() {
    let manual = fs::read_to_string("../docs/config/bootstrap-signer.md").unwrap();
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split(['`', '{']).next());
    let told: BTreeSet<String> = names
        .filter(|name| name.starts_with("bootstrap_signer_"))
        .map(str::to_owned)
        .collect();
    let mut meant: BTreeSet<String> = shared().collect();
    metrics(Path::new("src"), &mut meant);
    assert_eq!(told, meant);
    let parts = manual.split('`').skip(1).step_by(2);
    for part in parts.filter(|part| part.starts_with("bootstrap_signer_")) {
        let name = part.split('{').next().unwrap();
        assert!(meant.contains(name), "there is no {name}");
    }
}
