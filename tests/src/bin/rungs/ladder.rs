//! What there is to run, lowest rung first: a list of commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The rung that builds Kubernetes.
pub(crate) const GO_BUILD: &str = "kubernetes";

/// One command of the ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) counts: Counts,
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
/// real clock runs as the demo does, in the profile `lab`.
pub(crate) fn all() -> Vec<Rung> {
    let mut rungs = vec![
        step(GO_BUILD, "make -s kubernetes"),
        step("deps", "make -s deps"),
        step("check", "make -s check"),
        step("build", "make -s build"),
        tests("unit", "--workspace --lib --bins"),
    ];
    for (folder, package) in members(Path::new("Cargo.toml")) {
        let group = if package == "lab" {
            "lab"
        } else {
            folder.as_str()
        };
        rungs.extend(integration_tests(Path::new(&folder)).iter().map(|test| {
            let arguments = format!("--profile lab -p {package} --test {test}");
            tests(&format!("{group}/{test}"), &arguments)
        }));
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
    }
}

fn tests(name: &str, arguments: &str) -> Rung {
    let command = format!("cargo test --locked --no-fail-fast {arguments}");
    Rung {
        counts: Counts::Tests,
        ..step(name, &command)
    }
}

/// The workspace's members, as folder and package name; the lab last, being the highest.
fn members(manifest: &Path) -> Vec<(String, String)> {
    let manifest = fs::read_to_string(manifest).unwrap_or_default();
    let list = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'));
    let folders = list
        .map_or("", |(list, _)| list)
        .split('"')
        .skip(1)
        .step_by(2);
    let named = folders.filter_map(|folder| {
        let manifest = fs::read_to_string(Path::new(folder).join("Cargo.toml")).ok()?;
        let name = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = \""))?;
        Some((folder.to_owned(), name.trim_end_matches('"').to_owned()))
    });
    let mut members: Vec<_> = named.collect();
    members.sort_by_key(|(_, package)| package == "lab");
    members
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
    fn every_member_of_the_workspace_is_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("members = ["));
        let tests = integration_tests(&root.join("tests"));
        assert!(tests.contains("scenarios"), "{tests:?}");
    }
}
