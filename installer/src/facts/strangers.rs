//! Who runs and listens on a machine that is none of the cluster's: neither a unit that was laid
//! down here nor a Pod of a kubelet that was, by the control groups of processes
//! (proc_pid_cgroup(5)).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::agent::below;

/// The state of a socket that listens, in `/proc/net/tcp` (include/net/tcp_states.h).
const LISTEN: &str = "0A";
/// Where a kubelet has its Pods among the control groups, and the unit whose those of ours are.
const PODS: &str = "kubepods";
const KUBELET: &str = "kubelet.service";
/// What the kernel puts behind the group of a process that has ended, and whose group has gone.
const GONE: &str = " (deleted)";

/// What is theirs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Strangers {
    /// TCP ports that they listen on.
    pub(super) ports: BTreeSet<u16>,
    /// Names of their programs, the first 15 octets of each (proc_pid_comm(5)).
    pub(super) running: BTreeSet<String>,
}

/// Looks at the machine whose files lie below `root`, and by whose units the cluster is.
pub(super) fn look(root: &Path, is_ours: impl Fn(&str) -> bool) -> Strangers {
    let read = |path: &str| fs::read_to_string(below(root, path)).unwrap_or_default();
    let tables = || [read("/proc/net/tcp"), read("/proc/net/tcp6")];
    let mut found = Strangers::default();
    let mut held = BTreeSet::new();
    let before = tables();
    for process in processes(&below(root, "/proc")) {
        // One that has ended since is nobody.
        let read = |name: &str| fs::read_to_string(process.join(name)).ok();
        let Some(groups) = read("cgroup") else {
            continue;
        };
        match groups.lines().any(|line| is_of(line, &is_ours)) {
            true => held.extend(sockets(&process)),
            false => {
                let name = read("comm").map(|name| name.trim().to_owned());
                found.running.extend(name);
            }
        }
    }
    found.ports = theirs(&before, &tables(), &held);
    found
}

/// The ports of sockets that listened before and after processes were looked at, and are held by
/// none of ours: one that was opened or closed between is of a process that may not have been seen.
fn theirs(before: &[String], after: &[String], held: &BTreeSet<String>) -> BTreeSet<u16> {
    let listening = |tables: &[String]| -> BTreeSet<_> {
        let lines = tables.iter().flat_map(|table| table.lines());
        lines.filter_map(listener).collect()
    };
    let (before, after) = (listening(before), listening(after));
    let there = before.intersection(&after);
    let theirs = there.filter(|(_, socket)| {
        let socket = socket.as_ref();
        !socket.is_some_and(|socket| held.contains(socket))
    });
    theirs.map(|(port, _)| *port).collect()
}

/// Threads of the kernel are among them, whose names nobody asks for.
fn processes(proc: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let numbers = entries.filter(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    });
    numbers.map(|entry| entry.path()).collect()
}

/// Whether a line, `0::/system.slice/etcd.service`, is of a unit of ours, or of a Pod of ours.
fn is_of(line: &str, is_ours: impl Fn(&str) -> bool) -> bool {
    let path = line.splitn(3, ':').nth(2).unwrap_or_default();
    let path = path.strip_suffix(GONE).unwrap_or(path);
    let is_unit = |name: &&str| name.ends_with(".service");
    if path.split('/').any(|name| name.starts_with(PODS)) {
        return is_ours(KUBELET);
    }
    // A machine may be within a service of another.
    path.split('/').rfind(is_unit).is_some_and(is_ours)
}

/// The numbers of a process' sockets.
fn sockets(process: &Path) -> Vec<String> {
    let files = fs::read_dir(process.join("fd")).into_iter();
    let files = files.flatten().flatten();
    let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    let numbers = targets.filter_map(|target| {
        let target = target.to_str()?.strip_prefix("socket:[")?;
        Some(target.strip_suffix(']')?.to_owned())
    });
    numbers.collect()
}

/// The local port of a line of `/proc/net/tcp`, of a socket that listens, and the socket's number
/// (proc_net(5)).
fn listener(line: &str) -> Option<(u16, Option<String>)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (_, port) = words.get(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let socket = words.get(9).map(ToString::to_string);
    (*words.get(3)? == LISTEN).then_some((port, socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
                       retrnsmt   uid  timeout inode\n   \
        0: 0100007F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 500 1 0\n   \
        1: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 501 1 0\n   \
        2: 0100007F:1F90 0100007F:A2C3 01 00000000:00000000 00:00000000 00000000 0 0 502 1 0\n   \
        3: 0100007F:0051 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 503 1 0\n";

    #[test]
    fn what_units_of_ours_and_pods_hold_is_no_strangers() {
        let root = tempfile::tempdir().unwrap();
        for (id, name, group, socket) in [
            (7, "etcd", "0::/system.slice/etcd.service", 500),
            (8, "mysqld", "0::/system.slice/mysql.service", 501),
            (
                9,
                "haproxy",
                "0::/kubepods.slice/kubepods-pod1.slice/x.scope",
                503,
            ),
            (10, "keepalived", "0::/system.slice/docker-12.scope", 504),
            (11, "sh", "0::/", 505),
        ] {
            let process = root.path().join(format!("proc/{id}"));
            fs::create_dir_all(process.join("fd")).unwrap();
            fs::write(process.join("comm"), format!("{name}\n")).unwrap();
            fs::write(process.join("cgroup"), format!("{group}\n")).unwrap();
            let link = format!("socket:[{socket}]");
            std::os::unix::fs::symlink(link, process.join("fd/3")).unwrap();
            std::os::unix::fs::symlink("/dev/zero", process.join("fd/0")).unwrap();
        }
        fs::create_dir_all(root.path().join("proc/net")).unwrap();
        fs::write(root.path().join("proc/net/tcp"), TCP).unwrap();
        let found = |is_ours: fn(&str) -> bool| {
            let found = look(root.path(), is_ours);
            let names: Vec<_> = found.running.into_iter().collect();
            (found.ports.into_iter().collect::<Vec<_>>(), names.join(" "))
        };
        // It ended after the list of processes was read.
        fs::create_dir_all(root.path().join("proc/12")).unwrap();
        fs::write(root.path().join("proc/12/comm"), "etcd\n").unwrap();
        assert_eq!(
            found(|unit| ["etcd.service", "kubelet.service"].contains(&unit)),
            (vec![3306], "keepalived mysqld sh".to_owned())
        );
        // Pods of a kubelet that is none of ours are its own.
        assert_eq!(
            found(|unit| unit == "etcd.service"),
            (vec![81, 3306], "haproxy keepalived mysqld sh".to_owned())
        );
        assert_eq!(
            found(|_| false),
            (
                vec![81, 2379, 3306],
                "etcd haproxy keepalived mysqld sh".to_owned()
            )
        );
    }

    /// A unit of ours that was started anew meanwhile is nobody else.
    #[test]
    fn a_port_that_was_opened_or_closed_meanwhile_is_nobodys() {
        let [before, after] = ["500 1", "600 1"].map(|socket| {
            let table = TCP.replace("500 1", socket);
            [table, String::new()]
        });
        let held = BTreeSet::from(["501".to_owned()]);
        assert_eq!(theirs(&before, &after, &held), BTreeSet::from([81]));
        assert_eq!(theirs(&after, &before, &held), BTreeSet::from([81]));
        let all = BTreeSet::from([81, 2379]);
        assert_eq!(theirs(&before, &before, &held), all);
    }

    #[test]
    fn a_group_is_of_the_last_service_in_it() {
        let etcd = |unit: &str| ["etcd.service", KUBELET].contains(&unit);
        for (line, wanted) in [
            ("0::/system.slice/etcd.service", true),
            ("1:name=systemd:/system.slice/etcd.service", true),
            ("0::/lab.service/system.slice/etcd.service", true),
            ("0::/system.slice/etcd.service/own", true),
            ("0::/etcd.service/system.slice/other.service", false),
            ("0::/system.slice/other.service", false),
            ("0::/system.slice/etcd.service (deleted)", true),
            ("9:cpu:/kubepods/burstable/pod1", true),
            ("0::/system.slice/etcd.service.d", false),
            ("0::/", false),
            ("", false),
        ] {
            assert_eq!(is_of(line, etcd), wanted, "{line}");
        }
        let pod = "0::/kubepods.slice/kubepods-pod1.slice/x.scope";
        assert!(is_of(pod, etcd) && !is_of(pod, |unit| unit == "etcd.service"));
    }
}
