//! Every command of the manuals is run by a test, and this says by which.

#[path = "hosts/said.rs"]
mod hosts;
#[path = "machines/said.rs"]
mod machines;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const MANUALS: [&str; 3] = [
    include_str!("../../docs/install.md"),
    include_str!("../../docs/troubleshooting.md"),
    include_str!("../../docs/config/cluster.md"),
];
const README: &str = include_str!("../README.md");
const OURS: [&str; 4] = ["sternpost", "api-lb", "vip-daemon", "bootstrap-signer"];
/// What else begins a command that is set among words.
const OTHERS: [&str; 20] = [
    "cp",
    "curl",
    "etcdctl",
    "ip",
    "iptables",
    "journalctl",
    "kill",
    "kubectl",
    "mkdir",
    "modprobe",
    "mount",
    "mv",
    "nft",
    "restorecon",
    "rm",
    "scp",
    "sha256sum",
    "sysctl",
    "systemctl",
    "umount",
];
/// The section of `sh` blocks that `machines/lost.rs` runs.
const LOST: &str = "## A master that has lost its data";

/// Run by tests that show something else with them, which name them in these words.
const BY: [(&str, &str, &str); 5] = [
    (
        "mv /var/lib/etcd/member /var/lib/etcd/member.before",
        "hosts/turns.rs",
        "mv /var/lib/etcd/member /var/lib/etcd/member.before",
    ),
    (
        "systemctl disable --now etcd.service && mv /var/lib/etcd/member /var/lib/etcd/member.before",
        "hosts/store.rs",
        "systemctl disable --now etcd.service && mv /var/lib/etcd/member /var/lib/etcd/member.before",
    ),
    (
        "etcdctl del --prefix /registry/",
        "machines/adopted.rs",
        "del --prefix /registry/",
    ),
    // `apply` says it to each master, and what was written is there.
    (
        "systemctl reload sternpost-addons",
        "machines/shapes.rs",
        "reload sternpost-addons",
    ),
    (
        "iptables -S OUTPUT",
        "machines/walls.rs",
        "iptables -S OUTPUT",
    ),
];
/// Run by none, and why.
const NOT: [(&str, &str); 2] = [
    (
        "kill N",
        "the system's own: that a run whose agent is killed is gone on from, kills.rs shows",
    ),
    (
        "restorecon -v",
        "no kernel that tests run on has SELinux; what is said where it fails, agent/label.rs shows",
    ),
];

/// Lines at a prompt: `hosts/docs.rs` runs all of them in their order.
fn prompted(manual: &str) -> impl Iterator<Item = &str> {
    manual.lines().filter_map(|line| line.strip_prefix("$ "))
}

/// Lines of blocks that a shell reads.
fn read(manual: &str) -> Vec<&str> {
    let blocks = manual.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).collect()
}

/// Commands that are set among words, whole or where others' words go on.
fn among_words(manual: &str, names: &[&str]) -> BTreeSet<String> {
    let outside = manual.split("```").step_by(2);
    let spans = outside.flat_map(|text| text.split('`').skip(1).step_by(2));
    let spans = spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
    let begins = |span: &String| {
        let first = span.split_once(' ').map(|(first, _)| first);
        first.is_some_and(|first| names.contains(&first))
    };
    spans.filter(begins).collect()
}

fn all_among_words() -> BTreeSet<String> {
    let names = [OURS.as_slice(), &OTHERS].concat();
    let each = MANUALS.iter().map(|manual| among_words(manual, &names));
    each.flatten().collect()
}

/// Those that some test's list has.
fn listed() -> BTreeSet<&'static str> {
    let hosts = hosts::SAID.iter().map(|one| one.command);
    let machines = machines::SAID.iter().map(|one| one.command);
    let others = BY.iter().map(|(command, ..)| *command);
    let not = NOT.iter().map(|(command, _)| *command);
    hosts.chain(machines).chain(others).chain(not).collect()
}

#[test]
fn every_command_of_the_manuals_is_run() {
    let listed = listed();
    let blocks: Vec<_> = MANUALS
        .iter()
        .flat_map(|manual| prompted(manual).chain(read(manual)))
        .collect();
    let run = |command: &str| {
        listed.contains(command) || blocks.iter().any(|line| line.contains(command))
    };
    let odd: Vec<_> = all_among_words()
        .into_iter()
        .filter(|command| !run(command))
        .collect();
    assert_eq!(odd, [""; 0], "in no list of said.rs, and in no block");
    let trouble = MANUALS[1];
    let (_, section) = trouble.split_once(LOST).unwrap();
    let section = read(section.split("\n## ").next().unwrap());
    for manual in MANUALS {
        for line in read(manual) {
            assert!(section.contains(&line), "lost.rs does not run {line}");
        }
    }
    assert_eq!(prompted(MANUALS[2]).count(), 0, "docs.rs does not run it");
}

/// What no manual has any more needs no test.
#[test]
fn no_list_has_a_command_that_no_manual_has() {
    let known = all_among_words();
    for command in listed() {
        assert!(known.contains(command), "{command}");
    }
}

/// A list is worth what is done with it: what is run is the command, and something is expected
/// of it.
#[test]
fn what_is_run_is_what_the_manual_says() {
    let hosts = hosts::SAID.iter();
    let hosts = hosts.map(|one| (one.command, one.run, one.says, "sternpost"));
    let machines = machines::SAID.iter();
    let machines = machines.map(|one| (one.command, one.run, one.says, one.host));
    for (command, run, says, host) in hosts.chain(machines) {
        assert!(!says.is_empty() && !host.is_empty(), "{command}");
        let two: Vec<_> = command.split(' ').take(2).collect();
        let same = run.contains("LINE") || run.contains(&two.join(" "));
        assert!(same, "{command} is run as {run}");
    }
    for (command, file, words) in BY {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests")
            .join(file);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(command.ends_with(words), "{command}");
        assert!(text.contains(words), "{file} has no {words}");
    }
    for (command, why) in NOT {
        assert!(!why.is_empty(), "{command}");
    }
}

/// With --help each of ours is parsed as far as that.
#[test]
fn the_manuals_commands_are_known() {
    let mut seen = BTreeSet::new();
    for manual in MANUALS.into_iter().chain([README]) {
        let at_prompt =
            prompted(manual).filter_map(|line| line.split(['#', '>', '|', '&']).next());
        let at_prompt = at_prompt.map(str::to_owned);
        seen.extend(at_prompt.chain(among_words(manual, &OURS)));
    }
    seen.retain(|line| {
        OURS.iter()
            .any(|name| line.starts_with(&format!("{name} ")))
    });
    for command in &seen {
        let mut words = command.split_whitespace();
        let program = lab::binaries::own(words.next().unwrap()).unwrap();
        let output = Command::new(program)
            .args(words)
            .arg("--help")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}");
    }
    for name in OURS {
        assert!(
            seen.iter().any(|one| one.starts_with(name)),
            "none of {name}"
        );
    }
    assert!(seen.len() > 20, "only {seen:?}");
}
