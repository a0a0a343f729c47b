//! What Pods and their networks have in a host's kernel: looked at, and removed by name.
//! What is gone already is removed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use serde_json::Value;
use thiserror::Error;

use super::ask::last_line;
use super::files::below;
use super::mounts::mounts;
use super::spaces::{SPACES, spaces};
use crate::reset::{INTERFACES, Kernel, Route, Step, Table, chains};

/// What holds a sandbox, and how it is told whose it is.
const SHIM: &str = "containerd-shim-runc-v2";
const NAMESPACE: [&[u8]; 2] = [b"-namespace", b"k8s.io"];
/// Until a process that was killed is gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at it: it is nobody's child here.
const LOOK: Duration = Duration::from_millis(20);
/// Programs that save and restore packet filters of the older kind.
const FILTERS: [&str; 2] = ["iptables", "ip6tables"];
/// flannel's file, which names the networks of Pods.
const NETWORKS: &str = "/etc/kube-flannel/net-conf.json";

/// Why something of it is still there.
#[derive(Debug, Error)]
pub enum KernelError {
    /// A program is not there.
    #[error("{program} cannot be run")]
    Run {
        /// Which.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program failed.
    #[error("{command} failed: {said}")]
    Failed {
        /// What was run.
        command: String,
        /// The last line it said.
        said: String,
    },
    /// Nobody says where something is mounted.
    #[error("where something is mounted cannot be read; nothing is removed without that")]
    Mounts(#[source] io::Error),
    /// A container does not end.
    #[error("processes {0:?} of containers do not end: they wait for a disk or a server")]
    Alive(BTreeSet<u32>),
}

/// What there is on the machine whose files lie below `root`; a program that is not there
/// has left nothing.
pub(super) fn look(root: &Path) -> Kernel {
    if root != Path::new("/") {
        // The kernel is this machine's, whatever lies below the folder.
        return Kernel::default();
    }
    let interface = |name: &&str| Path::new("/sys/class/net").join(name).exists();
    let shims = shims();
    Kernel {
        sandboxes: shims.len(),
        interfaces: INTERFACES
            .into_iter()
            .filter(interface)
            .map(str::to_owned)
            .collect(),
        spaces: spaces(root, &below_of(&shims)),
        routes: routes(root),
        tables: tables(&printed("nft", &["--json", "list", "tables"])),
        chains: FILTERS
            .iter()
            .filter_map(|program| {
                let (_, count) = chains(&printed(&format!("{program}-save"), &[]))?;
                Some(((*program).to_owned(), count))
            })
            .collect(),
    }
}

/// Removes what a step names.
pub(super) fn remove(root: &Path, step: &Step) -> Result<(), KernelError> {
    match step {
        Step::Unmount { at } => {
            let mounts = mounts(root).map_err(KernelError::Mounts)?;
            let mut mounts = mounts.into_iter();
            // A container's end may have taken it.
            let Some(at) = mounts.find(|one| one.to_string_lossy() == **at) else {
                return Ok(());
            };
            run("umount", &[OsStr::new("--"), at.as_os_str()], "")
        }
        Step::Space { name } => {
            if !Path::new(SPACES).join(name).exists() {
                return Ok(());
            }
            run("ip", &["netns", "delete", name], "")
        }
        Step::Interface { name } => {
            if !Path::new("/sys/class/net").join(name).exists() {
                return Ok(());
            }
            run("ip", &["link", "delete", name], "")
        }
        Step::Route(route) => {
            if !routes(root).contains(route) {
                return Ok(());
            }
            let Route { to, via } = route;
            run("ip", &["route", "delete", to, "via", via], "")
        }
        Step::Table(Table { family, name }) => {
            // Made first, so that one that is gone is removed as well.
            let text = format!("add table {family} {name}; delete table {family} {name}");
            run("nft", &[&text], "")
        }
        Step::Chains { program, .. } => {
            match chains(&printed(&format!("{program}-save"), &[])) {
                None => Ok(()),
                Some((text, _)) => {
                    run(&format!("{program}-restore"), &["--noflush"], &text)
                }
            }
        }
        Step::Stop { .. }
        | Step::Containers { .. }
        | Step::Images
        | Step::Strip { .. }
        | Step::File { .. }
        | Step::Link { .. }
        | Step::Tree { .. }
        | Step::Aside { .. }
        | Step::Back { .. }
        | Step::Folder { .. }
        | Step::Close { .. }
        | Step::Reread
        | Step::Bring(_)
        | Step::Forget => Ok(()),
    }
}

/// Kills every container of Kubernetes, and what holds it.
pub(super) fn end_containers() -> Result<(), KernelError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shims = shims();
        let mut all = below_of(&shims);
        all.extend(shims);
        if all.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(KernelError::Alive(all));
        }
        let ids: Vec<_> = all.iter().map(ToString::to_string).collect();
        let mut words = vec!["-KILL", "--"];
        words.extend(ids.iter().map(String::as_str));
        // One of them may have ended by itself meanwhile: the next look says who is left.
        let _ = Command::new("kill")
            .args(words)
            .stderr(Stdio::null())
            .status();
        park_timeout(LOOK);
    }
}

/// The processes that hold sandboxes of Kubernetes.
fn shims() -> BTreeSet<u32> {
    let mut all = BTreeSet::new();
    for id in processes() {
        let Ok(line) = fs::read(format!("/proc/{id}/cmdline")) else {
            continue;
        };
        let words: Vec<_> = line.split(|octet| *octet == 0).collect();
        let program = words.first().copied().unwrap_or_default();
        let name = Path::new(OsStr::from_bytes(program)).file_name();
        let ours = words.windows(2).any(|two| two == NAMESPACE);
        if name.is_some_and(|name| name == SHIM) && ours {
            all.insert(id);
        }
    }
    all
}

fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let id = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries.filter_map(id).collect()
}

/// The processes that `above` have started, and those that these have (proc(5), `stat`).
fn below_of(above: &BTreeSet<u32>) -> BTreeSet<u32> {
    let parent = |id: &u32| {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name in brackets may hold anything.
        let rest = text.rsplit_once(')')?.1;
        let parent = rest.split_whitespace().nth(1)?.parse::<u32>().ok()?;
        let state = rest.split_whitespace().next()?;
        // What has ended already waits for its parent alone.
        (state != "Z").then_some((*id, parent))
    };
    let all: Vec<_> = processes().iter().filter_map(parent).collect();
    let mut found = BTreeSet::new();
    loop {
        let next = all.iter().filter(|(id, parent)| {
            (above.contains(parent) || found.contains(parent)) && !found.contains(id)
        });
        let next: Vec<_> = next.map(|(id, _)| *id).collect();
        if next.is_empty() {
            return found;
        }
        found.extend(next);
    }
}

/// Routes over other hosts to where flannel's file says that Pods are.
fn routes(root: &Path) -> Vec<Route> {
    let text = fs::read_to_string(below(root, NETWORKS)).unwrap_or_default();
    let conf: Value = serde_json::from_str(&text).unwrap_or_default();
    let networks = ["Network", "IPv6Network"].into_iter();
    let networks = networks.filter_map(|key| conf.get(key)?.as_str()?.parse().ok());
    let networks: Vec<ipnet::IpNet> = networks.collect();
    let mut all = Vec::new();
    for family in ["-4", "-6"] {
        let said = printed("ip", &["-json", family, "route", "show"]);
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        let route = |one: &Value| {
            let to = one.get("dst")?.as_str()?.to_owned();
            let via = one.get("gateway")?.as_str()?.to_owned();
            let inside: ipnet::IpNet = to.parse().ok()?;
            let ours = networks.iter().any(|network| network.contains(&inside));
            ours.then_some(Route { to, via })
        };
        all.extend(said.as_array().into_iter().flatten().filter_map(route));
    }
    all
}

/// The tables that `nft --json list tables` prints.
fn tables(text: &str) -> Vec<Table> {
    let said: Value = serde_json::from_str(text).unwrap_or_default();
    let all = said.get("nftables").and_then(Value::as_array);
    let table = |one: &Value| {
        let one = one.get("table")?;
        Some(Table {
            family: one.get("family")?.as_str()?.to_owned(),
            name: one.get("name")?.as_str()?.to_owned(),
        })
    };
    all.into_iter().flatten().filter_map(table).collect()
}

/// What a program prints; nothing when it is not there.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let octets = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&octets).into_owned()
}

fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: &[A],
    input: &str,
) -> Result<(), KernelError> {
    let failed = |source| KernelError::Run {
        program: program.to_owned(),
        source,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        // One that ends early says why on its standard error.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let words = arguments.iter();
            let words = words.map(|word| word.as_ref().to_string_lossy());
            let words: Vec<_> = words.collect();
            Err(KernelError::Failed {
                command: format!("{program} {}", words.join(" ")),
                said: last_line(&output),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_as_nft_prints_them() {
        let text = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
            {"table": {"family": "ip", "name": "kube-proxy", "handle": 3}}]}"#;
        let table = Table {
            family: "ip".to_owned(),
            name: "kube-proxy".to_owned(),
        };
        assert_eq!(tables(text), [table]);
        assert!(tables("").is_empty());
    }

    /// A process that this one starts is below it, and its child as well.
    #[test]
    fn who_was_started_is_found_with_whom_they_started() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 60 & wait"])
            .spawn()
            .unwrap();
        let above = BTreeSet::from([std::process::id()]);
        let deadline = Instant::now() + PATIENCE;
        let of_child = BTreeSet::from([child.id()]);
        while below_of(&of_child).is_empty() && Instant::now() < deadline {
            park_timeout(LOOK);
        }
        let sleeper = below_of(&of_child);
        let all = below_of(&above);
        child.kill().unwrap();
        child.wait().unwrap();
        for id in &sleeper {
            let _ = Command::new("kill").arg(id.to_string()).status();
        }
        assert_eq!(sleeper.len(), 1);
        assert!(all.contains(&child.id()) && all.is_superset(&sleeper));
    }

    #[test]
    fn below_a_folder_there_is_no_kernel() {
        assert_eq!(look(Path::new("/nowhere")), Kernel::default());
    }
}
