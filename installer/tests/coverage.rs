//! `docs/coverage.md`: every row once, every test that it names there, every row that is out of
//! scope in `docs/out-of-scope.md`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The parts of the list, and how many rows each has.
const PARTS: [(char, usize); 11] = [
    ('H', 17),
    ('P', 18),
    ('E', 9),
    ('K', 12),
    ('A', 18),
    ('C', 8),
    ('L', 12),
    ('N', 13),
    ('F', 8),
    ('M', 6),
    ('X', 23),
];
const OUT_OF_SCOPE: &str = "out of scope: ";

struct Row {
    id: String,
    here: String,
    tests: Vec<String>,
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap_or_default()
}

fn rows() -> Vec<Row> {
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, id, _, here, tests, _] = cells.as_slice() else {
            return None;
        };
        let numbered = id.len() > 1 && id.ends_with(|c: char| c.is_ascii_digit());
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned);
        numbered.then(|| Row {
            id: (*id).to_owned(),
            here: (*here).to_owned(),
            tests: tests.collect(),
        })
    };
    read("docs/coverage.md").lines().filter_map(row).collect()
}

#[test]
fn every_row_is_there_once() {
    let mut seen = BTreeMap::new();
    for row in rows() {
        *seen.entry(row.id).or_insert(0) += 1;
    }
    for (part, count) in PARTS {
        for number in 1..=count {
            let id = format!("{part}{number}");
            assert_eq!(seen.remove(&id), Some(1), "{id}");
        }
    }
    assert_eq!(seen, BTreeMap::new(), "rows of no part");
}

/// What is done names a test, what is later needs none; and each test that is named is there.
#[test]
fn every_test_is_there() {
    for Row { id, here, tests } in rows() {
        let needs_none =
            here.starts_with("later") || here.starts_with("not needed: it does not");
        assert!(needs_none || !tests.is_empty(), "{id} shows nothing");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap_or_default();
            assert!(
                names(&read(file), name),
                "docs/coverage.md: {id}: no {name} in {file}; name the test that shows it"
            );
        }
    }
}

/// Whether a source has a test of that name: a function that is marked as one, a trial (in
/// whatever group), or one that is put together from the name of a component.
fn names(text: &str, name: &str) -> bool {
    let trial = [",", ";"].map(|end| format!("\"{name}\"{end}"));
    let grouped = format!("::{name}\",");
    let component = name
        .strip_prefix("flags_of_")
        .map(|rest| rest.replace('_', "-"));
    let made = component.is_some_and(|component| {
        text.contains("\"flags_of_{}\"") && text.contains(&format!("\"{component}\""))
    });
    let is_trial = text.contains(&grouped) || trial.iter().any(|one| text.contains(one));
    made || is_trial || is_marked(text, name)
}

/// Whether the attributes right above a function of that name say that it is a test.
fn is_marked(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let function = format!("fn {name}(");
    let heads = (0..lines.len()).filter(|at| lines[*at].contains(&function));
    let mut above = heads.map(|at| {
        let above = lines[..at].iter().rev();
        above.take_while(|line| line.starts_with("#[") || line.starts_with("//"))
    });
    above.any(|mut lines| {
        lines.any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn a_helper_is_no_test() {
    let text = "#[test]\n/// Why.\nfn a() {}\nfn b() {}\nof[\"b\"]\ntrial(\"lab::c\", &[], d);\nfn d() {}\n";
    let found = ["a", "b", "c", "d"].map(|name| names(text, name));
    assert_eq!(found, [true, false, true, false]);
}

#[test]
fn what_is_out_of_scope_has_its_reason() {
    let reasons = read("docs/out-of-scope.md");
    for Row { id, here, .. } in rows() {
        if let Some((_, what)) = here.split_once(OUT_OF_SCOPE) {
            assert!(reasons.contains(&format!("| {what} |")), "{id}: {what}");
        }
    }
}
