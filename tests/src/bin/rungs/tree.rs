//! A process and all that descend from it, remembered: one whose parent has ended is
//! somebody else's child by then, and still to be ended with the rest.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

/// Processes by their numbers, each with the instant of its start (clock ticks since boot, as
/// the kernel writes them): a number that was given away again is not one of them.
#[derive(Debug)]
pub(crate) struct Tree(BTreeMap<u32, u64>);

/// What the kernel says of a process.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    start: u64,
}

impl Tree {
    /// The tree of `root` as it is now; empty when there is no such process.
    pub(crate) fn of(root: u32) -> Self {
        let root = stat(root).map(|stat| (root, stat.start));
        let mut tree = Self(root.into_iter().collect());
        tree.grow();
        tree
    }

    /// Takes in what was started since, and lets go what has ended.
    pub(crate) fn grow(&mut self) {
        let all = processes();
        let known = &mut self.0;
        known.retain(|process, start| {
            all.get(process).is_some_and(|stat| stat.start == *start)
        });
        loop {
            let before = known.len();
            for (process, stat) in &all {
                if known.contains_key(&stat.parent) {
                    known.insert(*process, stat.start);
                }
            }
            if known.len() == before {
                return;
            }
        }
    }

    /// Sends a signal to each, by the shell's own `kill`: no other program need be there.
    pub(crate) fn signal(&self, signal: &str) {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "kill -s \"$0\" -- \"$@\"", signal]);
        shell.args(self.0.keys().map(u32::to_string));
        // One that is gone already is as it should be.
        drop(shell.stderr(Stdio::null()).status());
    }
}

fn processes() -> BTreeMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|process| Some((process, stat(process)?)))
        .collect()
}

fn stat(process: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// Reads `/proc/PID/stat` (proc(5)): behind the name, which may hold anything, the second
/// field is the parent and the twentieth the start.
fn parse(stat: &str) -> Option<Stat> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some(Stat { parent, start })
}

#[cfg(test)]
mod tests {
    use std::process::Child;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// Three processes, each the child of the one before.
    fn three() -> (Child, Tree) {
        let script = "sh -c 'sleep 60 & wait' & wait";
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let mut tree = Tree::of(child.id());
        until(|| {
            tree.grow();
            tree.0.len() == 3
        });
        (child, tree)
    }

    fn until(mut so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !so() {
            assert!(Instant::now() < deadline, "it does not come about");
            thread::yield_now();
        }
    }

    #[test]
    fn parent_and_start_are_found_behind_any_name() {
        let line = "12 (a) b) S 7 12 12 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 1";
        let expected = Stat {
            parent: 7,
            start: 4711,
        };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse("12 (a) S 7"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn those_whose_parent_has_ended_are_still_of_it() {
        let (mut child, mut tree) = three();
        child.kill().unwrap();
        child.wait().unwrap();
        tree.grow();
        assert_eq!(tree.0.len(), 2, "{tree:?}");
        tree.signal("KILL");
        until(|| {
            tree.grow();
            tree.0.is_empty()
        });
    }

    #[test]
    fn a_number_given_to_another_is_not_of_it() {
        let (mut child, mut tree) = three();
        let mut earlier = Tree(tree.0.keys().map(|process| (*process, 0)).collect());
        earlier.grow();
        assert!(earlier.0.is_empty(), "{earlier:?}");
        tree.signal("KILL");
        child.wait().unwrap();
        tree.grow();
    }
}
