//! What is not begun, since it would take the cluster off.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use super::hosts::Hosts;
use super::{Tried, holds};

const MASTERS: [&str; 3] = ["192.0.2.11", "192.0.2.12", "192.0.2.13"];
/// A flag that starts something anew.
const SCHEDULER: &str = "flags: {kube-scheduler: {profiling: \"false\"}}";
/// Whether a unit of a host was started anew since the last time.
fn anew(hosts: &Hosts, host: &str, unit: &str) -> Tried<bool> {
    let log = hosts.log()?;
    Ok(log.contains(&format!("{host} restart {unit}")))
}

fn described(hosts: &Hosts, flags: &str) -> Tried {
    let path = hosts.desk().join("cluster.yaml");
    let text = fs::read_to_string(&path)?;
    let lines = text.lines().filter(|line| !line.starts_with("flags: "));
    let text: Vec<_> = lines.chain([flags]).collect();
    hosts.log()?;
    Ok(fs::write(path, text.join("\n"))?)
}

fn lock(hosts: &Hosts, host: &str) -> PathBuf {
    hosts.root(host).join("var/lib/sternpost/lock")
}

/// Each of two operators with some of the masters would take a part of etcd off each.
pub(super) fn kept_out() -> Tried {
    let hosts = Hosts::new()?;
    let path = lock(&hosts, MASTERS[1]);
    fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    let mut held = fs::File::create(&path)?;
    held.write_all(b"eve on desk")?;
    held.lock()?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(&said, "m2: FAILED: eve on desk is at work here")?;
    for name in ["m1", "m3", "n1"] {
        let why = "not begun: m2 is another operator's for the time being: eve on desk";
        holds(&said, &format!("{name}: FAILED: {why}"))?;
    }
    for host in [MASTERS[0], MASTERS[2], "192.0.2.21"] {
        if hosts.root(host).join("etc/kubernetes").exists() {
            return Err(format!("{host} was begun:\n{said}").into());
        }
    }
    // A plan touches nothing, and is kept from nothing.
    hosts.run(&["plan"])?.ended(3)?;
    held.unlock()?;
    hosts.run(&["apply"])?.ended(0)?;
    // One on a node keeps that node alone.
    let held = fs::File::options()
        .write(true)
        .open(lock(&hosts, "192.0.2.21"))?;
    held.lock()?;
    described(&hosts, SCHEDULER)?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(&said, "n1: FAILED: ")?;
    match anew(&hosts, MASTERS[2], "kube-scheduler.service")? {
        true => Ok(()),
        false => Err(format!("m3 was held up:\n{said}").into()),
    }
}
