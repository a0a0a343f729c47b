//! An etcd that lies down as a whole: of its members none comes up alone. That is so where the
//! certificates by which they know each other have ended.
//!
//! Leaves to booted machines: what the real etcd makes of such certificates.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sternpost::apply::PLACE;

use super::hosts::Hosts;
use super::safe::{ETCD, MASTERS, described};
use super::{Tried, ended, holds};

const MANUAL: &str = include_str!("../../../docs/install.md");
/// How the manual's line of a crontab begins, and where that goes.
const WEEKLY: &str = "0 6 * * 1  cd ~/prod && ";

/// What somebody is told by that line.
fn told(hosts: &Hosts) -> Tried<String> {
    let mut lines = MANUAL.lines();
    let line = lines.find_map(|line| line.strip_prefix(WEEKLY));
    hosts.shell(line.ok_or("no such line")?)?.ended(0)
}

/// What each master shows when all that it was issued has ended, by its place.
fn all_ended(hosts: &Hosts) -> Tried<Vec<(PathBuf, String)>> {
    let cluster = hosts.cluster()?;
    let place = |address: &str, path: &str| hosts.root(address).join(&path[1..]);
    let kept = fs::read_to_string(place(MASTERS[0], PLACE))?;
    let mut all = Vec::new();
    for (address, host) in MASTERS.iter().zip(&cluster.hosts) {
        let files = ended::of(&cluster, host, &kept)?.into_iter();
        all.extend(files.map(|(path, text)| (place(address, &path), text)));
    }
    Ok(all)
}

/// Has all members lie down until they are started anew with others.
fn lie_down(hosts: &Hosts) -> Tried {
    hosts.log()?;
    for host in MASTERS {
        let root = hosts.root(host);
        fs::write(root.join("run/down"), "")?;
        let raised = root.parent().and_then(|all| all.parent());
        let raised = raised.ok_or("no folder")?.join(format!("raised.{host}"));
        if raised.exists() {
            fs::remove_file(raised)?;
        }
    }
    Ok(())
}

fn all_anew(hosts: &Hosts, said: &str) -> Tried {
    let log = hosts.log()?;
    for host in MASTERS {
        if !log.contains(&format!("{host} up etcd.service")) {
            return Err(format!("{host} lies down:\n{said}").into());
        }
    }
    match said.contains("its turn comes after") {
        true => Err(format!("they were not begun together:\n{said}").into()),
        false => Ok(()),
    }
}

pub(super) fn together() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    for (place, text) in all_ended(&hosts)? {
        fs::write(place, text)?;
    }
    lie_down(&hosts)?;
    let said = hosts.run(&["certs", "check"])?.ended(1)?;
    for name in ["m1", "m2", "m3"] {
        holds(&said, &format!("{name}  etcd/peer"))?;
    }
    holds(&said, "m1 by etcd-ca: it has ended")?;
    holds(&told(&hosts)?, said.trim())?;
    let said = hosts.run(&["status"])?.ended(1)?;
    holds(
        &said,
        "certificate etcd/peer: it has ended; apply issues it anew",
    )?;
    // One alone would wait for the others for ever.
    let said = hosts.run(&["apply", "--host", "m1"])?.ended(1)?;
    let why = "m1: FAILED: not begun: the certificates by which etcd's members know each other \
               have ended, also on m2, m3, and no member comes up alone: leave --host out, or add \
               --host m2 --host m3";
    holds(&said, why)?;
    if hosts.log()?.iter().any(|line| line.contains("start ")) {
        return Err(format!("m1 was begun:\n{said}").into());
    }
    let said = hosts.run(&["apply"])?.ended(0)?;
    all_anew(&hosts, &said)?;
    holds(&hosts.run(&["certs", "check"])?.ended(0)?, "all good")?;
    let said = told(&hosts)?;
    if !said.is_empty() {
        return Err(format!("somebody is told of nothing: {said}").into());
    }
    hosts.run(&["plan"])?.ended(0)?;
    // So it is whatever they lie down by; a majority is never taken off at once.
    described(&hosts, ETCD)?;
    lie_down(&hosts)?;
    let said = hosts.run(&["apply"])?.ended(0)?;
    holds(&said, "m1: waits: etcd has no majority that takes a write")?;
    all_anew(&hosts, &said)?;
    described(&hosts, "flags: {etcd: {log-level: error}}")?;
    let said = hosts.run(&["apply"])?.ended(0)?;
    holds(&said, "m2: waits: its turn comes after that of m1")
}

/// Nobody renews what an administrator shows: it is named in time, with what brings another.
pub(super) fn own_way_in() -> Tried {
    let hosts = Hosts::new()?;
    hosts.run(&["apply"])?.ended(0)?;
    let merge = ["kubeconfig", "--merge"];
    hosts.run(&merge)?.ended(0)?;
    let said = hosts.run(&["certs"])?.ended(0)?;
    holds(&said, "~/.kube/config  kubernetes-admin")?;
    let all = all_ended(&hosts)?;
    let admin = all
        .iter()
        .find(|(place, _)| place.ends_with("pki/admin.crt"));
    let (_, pem) = admin.ok_or("no admin.crt")?;
    let file = hosts.desk().with_file_name(".kube").join("config");
    let text = fs::read_to_string(&file)?;
    let mut config: Value = serde_saphyr::from_str(&text)?;
    let user = config.pointer_mut("/users/0/user").ok_or("no user")?;
    user["client-certificate-data"] = STANDARD.encode(pem).into();
    fs::write(&file, config.to_string())?;
    let why = "it has ended; sternpost kubeconfig --merge brings another";
    for (words, wanted) in [
        (&["certs", "check"][..], "~/.kube/config  kubernetes-admin"),
        (&["status"], "~/.kube/config: certificate kubernetes-admin"),
        (
            &["certs", "check", "-o", "json"],
            "\"file\": \"~/.kube/config\"",
        ),
    ] {
        let said = hosts.run(words)?.ended(1)?;
        holds(&said, wanted)?;
        holds(&said, why)?;
    }
    hosts.run(&merge)?.ended(0)?;
    hosts.run(&["certs", "check"])?.ended(0)?;
    hosts.run(&["status"])?.ended(0).map(drop)
}
