//! What is not begun, since it would take the cluster off: more than one member of etcd at a time
//! by our hand, or the last API server.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use sternpost::apply::PLACE;

use super::hosts::Hosts;
use super::{Tried, holds};

pub(super) const MASTERS: [&str; 3] = ["192.0.2.11", "192.0.2.12", "192.0.2.13"];
/// Flags that start anew what one may do without, and what not.
const SCHEDULER: &str = "flags: {kube-scheduler: {profiling: \"false\"}}";
pub(super) const ETCD: &str =
    "flags: {kube-scheduler: {profiling: \"false\"}, etcd: {log-level: warn}}";
const SERVER: &str = "flags: {kube-apiserver: {profiling: \"false\"}}";

/// Whether a unit of a host was started anew since the last time.
fn anew(hosts: &Hosts, host: &str, unit: &str) -> Tried<bool> {
    let log = hosts.log()?;
    Ok(log.contains(&format!("{host} restart {unit}")))
}

pub(super) fn described(hosts: &Hosts, flags: &str) -> Tried {
    let path = hosts.desk().join("cluster.yaml");
    let text = fs::read_to_string(&path)?;
    let lines = text.lines().filter(|line| !line.starts_with("flags: "));
    let text: Vec<_> = lines.chain([flags]).collect();
    hosts.log()?;
    Ok(fs::write(path, text.join("\n"))?)
}

/// m2 is down: what m1 and m3 hold together no restart takes apart, and what else changes does.
pub(super) fn one_short() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    hosts.down(&MASTERS[1..2])?;
    described(&hosts, SCHEDULER)?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(&said, "m2: FAILED: the host does not answer")?;
    if !anew(&hosts, MASTERS[2], "kube-scheduler.service")? {
        return Err(format!("m3 was held up:\n{said}").into());
    }
    described(&hosts, ETCD)?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    for name in ["m1", "m3"] {
        let why = "not begun: without this host etcd would be without its majority: m2 takes no \
                   write; bring that up first, or give --allow-outage";
        holds(&said, &format!("{name}: FAILED: {why}"))?;
    }
    let unit = hosts
        .root(MASTERS[0])
        .join("etc/systemd/system/etcd.service");
    if anew(&hosts, MASTERS[0], "etcd.service")?
        || fs::read_to_string(&unit)?.contains("warn")
    {
        return Err(format!("m1 was begun:\n{said}").into());
    }
    // Whoever wants it has it.
    let words = ["apply", "--host", "m1", "--allow-outage"];
    hosts.run(&words)?.ended(0)?;
    if !anew(&hosts, MASTERS[0], "etcd.service")? {
        return Err("m1 was not begun".into());
    }
    // Where the others are gone too, there is nothing to lose; a last API server is something.
    hosts.down(&MASTERS[1..])?;
    described(&hosts, SERVER)?;
    let said = hosts.run(&["apply", "--host", "m1"])?.ended(1)?;
    holds(
        &said,
        "no API server would be left: that of m2, m3 is not ready",
    )?;
    hosts.down(&[])?;
    hosts.run(&["apply"])?.ended(0).map(drop)
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

/// m2 does not say what its member was started with.
pub(super) fn unseen() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    let data = hosts.root(MASTERS[1]).join("var/lib/etcd");
    let kept = data.with_extension("kept");
    fs::rename(&data, &kept)?;
    // Nobody can say what lies behind it.
    symlink("etcd", &data)?;
    described(&hosts, SCHEDULER)?;
    let said = hosts.run(&["apply"])?.ended(1)?;
    holds(&said, "m2: FAILED: /var/lib/etcd/member cannot be read")?;
    holds(&said, "n1: 0 step(s) done")?;
    if !anew(&hosts, MASTERS[2], "kube-scheduler.service")? {
        return Err(format!("m3 was held up:\n{said}").into());
    }
    fs::remove_file(&data)?;
    fs::rename(kept, data)?;
    hosts.run(&["apply"])?.ended(0).map(drop)
}

fn stands(hosts: &Hosts, host: &str) -> Tried {
    match hosts.root(host).join("etc/kubernetes/admin.conf").exists() {
        true => Ok(()),
        false => Err(format!("{host} was reset").into()),
    }
}

/// What would leave the cluster without a majority, or takes another operator's host, touches
/// nothing.
pub(super) fn given_up() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    let two = ["reset", "--host", "m1", "--host", "m2"];
    for last in [&["--confirm", "prod"][..], &["--dry-run"]] {
        let said = hosts.run(&[&two, last].concat())?.ended(1)?;
        let why = "not begun: without m1, m2 etcd would be without its majority: m3 would be left";
        holds(&said, why)?;
        holds(&said, "--allow-outage")?;
    }
    let mut held = fs::File::options()
        .write(true)
        .truncate(true)
        .open(lock(&hosts, MASTERS[1]))?;
    held.write_all(b"eve on desk")?;
    held.lock()?;
    // Also by who leaves that one alone: both together would be the majority.
    for words in [&["reset"][..], &["reset", "--host", "m1"]] {
        let said = hosts
            .run(&[words, &["--confirm", "prod"]].concat())?
            .ended(1)?;
        holds(
            &said,
            "not begun: m2 is another operator's for the time being: eve on desk",
        )?;
    }
    held.unlock()?;
    MASTERS.iter().try_for_each(|host| stands(&hosts, host))?;
    // One of three may go; with another down it may not.
    hosts.down(&MASTERS[2..])?;
    let one = ["reset", "--host", "m2", "--confirm", "prod"];
    let said = hosts.run(&one)?.ended(1)?;
    holds(
        &said,
        "without m2 etcd would be without its majority: m1 would be left",
    )?;
    stands(&hosts, MASTERS[1])?;
    hosts
        .run(&[&one[..], &["--allow-outage"]].concat())?
        .ended(0)?;
    hosts.down(&[])?;
    match stands(&hosts, MASTERS[1]) {
        Ok(()) => Err("m2 is there".into()),
        Err(_) => hosts
            .run(&["reset", "--confirm", "prod"])?
            .ended(0)
            .map(drop),
    }
}

/// One master that has lost what the masters keep gets it back; when all have, the cluster gets no
/// other authorities.
pub(super) fn keepers() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    let place = |host: &str| hosts.root(host).join(PLACE.trim_start_matches('/'));
    let text = fs::read_to_string(place(MASTERS[0]))?;
    fs::remove_file(place(MASTERS[1]))?;
    let said = hosts.run(&["plan"])?.ended(3)?;
    holds(&said, PLACE)?;
    holds(
        &hosts.run(&["status"])?.said(),
        "m2: its copy of the cluster's authorities is gone",
    )?;
    hosts.run(&["apply"])?.ended(0)?;
    let about = fs::metadata(place(MASTERS[1]))?;
    if about.permissions().mode() & 0o777 != 0o600 {
        return Err(format!("{about:?}").into());
    }
    if fs::read_to_string(place(MASTERS[1]))? != text {
        return Err("m2 has others".into());
    }
    hosts.run(&["plan"])?.ended(0)?;
    for host in MASTERS {
        fs::remove_file(place(host))?;
    }
    for words in [["plan"], ["apply"]] {
        let said = hosts.run(&words)?.ended(1)?;
        holds(
            &said,
            "m1, m2, m3 belong to a cluster, and no master holds its authorities",
        )?;
    }
    if place(MASTERS[0]).exists() {
        return Err("it has others".into());
    }
    // The way out.
    fs::write(place(MASTERS[2]), &text)?;
    hosts.run(&["apply"])?.ended(0)?;
    match fs::read_to_string(place(MASTERS[0]))? == text {
        true => Ok(()),
        false => Err("m1 has others".into()),
    }
}
