//! What `preflight --fix` does to a host beyond files: swap, modules, settings, the firewall.
//! Each can be done twice; none takes away what somebody else has made.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::files::{self, FilesError, Put, below, refused};
use super::journal::Journal;
use super::probe::{filter, tool};
use crate::flows::firewall::{Hole, shell};
use crate::render::SYSCTLS;

const FSTAB: &str = "/etc/fstab";
/// What stood in it before any line was commented.
const FSTAB_BEFORE: &str = "/etc/fstab.sternpost";
/// What a line of it begins with that swaps no more.
const COMMENT: &str = "# sternpost: a node does not swap: ";

/// Something to be put right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mend {
    /// Swap off, now and for the next boot.
    Swap,
    /// Load these modules, then the settings whose file is there.
    Kernel(Vec<String>),
    /// Let this in.
    Open(Vec<Hole>),
}

/// Why it is not put right.
#[derive(Debug, Error)]
pub enum MendError {
    /// A file cannot be written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A program of the system is not there.
    #[error("{0} is not there")]
    Missing(String),
    /// It cannot be run.
    #[error("{command} cannot be run")]
    Run {
        /// What.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It failed.
    #[error("{command} failed: {said}")]
    Failed {
        /// What.
        command: String,
        /// The last line it said.
        said: String,
    },
    /// What filters is another's to change.
    #[error("{0} filters here, whose rules are yours to write")]
    Firewall(&'static str),
}

/// Puts it right, on the host whose files lie below `root`.
pub(super) fn mend(
    root: &Path,
    mend: &Mend,
    journal: &mut Journal,
) -> Result<(), MendError> {
    match mend {
        Mend::Swap => swap(root, journal),
        Mend::Kernel(modules) => kernel(root, modules),
        Mend::Open(holes) => open(root, holes),
    }
}

fn swap(root: &Path, journal: &mut Journal) -> Result<(), MendError> {
    let before = fs::read_to_string(below(root, FSTAB)).unwrap_or_default();
    let after = commented(&before);
    if after != before {
        // The first copy is the one without any word of ours. It is not noted: what is noted
        // goes with a reset, and this is the operator's.
        let copy = below(root, FSTAB_BEFORE);
        if !copy.exists() {
            fs::copy(below(root, FSTAB), &copy)
                .and_then(|_| fs::File::open(&copy)?.sync_all())
                .map_err(refused("written", copy))?;
        }
        let put = Put {
            path: FSTAB.to_owned(),
            mode: 0o644,
            owner: "root".to_owned(),
            content: after,
        };
        files::put(root, &put, journal)?;
    }
    let swaps = fs::read_to_string(below(root, "/proc/swaps")).unwrap_or_default();
    let swaps = swaps.lines().skip(1);
    for device in swaps.filter_map(|line| line.split_whitespace().next()) {
        run(root, &["swapoff", device])?;
        // What no line of fstab has made, something else makes again: a partition's type, or
        // the generator for zram.
        if !names(&before, device) {
            run(root, &["systemctl", "mask", &unit(device)])?;
        }
    }
    Ok(())
}

/// The table with every line of swap as a comment (fstab(5)).
fn commented(text: &str) -> String {
    let lines = text.lines().map(|line| match is_swap(line) {
        true => format!("{COMMENT}{line}\n"),
        false => format!("{line}\n"),
    });
    lines.collect()
}

fn is_swap(line: &str) -> bool {
    let live = !line.trim_start().starts_with('#');
    live && line.split_whitespace().nth(2) == Some("swap")
}

fn names(fstab: &str, device: &str) -> bool {
    let mut lines = fstab.lines().filter(|line| is_swap(line));
    lines.any(|line| line.split_whitespace().next() == Some(device))
}

/// The unit of a device or file that is swapped to (systemd.unit(5), "escaping").
fn unit(path: &str) -> String {
    let mut name = String::new();
    for c in path.trim_start_matches('/').chars() {
        match c {
            '/' => name.push('-'),
            c if c.is_ascii_alphanumeric() || "_.".contains(c) => name.push(c),
            c => {
                let mut octets = [0; 4];
                for octet in c.encode_utf8(&mut octets).bytes() {
                    name.push_str(&format!("\\x{octet:02x}"));
                }
            }
        }
    }
    format!("{name}.swap")
}

/// Settings of a bridge are there once its module is.
fn kernel(root: &Path, modules: &[String]) -> Result<(), MendError> {
    if !modules.is_empty() {
        let mut words = vec!["modprobe", "--all"];
        words.extend(modules.iter().map(String::as_str));
        run(root, &words)?;
    }
    let file = below(root, SYSCTLS).display().to_string();
    run(root, &["sysctl", "--quiet", "--load", &file])
}

fn open(root: &Path, holes: &[Hole]) -> Result<(), MendError> {
    let firewall = filter::look(root);
    if !firewall.is_ours_to_open() {
        return Err(MendError::Firewall(firewall.name()));
    }
    for words in holes.iter().flat_map(|hole| firewall.open(hole)) {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        run(root, &words)?;
    }
    Ok(())
}

fn run(root: &Path, words: &[&str]) -> Result<(), MendError> {
    let Some((name, arguments)) = words.split_first() else {
        return Ok(());
    };
    let missing = || MendError::Missing((*name).to_owned());
    let program = tool(root, name).ok_or_else(missing)?;
    let words: Vec<_> = words.iter().map(ToString::to_string).collect();
    let command = shell(&words);
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(source) => return Err(MendError::Run { command, source }),
    };
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = lines.next_back().unwrap_or("it said nothing").to_owned();
    Err(MendError::Failed { command, said })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use crate::flows::Way;

    /// A machine whose programs write down how they were called.
    struct World {
        root: TempDir,
    }

    impl World {
        fn new(programs: &[&str], files: &[(&str, &str)]) -> Self {
            let root = tempfile::tempdir().unwrap();
            let place = |path: &str| -> PathBuf {
                let path = root.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                path
            };
            for (path, text) in files {
                fs::write(place(path), text).unwrap();
            }
            for name in programs {
                // By a process of its own: a file that this one has open cannot be run while
                // another thread's child still holds it (ETXTBSY).
                let write = "printf '#!/bin/sh\\necho \"%s $*\" >>%s\\n%s\\n' \"$1\" \"$2\" \"$3\" >\"$0\"; \
                             chmod 755 \"$0\"";
                let calls = root.path().join("calls");
                let more = match *name {
                    "firewall-cmd" => "echo running",
                    _ => ":",
                };
                let status = Command::new("sh")
                    .args(["-c", write])
                    .arg(place(&format!("usr/sbin/{name}")))
                    .arg(name)
                    .arg(calls)
                    .arg(more)
                    .status();
                assert!(status.unwrap().success());
            }
            Self { root }
        }

        fn mend(&self, what: &Mend) -> Result<(), String> {
            let journal = self.root.path().join("journal.jsonl");
            mend(self.root.path(), what, &mut Journal::at(journal))
                .map_err(|error| error.to_string())
        }

        fn text(&self, path: &str) -> String {
            fs::read_to_string(self.root.path().join(path)).unwrap_or_default()
        }
    }

    const TABLE: &str = "UUID=1 / ext4 defaults 0 1\n/dev/sda5\tnone\tswap sw 0 0\n# /old none swap sw 0 0\n";

    #[test]
    fn swap_goes_for_now_and_for_the_next_boot_and_the_table_is_kept() {
        let swaps = "Filename Type Size Used Priority\n/dev/sda5 partition 1 0 -2\n\
                     /dev/zram0 partition 1 0 100\n";
        let world = World::new(
            &["swapoff", "systemctl"],
            &[("etc/fstab", TABLE), ("proc/swaps", swaps)],
        );
        world.mend(&Mend::Swap).unwrap();
        let wanted = "UUID=1 / ext4 defaults 0 1\n\
                      # sternpost: a node does not swap: /dev/sda5\tnone\tswap sw 0 0\n\
                      # /old none swap sw 0 0\n";
        assert_eq!(world.text("etc/fstab"), wanted);
        assert_eq!(world.text("etc/fstab.sternpost"), TABLE);
        assert_eq!(
            world.text("calls"),
            "swapoff /dev/sda5\nswapoff /dev/zram0\nsystemctl mask dev-zram0.swap\n"
        );
        fs::write(world.root.path().join("proc/swaps"), "Filename\n").unwrap();
        fs::write(world.root.path().join("calls"), "").unwrap();
        world.mend(&Mend::Swap).unwrap();
        assert_eq!(world.text("etc/fstab"), wanted);
        assert_eq!(world.text("etc/fstab.sternpost"), TABLE);
        assert_eq!(world.text("calls"), "");
    }

    #[test]
    fn a_unit_is_escaped_as_systemd_does() {
        assert_eq!(unit("/dev/zram0"), "dev-zram0.swap");
        assert_eq!(unit("/var/swap-file"), "var-swap\\x2dfile.swap");
    }

    #[test]
    fn modules_come_before_settings() {
        let world = World::new(&["modprobe", "sysctl"], &[]);
        world
            .mend(&Mend::Kernel(vec!["br_netfilter".into(), "vxlan".into()]))
            .unwrap();
        let calls = world.text("calls");
        let root = world.root.path().display();
        let wanted = format!(
            "modprobe --all br_netfilter vxlan\nsysctl --quiet --load {root}{SYSCTLS}\n"
        );
        assert_eq!(calls, wanted);
        let bare = World::new(&[], &[]);
        let missing = bare.mend(&Mend::Kernel(vec![])).unwrap_err();
        assert_eq!(missing, "sysctl is not there");
    }

    #[test]
    fn a_firewall_of_its_own_is_told_and_rules_of_others_are_not_touched() {
        let hole = Hole {
            way: Way::Tcp(2380),
            from: BTreeSet::from(["192.0.2.1".parse().unwrap()]),
        };
        let open = Mend::Open(vec![hole]);
        let world = World::new(&["firewall-cmd"], &[]);
        world.mend(&open).unwrap();
        let rule = "--add-rich-rule=rule family=\"ipv4\" source address=\"192.0.2.1\" \
                    port port=\"2380\" protocol=\"tcp\" accept";
        assert_eq!(
            world.text("calls"),
            format!(
                "firewall-cmd --state\nfirewall-cmd --permanent {rule}\nfirewall-cmd {rule}\n"
            )
        );
        let legacy = World::new(&[], &[("proc/net/ip_tables_names", "filter\n")]);
        let refused = legacy.mend(&open).unwrap_err();
        assert_eq!(
            refused,
            "iptables filters here, whose rules are yours to write"
        );
    }
}
