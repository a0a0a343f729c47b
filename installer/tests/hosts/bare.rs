//! What `preflight` blocks, `apply` does not begin with: by itself, before anything is written
//! there.
//!
//! Leaves to `machines/bad.rs`: an address that another machine has.

use std::fs;
use std::path::Path;

use super::hosts::Hosts;
use super::{Tried, holds};

const MANIFEST: &str = "etc/kubernetes/manifests/kube-apiserver.yaml";
const ETCD: &str = "usr/local/lib/systemd/system/etcd.service.d/10-other.conf";
const KUBELET: &str = "etc/systemd/system/kubelet.service.d/10-kubeadm.conf";
const RUNS: &str = "[Service]\nExecStart=\nExecStart=/usr/bin/other\n";
/// Where vip-daemon is told what to hold.
const HELD: &str = "etc/sternpost/vip-daemon.yaml";
const BESIDE: &str = "[Service]\nExecStartPre=/bin/true\nExecReload=/bin/true\n";

fn put(root: &Path, path: &str, text: &str) -> Tried {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap_or(root))?;
    Ok(fs::write(path, text)?)
}

/// The others are done; whoever knows better goes on.
pub(super) fn not_begun() -> Tried {
    let hosts = Hosts::new()?;
    let (m3, n1) = (hosts.root("192.0.2.13"), hosts.root("192.0.2.21"));
    put(&n1, MANIFEST, "")?;
    put(&m3, ETCD, RUNS)?;
    // The plan says so beforehand, and still what there is to do.
    let plan = hosts.run(&["plan"])?.ended(3)?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    for (host, why) in [
        (
            "n1",
            "not begun: /etc/kubernetes/manifests/kube-apiserver.yaml is there, which belongs to \
             an earlier cluster; take the earlier cluster down",
        ),
        (
            "m3",
            "not begun: /usr/local/lib/systemd/system/etcd.service.d/10-other.conf sets ExecStart \
             of etcd.service: something else than ours is run; remove the package",
        ),
    ] {
        holds(&plan, &format!("\n{host}: {why}"))?;
        holds(&said, &format!("{host}: FAILED: {why}"))?;
    }
    holds(&said, "; --no-preflight goes on all the same")?;
    for name in ["m1", "m2"] {
        let line = |line: &str| line.starts_with(name) && line.ends_with("step(s) done");
        if !said.lines().any(line) {
            return Err(format!("{name} did not go on:\n{said}").into());
        }
    }
    for root in [&m3, &n1] {
        if root.join("etc/systemd/system/kubelet.service").exists()
            || root.join("opt/sternpost").exists()
        {
            return Err(format!("{} was begun:\n{said}", root.display()).into());
        }
    }
    hosts.run(&["apply", "--no-preflight"])?.ended(0)?;
    // On a host of ours a leftover is one no more; what is run in the place of ours is, what is run
    // beside it is not.
    put(&m3, ETCD, BESIDE)?;
    hosts.run(&["apply"])?.ended(0)?;
    put(&n1, KUBELET, RUNS)?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(
        &said,
        "n1: FAILED: not begun: /etc/systemd/system/kubelet.service.d/10-kubeadm.conf sets \
         ExecStart of kubelet.service",
    )?;
    holds(&said, "m3: 0 step(s) done")
}

/// What `preflight` says of packets of Pods is what `apply` says; where it is not sure of it, the
/// host is begun.
pub(super) fn walled() -> Tried {
    let hosts = Hosts::new()?;
    let n1 = hosts.root("192.0.2.21");
    put(&n1, "etc/ufw/ufw.conf", "ENABLED=yes\n")?;
    let blocks = "n1: blocks: its firewall lets no packets of Pods through, ";
    let said = hosts.run(&["preflight"])?.ended(1)?;
    let found = said.lines().find(|line| line.starts_with(blocks));
    let words = found.ok_or_else(|| format!("no {blocks:?} in\n{said}"))?;
    let words = words.trim_start_matches("n1: blocks: ");
    holds(words, "; let them through: ufw route allow from ")?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(&said, &format!("n1: FAILED: not begun: {words}"))?;
    if n1.join("opt/sternpost").exists() {
        return Err(format!("n1 was begun:\n{said}").into());
    }
    let by_hand = "-A ufw-before-forward -i cni0 -j ACCEPT\n";
    put(&n1, "etc/ufw/before.rules", by_hand)?;
    let said = hosts.run(&["preflight"])?.ended(1)?;
    holds(
        &said,
        "n1: warns: its firewall has rules of its own about Pods",
    )?;
    hosts.run(&["apply"])?.ended(0).map(drop)
}

/// What is in the way of what has not begun is named as on a bare host, by both of them.
pub(super) fn half_laid() -> Tried {
    let hosts = Hosts::new()?;
    let n1 = hosts.root("192.0.2.21");
    let unit = n1.join("etc/systemd/system/kubelet.service");
    fs::create_dir_all(unit.join("in-the-way"))?;
    hosts.run(&["apply"])?.ended(1)?;
    if !n1.join("etc/systemd/system/containerd.service").exists() {
        return Err("n1 is not half laid".into());
    }
    fs::remove_dir_all(unit)?;
    const NETWORK: &str = "etc/cni/net.d/05-calico.conflist";
    put(&n1, NETWORK, "{}")?;
    let why = "/etc/cni/net.d/05-calico.conflist configures another network; rm ";
    let said = hosts.run(&["preflight"])?.ended(1)?;
    holds(&said, &format!("n1: blocks: {why}"))?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(&said, &format!("n1: FAILED: not begun: {why}"))?;
    holds(&said, "m1: 0 step(s) done")?;
    fs::remove_file(n1.join(NETWORK))?;
    hosts.run(&["apply"])?.ended(0)?;
    // Whoever brings another beside a kubelet that has begun is told, and not kept out.
    put(&n1, NETWORK, "{}")?;
    let said = hosts.run(&["preflight"])?.ended(1)?;
    holds(&said, &format!("n1: warns: {why}"))?;
    hosts.run(&["apply"])?.ended(0).map(drop)
}

/// An address that takes the place of the one of a cluster that serves is asked for, and where it is
/// somebody's no host is begun.
pub(super) fn taken() -> Tried {
    let mut hosts = Hosts::new()?;
    hosts.describe("balancer: {interface: seg0}")?;
    // By a name, so that nobody who dials it is led elsewhere.
    hosts.replace(&[("# name: k8s-api", "name: k8s-api")])?;
    hosts.run(&["apply"])?.ended(0)?;
    hosts.replace(&[("192.0.2.9/24", "192.0.2.10/24")])?;
    hosts.taken(Some("192.0.2.10"))?;
    let told = |hosts: &Hosts, address: &str| {
        let text = fs::read_to_string(hosts.root("192.0.2.13").join(HELD))?;
        holds(&text, address)
    };
    let plan = hosts.run(&["plan"])?.ended(3)?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    for name in ["m1", "m2", "m3", "n1"] {
        let why = "not begun: 192.0.2.10 is taken: ";
        holds(&plan, &format!("{name}: {why}"))?;
        holds(&said, &format!("{name}: FAILED: {why}"))?;
    }
    told(&hosts, "192.0.2.9/24")?;
    if hosts.log()?.iter().any(|line| line.contains("start ")) {
        return Err(format!("something was begun:\n{said}").into());
    }
    // One of them alone would be led there as well.
    hosts.run(&["apply", "--host", "n1"])?.ended(1)?;
    hosts.taken(None)?;
    hosts.run(&["apply"])?.ended(0)?;
    told(&hosts, "192.0.2.10/24")?;
    // What ours are told to hold is theirs, whoever answers for it.
    hosts.taken(Some("192.0.2.10"))?;
    hosts.run(&["apply"])?.ended(0).map(drop)
}
