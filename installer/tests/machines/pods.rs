//! A cluster with nodes, asked by Pods on them: all is well, a wire is cut, the operator stops,
//! what holds the address dies, a host is gone; and in the end nothing is left of it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use lab::host::Host;
use lab::rig::{self, Box, Rig, Run};
use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::checks::{self, holds};
use super::secrets::Secrets;
use super::{leave, node};

/// Two of each: an address that can move, and Pods that are on different nodes.
const BOXES: [Box; 4] = [
    Box::new("m1", 11, "etcd, controlPlane"),
    Box::new("m2", 12, "controlPlane"),
    Box::new("n1", 21, "node"),
    Box::new("n2", 22, "node"),
];
const NODES: [&str; 2] = ["n1", "n2"];
/// Where clients find the API, where masters hand an address on.
pub(crate) const THROUGH: &str = "10.79.0.100:6443";
/// Stands where no collection may take it from.
const PLANTED: &str = "Hunter2Hunter2";

#[expect(
    clippy::print_stdout,
    reason = "how long it took belongs to the result"
)]
pub(crate) fn asked() -> Result<(), Failed> {
    let mut rig = Rig::boot("installer-pods", &BOXES)?;
    rig.programs()?;
    rig.describe(&BOXES, &rig::settings()?)?;
    let before = leave::standing(&rig)?;
    rig.apply(&[])?.ended(0)?;
    let run = whole(&rig, &NODES, THROUGH)?;
    println!("verify with {} nodes: {:.1?}", NODES.len(), run.took);
    stopped(&rig)?;
    cut(&rig)?;
    drilled(&rig)?;
    collected(&mut rig)?;
    rig.apply(&[])?.ended(0)?;
    node::ready(&rig, &NODES)?;
    given_up(&rig)?;
    leave::gone(&rig, &before)
}

/// Every check is good on every node, also by the address `api`, and nothing of it is left.
pub(crate) fn whole(rig: &Rig, nodes: &[&str], api: &str) -> Result<Run, Failed> {
    node::ready(rig, nodes)?;
    let status = rig.asked("status", &[])?;
    holds(&status.printed, " ready ")?;
    let run = rig.asked("verify", &[])?.ended(0)?;
    checks::no_secret(&run)?;
    let others = match nodes.len() - 1 {
        0 => "skipped: there is no other Pod".to_owned(),
        count => format!("good: {count}/{count} answer"),
    };
    let ports = format!("good: {0}/{0} answer", nodes.len());
    let (exec, logs) = (format!("exec through {api}"), format!("logs through {api}"));
    for node in nodes {
        for (check, said) in [
            ("Pod address", "good: 10.244."),
            ("DNS in its Pod", "good: 2 names by 10.96.0.10"),
            ("Pod to Pod", others.as_str()),
            ("Service from its Pod", "good: 1/1 answer"),
            ("Service from the host", "good: 1/1 answer"),
            ("port of every node", ports.as_str()),
            (exec.as_str(), "good: check-"),
            (logs.as_str(), "good: \"sternpost answers"),
            ("certificates", "good: "),
        ] {
            checks::told(&run, node, check, said)?;
        }
    }
    nothing_left(rig, nodes)?;
    Ok(run)
}

/// No namespace of a check, and no image.
pub(crate) fn nothing_left(rig: &Rig, nodes: &[&str]) -> Result<(), Failed> {
    let spaces =
        "get namespaces -o name -l app.kubernetes.io/managed-by=sternpost-verify";
    let mut left = node::kubectl(rig, spaces)?;
    for node in nodes {
        let images = "ctr -n k8s.io images list -q | grep sternpost.invalid; true";
        left.push_str(&rig.on(node, images)?);
    }
    match left.trim().is_empty() {
        true => Ok(()),
        false => Err(format!("left behind: {left}").into()),
    }
}

/// Ctrl-C while Pods come up: no more is asked, and they are taken away.
fn stopped(rig: &Rig) -> Result<(), Failed> {
    let words = [
        "verify",
        "--spec",
        "cluster.yaml",
        "--ssh-config",
        "ssh_config",
    ];
    let mut command = rig.command(&words);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
    let mut printed = String::new();
    for line in lines {
        let line = line?;
        if line.contains("  objects ") {
            kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
        }
        printed.push_str(&line);
        printed.push('\n');
    }
    if child.wait()?.code() != Some(1) {
        return Err(format!("it did not end with 1:\n{printed}").into());
    }
    holds(&printed, "BAD: the operator has stopped it")?;
    holds(&printed, "good: nothing is left")?;
    nothing_left(rig, &NODES)
}

/// Packets between nodes are dropped: that is what is found, and nothing is left.
fn cut(rig: &Rig) -> Result<(), Failed> {
    let rules = "nft 'add table inet lab; \
                 add chain inet lab in { type filter hook input priority -10; }; \
                 add rule inet lab in udp dport 8472 drop'";
    rig.on("n1", rules)?;
    let run = rig.asked("verify", &[])?.ended(1)?;
    rig.on("n1", "nft delete table inet lab")?;
    for node in NODES {
        let bad = |line: &str| {
            line.starts_with(node)
                && line.contains("Pod to Pod")
                && line.contains("BAD: 0/1")
        };
        if !run.printed.lines().any(bad) {
            return Err(format!("{node} reaches the other:\n{}", run.printed).into());
        }
    }
    holds(&run.printed, "good: nothing is left")?;
    nothing_left(rig, &NODES)
}

/// What holds the address dies, and the address answers.
#[expect(clippy::print_stdout, reason = "how long belongs to the result")]
fn drilled(rig: &Rig) -> Result<(), Failed> {
    let run = rig.asked("verify", &["--no-pods", "--drill"])?;
    let drills = run
        .printed
        .lines()
        .filter(|line| line.contains("  drill: "));
    let drills: Vec<_> = drills.collect();
    println!("{}", drills.join("\n"));
    let good = drills.iter().filter(|line| line.contains("good: "));
    match good.count() {
        2 => Ok(()),
        _ => Err(format!("the address did not answer:\n{}", run.printed).into()),
    }
}

/// With a host that is gone: it is named, the others are collected from, and no secret is in
/// what is written.
fn collected(rig: &mut Rig) -> Result<(), Failed> {
    let secret = format!("create secret generic planted --from-literal=a={PLANTED}");
    node::kubectl(rig, &secret)?;
    let pod = format!("run planted --image=none.invalid/a --env=KEY={PLANTED}");
    node::kubectl(rig, &pod)?;
    rig.on("n1", &format!("echo '# password: {PLANTED}' >>/etc/hosts"))?;
    rig.machine("n2")?.kill_all();
    let run = rig.asked("diagnose", &["--to", "all.tar.gz"])?.ended(0)?;
    holds(&run.printed, "n2: it does not answer: ")?;
    let file = rig.folder.join("all.tar.gz");
    let names = untarred(&["-tzf"], &file)?;
    for wanted in [
        "/m1/units/etcd.service.log",
        "/m1/programs/api-lb.json",
        "/n1/programs/containers.txt",
        "/n1/system/packet-filter.txt",
        "/api/pods.json",
        "/api/events.json",
    ] {
        holds(&names, wanted)?;
    }
    let all = untarred(&["-xzOf"], &file)?;
    holds(&all, "\"name\": \"planted\"")?;
    let secrets = Secrets::of(rig)?.and(PLANTED);
    secrets.are_not_in("the collection", &all)?;
    rig.on("n1", "sed -i '/password: /d' /etc/hosts")?;
    node::kubectl(rig, "delete pod planted --force --grace-period=0")?;
    let last = BOXES.last().ok_or("no n2")?;
    rig.boot_again(last)
}

/// A node is given up: its Pods move to the other one, and the cluster forgets it.
fn given_up(rig: &Rig) -> Result<(), Failed> {
    let [stays, goes] = NODES;
    let words = ["--host", goes, "--drain", "--data", "--confirm", "lab"];
    rig.asked("reset", &words)?.ended(0)?;
    let nodes = node::kubectl(rig, "get nodes -o name")?;
    holds(&nodes, stays)?;
    if nodes.contains(goes) {
        return Err(format!("{goes} is still known: {nodes}").into());
    }
    node::ready(rig, &[stays])
}

fn untarred(arguments: &[&str], file: &Path) -> Result<String, Failed> {
    let output = Command::new("tar").args(arguments).arg(file).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{output:?}").into()),
    }
}
