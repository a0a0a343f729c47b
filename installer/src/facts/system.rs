//! What there is of a machine: its size, its clock, who else uses it. Files are read, `df` is
//! asked; nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{DropIn, dropins, strangers, tools};
use crate::agent::{JOURNAL, Journal, below};
use crate::layout;
use crate::reset;
use crate::swap::{self, FSTAB};

/// Data of a member of etcd.
pub(crate) const STORE: &str = "/var/lib/etcd/member";
/// What an earlier cluster leaves behind, and the unit whose own it is where that was laid down
/// here. What belongs to none may come to a cluster that serves: a tool beside it writes there.
const LEFTOVERS: [(&str, Option<&str>); 7] = [
    (STORE, Some("etcd.service")),
    ("/etc/kubernetes/manifests/kube-apiserver.yaml", None),
    ("/etc/kubernetes/manifests/etcd.yaml", None),
    ("/etc/kubernetes/kubelet.conf", Some("kubelet.service")),
    (
        "/var/lib/kubelet/pki/kubelet-client-current.pem",
        Some("kubelet.service"),
    ),
    ("/var/lib/rancher", None),
    ("/var/lib/k0s", None),
];
/// Folders whose file systems are filled.
const ROOMS: [&str; 3] = ["/var/lib", layout::ETCD_DATA, "/opt"];

/// A machine as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct System {
    /// What it calls its system.
    pub os: String,
    /// Its short name, and those of the systems that it is made from.
    pub id: String,
    /// See [`System::id`].
    pub like: String,
    /// Its release: numbers, one of a system that is not finished has none.
    pub release: String,
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
    /// Its processors' kind, as compilers call it.
    pub architecture: String,
    /// Room below folders, KiB; one that nobody could say is missing.
    pub rooms: BTreeMap<String, u64>,
    /// What it swaps to.
    pub swaps: Vec<String>,
    /// Units that would bring that back although its table of file systems does not name it.
    pub swap_units: Vec<String>,
    /// What its table of file systems has it swap to at boot.
    pub swaps_at_boot: Vec<String>,
    /// Whether control groups are of version 2.
    pub unified: bool,
    /// Whether SELinux refuses what it has no rule for.
    pub enforcing: bool,
    /// TCP ports that somebody listens on who is none of the cluster's.
    pub ports: BTreeSet<u16>,
    /// Names of programs that run and are none of the cluster's, the first 15 octets of each
    /// (proc_pid_comm(5)).
    pub running: BTreeSet<String>,
    /// Things of an earlier cluster; what components have written that were laid down here is
    /// none.
    pub leftovers: Vec<String>,
    /// Configurations of CNI.
    pub networks: Vec<String>,
    /// Programs of the system that some component runs.
    pub tools: BTreeSet<String>,
    /// What adds to units of services.
    pub drop_ins: Vec<DropIn>,
    /// Whether units were laid down here by this program.
    pub ours: bool,
    /// Those of them that were ever started.
    pub begun: BTreeSet<String>,
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
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        let swaps = swap::look(root);
        let about = read("/etc/os-release");
        // One that cannot be read was written by somebody.
        let entries = Journal::at(below(root, JOURNAL)).entries().ok();
        let entries = entries.as_deref();
        let laid = |unit: &str| entries.is_none_or(|all| reset::was_laid(all, unit));
        // Names and settings alone are no cluster: units are.
        let ours = entries.is_none_or(reset::has_units);
        let begun = entries.map(reset::turned).into_iter().flatten();
        let begun: BTreeSet<_> = begun.map(str::to_owned).collect();
        let serves = entries.is_none() || !begun.is_empty();
        let paths = entries.map(reset::laid_at);
        let strangers = strangers::look(root, |unit| {
            let file = format!("{}/{unit}", layout::UNITS);
            paths.as_ref().is_none_or(|paths| paths.contains(&file))
        });
        Self {
            os: named(&about, "PRETTY_NAME"),
            id: named(&about, "ID"),
            like: named(&about, "ID_LIKE"),
            release: named(&about, "VERSION_ID"),
            kernel: line("/proc/sys/kernel/osrelease"),
            name: line("/proc/sys/kernel/hostname"),
            machine_id: line("/etc/machine-id"),
            memory: memory(&read("/proc/meminfo")),
            processors: std::thread::available_parallelism()
                .map_or(1, |count| u64::try_from(count.get()).unwrap_or(u64::MAX)),
            // The one that this is built for: another could not run it.
            architecture: std::env::consts::ARCH.to_owned(),
            rooms: rooms(root),
            swaps: swaps.iter().map(|swap| swap.device.clone()).collect(),
            swap_units: swaps.into_iter().filter_map(|swap| swap.unit).collect(),
            swaps_at_boot: swap::at_boot(&read(FSTAB)).map(str::to_owned).collect(),
            unified: there(&"/sys/fs/cgroup/cgroup.controllers"),
            enforcing: line("/sys/fs/selinux/enforce") == "1",
            ports: strangers.ports,
            running: strangers.running,
            leftovers: LEFTOVERS
                .iter()
                .filter(|(path, unit)| there(path) && !unit.map_or(serves, laid))
                .map(|(path, _)| (*path).to_owned())
                .collect(),
            networks: names(&below(root, layout::CNI_CONFIG)),
            tools: tools::look(root),
            drop_ins: dropins::look(root),
            ours,
            begun,
            clock: clock.unwrap_or_default(),
        }
    }

    /// Whether it has data of a member of etcd that is none of ours.
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.leftovers.iter().any(|path| path == STORE)
    }
}

/// What the system is called in some way (os-release(5)).
fn named(text: &str, key: &str) -> String {
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    let value = lines.find(|(name, _)| *name == key).map(|(_, value)| value);
    value
        .unwrap_or_default()
        .trim_matches(['"', '\''])
        .to_owned()
}

fn memory(text: &str) -> u64 {
    let mut lines = text.lines();
    let total = lines.find_map(|line| line.strip_prefix("MemTotal:"));
    let number = total.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

/// Of a folder that is not there yet, that of the nearest one above it.
fn rooms(root: &Path) -> BTreeMap<String, u64> {
    let place = |folder: &str| -> PathBuf {
        let folder = below(root, folder);
        let mut all = folder.ancestors();
        let found = all.find(|one| one.is_dir());
        found.unwrap_or(Path::new("/")).to_owned()
    };
    let mut command = Command::new("df");
    command.args(["--output=avail", "-k"]);
    let Ok(output) = command.args(ROOMS.map(place)).output() else {
        return BTreeMap::new();
    };
    let text = String::from_utf8_lossy(&output.stdout);
    // A title, then a line a folder: none of those asked for is missing.
    let said = text.lines().skip(1).map(|line| line.trim().parse().ok());
    let rooms = ROOMS.into_iter().zip(said);
    rooms
        .filter_map(|(folder, room)| Some((folder.to_owned(), room?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Entry;

    #[test]
    fn a_machine_is_read_from_its_files() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            (
                "etc/os-release",
                "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID='12'\nID=debian\n",
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
            (
                "etc/fstab",
                "/dev/sda1 / ext4 defaults 0 1\nUUID=5 none swap sw 0 0\n#/x none swap sw\n",
            ),
            ("proc/77/comm", "kubelet\n"),
            ("proc/77/cgroup", "0::/system.slice/kubelet.service\n"),
            ("proc/self/comm", "nobody\n"),
            ("etc/cni/net.d/10-calico.conflist", "{}"),
            ("var/lib/etcd/member/snap", ""),
            (
                "var/lib/sternpost/journal.jsonl",
                "{\"wrote\":{\"path\":\"/etc/hosts\",\"before\":null,\"after\":\"0\"}}\n",
            ),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let system = System::look(root.path());
        assert_eq!(system.os, "Debian GNU/Linux 12");
        assert_eq!((&*system.id, &*system.release), ("debian", "12"));
        assert_eq!(system.name, "m1");
        assert_eq!(system.memory, 2_048_000);
        assert_eq!(system.swaps, ["/dev/zram0"]);
        assert_eq!(system.swap_units, ["dev-zram0.swap"]);
        assert_eq!(system.ports, BTreeSet::from([3306, 6443]));
        assert_eq!(system.networks, ["10-calico.conflist"]);
        assert_eq!(system.leftovers, ["/var/lib/etcd/member"]);
        assert!(system.unified && !system.enforcing && !system.ours);
        assert_eq!(system.swaps_at_boot, ["UUID=5"]);
        assert_eq!(system.running, BTreeSet::from(["kubelet".to_owned()]));
        assert_eq!(system.rooms.len(), 3, "{:?}", system.rooms);
        assert!(!system.architecture.is_empty());
    }

    /// Also where something else was kept, and the journal with it.
    #[test]
    fn a_host_that_was_reset_is_ours_no_more() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| format!("{}/{name}", layout::UNITS);
        let mut journal = Journal::at(below(root.path(), JOURNAL));
        let mut is_ours_after = |entry: Entry| {
            journal.note(&entry).unwrap();
            System::look(root.path()).ours
        };
        let wrote = |path: String| Entry::Wrote {
            path,
            before: None,
            after: "sum".to_owned(),
        };
        assert!(!is_ours_after(wrote("/etc/fstab".to_owned())));
        assert!(is_ours_after(wrote(path("etcd.service"))));
        let gone = path("etcd.service");
        assert!(!is_ours_after(Entry::Gone { path: gone }));
    }

    /// Units that only lie there have nothing of theirs beside them yet.
    #[test]
    fn what_an_earlier_cluster_has_left_is_none_of_a_host_s_on_which_nothing_began() {
        let root = tempfile::tempdir().unwrap();
        let manifest = "/etc/kubernetes/manifests/etcd.yaml";
        fs::create_dir_all(below(root.path(), "/etc/kubernetes/manifests")).unwrap();
        fs::write(below(root.path(), manifest), "").unwrap();
        let mut journal = Journal::at(below(root.path(), JOURNAL));
        let mut after = |entry: Entry| {
            journal.note(&entry).unwrap();
            let system = System::look(root.path());
            (system.ours, system.begun.len(), system.leftovers)
        };
        let unit = "containerd.service".to_owned();
        let path = format!("{}/{unit}", layout::UNITS);
        let wrote = Entry::Wrote {
            path: path.clone(),
            before: None,
            after: "sum".to_owned(),
        };
        assert_eq!(after(wrote), (true, 0, vec![manifest.to_owned()]));
        let began = Entry::Unit {
            name: unit,
            enabled: false,
            active: false,
        };
        assert_eq!(after(began), (true, 1, Vec::new()));
        let gone = Entry::Gone { path };
        assert_eq!(after(gone), (false, 0, vec![manifest.to_owned()]));
    }

    /// What a reset has left where it was told to leave it is taken up again; another's is not.
    #[test]
    fn data_of_another_etcd_is_told_from_our_own() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(below(root.path(), STORE)).unwrap();
        let look = || System::look(root.path()).has_store();
        assert!(look());
        let mut journal = Journal::at(below(root.path(), JOURNAL));
        let mut note = |unit: &str| {
            let path = format!("{}/{unit}", layout::UNITS);
            let (before, after) = (None, "sum".to_owned());
            let gone = Entry::Gone { path: path.clone() };
            journal
                .note(&Entry::Wrote {
                    path,
                    before,
                    after,
                })
                .unwrap();
            journal.note(&gone).unwrap();
        };
        note("kubelet.service");
        assert!(look());
        note("etcd.service");
        assert!(!look());
    }
}
