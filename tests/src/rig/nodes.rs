//! What hosts for Pods take besides: programs, and settings that only a machine of the lab
//! needs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use libtest_mimic::Failed;

use super::{Families, version};
use crate::requirement::{self, CONTAINERD, NETWORK};

const KUBERNETES: [&str; 2] = ["kubelet", "kube-proxy"];
/// What only tests run by itself: nodes have it in an image.
const NO_PROGRAM: &str = "coredns";

/// From this minor version on kube-proxy sets nftables, and a kubelet reads a folder of
/// further files; both are young or not there before. Older ones get the older containerd too,
/// so that each generation is run.
const NFTABLES: u16 = 31;
/// The kernel may have control groups of the old kind, and the disk is everybody's.
const KUBELET: &str = "apiVersion: kubelet.config.k8s.io/v1beta1\n\
    kind: KubeletConfiguration\n\
    failCgroupV1: false\n\
    evictionHard: {memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, \
    imagefs.available: 0%, imagefs.inodesFree: 0%}\n";
/// The same for a kubelet that has flags alone, and minds no control groups.
const EVICTION: &str = "memory.available<0%,nodefs.available<0%,nodefs.inodesFree<0%,\
    imagefs.available<0%,imagefs.inodesFree<0%";
/// kube-proxy's mode without nftables runs these, which are one program.
const IPTABLES: [&str; 6] = [
    "iptables",
    "iptables-restore",
    "iptables-save",
    "ip6tables",
    "ip6tables-restore",
    "ip6tables-save",
];

/// Not every root may lower what the kernel kills first (CAP_SYS_RESOURCE): runc would fail.
const RUNC: &str = r#"#!/bin/sh
for word; do
    case ${last:-} in
    --bundle) sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$word/config.json" ;;
    --process) sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$word" ;;
    esac
    last=$word
done
exec /etc/lab/runc "$@"
"#;

/// What a description with nodes says besides.
///
/// # Errors
/// When nobody knows which Kubernetes it is.
pub fn settings() -> Result<String, Failed> {
    settings_of(Families::Four)
}

/// The same, where its networks are of some families.
///
/// # Errors
/// When nobody knows which Kubernetes it is.
pub fn settings_of(families: Families) -> Result<String, Failed> {
    let (networks, proxy) = (families.networks(), proxy()?);
    Ok(format!(
        "networks: {{{networks}proxy: {proxy}}}\n{}",
        rest()?
    ))
}

/// A description by `sternpost init`, with what nodes of the lab need.
///
/// # Errors
/// When it is not one, or nobody knows which Kubernetes it is.
pub fn completed(description: &str) -> Result<String, Failed> {
    Ok(format!("{description}\n{}", rest()?))
}

fn proxy() -> Result<&'static str, Failed> {
    Ok(match has_nftables()? {
        true => "nftables",
        false => "iptables",
    })
}

/// All but the networks.
fn rest() -> Result<String, Failed> {
    let (kubelet, runtime) = match has_nftables()? {
        true => ("config-dir: /etc/lab/kubelet.d".to_owned(), ""),
        false => {
            let flag = format!("eviction-hard: \"{EVICTION}\"");
            (flag, "runtime: {containerd: 1}\n")
        }
    };
    Ok(format!(
        "{runtime}binaries: {{images: [coredns.tar, pause.tar]}}\n\
         flags: {{kubelet: {{{kubelet}}}}}\n"
    ))
}

fn has_nftables() -> Result<bool, Failed> {
    let version = version()?;
    let minor = version.split('.').nth(1).and_then(|text| text.parse().ok());
    let minor: u16 = minor.ok_or_else(|| format!("{version} has no second number"))?;
    Ok(minor >= NFTABLES)
}

/// Puts on a machine's own disk what only the lab needs.
pub(super) fn prepare(upper: &Path) -> Result<(), Failed> {
    let lab = upper.join("etc/lab");
    fs::create_dir_all(lab.join("kubelet.d"))?;
    fs::write(lab.join("kubelet.d/10-lab.conf"), KUBELET)?;
    for name in ["runc", "busybox"] {
        fs::copy(requirement::runtime().join(name), lab.join(name))?;
    }
    match has_nftables()? {
        true => Ok(()),
        false => iptables(upper),
    }
}

/// A machine has none of its own.
fn iptables(upper: &Path) -> Result<(), Failed> {
    let program = requirement::runtime().join("xtables-nft-multi");
    let program = fs::canonicalize(&program)
        .map_err(|error| format!("{}: {error}; run `make deps`", program.display()))?;
    // usr/sbin of the package, whose matches and targets lie below usr/lib.
    let root = program.ancestors().nth(3).ok_or("it lies nowhere")?;
    for folder in fs::read_dir(root.join("usr/lib"))? {
        let from = folder?.path().join("xtables");
        let Some(to) = from.strip_prefix(root).ok().filter(|_| from.is_dir()) else {
            continue;
        };
        let to = upper.join(to);
        fs::create_dir_all(&to)?;
        for file in fs::read_dir(&from)? {
            let file = file?;
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
    }
    let programs = upper.join("usr/sbin");
    fs::create_dir_all(&programs)?;
    for name in IPTABLES {
        fs::copy(&program, programs.join(name))?;
    }
    Ok(())
}

/// Puts a node's programs beside the others; their names.
pub(super) fn programs(folder: &Path) -> Result<Vec<&'static str>, Failed> {
    let containerd = match has_nftables()? {
        true => requirement::containerd(),
        false => requirement::runtime(),
    };
    let network: Vec<_> = NETWORK
        .into_iter()
        .filter(|name| *name != NO_PROGRAM)
        .collect();
    for (from, names) in [
        (requirement::kubernetes(), KUBERNETES.as_slice()),
        (containerd, &CONTAINERD),
        (requirement::network(), &network),
    ] {
        for name in names {
            symlink(fs::canonicalize(from.join(name))?, folder.join(name))?;
        }
    }
    let runc = folder.join("runc");
    fs::write(&runc, RUNC)?;
    fs::set_permissions(&runc, fs::Permissions::from_mode(0o755))?;
    let all = KUBERNETES.iter().chain(&CONTAINERD).chain(&network);
    Ok(all.chain(&["runc"]).copied().collect())
}
