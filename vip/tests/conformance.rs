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

/// Every file that is compiled: a root, or a module that the file above it declares.
fn sources(folder: &Path, found: &mut Vec<String>) -> Tested {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with(OWN)
        {
            if !is_compiled(&path) {
                return Err(format!("{} is no module of any file", path.display()).into());
            }
            found.push(fs::read_to_string(path)?);
        }
    }
    Ok(())
}

/// Does a file beside it, or the one that its folder belongs to, declare it?
fn is_compiled(path: &Path) -> bool {
    let stem = |path: &Path| path.file_stem().map(|it| it.display().to_string());
    let (Some(name), Some(folder)) = (stem(path), path.parent()) else {
        return false;
    };
    // Cargo's own: a file in a package's `tests` is a program.
    let package = folder.parent().filter(|_| folder.ends_with("tests"));
    let is_program = package.is_some_and(|it| it.join("Cargo.toml").exists());
    if is_program || ["main", "lib", "build"].contains(&name.as_str()) {
        return true;
    }
    let (name, folder) = match name.as_str() {
        "mod" => (stem(folder).unwrap_or_default(), folder.parent()),
        _file => (name, Some(folder)),
    };
    let Some(folder) = folder else { return false };
    let above = ["main.rs", "lib.rs", "mod.rs"].map(|it| folder.join(it));
    let above = above.into_iter().chain([folder.with_extension("rs")]);
    let beside = fs::read_dir(folder).into_iter().flatten().flatten();
    let wanted = format!("mod {name};");
    above
        .chain(beside.map(|it| it.path()))
        .filter_map(|path| fs::read_to_string(path).ok())
        .any(|text| text.lines().any(|line| line.ends_with(&wanted)))
}

/// Names of functions with the attribute of a test, and of trials: a text in a list, with what
/// runs behind it. A function or a list that nothing uses does not pass `clippy`.
fn tests_of(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_test = false;
    let code: Vec<_> = text.lines().map(str::trim).collect();
    for (at, line) in code.iter().enumerate() {
        let function = line
            .split_once("fn ")
            .and_then(|(_, rest)| rest.split_once('('));
        match function {
            Some((name, _)) if is_test => {
                names.insert(name.to_owned());
            }
            Some(_) | None => {}
        }
        is_test = match line.strip_prefix("#[") {
            Some(rest) => is_test || rest.starts_with("test]") || rest.contains("::test"),
            None => is_test && (line.starts_with("//") || !line.contains("fn ")),
        };
        if !line.starts_with("//") {
            let next = code.get(at + 1).copied().unwrap_or_default();
            names.extend(trials(line, next));
        }
    }
    names
}

/// Texts of a line that something follows in a list, here or on the next.
fn trials(line: &str, next: &str) -> Vec<String> {
    let parts: Vec<_> = line.split('"').collect();
    let quoted = parts.iter().enumerate().skip(1).step_by(2);
    let followed = quoted.filter(|(at, _)| {
        let rest = parts.get(at + 1).copied().unwrap_or_default();
        let more = rest.strip_prefix(',').map(str::trim);
        let here = |more: &str| !more.is_empty() || parts.len() > at + 2;
        more.is_some_and(|more| here(more) || !next.starts_with([')', ']', '"']))
    });
    followed.map(|(_, name)| (*name).to_owned()).collect()
}

/// The tests that carry the number of a case.
fn numbered_tests() -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut texts = Vec::new();
    for folder in ["crates/vrrp", "vip"] {
        sources(&root().join(folder), &mut texts)?;
    }
    let all = texts.iter().flat_map(|text| tests_of(text));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let numbered = all.filter(|name| {
        let (words, cases) = (name.split('_').count(), cases(name).len());
        name.chars().all(plain) && (1..words).contains(&cases)
    });
    Ok(numbered.collect())
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

#[test]
fn a_test_is_what_is_registered_as_one() {
    for (text, expected) in [
        ("#[test]\nfn m1_a() {", &["m1_a"][..]),
        (
            "#[tokio::test(start_paused = true)]\nasync fn m1_a() {",
            &["m1_a"],
        ),
        ("#[test]\n#[ignore]\nfn m1_a() {", &["m1_a"]),
        ("#[test]\nfn m1_a() {\n}\nfn m1_b() {", &["m1_a"]),
        ("fn m1_a() {", &[]),
        ("// #[test]\nfn m1_a() {", &[]),
        ("(\"m1_a\", run),", &["m1_a"]),
        ("(\n\"m1_a\",\nrun,\n),", &["m1_a"]),
        ("(\"m1_a\", \"ours\", Side::Inside),\n]", &["m1_a"]),
        ("// (\"m1_a\", run),", &[]),
        ("let name = \"m1_a\";", &[]),
        ("said.contains(\"m1_a\")", &[]),
    ] {
        let found = tests_of(text);
        let found = found.iter().map(String::as_str);
        let found: Vec<_> = found.filter(|name| name.starts_with('m')).collect();
        assert_eq!(found, expected, "{text}");
    }
}
