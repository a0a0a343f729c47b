//! What there is to run, lowest rung first: a list of commands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The rung that builds Kubernetes.
pub(crate) const GO_BUILD: &str = "kubernetes";

/// After this a rung of tests is ended: together they have a budget of 45 minutes.
const TESTS_LIMIT: Duration = Duration::from_secs(40 * 60);

/// A build from cold, beside another on two cores.
const BUILD_LIMIT: Duration = Duration::from_secs(60 * 60);

/// The members whose tests run daemons on hosts of the lab.
const WIRE: [&str; 2] = ["tests", "vip"];

/// One command of the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) counts: Counts,
    /// After this it is ended.
    pub(crate) limit: Duration,
}

/// Where a rung's numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// The rung is one check of its own: its exit.
    Itself,
    /// The `test result:` lines it prints.
    Tests,
}

/// Every rung. Unit tests run unoptimised, with overflow checks; what has deadlines on a
/// real clock runs as the demo does, in the profile `lab`. Each command names the whole
/// workspace, so that all of them share one build of the dependencies.
pub(crate) fn all() -> Vec<Rung> {
    let mut rungs = vec![
        step(GO_BUILD, "make -s kubernetes"),
        step("deps", "make -s deps"),
        step("check", "make -s check"),
        // As the tests are built, which turns on more of the dependencies than the daemons do.
        step(
            "build",
            "cargo test --locked --workspace --profile lab --no-run",
        ),
        step("static", "make -s static PROFILE=lab"),
        tests("unit", "--lib --bins"),
    ];
    let members = members(Path::new("Cargo.toml"));
    let found = members
        .iter()
        .map(|folder| (folder.as_str(), integration_tests(Path::new(folder))));
    rungs.extend(integration(found.collect()));
    rungs
}

/// The rungs of integration tests. Those of the [`WIRE`] members take namespaces and
/// time: each is a rung. All others are one, also where they share a name with those,
/// since cargo chooses a test by its name alone.
fn integration(found: BTreeMap<&str, BTreeSet<String>>) -> Vec<Rung> {
    let (wire, others): (Vec<_>, Vec<_>) =
        found.iter().partition(|(folder, _)| WIRE.contains(folder));
    let together: BTreeSet<&String> =
        others.into_iter().flat_map(|(_, names)| names).collect();
    let arguments = |names: &[&String]| {
        let names: Vec<String> =
            names.iter().map(|name| format!("--test {name}")).collect();
        format!("--profile lab {}", names.join(" "))
    };
    let mut rungs = Vec::new();
    if !together.is_empty() {
        let names: Vec<&String> = together.iter().copied().collect();
        rungs.push(tests("integration", &arguments(&names)));
    }
    for (folder, names) in wire.into_iter().rev() {
        let group = if *folder == "tests" { "lab" } else { folder };
        let own = names.iter().filter(|name| !together.contains(name));
        rungs.extend(
            own.map(|name| tests(&format!("{group}/{name}"), &arguments(&[name]))),
        );
    }
    rungs
}

/// The rungs called by one of the names, or standing below it; all without a name.
pub(crate) fn chosen(mut rungs: Vec<Rung>, wanted: &[String]) -> Vec<Rung> {
    let stands_below = |name: &str, wanted: &String| {
        let rest = name.strip_prefix(wanted.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    rungs.retain(|rung| {
        wanted.is_empty() || wanted.iter().any(|wanted| stands_below(&rung.name, wanted))
    });
    rungs
}

fn step(name: &str, command: &str) -> Rung {
    let command = command.split(' ').map(str::to_owned).collect();
    Rung {
        name: name.to_owned(),
        command,
        counts: Counts::Itself,
        limit: BUILD_LIMIT,
    }
}

fn tests(name: &str, arguments: &str) -> Rung {
    let command = format!("cargo test --locked --no-fail-fast --workspace {arguments}");
    Rung {
        counts: Counts::Tests,
        limit: TESTS_LIMIT,
        ..step(name, &command)
    }
}

/// The folders of the workspace's members.
fn members(manifest: &Path) -> Vec<String> {
    let manifest = fs::read_to_string(manifest).unwrap_or_default();
    let list = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'));
    let folders = list
        .map_or("", |(list, _)| list)
        .split('"')
        .skip(1)
        .step_by(2);
    folders.map(str::to_owned).collect()
}

/// The integration tests of a member, found as cargo finds them.
fn integration_tests(member: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(member.join("tests"))
        .into_iter()
        .flatten()
        .flatten();
    let names = entries.filter_map(|entry| {
        let path = entry.path();
        let is_file = path.extension().is_some_and(|end| end == "rs");
        let is_test = is_file || path.join("main.rs").is_file();
        path.file_stem()
            .filter(|_| is_test)?
            .to_str()
            .map(str::to_owned)
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<Rung> {
        names.iter().map(|name| step(name, "true")).collect()
    }

    #[test]
    fn a_name_chooses_its_rung_and_those_below_it() {
        let rungs = named(&["build", "lab/scenarios", "lab/interop", "labour"]);
        for (wanted, left) in [
            (
                vec![],
                vec!["build", "lab/scenarios", "lab/interop", "labour"],
            ),
            (vec!["lab"], vec!["lab/scenarios", "lab/interop"]),
            (vec!["lab/interop", "build"], vec!["build", "lab/interop"]),
            (vec!["la"], vec![]),
        ] {
            let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
            assert_eq!(chosen(rungs.clone(), &wanted), named(&left), "{wanted:?}");
        }
    }

    #[test]
    fn every_integration_test_has_one_rung() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let found = BTreeMap::from([
            ("lb", names(&["config", "engine"])),
            ("tests", names(&["scenarios"])),
            ("vip", names(&["config", "interop"])),
        ]);
        let rungs = integration(found);
        let named: Vec<_> = rungs.iter().map(|rung| rung.name.as_str()).collect();
        assert_eq!(named, ["integration", "vip/interop", "lab/scenarios"]);
        let command = rungs[0].command.join(" ");
        assert!(
            command.ends_with("--workspace --profile lab --test config --test engine")
        );
    }

    #[test]
    fn the_members_and_their_tests_are_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let members = members(&root.join("Cargo.toml"));
        for member in WIRE.iter().chain(&["crates/vrrp"]) {
            assert!(members.iter().any(|found| found == member), "{members:?}");
        }
        let tests = integration_tests(&root.join("tests"));
        assert!(
            tests.contains("scenarios") && !tests.contains("data"),
            "{tests:?}"
        );
    }
}
