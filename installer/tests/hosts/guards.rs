//! What is found out when all hosts are planned, before the first is begun: a node that nobody would
//! let in, and versions that do not go with each other.

use std::fs;

use super::hosts::{HOSTS, Hosts};
use super::safe;
use super::{Tried, holds};

const N1: &str = "192.0.2.21";
const MASTERS: [&str; 3] = ["--host=m1", "--host=m2", "--host=m3"];

fn not_begun(hosts: &Hosts, words: &[&str], host: &str, why: &str) -> Tried {
    let said = hosts.run(words)?.ended(1)?;
    holds(&said, &format!("{host}: FAILED: not begun: {why}"))?;
    let log = hosts.log()?;
    match log.iter().find(|line| line.contains("start ")) {
        None => Ok(()),
        Some(line) => Err(format!("{line}, although\n{said}").into()),
    }
}

/// It is the first thing that somebody types who has described a node.
pub(super) fn newcomer() -> Tried {
    let hosts = Hosts::new()?;
    let line = "- {name: n1, addresses: [\"192.0.2.21\"], roles: [node]}\n";
    hosts.replace(&[(line, "")])?;
    hosts.run(&["apply"])?.ended(0)?;
    hosts.replace(&[("hosts:\n", &format!("hosts:\n{line}"))])?;
    let alone = ["apply", "--host", "n1"];
    let why = "a new node is let in by what m1, m2, m3 would be given, and is left out: leave \
               --host out, or add --host m1 --host m2 --host m3";
    not_begun(&hosts, &alone, "n1", why)?;
    if hosts.root(N1).join("etc/kubernetes").exists() {
        return Err("n1 was begun".into());
    }
    // Masters that have it already are enough.
    hosts.run(&[&["apply"], &MASTERS[..1]].concat())?.ended(0)?;
    hosts.log()?;
    not_begun(
        &hosts,
        &alone,
        "n1",
        "a new node is let in by what m2, m3 would be given",
    )?;
    hosts.run(&[&["apply"], &MASTERS[..]].concat())?.ended(0)?;
    hosts.run(&alone)?.ended(0)?;
    // One that has joined needs nobody.
    hosts.run(&["apply"])?.ended(0)?;
    hosts.run(&alone)?.ended(0).map(drop)
}

/// Describes a version, and gives programs of one.
fn versions(hosts: &Hosts, described: [&str; 2], given: &str) -> Tried {
    let line = |version| format!("kubernetes: {{version: {version}}}");
    let [from, to] = described.map(line);
    hosts.replace(&[(&from, &to)])?;
    for name in ["kube-apiserver", "kubelet"] {
        let script = format!("#!/bin/sh\n# {name}\necho Kubernetes v{given}\n");
        hosts.give(name, &script)?;
    }
    Ok(())
}

/// API servers go one minor version at a time, kubelets after all of them, and nothing goes back.
pub(super) fn skewed() -> Tried {
    let hosts = Hosts::new()?;
    versions(&hosts, ["1.36.0", "1.34.1"], "1.34.1")?;
    hosts.run(&["apply"])?.ended(0)?;
    versions(&hosts, ["1.34.1", "1.36.1"], "1.34.1")?;
    let why = "the kubelet that is given is 1.34.1, and kubernetes.version is 1.36.1";
    not_begun(&hosts, &["apply"], "n1", why)?;
    versions(&hosts, ["1.36.1", "1.36.1"], "1.36.1")?;
    // What is not what its list says is not run.
    let desk = hosts.desk();
    fs::write(desk.join("binaries/kubelet"), "#!/bin/sh\n: >ran\n")?;
    hosts.run(&["plan"])?.ended(1)?;
    if desk.join("ran").exists() {
        return Err("another's kubelet was run".into());
    }
    versions(&hosts, ["1.36.1", "1.36.1"], "1.36.1")?;
    let why = "the API server of m2 has 1.34.1, and kubernetes.version is 1.36.1: one minor version at \
               a time, on all masters; write a 1.35, apply";
    not_begun(&hosts, &["apply"], "m2", why)?;
    let why = "its kubelet would be newer than the API server of m1";
    not_begun(&hosts, &["apply"], "n1", why)?;
    versions(&hosts, ["1.36.1", "1.35.0"], "1.35.0")?;
    let why = "its kubelet would be newer than the API server of m1, which has 1.34.1";
    not_begun(&hosts, &["apply", "--host", "n1"], "n1", why)?;
    // Nobody is left behind without a word: it would be two behind after the next.
    hosts.down(&[safe::MASTERS[2]])?;
    let why = "the API server of m3 may have 1.34.1 or less, and does not answer";
    not_begun(&hosts, &["apply"], "m1", why)?;
    hosts.down(&[])?;
    hosts.run(&["apply"])?.ended(0)?;
    after_all_masters(&hosts, "restart kubelet.service")?;
    versions(&hosts, ["1.35.0", "1.34.1"], "1.34.1")?;
    for host in ["m3", "n1"] {
        let why = "it has 1.35.0, and kubernetes.version is 1.34.1: no minor version is taken back";
        not_begun(&hosts, &["apply"], host, why)?;
    }
    Ok(())
}

/// Something of the node comes after the API server of the last master.
fn after_all_masters(hosts: &Hosts, what: &str) -> Tried {
    let log = hosts.log()?;
    let at = |line: &str| log.iter().position(|one| one == line);
    let kubelet = at(&format!("{N1} {what}"));
    for (_, master) in HOSTS.iter().take(3) {
        let server = at(&format!("{master} up kube-apiserver.service"));
        if server.is_none() || kubelet.is_none() || server > kubelet {
            return Err(format!("n1 before {master} in\n{}", log.join("\n")).into());
        }
    }
    Ok(())
}

/// A host that comes with an upgrade is held to the versions that run, as a master and as a node.
pub(super) fn new_beside_an_upgrade() -> Tried {
    let hosts = Hosts::new()?;
    let as_a =
        |role: &str| format!("- {{name: n1, addresses: [\"{N1}\"], roles: [{role}]}}\n");
    let (master, node) = (as_a("controlPlane"), as_a("node"));
    hosts.replace(&[(&node, "")])?;
    versions(&hosts, ["1.36.0", "1.33.1"], "1.33.1")?;
    hosts.run(&["apply"])?.ended(0)?;
    versions(&hosts, ["1.33.1", "1.35.1"], "1.35.1")?;
    hosts.replace(&[("hosts:\n", &format!("hosts:\n{master}"))])?;
    hosts.log()?;
    let why =
        "the API server of m1 has 1.33.1, and kubernetes.version is 1.35.1: one minor";
    for words in [&["apply", "--host", "n1"][..], &["apply"]] {
        not_begun(&hosts, words, "n1", why)?;
    }
    hosts.replace(&[(&master, &node)])?;
    let why = "its kubelet would be newer than the API server of m1, which has 1.33.1";
    not_begun(&hosts, &["apply"], "n1", why)?;
    versions(&hosts, ["1.35.1", "1.34.1"], "1.34.1")?;
    hosts.run(&["apply"])?.ended(0)?;
    after_all_masters(&hosts, "start kubelet.service")
}

/// Programs by the names of ours, which stand where ours will.
pub(super) fn others() -> Tried {
    let hosts = Hosts::new()?;
    let hosts_with = [
        (safe::MASTERS[0], "kube-apiserver", "1.30.0"),
        (N1, "kubelet", "1.40.0"),
    ];
    for (host, name, version) in hosts_with {
        let program = hosts.root(host).join("usr/local/bin").join(name);
        let script = format!("#!/bin/sh\n: >/run/ran\necho Kubernetes v{version}\n");
        hosts.script(&program, &script)?;
    }
    versions(&hosts, ["1.36.0", "1.36.1"], "1.36.1")?;
    hosts.run(&["plan"])?.ended(3)?;
    hosts.run(&["apply"])?.ended(0)?;
    match hosts_with
        .iter()
        .find(|(host, ..)| hosts.root(host).join("run/ran").exists())
    {
        Some((host, name, _)) => Err(format!("{name} of {host} was run").into()),
        None => Ok(()),
    }
}

/// What was brought and never started holds nobody to its version.
pub(super) fn half_laid() -> Tried {
    let hosts = Hosts::new()?;
    let units = safe::MASTERS
        .map(|host| hosts.root(host))
        .map(|root| root.join("etc/systemd/system/kube-apiserver.service"));
    for unit in &units {
        fs::create_dir_all(unit.join("in-the-way"))?;
    }
    versions(&hosts, ["1.36.0", "1.36.1"], "1.36.1")?;
    let said = hosts.run(&[&["apply"], &MASTERS[..]].concat())?.ended(1)?;
    for (unit, host) in units.iter().zip(safe::MASTERS) {
        let server = hosts.root(host).join("usr/local/bin/kube-apiserver");
        if server.symlink_metadata().is_err() {
            return Err(format!("{host} is not half laid:\n{said}").into());
        }
        fs::remove_dir_all(unit)?;
    }
    versions(&hosts, ["1.36.1", "1.34.1"], "1.34.1")?;
    hosts.run(&["apply"])?.ended(0)?;
    // Once it has run it counts.
    versions(&hosts, ["1.34.1", "1.33.1"], "1.33.1")?;
    let why =
        "it has 1.34.1, and kubernetes.version is 1.33.1: no minor version is taken back";
    not_begun(&hosts, &["apply"], "m1", why)
}
