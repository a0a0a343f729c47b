//! A host that is a worker of another cluster, and is described as one of this.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::SystemTime;

use super::hosts::Hosts;
use super::{Tried, holds};

const N1: &str = "192.0.2.21";
const PKI: &str = "/var/lib/kubelet/pki";
const KNOWN: &str = "etc/kubernetes/kubelet.conf";
/// What it says to it that the cluster is the other one.
const THEIRS: &str = "server: https://other.example.org:6443\n";

fn current(hosts: &Hosts) -> PathBuf {
    let path = format!("{PKI}/kubelet-client-current.pem");
    hosts.root(N1).join(path.trim_start_matches('/'))
}

/// Its kubelet runs with a certificate that is good for long.
fn planted(hosts: &Hosts) -> Tried<String> {
    let now = SystemTime::now();
    let other = pki::Authority::new("kubernetes", now)?;
    let profile = pki::Profile::client("system:node:n1", &["system:nodes"]);
    let issued = other.issue(&profile, now)?;
    let root = hosts.root(N1);
    let folder = root.join(PKI.trim_start_matches('/'));
    fs::create_dir_all(&folder)?;
    fs::create_dir_all(root.join("etc/kubernetes"))?;
    fs::create_dir_all(root.join("run/units"))?;
    let dated = "kubelet-client-2026-01-01-00-00-00.pem";
    let pem = issued.certificate_pem + issued.key_pem.expose();
    fs::write(folder.join(dated), pem)?;
    let to = format!("{PKI}/{dated}");
    symlink(&to, current(hosts))?;
    fs::write(root.join(KNOWN), THEIRS)?;
    fs::write(root.join("run/units/kubelet.service.active"), "")?;
    Ok(to)
}

/// It shows the certificate that this cluster gave it.
fn joined(hosts: &Hosts) -> Tried {
    let given =
        fs::read_to_string(hosts.root(N1).join("etc/kubernetes/pki/kube-proxy.crt"))?;
    let about = fs::symlink_metadata(current(hosts))?;
    match about.is_file() && fs::read_to_string(current(hosts))? == given {
        true => hosts.run(&["plan"])?.ended(0).map(drop),
        false => Err("n1 is in the other cluster".into()),
    }
}

/// A kubelet goes on with the certificate that it has: that one is kept and away before it is
/// started anew, and there again after a reset.
pub(super) fn of_another() -> Tried {
    let hosts = Hosts::new()?;
    let to = planted(&hosts)?;
    let plan = hosts.run(&["plan"])?.ended(3)?;
    let path = format!("{PKI}/kubelet-client-current.pem");
    holds(
        &plan,
        &format!("keep what stands at {path}: it is not ours"),
    )?;
    holds(
        &plan,
        &format!("take {path} away: it is of another cluster"),
    )?;
    hosts.run(&["apply", "--no-preflight"])?.ended(0)?;
    if !hosts
        .log()?
        .contains(&format!("{N1} restart kubelet.service"))
    {
        return Err("its kubelet runs on".into());
    }
    joined(&hosts)?;
    hosts
        .run(&["reset", "--host", "n1", "--confirm", "prod"])?
        .ended(0)?;
    let back = fs::read_link(current(&hosts))?;
    let known = fs::read_to_string(hosts.root(N1).join(KNOWN))?;
    if (back.to_str(), known.as_str()) != (Some(&to), THEIRS) {
        return Err(format!("{back:?} and {known:?} are back").into());
    }
    // What a reset leaves of a cluster keeps nobody from the next one.
    fs::remove_file(hosts.root(N1).join(KNOWN))?;
    hosts.run(&["apply", "--replace", "n1"])?.ended(0)?;
    joined(&hosts)
}
