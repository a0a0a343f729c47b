//! What `preflight --fix` does to a host beyond files: swap, modules, settings, the firewall.
//! Each can be done twice; none takes away what somebody else has made.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::files::{self, FilesError, below};
use super::journal::{Entry, Journal};
use super::probe::filter;
use super::swap;
use crate::facts::tool;
use crate::flows::firewall::{self, Hole, shell};
use crate::render::{HOSTS, SYSCTLS};
use crate::resource::Block;

/// Something to be put right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mend {
    /// Swap off, now and for the next boot.
    Swap,
    /// Load these modules, then the settings whose file is there.
    Kernel(Vec<String>),
    /// Write these lines of ours into the file of names, beside what is in it at that moment.
    Names(Vec<String>),
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
    /// What is swapped out has no room in memory.
    #[error(
        "{used} KiB are swapped out, and {available} KiB of memory are available; end what takes \
         it and try again, or boot the host: from then on it does not swap"
    )]
    NoRoom {
        /// What is swapped out, KiB.
        used: u64,
        /// The room for it, KiB.
        available: u64,
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
        Mend::Swap => swap::off(root, journal),
        Mend::Kernel(modules) => kernel(root, modules),
        Mend::Names(lines) => names(root, lines, journal),
        Mend::Open(holes) => open(root, holes, journal),
    }
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

fn names(root: &Path, lines: &[String], journal: &mut Journal) -> Result<(), MendError> {
    let place = below(root, HOSTS);
    let text = match fs::read_to_string(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text.map_err(files::refused("read", place))?,
    };
    let block = Block {
        path: HOSTS.to_owned(),
        lines: lines.to_vec(),
    };
    Ok(files::edit(root, HOSTS, block.within(&text), journal)?)
}

fn open(root: &Path, holes: &[Hole], journal: &mut Journal) -> Result<(), MendError> {
    let firewall = filter::look(root);
    if !holes.iter().all(|hole| firewall.is_ours_to_make(hole)) {
        return Err(MendError::Firewall(firewall.name()));
    }
    for words in holes.iter().flat_map(|hole| firewall.open(hole)) {
        // First: a hole that nobody knows of would never be closed.
        let note = Entry::Opened {
            words: words.clone(),
        };
        journal.note(&note).map_err(FilesError::from)?;
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        run(root, &words)?;
    }
    Ok(())
}

/// Keeps out again what these words have let in, where what they were said to is there still.
pub(super) fn close(
    root: &Path,
    words: &[String],
    journal: &mut Journal,
) -> Result<(), MendError> {
    let closing = firewall::closing(words).unwrap_or_default();
    let closing: Vec<_> = closing.iter().map(String::as_str).collect();
    match run(root, &closing) {
        Ok(()) | Err(MendError::Missing(_)) => {}
        Err(error) => return Err(error),
    }
    let words = words.to_vec();
    Ok(journal
        .note(&Entry::Closed { words })
        .map_err(FilesError::from)?)
}

pub(super) fn run(root: &Path, words: &[&str]) -> Result<(), MendError> {
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
pub(super) mod world {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    /// A machine whose programs write down how they were called.
    pub(crate) struct World {
        root: TempDir,
    }

    impl World {
        pub(crate) fn new(programs: &[&str], files: &[(&str, &str)]) -> Self {
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

        pub(crate) fn mend(&self, what: &Mend) -> Result<(), String> {
            let journal = self.root.path().join("journal.jsonl");
            mend(self.root.path(), what, &mut Journal::at(journal))
                .map_err(|error| error.to_string())
        }

        pub(crate) fn text(&self, path: &str) -> String {
            fs::read_to_string(self.path(path)).unwrap_or_default()
        }

        pub(crate) fn path(&self, path: &str) -> PathBuf {
            self.root.path().join(path)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::world::World;
    use super::*;
    use crate::flows::Way;
    use crate::reset::{self, Data, Inventory, Step};

    #[test]
    fn modules_come_before_settings() {
        let world = World::new(&["modprobe", "sysctl"], &[]);
        world
            .mend(&Mend::Kernel(vec!["br_netfilter".into(), "vxlan".into()]))
            .unwrap();
        let calls = world.text("calls");
        let root = world.path("").display().to_string();
        let root = root.trim_end_matches('/');
        let wanted = format!(
            "modprobe --all br_netfilter vxlan\nsysctl --quiet --load {root}{SYSCTLS}\n"
        );
        assert_eq!(calls, wanted);
        let bare = World::new(&[], &[]);
        let missing = bare.mend(&Mend::Kernel(vec![])).unwrap_err();
        assert_eq!(missing, "sysctl is not there");
    }

    /// What others have written since it was looked at stays.
    #[test]
    fn names_are_written_beside_what_is_there_at_that_moment() {
        let own = "127.0.0.1 localhost\n";
        let world = World::new(&[], &[("etc/hosts", own)]);
        let names = Mend::Names(vec!["192.0.2.1 m1".to_owned()]);
        world.mend(&names).unwrap();
        let text = world.text("etc/hosts");
        assert!(
            text.starts_with(own) && text.contains("\n192.0.2.1 m1\n"),
            "{text}"
        );
        world.mend(&names).unwrap();
        assert_eq!(world.text("etc/hosts"), text);
        let bare = World::new(&[], &[]);
        bare.mend(&names).unwrap();
        assert!(bare.text("etc/hosts").contains("192.0.2.1 m1"));
    }

    #[test]
    fn a_firewall_of_its_own_is_told_and_rules_of_others_are_not_touched() {
        let hole = Hole {
            way: Way::Tcp(2380),
            interface: None,
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
                "firewall-cmd --state\nfirewall-cmd --get-active-zones\n\
                 firewall-cmd --permanent {rule}\nfirewall-cmd {rule}\n"
            )
        );
        // By the journal each of them is closed again.
        let journal = world.text("journal.jsonl");
        let entries = journal
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let inventory = Inventory {
            entries: entries.collect(),
            ..Inventory::default()
        };
        let mut journal = Journal::at(world.path("journal.jsonl"));
        let mut closed = 0;
        for step in reset::plan(&inventory, Data::Keep).steps {
            if let Step::Close { words } = step {
                close(&world.path(""), &words, &mut journal).unwrap();
                closed += 1;
            }
        }
        let rule = rule.replace("--add-", "--remove-");
        let wanted = format!("firewall-cmd --permanent {rule}\nfirewall-cmd {rule}\n");
        let calls = world.text("calls");
        assert!(closed == 2 && calls.ends_with(&wanted), "{closed} {calls}");
        let entries = journal.entries().unwrap();
        let again = Inventory {
            entries,
            ..Inventory::default()
        };
        assert_eq!(reset::plan(&again, Data::Keep).steps, [Step::Forget]);
        let legacy = World::new(&[], &[("proc/net/ip_tables_names", "filter\n")]);
        let refused = legacy.mend(&open).unwrap_err();
        assert_eq!(
            refused,
            "iptables filters here, whose rules are yours to write"
        );
    }
}
