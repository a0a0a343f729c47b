//! The JSON schema of a description: the one that is shipped, the manual's keys both ways, and
//! what it takes and refuses.
//!
//! `STERNPOST_BLESS=1 cargo test -p sternpost --test schema` writes the shipped one anew.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests"
)]

#[path = "schema/validator.rs"]
mod validator;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::{Value, json};

use validator::{Schema, Shape};

const SPECS: [&str; 5] = ["whole", "dual", "external", "six", "leases"];

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(here().join(path)).unwrap()
}

fn manual() -> String {
    read("../docs/config/cluster.md")
}

fn printed() -> Schema {
    let output = Command::new(env!("CARGO_BIN_EXE_sternpost"))
        .arg("schema")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    Schema(serde_json::from_slice(&output.stdout).unwrap())
}

/// Every description there is: the tests' own, and the manual's examples.
fn descriptions() -> Vec<Value> {
    let files = SPECS.map(|name| read(format!("tests/spec/{name}.yaml")));
    let manual = manual();
    let blocks = manual.split("```yaml\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap().to_owned());
    let all: Vec<_> = files
        .into_iter()
        .chain(blocks)
        .map(|text| serde_saphyr::from_str(&text).unwrap())
        .collect();
    assert!(all.len() > SPECS.len() + 2, "the manual has examples");
    all
}

#[test]
fn the_shipped_schema_is_the_printed_one() {
    let path = here().join("../docs/config/cluster.schema.json");
    let Schema(printed) = printed();
    if env::var_os("STERNPOST_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&printed).unwrap();
        fs::write(&path, text + "\n").unwrap();
    }
    let shipped: Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(shipped, printed, "see the head of this file");
}

/// The first column of the manual's table, with `.user` behind `hosts[].ssh.host` spelt out, and
/// the second.
fn rows() -> Vec<(BTreeSet<String>, String)> {
    let manual = manual();
    let table = manual.split("\n## Keys\n").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split(" | ").collect();
        let mut parent = "";
        let keys = quoted(cells[0])
            .into_iter()
            .map(|key| match key.strip_prefix('.') {
                Some(last) => format!("{parent}.{last}"),
                None => {
                    parent = key.rsplit_once('.').map_or("", |(parent, _)| parent);
                    key.to_owned()
                }
            });
        (keys.collect(), cells[1].to_owned())
    })
    .collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_manual_has_each_key_and_no_other() {
    let written: BTreeSet<_> = rows().into_iter().flat_map(|(keys, _)| keys).collect();
    let mut known: BTreeSet<_> = printed().leaves().into_keys().collect();
    for key in ["apiVersion", "kind"] {
        assert!(known.remove(key), "{key}");
    }
    assert_eq!(written, known);
}

#[test]
fn the_manual_has_each_value_of_those_that_are_counted() {
    let leaves = printed().leaves();
    let mut seen = 0;
    for (keys, values) in rows() {
        for key in keys {
            let Some(Shape::OneOf(known)) = leaves.get(&key) else {
                continue;
            };
            let written: BTreeSet<_> =
                quoted(&values).into_iter().map(str::to_owned).collect();
            assert_eq!(&written, known, "{key}");
            seen += 1;
        }
    }
    let counted = |shape: &&Shape| matches!(shape, Shape::OneOf(_));
    // Without apiVersion and kind, which the table leaves to the examples.
    assert_eq!(seen, leaves.values().filter(counted).count() - 2);
}

#[test]
fn every_description_is_taken() {
    let schema = printed();
    for description in descriptions() {
        assert_eq!(schema.judge(&description), Ok(()), "{description:#}");
    }
}

/// At every object that a description has, a key that is none of it is refused where the keys
/// are ours to name, and taken where they are the operator's.
#[test]
fn an_unknown_key_is_refused_wherever_it_is() {
    let schema = printed();
    let (mut refused, mut maps) = (0, BTreeSet::new());
    for description in descriptions() {
        for place in objects(&description, "") {
            let mut odd = description.clone();
            let object = odd.pointer_mut(&place).expect("an object");
            let sample = object.as_object().and_then(|all| all.values().next());
            let value = sample.cloned().unwrap_or_else(|| json!("odd"));
            object["unheardOf"] = value;
            match schema.judge(&odd) {
                Err(_) => refused += 1,
                Ok(()) => {
                    let names = place.split('/').filter(|key| !key.is_empty());
                    let named = names.filter(|key| key.parse::<usize>().is_err());
                    maps.insert(named.take(2).collect::<Vec<_>>().join("."));
                }
            }
        }
    }
    assert!(refused > 20, "{refused}");
    let of_operators = [
        "flags",
        "hosts.labels",
        "binaries.sources",
        "runtime.mirrors",
    ];
    for place in maps {
        let is = |map: &&str| place.starts_with(*map);
        assert!(of_operators.iter().any(is), "{place} is open");
    }
}

fn objects(value: &Value, at: &str) -> Vec<String> {
    let below = |(key, value): (String, &Value)| objects(value, &format!("{at}/{key}"));
    match value {
        Value::Object(all) => {
            let inner = all.iter().map(|(key, value)| (key.clone(), value));
            std::iter::once(at.to_owned())
                .chain(inner.flat_map(below))
                .collect()
        }
        Value::Array(all) => {
            let inner = all.iter().enumerate();
            inner
                .map(|(n, value)| (n.to_string(), value))
                .flat_map(below)
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

#[test]
fn a_value_of_another_kind_is_refused() {
    let schema = printed();
    let good = descriptions().swap_remove(0);
    for (place, value) in [
        ("/apiVersion", json!("sternpost/v2")),
        ("/kind", json!("ApiLb")),
        ("/kubernetes/version", json!(1.36)),
        ("/hosts/0/roles/0", json!("master")),
        ("/hosts/0/addresses", json!("192.168.220.100")),
        ("/endpoint/addresses", json!({})),
    ] {
        let mut odd = good.clone();
        *odd.pointer_mut(place).expect(place) = value;
        assert!(schema.judge(&odd).is_err(), "{place}");
    }
    for key in ["apiVersion", "kind", "kubernetes", "hosts"] {
        let mut less = good.clone();
        less.as_object_mut().unwrap().remove(key);
        assert!(schema.judge(&less).is_err(), "without {key}");
    }
}
