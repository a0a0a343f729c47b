//! `docs/conformance.md` names the tests of every case: those tests exist, and no test that
//! carries a case's number is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Tested = Result<(), Box<dyn Error>>;

/// Groups of cases and how many there are of each.
const CASES: [(char, u8); 7] = [
    ('C', 16),
    ('T', 11),
    ('M', 13),
    ('K', 7),
    ('N', 5),
    ('I', 5),
    ('W', 12),
];

/// This file, whose names are examples.
const OWN: &str = "vip/tests/conformance.rs";

/// How a row says that there is no test, and why.
const ABSENT: &str = "absent: ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The table's rows: a case, and what stands in its last column.
fn rows(page: &str) -> BTreeMap<String, String> {
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [case, _, tests] = cells.as_slice() else {
            return None;
        };
        is_case(case).then(|| ((*case).to_owned(), (*tests).to_owned()))
    });
    rows.collect()
}

/// A letter of a group and a number.
fn is_case(word: &str) -> bool {
    let mut letters = word.chars();
    let group = letters.next().map(|letter| letter.to_ascii_uppercase());
    let number = letters.as_str().parse::<u8>().is_ok();
    number && CASES.iter().any(|(letter, _)| Some(*letter) == group)
}

/// The cases that a test's name begins with.
fn cases(name: &str) -> Vec<String> {
    let words = name.split('_').take_while(|word| is_case(word));
    words.map(str::to_uppercase).collect()
}

fn sources(folder: &Path, found: &mut Vec<String>) -> Tested {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with(OWN)
        {
            found.push(fs::read_to_string(path)?);
        }
    }
    Ok(())
}

/// Names of functions, and of tests that are given as text.
fn numbered_tests() -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut texts = Vec::new();
    for folder in ["crates/vrrp", "vip"] {
        sources(&root().join(folder), &mut texts)?;
    }
    let mut names = BTreeSet::new();
    for text in texts {
        let functions = text
            .split("fn ")
            .skip(1)
            .filter_map(|rest| rest.split_once('('));
        let quoted = text.split('"').map(|name| (name, ""));
        for (name, _) in functions.chain(quoted) {
            let plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let (words, cases) = (name.split('_').count(), cases(name).len());
            if name.chars().all(plain) && (1..words).contains(&cases) {
                names.insert(name.to_owned());
            }
        }
    }
    Ok(names)
}

#[test]
fn every_case_has_its_tests_and_every_numbered_test_its_case() -> Tested {
    let rows = rows(&fs::read_to_string(root().join("docs/conformance.md"))?);
    let tests = numbered_tests()?;
    let mut named = BTreeSet::new();
    for (letter, count) in CASES {
        for number in 1..=count {
            let case = format!("{letter}{number}");
            let row = rows
                .get(&case)
                .ok_or_else(|| format!("{case} has no row"))?;
            let listed: Vec<_> = row.split('`').skip(1).step_by(2).collect();
            let absent = row.strip_prefix(ABSENT).is_some_and(|why| !why.is_empty());
            assert_ne!(
                absent,
                !listed.is_empty(),
                "{case}: tests, or why there are none"
            );
            for test in listed {
                assert!(tests.contains(test), "{case}: there is no test {test}");
                assert!(
                    cases(test).contains(&case),
                    "{test} is not called after {case}"
                );
                named.insert((case.clone(), test.to_owned()));
            }
        }
    }
    for test in &tests {
        for case in cases(test) {
            let known = named.contains(&(case.clone(), test.clone()));
            assert!(known, "{test} is missing from the row of {case}");
        }
    }
    Ok(())
}

#[test]
fn names_are_taken_apart() {
    assert_eq!(cases("t1_t2_t3_skew"), ["T1", "T2", "T3"]);
    assert_eq!(cases("w10_groups_m1_not_at_the_front"), ["W10"]);
    assert!(cases("a1_is_no_group").is_empty());
}
