//! What docs/tls-bootstrapping.md says of reasons and rules is what the code says.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the manual has failed"
)]

use std::fs;

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

#[test]
fn every_metric_is_told() {
    let manual = fs::read_to_string("../docs/config/bootstrap-signer.md").unwrap();
    let files = [
        "src/shown.rs",
        "src/signing/shown.rs",
        "src/tokens/shown.rs",
    ];
    let code = files.map(|file| fs::read_to_string(file).unwrap()).concat();
    let names = code
        .split('"')
        .filter(|word| word.starts_with("bootstrap_signer_"));
    let names: Vec<&str> = names.collect();
    assert_eq!(names.len(), 18, "{names:?}");
    for name in names {
        let row = manual.lines().any(|line| {
            let told = line
                .strip_prefix("| `")
                .and_then(|row| row.strip_prefix(name));
            told.is_some_and(|rest| rest.starts_with(['`', '{']))
        });
        assert!(row, "{name}");
    }
}
