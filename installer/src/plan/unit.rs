//! What becomes of a unit when what it reads has changed under it, in this run or in one that was
//! broken off before the unit's turn.

use std::collections::BTreeSet;

use super::step::{StageName, Step};
use crate::facts::Facts;
use crate::layout;
use crate::resource::{OnChange, Unit};

const CONTAINERD: &str = "containerd.service";

/// The files by which a unit runs: its program, its own file, and what it reads, a certificate
/// with its key. Programs that go with its own are put back with it, although another of them alone
/// does not ask for a restart: containerd runs them for each container.
pub(crate) fn files(unit: &Unit) -> Vec<String> {
    let mut all = hard(unit).to_vec();
    if unit.name == CONTAINERD {
        all.extend(layout::BESIDE_CONTAINERD.map(layout::program));
    }
    for path in &unit.reads {
        let key = path.strip_suffix(".crt").map(|stem| format!("{stem}.key"));
        all.extend([path.clone()].into_iter().chain(key));
    }
    all.sort();
    all.dedup();
    all
}

/// Its program and its file: no reload brings others.
fn hard(unit: &Unit) -> [String; 2] {
    let stem = unit.name.trim_end_matches(".service");
    let file = format!("{}/{}", layout::UNITS, unit.name);
    [layout::program(stem), file]
}

/// The steps that have it run, with all that changes.
pub(super) fn run(unit: &Unit, facts: &Facts, changed: &BTreeSet<String>) -> Vec<Step> {
    let name = unit.name.clone();
    let stage = StageName(unit.after);
    let there = facts.units.get(&unit.name);
    let mut steps = Vec::new();
    if !there.is_some_and(|there| there.enabled) {
        steps.push(Step::Enable { unit: name.clone() });
    }
    let [program, file] = hard(unit);
    // On a host that never had it there is nothing of an earlier run to be changed.
    let known = facts.entries.contains_key(&file);
    let unread = facts.unread.get(&name);
    let new = |path: &str| {
        changed.contains(path) || unread.is_some_and(|unread| unread.contains(path))
    };
    let because = |paths: &mut dyn Iterator<Item = &String>| -> Vec<String> {
        paths.filter(|path| new(path)).cloned().collect()
    };
    let read = because(&mut unit.reads.iter());
    let hard = because(&mut [program, file].iter());
    let active = there.is_some_and(|there| there.active);
    if !active {
        steps.push(Step::Start {
            unit: name.clone(),
            stage,
        });
    }
    let anew = match unit.on_change {
        OnChange::Restart => !hard.is_empty() || !read.is_empty(),
        OnChange::Reload => !hard.is_empty(),
        OnChange::Apply => !hard.is_empty() && read.is_empty(),
    };
    let again = unit.on_change == OnChange::Apply && known;
    if active && anew {
        let all: BTreeSet<_> = hard.into_iter().chain(read).collect();
        steps.push(Step::Restart {
            unit: name,
            stage,
            because: all.into_iter().collect(),
        });
    } else if !read.is_empty() && (active || again) {
        steps.push(Step::Reload {
            unit: name,
            stage,
            because: read,
        });
    }
    steps
}
