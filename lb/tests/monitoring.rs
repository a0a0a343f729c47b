//! The dashboard and the alert rules name metrics, states and ends that there are.

use std::collections::BTreeSet;
use std::fs;

use api_lb::pool::State;
use api_lb::worker::End;

const MANUAL: &str = "../docs/config/api-lb.md";
const DASHBOARD: &str = "../docs/monitoring/api-lb-grafana.json";
const ALERTS: &str = "../docs/monitoring/api-lb-alerts.yaml";

/// The metrics of a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let fits = |c: &char| c.is_ascii_lowercase() || *c == '_';
    let parts = text.split("api_lb_").skip(1);
    let names = parts.map(|rest| rest.chars().take_while(fits).collect::<String>());
    names.map(|rest| format!("api_lb_{rest}")).collect()
}

/// The words that a label is compared with: `state="up"`, `end=~"a|b"`.
fn values(text: &str, label: &str) -> BTreeSet<String> {
    let plain = text.replace("\\\"", "\"");
    let parts = plain.split(label).skip(1);
    let lists = parts.filter_map(|rest| {
        let compared = ["=~\"", "!=\"", "=\""];
        let rest = compared.iter().find_map(|sign| rest.strip_prefix(sign))?;
        rest.split('"').next()
    });
    lists
        .flat_map(|list| list.split('|'))
        .map(str::to_owned)
        .collect()
}

/// The manual lists those there are: a test of the daemon compares the two.
#[test]
fn every_metric_is_in_the_manual() {
    let manual = fs::read_to_string(MANUAL).unwrap();
    let rows = manual.lines().filter(|line| line.starts_with("| `api_lb_"));
    let known = metrics(&rows.collect::<String>());
    for file in [DASHBOARD, ALERTS] {
        let named = metrics(&fs::read_to_string(file).unwrap());
        assert!(named.len() > 6, "{file}: {named:?}");
        let strange: Vec<&String> = named.difference(&known).collect();
        assert!(strange.is_empty(), "{file} names {strange:?}");
    }
}

#[test]
fn every_state_and_end_is_one() {
    let states: BTreeSet<String> =
        State::ALL.iter().map(|s| s.name().to_owned()).collect();
    let ends: BTreeSet<String> = End::ALL.iter().map(|e| e.name().to_owned()).collect();
    for file in [DASHBOARD, ALERTS] {
        let text = fs::read_to_string(file).unwrap();
        for (label, known) in [("state", &states), ("end", &ends)] {
            let used = values(&text, label);
            assert!(
                !used.is_empty() && used.is_subset(known),
                "{file}: {used:?}"
            );
        }
    }
}

#[test]
fn both_are_whole() {
    let text = fs::read_to_string(DASHBOARD).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let list = |value: &serde_json::Value, key: &str| {
        value
            .get(key)
            .and_then(|list| list.as_array().cloned())
            .unwrap()
    };
    let mut numbers = BTreeSet::new();
    for panel in list(&dashboard, "panels") {
        assert!(numbers.insert(panel.get("id").unwrap().to_string()));
        for target in list(&panel, "targets") {
            let expr = target.get("expr").and_then(|expr| expr.as_str()).unwrap();
            assert_eq!(
                expr.matches('(').count(),
                expr.matches(')').count(),
                "{expr}"
            );
        }
    }
    let alerts = fs::read_to_string(ALERTS).unwrap();
    let count = |word: &str| alerts.matches(word).count();
    let rules = count("- alert: ");
    assert!(rules >= 8, "{rules}");
    for key in [
        "\n    expr: ",
        "\n    for: ",
        "severity: ",
        " summary: ",
        " description: ",
    ] {
        assert_eq!(count(key), rules, "{key}");
    }
}
