//! What there is of a machine: its size, its clock, who else uses it. Files are read, `df` is
//! asked; nothing is changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::look::below;
use crate::agent::JOURNAL;
use crate::layout;

/// The state of a socket that listens, in `/proc/net/tcp` (include/net/tcp_states.h).
const LISTEN: &str = "0A";
/// What an earlier cluster leaves behind.
const LEFTOVERS: [&str; 4] = [
    "/var/lib/etcd/member",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "/var/lib/rancher",
];

/// A machine as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct System {
    /// What it calls its system.
    pub os: String,
    /// Its kernel's release.
    pub kernel: String,
    /// Its own name.
    pub name: String,
    /// What tells it from every other machine.
    pub machine_id: String,
    /// Memory, KiB.
    pub memory: u64,
    /// Processors.
    pub processors: u64,
    /// Room below `/var/lib`, KiB; nothing when nobody could say.
    pub room: Option<u64>,
    /// What it swaps to.
    pub swaps: Vec<String>,
    /// Whether control groups are of version 2.
    pub unified: bool,
    /// Whether SELinux refuses what it has no rule for.
    pub enforcing: bool,
    /// TCP ports that somebody listens on.
    pub ports: BTreeSet<u16>,
    /// Things of an earlier cluster.
    pub leftovers: Vec<String>,
    /// Configurations of CNI.
    pub networks: Vec<String>,
    /// Whether something was laid down here by this program.
    pub ours: bool,
    /// Its clock, since 1970.
    pub clock: Duration,
}

impl System {
    /// Looks at the machine whose files lie below `root`.
    #[must_use]
    pub fn look(root: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(below(root, path)).unwrap_or_default();
        let line = |path: &str| read(path).trim().to_owned();
        let there = |path: &&str| below(root, path).exists();
        let (tcp, tcp6) = (read("/proc/net/tcp"), read("/proc/net/tcp6"));
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            os: pretty_name(&read("/etc/os-release")),
            kernel: line("/proc/sys/kernel/osrelease"),
            name: line("/proc/sys/kernel/hostname"),
            machine_id: line("/etc/machine-id"),
            memory: memory(&read("/proc/meminfo")),
            processors: std::thread::available_parallelism()
                .map_or(1, |count| u64::try_from(count.get()).unwrap_or(u64::MAX)),
            room: room(&below(root, "/var/lib")),
            swaps: swaps(&read("/proc/swaps")),
            unified: there(&"/sys/fs/cgroup/cgroup.controllers"),
            enforcing: line("/sys/fs/selinux/enforce") == "1",
            ports: tcp.lines().chain(tcp6.lines()).filter_map(port).collect(),
            leftovers: LEFTOVERS
                .iter()
                .filter(|path| there(path))
                .map(ToString::to_string)
                .collect(),
            networks: names(&below(root, layout::CNI_CONFIG)),
            ours: there(&JOURNAL),
            clock: clock.unwrap_or_default(),
        }
    }
}

/// What a person calls the system (os-release(5)).
fn pretty_name(text: &str) -> String {
    let mut lines = text.lines();
    let name = lines.find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or_default().trim_matches('"').to_owned()
}

fn memory(text: &str) -> u64 {
    let mut lines = text.lines();
    let total = lines.find_map(|line| line.strip_prefix("MemTotal:"));
    let number = total.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// The first column, below a line of titles (proc_swaps(5)).
fn swaps(text: &str) -> Vec<String> {
    let names = text.lines().skip(1);
    let names = names.filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// The local port of a line of `/proc/net/tcp`, of a socket that listens (proc_net(5)).
fn port(line: &str) -> Option<u16> {
    let mut words = line.split_whitespace().skip(1);
    let (local, _, state) = (words.next()?, words.next()?, words.next()?);
    let (_, port) = local.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == LISTEN).then_some(port)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn room(folder: &Path) -> Option<u64> {
    let command = Command::new("df")
        .args(["--output=avail", "-k"])
        .arg(folder)
        .output();
    let said = command.ok()?.stdout;
    String::from_utf8_lossy(&said)
        .lines()
        .nth(1)?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_from_its_files() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            (
                "etc/os-release",
                "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n",
            ),
            ("proc/sys/kernel/hostname", "m1\n"),
            (
                "proc/meminfo",
                "MemTotal:        2048000 kB\nMemFree: 1 kB\n",
            ),
            (
                "proc/swaps",
                "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 1 0 100\n",
            ),
            ("sys/fs/cgroup/cgroup.controllers", "cpu io\n"),
            (
                "proc/net/tcp",
                "  sl  local_address rem_address   st\n   0: 0100007F:0CEA 00000000:0000 0A 0\n   \
                 1: 0100007F:1F90 0100007F:A2C3 01 0\n",
            ),
            (
                "proc/net/tcp6",
                "  sl  local_address\n   0: 00000000000000000000000000000000:192B \
                 00000000000000000000000000000000:0000 0A\n",
            ),
            ("etc/cni/net.d/10-calico.conflist", "{}"),
            ("var/lib/etcd/member/snap", ""),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let system = System::look(root.path());
        assert_eq!(system.os, "Debian GNU/Linux 12");
        assert_eq!(system.name, "m1");
        assert_eq!(system.memory, 2_048_000);
        assert_eq!(system.swaps, ["/dev/zram0"]);
        assert_eq!(system.ports, BTreeSet::from([3306, 6443]));
        assert_eq!(system.networks, ["10-calico.conflist"]);
        assert_eq!(system.leftovers, ["/var/lib/etcd/member"]);
        assert!(system.unified && !system.enforcing && !system.ours);
        assert!(system.room.is_some());
    }
}
