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
use super::probe::carried::carried;
use super::probe::filter;
use super::swap;
use crate::facts::tool;
use crate::flows::Carrying;
use crate::flows::firewall::{self, Hole, Words, shell};
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
    /// Let Pods through.
    Carry(Carrying),
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
        Mend::Carry(pods) => say(root, carried(root, pods).unsaid, journal),
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
    let all = holes.iter().flat_map(|hole| firewall.open(hole));
    say(root, all, journal)
}

fn say(
    root: &Path,
    all: impl IntoIterator<Item = Words>,
    journal: &mut Journal,
) -> Result<(), MendError> {
    for words in all {
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
pub(super) mod world;

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

    /// A program, the files of its machine, what it is told of Pods.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

    /// What was said once is not said again, and each is said back by its journal.
    #[test]
    fn pods_are_let_through_and_a_second_time_nothing_is_said() {
        let pods = Mend::Carry(Carrying {
            networks: vec!["10.244.0.0/16".to_owned()],
            interfaces: vec!["cni0".to_owned()],
        });
        let on = ("etc/ufw/ufw.conf", "ENABLED=yes\n");
        let drops = "DEFAULT_INPUT_POLICY=\"DROP\"\nDEFAULT_FORWARD_POLICY=\"DROP\"\n";
        let routes = [
            "ufw route allow from 10.244.0.0/16",
            "ufw route allow to 10.244.0.0/16",
        ];
        let host = "ufw allow from 10.244.0.0/16";
        let source = "--zone=trusted --add-source=10.244.0.0/16";
        let now = format!("firewall-cmd {source}");
        let kept = format!("firewall-cmd --permanent {source}");
        // What is not understood is nobody's but its author's to add to.
        let by_hand = "-A ufw-before-forward -i cni0 -j ACCEPT\n";
        let rows: [Row<'_>; 6] = [
            (
                "ufw",
                &[on, ("etc/default/ufw", drops)],
                &[routes[0], routes[1], host],
            ),
            (
                "ufw",
                &[
                    on,
                    ("etc/default/ufw", "DEFAULT_FORWARD_POLICY=\"ACCEPT\"\n"),
                ],
                &[host],
            ),
            (
                "ufw",
                &[on, ("etc/default/ufw", "DEFAULT_INPUT_POLICY='ACCEPT'\n")],
                &routes,
            ),
            (
                "ufw",
                &[
                    on,
                    ("etc/default/ufw", drops),
                    ("etc/ufw/before.rules", by_hand),
                ],
                &[],
            ),
            ("firewall-cmd", &[], &[&kept, &now]),
            ("nft", &[("proc/net/ip_tables_names", "filter\n")], &[]),
        ];
        for (program, files, wanted) in rows {
            let world = World::new(&[program], files);
            let said = |word: &str| -> Vec<String> {
                let calls = world.text("calls");
                let lines = calls.lines().filter(|line| line.contains(word));
                lines.map(str::to_owned).collect()
            };
            for _ in 0..2 {
                world.mend(&pods).unwrap();
                assert_eq!(said("10.244."), wanted, "{program} {files:?}");
            }
            assert_eq!(closed(&world), wanted.len());
            let back = said("10.244.").split_off(wanted.len());
            let words = wanted.iter().map(|line| line.split(' ').map(str::to_owned));
            let backwards: Vec<_> = words
                .filter_map(|words| firewall::closing(&words.collect::<Vec<_>>()))
                .map(|words| words.join(" "))
                .collect();
            assert_eq!(back, backwards);
        }
    }

    /// Closes by its journal what was opened there, as a reset does; none is left to a second.
    fn closed(world: &World) -> usize {
        let mut journal = Journal::at(world.path("journal.jsonl"));
        let steps = |journal: &Journal| {
            let inventory = Inventory {
                entries: journal.entries().unwrap(),
                ..Inventory::default()
            };
            reset::plan(&inventory, Data::Keep).steps
        };
        let mut count = 0;
        for step in steps(&journal) {
            if let Step::Close { words } = step {
                close(&world.path(""), &words, &mut journal).unwrap();
                count += 1;
            }
        }
        let left = steps(&journal);
        assert!(left.iter().all(|step| *step == Step::Forget), "{left:?}");
        count
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
        assert_eq!(closed(&world), 2);
        let rule = rule.replace("--add-", "--remove-");
        let wanted = format!("firewall-cmd --permanent {rule}\nfirewall-cmd {rule}\n");
        let calls = world.text("calls");
        assert!(calls.ends_with(&wanted), "{calls}");
        let legacy = World::new(&[], &[("proc/net/ip_tables_names", "filter\n")]);
        let refused = legacy.mend(&open).unwrap_err();
        assert_eq!(
            refused,
            "iptables filters here, whose rules are yours to write"
        );
    }
}
