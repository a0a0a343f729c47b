//! Counts what a rung prints: libtest's and libtest-mimic's lines, and the `SKIPPED`
//! lines of tests and scripts.
//!
//! ```text
//! test a ... ok                 a verdict, unless the test itself has printed in between
//! failures:
//! ---- b stdout ----            what b said (libtest-mimic: `---- b ----`)
//! failures:
//!     b                         all that failed
//! test result: FAILED. …        the numbers
//! ```

use std::collections::BTreeSet;

use crate::excerpt::Excerpt;
use crate::ladder::Counts;
use crate::run::Ending;

/// What came of one rung.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Each failed test, and why a rung failed as a whole.
    pub(crate) failures: Vec<Failure>,
    /// Each skipped test with its reason.
    pub(crate) skips: Vec<String>,
    results: usize,
    /// Skips the machine had to offer what they miss: failures.
    refused: usize,
    place: Place,
    /// All that was printed.
    printed: Excerpt,
}

/// Something that failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The test's name, or why the rung failed.
    pub(crate) name: String,
    /// What was said about it.
    pub(crate) said: Excerpt,
}

/// Where in the output of a test binary the next line stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Among the tests.
    #[default]
    Tests,
    /// Behind a `failures:`.
    Failures,
    /// In what the failed test of that name said.
    Said(String),
}

impl Tally {
    /// Takes in one line of output.
    pub(crate) fn read(&mut self, line: &str, demanded: &BTreeSet<String>) {
        self.printed.push(line);
        if self.of_failures(line) {
            return;
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.place = Place::Tests;
            self.results += 1;
            self.passed += count(result, "passed");
            self.failed += count(result, "failed");
            self.skipped += count(result, "ignored");
        } else if let Some(skip) = line.strip_prefix("SKIPPED ") {
            self.skip(skip, demanded);
        } else if let Some((name, outcome)) = test_line(line) {
            self.test(name, outcome);
        }
    }

    /// Takes in how the rung ended.
    pub(crate) fn close(&mut self, counts: Counts, ending: &Ending) {
        let problem = match ending {
            Ending::NotStarted(error) => Some(format!("did not start: {error}")),
            Ending::TimedOut => Some("was ended: it took too long".to_owned()),
            Ending::Exited(status) if !status.success() => {
                Some(format!("ended with {status}"))
            }
            Ending::Exited(_) => None,
        };
        match counts {
            Counts::Tests => {
                self.skipped = self.skipped.saturating_sub(self.refused);
                let silent = self.results == 0;
                self.fail(problem.filter(|_| {
                    self.failed == 0 || !matches!(ending, Ending::Exited(_))
                }));
                self.fail((silent && self.failed == 0).then(|| "ran no test".to_owned()));
            }
            Counts::Itself => {
                self.skipped = self.skips.len();
                let clean = problem.is_none() && self.skips.is_empty();
                self.fail(problem);
                self.passed = usize::from(clean && self.refused == 0);
            }
        }
        self.failed += self.refused;
    }

    /// Takes in a line of the part that tells of failures; false when it stands elsewhere.
    fn of_failures(&mut self, line: &str) -> bool {
        if line == "failures:" {
            self.place = Place::Failures;
            return true;
        }
        if line.starts_with("test result: ") || self.place == Place::Tests {
            return false;
        }
        if let Some(name) = heading(line) {
            self.failure(name);
            self.place = Place::Said(name.to_owned());
            return true;
        }
        match self.place.clone() {
            Place::Tests => return false,
            Place::Failures => {
                if let Some(name) = line.strip_prefix("    ") {
                    self.failure(name);
                }
            }
            Place::Said(name) => self.said(&name, line),
        }
        true
    }

    /// A failed test is listed once, however often it is named.
    fn failure(&mut self, name: &str) {
        if !self.failures.iter().any(|one| one.name == name) {
            self.failures.push(Failure {
                name: name.to_owned(),
                said: Excerpt::default(),
            });
        }
    }

    fn said(&mut self, name: &str, line: &str) {
        let mut failures = self.failures.iter_mut();
        if let Some(failure) = failures.find(|one| one.name == name) {
            failure.said.push(line);
        }
    }

    /// The rung as a whole has failed; what it printed last may say why.
    fn fail(&mut self, problem: Option<String>) {
        let Some(name) = problem else { return };
        self.failed += 1;
        let said = self.printed.clone();
        self.failures.push(Failure { name, said });
    }

    fn skip(&mut self, skip: &str, demanded: &BTreeSet<String>) {
        let needs = skip
            .split_once("(needs: ")
            .and_then(|(_, rest)| rest.split_once(')'));
        if needs.is_some_and(|(needs, _)| demanded.contains(needs)) {
            self.refused += 1;
            self.failure(&format!("{skip} (STERNPOST_REQUIRE demands it)"));
        } else {
            self.skips.push(skip.to_owned());
        }
    }

    fn test(&mut self, name: &str, outcome: &str) {
        let is_listed = || {
            self.skips
                .iter()
                .any(|skip| skip.split(' ').next() == Some(name))
        };
        if outcome == "FAILED" {
            self.failure(name);
        } else if let Some(reason) = outcome.strip_prefix("ignored, ") {
            self.skips.push(format!("{name}: {reason}"));
        } else if outcome == "ignored" && !is_listed() {
            self.skips.push(format!("{name}: it gives no reason"));
        }
    }
}

/// `test NAME ... OUTCOME`, with libtest-mimic's padding behind the name.
fn test_line(line: &str) -> Option<(&str, &str)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.trim(), outcome))
}

/// `---- NAME ----`, or `---- NAME stdout ----` where the output was kept from the terminal.
fn heading(line: &str) -> Option<&str> {
    let name = line.strip_prefix("---- ")?.strip_suffix(" ----")?;
    Some(name.strip_suffix(" stdout").unwrap_or(name))
}

/// The number before `word` in `ok. 12 passed; 0 failed; 1 ignored; …`.
fn count(result: &str, word: &str) -> usize {
    let part = result
        .split([';', '.'])
        .find_map(|part| part.trim().strip_suffix(word));
    part.and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    const RESULT: &str = "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.05s";
    const SKIP: &str = "SKIPPED v2 (needs: peers): no keepalived in bin; run `make deps`";

    fn tally(counts: Counts, lines: &[&str], demanded: &str, ending: Ending) -> Tally {
        let demanded = BTreeSet::from([demanded.to_owned()]);
        let mut tally = Tally::default();
        for line in lines {
            tally.read(line, &demanded);
        }
        tally.close(counts, &ending);
        tally
    }

    fn exit(code: i32) -> Ending {
        Ending::Exited(ExitStatus::from_raw(code << 8))
    }

    fn numbers(tally: &Tally) -> (usize, usize, usize) {
        (tally.passed, tally.failed, tally.skipped)
    }

    fn names(tally: &Tally) -> Vec<&str> {
        tally.failures.iter().map(|one| &*one.name).collect()
    }

    #[test]
    fn results_of_several_binaries_add_up() {
        let lines = ["test a ... ok", RESULT, "test b    ... FAILED", RESULT];
        let tally = tally(Counts::Tests, &lines, "", exit(101));
        assert_eq!(numbers(&tally), (24, 2, 4));
        assert_eq!(names(&tally), ["b"]);
    }

    #[test]
    fn a_failed_test_is_named_with_what_it_said() {
        let lines = [
            "test quiet ... FAILED",
            "test loud ... test b ... ok",
            "what it prints",
            "FAILED",
            "",
            "failures:",
            "",
            "---- quiet stdout ----",
            "thread 'quiet' panicked at a.rs:1:",
            "    indented",
            "",
            "---- loud ----",
            "8 > 7",
            "",
            "failures:",
            "    quiet",
            "    loud",
            "    silent",
            "",
            RESULT,
            "    no name",
        ];
        let tally = tally(Counts::Tests, &lines, "", exit(101));
        assert_eq!(names(&tally), ["quiet", "loud", "silent"]);
        let said = tally.failures.iter().map(|one| one.said.lines(9));
        let wanted = [
            vec!["thread 'quiet' panicked at a.rs:1:", "    indented"],
            vec!["8 > 7"],
            vec![],
        ];
        assert!(said.eq(wanted), "{:?}", tally.failures);
    }

    #[test]
    fn what_a_failed_rung_printed_last_is_kept() {
        let lines = ["compiling", "error: no such crate"];
        let tally = tally(Counts::Itself, &lines, "", exit(2));
        assert_eq!(tally.failures[0].said.lines(9), lines);
    }

    #[test]
    fn a_rung_of_tests_fails_also_without_a_failed_test() {
        let ok = RESULT.replace("1 failed", "0 failed");
        for (lines, ending, failures) in [
            (vec![ok.as_str()], exit(0), vec![]),
            (
                vec![ok.as_str()],
                exit(101),
                vec!["ended with exit status: 101"],
            ),
            (vec![], exit(0), vec!["ran no test"]),
            (vec![], exit(101), vec!["ended with exit status: 101"]),
            (
                vec![RESULT],
                Ending::TimedOut,
                vec!["was ended: it took too long"],
            ),
        ] {
            let tally = tally(Counts::Tests, &lines, "", ending);
            assert_eq!(names(&tally), failures);
        }
    }

    #[test]
    fn a_rung_by_itself_counts_as_one() {
        let lost = Ending::NotStarted(io::ErrorKind::NotFound.into());
        for (lines, demanded, ending, expected) in [
            (vec![], "", exit(0), (1, 0, 0)),
            (vec![], "", exit(2), (0, 1, 0)),
            (vec![], "", lost, (0, 1, 0)),
            (vec![SKIP], "", exit(0), (0, 0, 1)),
            (vec![SKIP], "peers", exit(0), (0, 1, 0)),
        ] {
            let tally = tally(Counts::Itself, &lines, demanded, ending);
            assert_eq!(numbers(&tally), expected, "{lines:?} {demanded}");
        }
    }

    #[test]
    fn a_skip_is_listed_once_with_its_reason() {
        let lines = [
            SKIP,
            "test v2 ... ignored",
            "test slow ... ignored, takes an hour",
            "test bare ... ignored",
            "test result: ok. 1 passed; 0 failed; 3 ignored; 0 measured",
        ];
        let tally = tally(Counts::Tests, &lines, "", exit(0));
        assert_eq!(numbers(&tally), (1, 0, 3));
        assert_eq!(tally.skips[0], SKIP.trim_start_matches("SKIPPED "));
        assert_eq!(
            tally.skips[1..],
            ["slow: takes an hour", "bare: it gives no reason"]
        );
    }

    #[test]
    fn a_demanded_skip_is_a_failure() {
        let lines = [
            SKIP,
            "test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured",
        ];
        let tally = tally(Counts::Tests, &lines, "peers", exit(0));
        assert_eq!(numbers(&tally), (1, 1, 0));
        assert!(
            tally.failures[0].name.starts_with("v2 (needs: peers)"),
            "{:?}",
            tally.failures
        );
    }
}
