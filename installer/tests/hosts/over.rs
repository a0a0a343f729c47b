//! Where clients find the API moves: nodes go over when all masters serve there, and nobody lets go
//! of where they look for it before; and who holds the address is heard by whoever may take it.

use std::fs;

use super::hosts::Hosts;
use super::safe::{MASTERS, described};
use super::{Tried, holds};

const N1: &str = "192.0.2.21";
const KUBELET: &str = "restart kubelet.service";
const ADDRESS: &str = "vip-daemon.service";

/// Something of one host comes after something of each of others; the log.
fn after(hosts: &Hosts, what: &str, others: &[&str], before: &str) -> Tried {
    let log = hosts.log()?;
    let at = |line: &str| log.iter().position(|one| one == line);
    let last = at(what);
    for other in others {
        let first = at(&format!("{other} {before}"));
        if first.is_none() || first > last {
            let log = log.join("\n");
            return Err(format!("{what} before {before} of {other} in\n{log}").into());
        }
    }
    Ok(())
}

/// Where the kubelet of the node looks for the API.
fn dials(hosts: &Hosts, server: &str) -> Tried {
    let path = hosts.root(N1).join("etc/kubernetes/kubelet.conf");
    holds(&fs::read_to_string(path)?, &format!("server: {server}\n"))
}

fn addresses(hosts: &Hosts, from: &str, to: &str) -> Tried {
    let line = |addresses: &str| format!("addresses: [{addresses}]\n  # name");
    hosts.replace(&[(&line(from), &line(to))])
}

/// A node that has joined is led to another address of the cluster's own.
pub(super) fn address() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    dials(&hosts, "https://192.0.2.9:6443")?;
    let again = hosts.run(&["apply"])?.ended(0)?;
    holds(&again, "n1: 0 step(s) done")?;
    addresses(&hosts, "\"192.0.2.9/24\"", "\"192.0.2.10/24\"")?;
    let plan = hosts.run(&["plan"])?.ended(3)?;
    holds(&plan, "change file /etc/kubernetes/kubelet.conf 0600 root")?;
    holds(&plan, &format!("{KUBELET}, since "))?;
    refused(&hosts)?;
    hosts.serve("192.0.2.10:6443")?;
    // Who serves it is on a network with all hosts, as one of them.
    hosts.run(&["apply", "--no-preflight"])?.ended(0)?;
    let restart = format!("{N1} {KUBELET}");
    after(&hosts, &restart, &MASTERS, &format!("reload {ADDRESS}"))?;
    dials(&hosts, "https://192.0.2.10:6443")?;
    let again = hosts.run(&["apply"])?.ended(0)?;
    for host in ["m1", "m2", "m3", "n1"] {
        holds(&again, &format!("{host}: 0 step(s) done"))?;
    }
    unanswered(&hosts)
}

/// Hosts that are chosen without those that they would lose, or be lost by.
fn refused(hosts: &Hosts) -> Tried {
    hosts.log()?;
    for (words, said) in [
        (
            &["apply", "--host", "n1"][..],
            "n1: FAILED: not begun: its kubelet would look for the API where m1, m2, m3 would \
             serve, and is left out: leave --host out, or add --host m1 --host m2 --host m3",
        ),
        (
            &["apply", "--host", "m2"],
            "m2: FAILED: not begun: the kubelets of n1 know the API by https://192.0.2.9:6443 \
             alone, which would end, and are left out: leave --host out, or add --host n1",
        ),
    ] {
        holds(&hosts.run(words)?.ended(1)?, said)?;
    }
    let with = "flags: {kube-apiserver: {profiling: \"false\"}}";
    described(hosts, with)?;
    let run = hosts.run(&["apply"])?.ended(1)?;
    for host in ["m1", "m2", "m3", "n1"] {
        let said = "not begun: nodes look for the API at https://192.0.2.9:6443, which would end \
                    before they know another";
        holds(&run, &format!("{host}: FAILED: {said}"))?;
    }
    described(hosts, "")?;
    let log = hosts.log()?;
    match log
        .iter()
        .any(|line| line.contains("load ") || line.contains("start "))
    {
        false => dials(hosts, "https://192.0.2.9:6443"),
        true => Err(format!("something was begun:\n{}", log.join("\n")).into()),
    }
}

/// What nobody answers at is no place for a kubelet; two addresses are one more.
fn unanswered(hosts: &Hosts) -> Tried {
    let (old, both) = ("\"192.0.2.10/24\"", "\"192.0.2.11/24\", \"192.0.2.10/24\"");
    let both = both.replace("192.0.2.11/", "192.0.2.8/");
    addresses(hosts, old, &both)?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(
        &said,
        "n1: FAILED: not begun: its kubelet is to look for the API",
    )?;
    holds(&said, "192.0.2.8 port 6443 does not answer it")?;
    dials(hosts, "https://192.0.2.10:6443")?;
    // It is found by that still, so masters may be worked on without it.
    described(hosts, "flags: {kube-scheduler: {profiling: \"false\"}}")?;
    let masters = ["apply", "--host=m1", "--host=m2", "--host=m3"];
    hosts.run(&masters)?.ended(0)?;
    hosts.serve("192.0.2.8:6443")?;
    hosts.run(&["apply"])?.ended(0)?;
    dials(hosts, "https://192.0.2.8:6443")?;
    addresses(hosts, &both, "\"192.0.2.8/24\"")?;
    let said = hosts.run(&["apply"])?.ended(0)?;
    holds(&said, "n1: 0 step(s) done")
}

/// To a balancer of others: the own address is given up when no node looks there any more.
pub(super) fn balancer() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    let external = "addresses: [\"192.0.2.10\"]\nbalancer: {mode: external}\n";
    hosts.replace(&[(
        "addresses: [\"192.0.2.9/24\"]\n  # name: k8s-api.example.org\n",
        external,
    )])?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(
        &said,
        "n1: FAILED: not begun: its kubelet is to look for the API",
    )?;
    holds(
        &said,
        "m1: FAILED: every other step is done, and these are not begun, since n1 failed",
    )?;
    for host in MASTERS {
        let unit = hosts.root(host).join("run/units/vip-daemon.service.active");
        if !unit.exists() {
            return Err(format!("{host} has given the address up:\n{said}").into());
        }
    }
    hosts.serve("192.0.2.10:6443")?;
    hosts.log()?;
    hosts.run(&["apply"])?.ended(0)?;
    let stop = format!("{} stop {ADDRESS}", MASTERS[0]);
    after(&hosts, &stop, &[N1], KUBELET)?;
    dials(&hosts, "https://192.0.2.10:6443")?;
    let plan = hosts.run(&["plan"])?.ended(0)?;
    holds(&plan, "m3: nothing to do")
}

/// Whoever would not hear the holder of the address takes it beside him.
pub(super) fn heard() -> Tried {
    let hosts = Hosts::new()?;
    let line =
        |role: &str| format!("- {{name: n1, addresses: [\"{N1}\"], roles: [{role}]}}\n");
    hosts.replace(&[(&line("node"), "")])?;
    hosts.run(&["apply"])?.ended(0)?;
    hosts.replace(&[("hosts:\n", &format!("hosts:\n{}", line("controlPlane")))])?;
    let alone = ["apply", "--host", "n1"];
    let said = hosts.run(&alone)?.ended(0)?;
    holds(
        &said,
        "n1: waits: vip-daemon.service is not started here before m1, m2, m3 tell it of their \
         addresses: \"sternpost apply\" without --host has it so",
    )?;
    let unit = hosts.root(N1).join("run/units/vip-daemon.service.active");
    let server = unit.with_file_name("kube-apiserver.service.active");
    if unit.exists() || !server.exists() {
        return Err(format!("n1 has the address, or no API server:\n{said}").into());
    }
    let again = hosts.run(&alone)?.ended(0)?;
    holds(&again, "n1: 0 step(s) done")?;
    hosts.log()?;
    hosts.run(&["apply"])?.ended(0)?;
    let start = format!("{N1} start {ADDRESS}");
    after(&hosts, &start, &MASTERS, &format!("reload {ADDRESS}"))?;
    let plan = hosts.run(&["plan"])?.ended(0)?;
    holds(&plan, "n1: nothing to do")
}
