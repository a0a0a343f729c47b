//! What a maintainer would ask a host for: files for everybody and the words of programs. All
//! of it is named here; nothing is changed, nothing secret is read, and what a program does
//! not say in time is left out with the reason.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::ask::last_line;
use super::files::below;
use super::{INCOMING, JOURNAL};
use crate::layout;

/// Octets of one piece; of longer ones the end is kept, where the news are.
const LONGEST: u64 = 1 << 20;
/// Lines of a unit's journal.
const LINES: &str = "--lines=400";
/// What a program gets to answer, seconds: a host in trouble is not made to wait for.
const PATIENCE: &str = "10";

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collect {
    /// Units, by their names.
    pub units: Vec<String>,
    /// Programs, which say their versions.
    pub programs: Vec<String>,
    /// Files. Those that are not for everybody are left out.
    pub files: Vec<String>,
}

/// What was found, by the name of the file that it becomes.
pub type Pieces = BTreeMap<String, String>;

/// Files of every host.
const FILES: [&str; 11] = [
    "/etc/os-release",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/mounts",
    "/proc/pressure/cpu",
    "/proc/pressure/io",
    "/proc/pressure/memory",
    "/proc/swaps",
    "/etc/cni/net.d/10-flannel.conflist",
];

/// Programs of every host, with the names of what they say.
const SYSTEM: [(&str, &[&str]); 11] = [
    ("uname.txt", &["uname", "-a"]),
    ("disk.txt", &["df", "-h"]),
    ("inodes.txt", &["df", "-i"]),
    ("time.txt", &["timedatectl", "status"]),
    ("addresses.txt", &["ip", "address"]),
    ("routes.txt", &["ip", "route", "show", "table", "all"]),
    ("sockets.txt", &["ss", "-lntup"]),
    ("packet-filter.txt", &["nft", "list", "ruleset"]),
    ("failed-units.txt", &["systemctl", "--failed", "--no-pager"]),
    (
        "kernel.log",
        &["journalctl", "--dmesg", "--no-pager", LINES],
    ),
    (
        "processes.txt",
        &["ps", "-eo", "pid,ppid,user,stat,etime,rss,comm"],
    ),
];

/// Programs that we have brought, where they are.
const OWN: [(&str, &[&str]); 7] = [
    ("api-lb.json", &["api-lb", "status", "--json"]),
    ("vip-daemon.json", &["vip-daemon", "status", "--json"]),
    ("vip-daemon-explain.txt", &["vip-daemon", "explain"]),
    (
        "bootstrap-signer.json",
        &["bootstrap-signer", "status", "--json"],
    ),
    (
        "images.txt",
        &["ctr", "--namespace", "k8s.io", "images", "list"],
    ),
    (
        "containers.txt",
        &["ctr", "--namespace", "k8s.io", "containers", "list"],
    ),
    (
        "tasks.txt",
        &["ctr", "--namespace", "k8s.io", "tasks", "list"],
    ),
];

/// Programs that say their version in another way, or have none.
const SILENT: [&str; 6] = [
    "etcdctl",
    "kubectl",
    "bridge",
    "host-local",
    "loopback",
    "portmap",
];

/// Looks at the host whose files lie below `root`.
pub(super) fn collect(root: &Path, wanted: &Collect) -> Pieces {
    let mut all = Pieces::new();
    let own = wanted.files.iter().map(String::as_str);
    for path in FILES.into_iter().chain([JOURNAL]).chain(own) {
        if let Some(text) = public(root, path) {
            all.insert(format!("files{path}"), text);
        }
    }
    for (name, words) in SYSTEM {
        all.insert(format!("system/{name}"), said(Path::new(""), words));
    }
    for (name, words) in OWN {
        let program = words.first().copied().unwrap_or_default();
        if below(root, &layout::program(program)).exists() {
            let folder = below(root, layout::BIN);
            all.insert(format!("programs/{name}"), said(&folder, words));
        }
    }
    let mut versions = String::new();
    for program in &wanted.programs {
        let there = below(root, &layout::program(program)).exists();
        if there && !SILENT.contains(&&**program) {
            let folder = below(root, layout::BIN);
            let text = said(&folder, &[program, "--version"]);
            let first = text.lines().next().unwrap_or_default();
            versions.push_str(&format!("{program}: {first}\n"));
        }
    }
    all.insert("programs/versions.txt".to_owned(), versions);
    for unit in &wanted.units {
        let show = ["systemctl", "show", "--no-pager", "--", unit];
        all.insert(format!("units/{unit}.txt"), said(Path::new(""), &show));
        let unit_is = format!("--unit={unit}");
        let words = [
            "journalctl",
            "--no-pager",
            LINES,
            "--output=short-iso",
            &unit_is,
        ];
        all.insert(format!("units/{unit}.log"), said(Path::new(""), &words));
    }
    all
}

/// The end of a file that everybody may read.
fn public(root: &Path, path: &str) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mut file = File::open(below(root, path)).ok()?;
    let about = file.metadata().ok()?;
    // The journal is for root alone and holds no contents; nothing else is an exception.
    let open = about.permissions().mode() & 0o004 != 0 || path == JOURNAL;
    if !open || !about.is_file() || path.starts_with(INCOMING) {
        return None;
    }
    let start = about.len().saturating_sub(LONGEST);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut octets = Vec::new();
    file.take(LONGEST).read_to_end(&mut octets).ok()?;
    Some(String::from_utf8_lossy(&octets).into_owned())
}

/// What a command says, or why it says nothing.
fn said(folder: &Path, words: &[&str]) -> String {
    let Some((program, arguments)) = words.split_first() else {
        return String::new();
    };
    let output = Command::new("timeout")
        .args(["--kill-after=1", PATIENCE])
        .arg(folder.join(program))
        .args(arguments)
        .env("SYSTEMD_COLORS", "0")
        .output();
    match output {
        Err(error) => format!("({program}: {error})\n"),
        Ok(output) => {
            let octets = &output.stdout;
            let longest = usize::try_from(LONGEST).unwrap_or(usize::MAX);
            let start = octets.len().saturating_sub(longest);
            let end = octets.get(start..).unwrap_or_default();
            let mut text = String::from_utf8_lossy(end).into_owned();
            if !output.status.success() {
                text.push_str(&format!("({program}: {})\n", last_line(&output)));
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_not_for_everybody_stays_where_it_is() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str, mode| {
            let path = below(root.path(), path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        put("/etc/sternpost/api-lb.yaml", "kind: ApiLb\n", 0o644);
        put("/etc/kubernetes/pki/ca.key", "secret", 0o600);
        put(JOURNAL, "{}\n", 0o600);
        put(
            "/usr/local/bin/api-lb",
            "#!/bin/sh\necho \"api-lb $*\"\n",
            0o755,
        );
        let wanted = Collect {
            units: vec!["none.service".to_owned()],
            programs: ["api-lb", "kubelet"].map(str::to_owned).to_vec(),
            files: ["/etc/sternpost/api-lb.yaml", "/etc/kubernetes/pki/ca.key"]
                .map(str::to_owned)
                .to_vec(),
        };
        let all = collect(root.path(), &wanted);
        let text = |name: &str| all.get(name).map(String::as_str);
        assert_eq!(
            text("files/etc/sternpost/api-lb.yaml"),
            Some("kind: ApiLb\n")
        );
        assert_eq!(text("files/var/lib/sternpost/journal.jsonl"), Some("{}\n"));
        assert_eq!(text("files/etc/kubernetes/pki/ca.key"), None);
        assert_eq!(text("programs/api-lb.json"), Some("api-lb status --json\n"));
        let versions = Some("api-lb: api-lb --version\n");
        assert_eq!(text("programs/versions.txt"), versions);
        assert!(text("units/none.service.log").is_some());
        assert!(all.values().all(|text| !text.contains("secret")));
    }

    #[test]
    fn of_what_is_long_the_end_is_kept() {
        let long = format!("head -c {} /dev/zero | tr '\\0' a; echo end", LONGEST * 2);
        let text = said(Path::new("/bin"), &["sh", "-c", &long]);
        assert!(text.ends_with("aend\n"));
        assert_eq!(text.len() as u64, LONGEST);
        let none = said(Path::new("/nowhere"), &["program"]);
        assert!(none.starts_with("(program: "), "{none}");
    }
}
